// SPDX-License-Identifier: Apache-2.0
#pragma once

// For .cpp files only.

#include "fleet/web/web_server.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/beast/http/field.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/beast/http/string_body.hpp>

namespace dunlin {

/// What to answer to a request.
struct Answer {
    boost::beast::http::status code = boost::beast::http::status::ok;
    std::string body = {};
    std::string type = "application/json";
    std::vector<std::pair<boost::beast::http::field, std::string>> fields = {};
    std::string policy = {};  ///< of a page that own pages may show in a frame; "": what all have
};

Answer refused(boost::beast::http::status code, std::string_view text);

/// The file of the page that `target` means, as a browser takes it that has the one of `etag` already.
Answer file_answer(const std::vector<WebFile>& files, std::string_view target, std::string_view etag,
                   std::string_view encodings);

/// Its own fields, and those that tell a browser what a page of here may do.
void put_fields(boost::beast::http::response<boost::beast::http::string_body>& response, const Answer& answer,
                bool tls);

/// Is it about what came, and not about the line that it came by?
bool is_bad_request(const boost::system::error_code& error);
/// What to say to a request that cannot be read.
boost::beast::http::status status_of(const boost::system::error_code& error);

}  // namespace dunlin
