// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/error.hpp"

#include <string>
#include <string_view>

#include <tl/expected.hpp>

namespace dunlin {

/// An error as a person reads it: what is wrong, where, and what to do, in one line.
struct Failure {
    std::string text;
    /// What was asked for could not be done: a disk, a network, another process. Else the input was wrong.
    bool unable = false;
    /// What other machines may hear of it, where the text shows what is private (a row, a path); empty: all of it.
    std::string told{};
};

template <class T>
using Outcome = tl::expected<T, Failure>;

/// `where` is the file, key or task that the error is about: "maps/a.map", "rl.horizon". Its code says whether it
/// is `unable`.
Failure describe(const Error& error, std::string_view where);

inline tl::unexpected<Failure> refuse(std::string text) {
    return tl::unexpected<Failure>(Failure{std::move(text)});
}
inline tl::unexpected<Failure> unable(std::string text) {
    return tl::unexpected<Failure>(Failure{std::move(text), true});
}
inline tl::unexpected<Failure> refuse(const Error& error, std::string_view where) {
    return tl::unexpected<Failure>(describe(error, where));
}

}  // namespace dunlin
