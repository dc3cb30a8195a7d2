// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/random.hpp"
#include "transport/messages.hpp"

#include <cstddef>
#include <deque>
#include <string>
#include <vector>

namespace dunlin::testing {

inline constexpr std::size_t message_kinds = std::variant_size_v<MessageBody>;

/// Messages with something in every field, and what they refer to.
class Samples {
public:
    /// The same message of a kind every time: numbers that count up, lists of two.
    const Message& plain(std::size_t kind);
    /// Numbers of any bits (NaN too), texts and lists of any length up to `longest`.
    const Message& any(std::size_t kind, Stream& random, std::size_t longest);

    /// What the messages made so far refer to.
    struct Memory {
        std::deque<Message> messages;
        std::deque<std::string> texts;
        std::deque<std::vector<std::uint64_t>> words;
        std::deque<std::vector<Metric>> metrics;
        std::deque<std::vector<PeerAddress>> peers;
    };

private:
    Memory memory_;
};

/// Every field of a message in words: two messages say the same if and only if they are equal to the bit.
std::string described(const Message& message);

/// What of a message its FlatBuffers say: what no board has room for has no words there.
Message in_flat_form(const Message& message);

/// "model_update", for file names.
std::string kind_name(std::size_t kind);

}  // namespace dunlin::testing
