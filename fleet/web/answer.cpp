// SPDX-License-Identifier: Apache-2.0
#include "fleet/web/answer.hpp"

#include "fleet/web/gzip.hpp"

#include <algorithm>

#include <boost/beast/http/error.hpp>
#include <nlohmann/json.hpp>

namespace dunlin {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;
using Json = nlohmann::ordered_json;
using boost::system::error_code;
using http::status;

constexpr std::string_view security_policy =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

}  // namespace

Answer refused(status code, std::string_view text) {
    return {.code = code,
            .body = Json{{"ok", false},
                         {"error", {{"code", 0}, {"text", text}, {"failure", static_cast<unsigned>(code) >= 500}}}}
                        .dump(-1, ' ', false, Json::error_handler_t::replace)};
}

Answer file_answer(const std::vector<WebFile>& files, std::string_view target, std::string_view etag,
                   std::string_view encodings) {
    std::string_view path = target.substr(0, target.find_first_of("?#"));
    if (path == "/") path = "/index.html";
    if (path == "/index.html" && files.empty())
        return {.code = status::not_found,
                .body =
                    "This dunlin was built without its page: install esbuild and libjs-dygraphs and build it "
                    "again. The API is at /api/v1/ (docs/web.md).\n",
                .type = "text/plain; charset=utf-8"};
    const auto found = std::ranges::find(files, path, &WebFile::path);
    if (found == files.end()) return refused(status::not_found, "there is nothing here");
    Answer answer{.type = std::string(found->type)};
    answer.fields = {{http::field::etag, std::string(found->etag)},
                     {http::field::cache_control, "no-cache"},
                     {http::field::vary, "Accept-Encoding"}};
    if (etag == found->etag) {
        answer.code = status::not_modified;
    } else if (encodings.find("gzip") != std::string_view::npos) {
        answer.body = std::string(found->gzip);
        answer.fields.emplace_back(http::field::content_encoding, "gzip");
    } else {
        answer.body = gunzip(found->gzip);
    }
    return answer;
}

void put_fields(http::response<http::string_body>& response, const Answer& answer, bool tls) {
    response.set(http::field::content_type, answer.type);
    response.set(http::field::cache_control, "no-store");
    for (const auto& [name, value] : answer.fields) response.set(name, value);
    const std::string_view policy = answer.policy.empty() ? security_policy : std::string_view(answer.policy);
    response.set("Content-Security-Policy", beast::string_view(policy.data(), policy.size()));
    response.set("X-Content-Type-Options", "nosniff");
    response.set("X-Frame-Options", answer.policy.empty() ? "DENY" : "SAMEORIGIN");
    response.set("Referrer-Policy", "no-referrer");
    response.set("Cross-Origin-Opener-Policy", "same-origin");
    response.set("Cross-Origin-Resource-Policy", "same-origin");
    if (tls) response.set("Strict-Transport-Security", "max-age=31536000");
}

status status_of(const error_code& error) {
    if (error == http::error::header_limit || error == http::error::buffer_overflow)
        return status::request_header_fields_too_large;
    if (error == http::error::body_limit) return status::payload_too_large;
    if (error == http::error::bad_version) return status::http_version_not_supported;
    return status::bad_request;
}

bool is_bad_request(const error_code& error) {
    return error.category() == http::make_error_code(http::error::bad_method).category() &&
           error != http::error::end_of_stream && error != http::error::partial_message;
}

}  // namespace dunlin
