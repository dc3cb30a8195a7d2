// SPDX-License-Identifier: Apache-2.0
#include "fleet/web/web_letter.hpp"

#include "fleet/coordinator/control_socket.hpp"

#include <nlohmann/json.hpp>

namespace dunlin {

using Json = nlohmann::ordered_json;
using boost::beast::http::status;

Outcome<WebLetter> read_web_letter(const WebSettings& settings, const WebRoute& route, const std::string& body,
                                   std::string_view content_type, const Access::Enrolment* enrolment) {
    if (route.command.empty() && content_type.starts_with(WebLetter::type)) {
        ReadLetter read = read_letter(body, ControlSocket::request_bytes);
        if (!read.letter) return refuse("the body is to be one letter, whole");
        if (!is_shallow(read.letter->json)) return refuse("the letter is nested too deep");
        const Json asked = Json::parse(read.letter->json, nullptr, false);
        if (!asked.is_object() || !asked.contains("command") || !asked["command"].is_string())
            return refuse("\"command\": expected a text");
        return WebLetter{asked["command"].get<std::string>(), *std::move(read.letter)};
    }
    WebBody asked = desk_request(route, body);
    if (!asked.wrong.empty()) return refuse(std::move(asked.wrong));
    if (enrolment != nullptr) {
        const Json said = Json::parse(asked.request);
        const auto text = [&said](const char* key) {
            return said.contains(key) && said[key].is_string() ? said[key] : Json("");
        };
        const Json request{
            {"command", asked.command}, {"token", enrolment->number}, {"name", text("name")}, {"key", text("key")}};
        return WebLetter{asked.command, {request.dump(-1, ' ', false, Json::error_handler_t::replace), {}}};
    }
    const bool push = route.kind == WebRoute::Kind::push;
    if (!push && route.command != "run") return WebLetter{asked.command, {std::move(asked.request), {}}};
    Outcome<Letter> made = push ? settings.push(asked.request) : settings.run(asked.request);
    if (!made) return tl::unexpected(made.error());
    return WebLetter{asked.command, *std::move(made)};
}

Answer letter_answer(Letter told, std::string_view accepted) {
    Answer answer;
    if (!told.json.starts_with("{\"ok\":true")) {
        const Json wrong = Json::parse(told.json, nullptr, false);
        const bool unknown = wrong["error"].value("code", 0) == static_cast<int>(Code::unknown_job);
        answer.code = unknown                                  ? status::not_found
                      : wrong["error"].value("failure", false) ? status::service_unavailable
                                                               : status::bad_request;
    }
    if (accepted.starts_with(WebLetter::type)) {
        answer.type = WebLetter::type;
        answer.body = letter_bytes(told);
    } else {
        answer.body = std::move(told.json);
    }
    return answer;
}

}  // namespace dunlin
