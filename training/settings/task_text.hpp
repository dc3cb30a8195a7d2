// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/host/failure.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>
#include <vector>

#include <fmt/format.h>

namespace dunlin {

/// `count` finite numbers of type T, separated by commas.
template <class T>
std::optional<std::vector<T>> numbers(std::string_view text, std::size_t count) {
    std::vector<T> values;
    const char* at = text.data();
    const char* const end = text.data() + text.size();
    while (at < end) {
        T value = 0;
        const auto [next, error] = std::from_chars(at, end, value);
        if (error != std::errc() || (next < end && *next != ',')) return std::nullopt;
        if (!std::isfinite(static_cast<double>(value))) return std::nullopt;
        values.push_back(value);
        at = next < end ? next + 1 : next;
    }
    if (values.size() != count) return std::nullopt;
    return values;
}

/// Splits "goal=1,2;wind=0.1" and hands each key and value over; returns the first problem.
template <class Take>
Outcome<void> for_each_part(std::string_view description, Take&& take) {
    while (!description.empty()) {
        const std::size_t end = std::min(description.find(';'), description.size());
        const std::string_view part = description.substr(0, end);
        const std::size_t equals = std::min(part.find('='), part.size());
        const std::string_view value = equals < part.size() ? part.substr(equals + 1) : std::string_view();
        if (!take(part.substr(0, equals), value)) {
            return refuse(fmt::format(
                "cannot read \"{}\"; expected goal=R,C and, joined by ';', wind=P, slip=P (P from 0 to 1) or "
                "moves=0,1,2,3,4, of several maps map=NAME (point world: goal=X,Y, drift=X,Y; rule worlds: "
                "number=N, seed=S)",
                part));
        }
        description.remove_prefix(std::min(end + 1, description.size()));
    }
    return {};
}

}  // namespace dunlin
