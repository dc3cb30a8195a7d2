// SPDX-License-Identifier: Apache-2.0
#pragma once

// For .cpp files only.

#include "training/host/failure.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace dunlin {

using Json = nlohmann::ordered_json;

/// What a request got wrong, told to the person who made it.
struct Complaint {
    Failure failure;
    int code = 0;
};

[[noreturn]] void complain(const Error& error, std::string_view where);
[[noreturn]] void complain(std::string text);
template <class T>
T need(Result<T> result, std::string_view where) {
    if (!result) complain(result.error(), where);
    if constexpr (!std::is_void_v<T>) return *std::move(result);
}

/// The answer to a request that is not done.
inline Json refusal(const Failure& failure, int code) {
    return {{"ok", false}, {"error", {{"code", code}, {"text", failure.text}, {"failure", failure.unable}}}};
}

// What a request says under a name; empty, 0 or false where it says nothing. Another type than the command takes is
// refused: a job "3" must not become the newest one.
std::string text_of(const Json& request, const char* name);
std::vector<std::string> texts_of(const Json& request, const char* name);
std::uint64_t number_of(const Json& request, const char* name);
bool flag_of(const Json& request, const char* name);

/// Of what travels, and what people read.
void check_name(const std::string& what, std::string_view name);

}  // namespace dunlin
