// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
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

/// As it travels: a head of 16 bytes ("DNL1", length of the JSON, count of the numbers), the JSON, the numbers as
/// float32; little-endian.
std::string letter_bytes(const Letter& letter);

/// What stands in bytes so far: nothing yet, a letter, or what can never be one.
struct ReadLetter {
    std::optional<Letter> letter = {};
    bool wrong = false;
};
/// Bytes of JSON beyond `most` are wrong; so are more numbers than the largest model has, or than `most` bytes hold
/// where that is more.
ReadLetter read_letter(std::string_view bytes, std::size_t most);

}  // namespace dunlin
