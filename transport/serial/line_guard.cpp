// SPDX-License-Identifier: Apache-2.0
#include "transport/serial/line_guard.hpp"

#include <algorithm>
#include <cstring>

namespace dunlin {

std::span<std::byte> MessageParts::copy(std::size_t at, std::span<std::byte> to) const {
    std::size_t done = 0;
    for (const std::span<const std::byte> part : parts) {
        const std::size_t from = std::min(at, part.size()), size = std::min(part.size() - from, to.size() - done);
        if (size > 0) std::memcpy(to.data() + done, part.data() + from, size);
        done += size;
        at -= from;
    }
    return to.first(done);
}

std::span<std::byte> MessageParts::copy_difference(const MessageStart& start, std::size_t at,
                                                   std::span<std::byte> to) const {
    const std::span<std::byte> copied = copy(at, to);
    const std::size_t own = parts[0].size() + parts[1].size();
    for (std::size_t k = 0; k < copied.size() && at + k < std::min(start.size(), own); ++k)
        copied[k] ^= start[at + k];
    return copied;
}

void MessageParts::remember_in(MessageStart& start) const {
    copy(0, std::span(start).first(std::min(start.size(), parts[0].size() + parts[1].size())));
}

}  // namespace dunlin
