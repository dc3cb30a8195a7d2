// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace dunlin::test {

/// What keeps `text` from being well-formed XML (as far as Dunlin writes it: no CDATA, no processing instructions),
/// or nothing. Checks that tags balance, attributes are quoted, and that no bare '<' or '&' stands in the text.
inline std::string xml_problem(std::string_view text) {
    std::vector<std::string_view> open;
    std::size_t k = 0;
    while (k < text.size()) {
        if (text[k] == '&') {
            const std::size_t end = text.find(';', k);
            if (end == std::string_view::npos || end - k > 6) return "bare & at " + std::to_string(k);
            k = end + 1;
            continue;
        }
        if (text[k] != '<') {
            ++k;
            continue;
        }
        const bool closing = text.substr(k).starts_with("</");
        std::size_t end = k + 1 + closing;
        while (end < text.size() && text[end] != ' ' && text[end] != '>' && text[end] != '/') ++end;
        const std::string_view name = text.substr(k + 1 + closing, end - k - 1 - closing);
        if (name.empty()) return "bare < at " + std::to_string(k);
        char quote = 0;
        for (; end < text.size() && (quote != 0 || text[end] != '>'); ++end) {
            if (text[end] == '<') return "< inside a tag at " + std::to_string(end);
            if (quote == 0 && text[end] == '"') {
                if (text[end - 1] != '=') return "stray quote at " + std::to_string(end);
                quote = '"';
            } else if (text[end] == quote) {
                quote = 0;
            }
        }
        if (end == text.size()) return "unfinished tag " + std::string(name);
        if (closing) {
            if (open.empty() || open.back() != name) return "closes " + std::string(name);
            open.pop_back();
        } else if (text[end - 1] != '/') {
            open.push_back(name);
        }
        k = end + 1;
    }
    return open.empty() ? "" : "never closes " + std::string(open.back());
}

inline std::size_t count(std::string_view text, std::string_view part) {
    std::size_t found = 0;
    for (std::size_t at = text.find(part); at != std::string_view::npos; at = text.find(part, at + part.size()))
        ++found;
    return found;
}

}  // namespace dunlin::test
