// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "board.hpp"

#include <cstdint>

/// Instructions of a piece of code, as images/bench.cpp counts them.
namespace dunlin::measure {

[[gnu::noinline]] inline void calibration_loop(std::uint32_t turns) {
#if __ARM_ARCH_ISA_THUMB == 1
    asm volatile("1: sub %0, #1\n\tbne 1b" : "+l"(turns)::"cc");
#else
    asm volatile("1: subs %0, #1\n\tbne 1b" : "+r"(turns)::"cc");
#endif
}

/// Ticks of a call.
template <class Body>
std::uint32_t ticks_of(Body&& body) {
    const std::uint32_t start = board::ticks();
    body();
    asm volatile("" ::: "memory");
    return board::ticks() - start;
}

inline std::uint32_t instructions(std::uint32_t ticks) {
    constexpr std::uint32_t turns = 500'000;
    const std::uint32_t calibration = ticks_of([] { calibration_loop(turns); });
    return static_cast<std::uint32_t>(std::uint64_t{ticks} * 2 * turns / calibration);
}

}  // namespace dunlin::measure
