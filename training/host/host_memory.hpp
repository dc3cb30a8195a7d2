// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/arena.hpp"

#include <cstddef>
#include <span>
#include <vector>

#include <unistd.h>

namespace dunlin {

/// One allocation that an Arena can hand out; moving it keeps the pieces where they are.
class HostMemory {
public:
    explicit HostMemory(std::size_t bytes) : lines_((bytes + Arena::alignment - 1) / Arena::alignment) {}
    std::span<std::byte> bytes() { return std::as_writable_bytes(std::span(lines_)); }

private:
    struct alignas(Arena::alignment) Line {
        std::byte bytes[Arena::alignment];
    };
    std::vector<Line> lines_;
};

/// Bytes of memory that this machine has.
inline std::size_t machine_memory() {
    return static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace dunlin
