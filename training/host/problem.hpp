// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/error.hpp"

#include <string>
#include <string_view>

#include <tl/expected.hpp>

namespace dunlin {

/// An error as a person reads it: what is wrong, where, and what to do, in one line.
struct Problem {
    std::string text;
    /// What was asked for could not be done: a disk, a network, another process. Else the input was wrong.
    bool failure = false;
};

template <class T>
using Outcome = tl::expected<T, Problem>;

/// `where` is the file, key or task that the error is about: "maps/a.map", "rl.horizon". Its code says whether it
/// is a failure.
Problem describe(const Error& error, std::string_view where);

inline tl::unexpected<Problem> problem(std::string text) {
    return tl::unexpected<Problem>(Problem{std::move(text)});
}
inline tl::unexpected<Problem> failure(std::string text) {
    return tl::unexpected<Problem>(Problem{std::move(text), true});
}
inline tl::unexpected<Problem> problem(const Error& error, std::string_view where) {
    return tl::unexpected<Problem>(describe(error, where));
}

}  // namespace dunlin
