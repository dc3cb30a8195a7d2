// SPDX-License-Identifier: Apache-2.0
#pragma once

// For .cpp files only.

#include "fleet/web/answer.hpp"
#include "fleet/web/rules.hpp"

namespace dunlin {

/// What a request says to the desk: whole, as the command-line program sends it, or made of a path and a body of JSON.
struct WebLetter {
    static constexpr std::string_view type = "application/vnd.dunlin.letter";  ///< of a body that is one, whole

    std::string command;
    Letter letter;
};

/// `enrolment` is the token of a node that asks to be on the roster, of whose body only its name and key are taken; null
/// for visitors. Error: what is wrong with the request.
Outcome<WebLetter> read_web_letter(const WebSettings& settings, const WebRoute& route, const std::string& body,
                                   std::string_view content_type, const Access::Enrolment* enrolment);

/// What the desk said, for one who accepts `accepted`.
Answer letter_answer(Letter told, std::string_view accepted);

}  // namespace dunlin
