// SPDX-License-Identifier: Apache-2.0
#include "boards/common/memory.hpp"

#include "board.hpp"

extern "C" {
extern std::uint32_t stack_top_address[];
extern std::uint32_t stack_limit_address[];
extern std::uint32_t data_load[], data_start[], data_end[], bss_start[], bss_end[];
}

namespace dunlin::board {

namespace {
constexpr std::uint32_t stack_paint = 0x5ac3a55a;
}  // namespace

void prepare_memory() {
    const std::uint32_t* from = data_load;
    for (std::uint32_t* to = data_start; to != data_end;) *to++ = *from++;
    for (std::uint32_t* to = bss_start; to != bss_end;) *to++ = 0;
    auto* const here = static_cast<std::uint32_t*>(__builtin_frame_address(0));
    for (std::uint32_t* to = stack_limit_address; to < here - 32; ++to) *to = stack_paint;
}

std::uint32_t deepest_stack() {
    const std::uint32_t* at = stack_limit_address;
    while (at < stack_top_address && *at == stack_paint) ++at;
    return static_cast<std::uint32_t>(reinterpret_cast<const std::uint8_t*>(stack_top_address) -
                                      reinterpret_cast<const std::uint8_t*>(at));
}

}  // namespace dunlin::board
