// SPDX-License-Identifier: Apache-2.0
#include "fleet/coordinator/letter.hpp"

#include "transport/messages.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace dunlin {
namespace {

struct Head {
    std::uint32_t magic = 0x314c4e44;  // "DNL1"
    std::uint32_t json_bytes = 0;
    std::uint64_t numbers = 0;
};

}  // namespace

std::string letter_bytes(const Letter& letter) {
    Head head;
    head.json_bytes = static_cast<std::uint32_t>(letter.json.size());
    head.numbers = letter.numbers.size();
    std::string bytes(reinterpret_cast<const char*>(&head), sizeof head);
    bytes += letter.json;
    bytes.append(reinterpret_cast<const char*>(letter.numbers.data()), letter.numbers.size() * sizeof(float));
    return bytes;
}

ReadLetter read_letter(std::string_view bytes, std::size_t most) {
    Head head;
    if (bytes.size() < sizeof head) return {};
    std::memcpy(&head, bytes.data(), sizeof head);
    const bool fits = head.magic == Head{}.magic && head.json_bytes <= most &&
                      head.numbers <= std::max<std::size_t>(WireLimits::values, most / sizeof(float));
    if (!fits) return {.wrong = true};
    bytes.remove_prefix(sizeof head);
    const auto numbers = static_cast<std::size_t>(head.numbers);
    const std::size_t expected = head.json_bytes + numbers * sizeof(float);
    if (bytes.size() < expected) return {};
    if (bytes.size() > expected) return {.wrong = true};
    Letter letter{std::string(bytes.substr(0, head.json_bytes)), std::vector<float>(numbers)};
    if (numbers > 0) std::memcpy(letter.numbers.data(), bytes.data() + head.json_bytes, numbers * sizeof(float));
    return {.letter = std::move(letter)};
}

}  // namespace dunlin
