// SPDX-License-Identifier: Apache-2.0
#include "fleet/coordinator/desk_request.hpp"

#include "training/host/plain_text.hpp"
#include "transport/messages.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace dunlin {
namespace {

/// What a request says under a name; null where it says nothing.
template <class Fits>
const Json* said(const Json& request, const char* name, const char* expected, const Fits& fits) {
    const auto found = request.find(name);
    if (found == request.end()) return nullptr;
    if (!fits(*found))
        complain(fmt::format("\"{}\": expected {}; there stands {}", name, expected, shown(found->dump(), false)));
    return &*found;
}

bool is_text(const Json& value) {
    return value.is_string();
}

}  // namespace

void complain(const Error& error, std::string_view where) {
    throw Complaint{describe(error, where), static_cast<int>(error.code)};
}

void complain(std::string text) {
    throw Complaint{{std::move(text)}};
}

std::string text_of(const Json& request, const char* name) {
    const Json* text = said(request, name, "a text", is_text);
    return text == nullptr ? "" : text->get<std::string>();
}

std::vector<std::string> texts_of(const Json& request, const char* name) {
    const Json* texts = said(request, name, "a list of texts", [](const Json& value) {
        return value.is_array() && std::ranges::all_of(value, is_text);
    });
    return texts == nullptr ? std::vector<std::string>{} : texts->get<std::vector<std::string>>();
}

std::uint64_t number_of(const Json& request, const char* name) {
    const Json* number =
        said(request, name, "a whole number", [](const Json& value) { return value.is_number_unsigned(); });
    return number == nullptr ? 0 : number->get<std::uint64_t>();
}

bool flag_of(const Json& request, const char* name) {
    const Json* flag = said(request, name, "true or false", [](const Json& value) { return value.is_boolean(); });
    return flag != nullptr && flag->get<bool>();
}

void check_name(const std::string& what, std::string_view name) {
    if (const std::string wrong = name_fault(name, WireLimits::name_bytes); !wrong.empty())
        complain(fmt::format("{} {}", what, wrong));
}

}  // namespace dunlin
