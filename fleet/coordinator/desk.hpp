// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fleet/coordinator/coordinator.hpp"
#include "fleet/coordinator/index.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dunlin {

/// What the operator asks of a coordinator, or is answered: one JSON object (docs/fleet.md), and numbers that go
/// with it: a model.
struct Letter {
    std::string json;
    std::vector<float> numbers;
};

/// Where the operator's requests are answered: by the process that serves, or by a command that opened the store
/// itself because nobody serves.
class Desk {
public:
    struct Place {
        std::string endpoint;    ///< where nodes reach this coordinator; "" while nobody serves
        std::string server_key;  ///< hexadecimal
        std::int64_t started_unix_ms = 0;
        std::string restored = {};  ///< where a restore just now put what was there before; "": there was none
        std::string restore_problem = {};  ///< or what went wrong with it
    };

    Desk(Coordinator& coordinator, Index& index, Place place)
        : coordinator_(coordinator), index_(index), place_(std::move(place)) {}

    /// Every answer has "ok", and "error" with its code and text where it is false.
    Letter answer(const Letter& request, std::int64_t now_ms);

    /// The backup that the operator wants in the place of this store: for whoever runs the loop.
    const std::optional<std::filesystem::path>& restore_wanted() const { return restore_wanted_; }

private:
    struct Commands;

    Coordinator& coordinator_;
    Index& index_;
    Place place_;
    std::optional<std::filesystem::path> restore_wanted_;
};

}  // namespace dunlin
