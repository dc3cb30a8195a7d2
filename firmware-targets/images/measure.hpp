// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "board.hpp"
#include "images/console.hpp"

// Where an emulator's plugin (emulator/cycles.cpp) begins and ends to count.
extern "C" {
[[gnu::noinline]] void region_begin();
[[gnu::noinline]] void region_end();
}

namespace dunlin::bench {

/// The networks of layers; a file of its own, compiled for speed.
void measure_networks();
/// A layer in whole numbers, on every board.
void measure_quantised();

/// Ticks of `repeats` calls.
template <class Body>
std::uint32_t time(int repeats, Body&& body) {
    const std::uint32_t start = board::ticks();
    for (int k = 0; k < repeats; ++k) {
        body();
        asm volatile("" ::: "memory");
    }
    return board::ticks() - start;
}

[[gnu::noinline]] inline void calibration_loop(std::uint32_t turns) {
#ifdef __riscv
    asm volatile("1: addi %0, %0, -1\n\tbnez %0, 1b" : "+r"(turns));
#elif __ARM_ARCH_ISA_THUMB == 1
    asm volatile("1: sub %0, #1\n\tbne 1b" : "+l"(turns)::"cc");
#else
    asm volatile("1: subs %0, #1\n\tbne 1b" : "+r"(turns)::"cc");
#endif
}

/// From ticks; measured beside them, as emulators differ in what a tick is.
inline std::uint32_t instructions(std::uint32_t ticks, std::uint32_t calls = 1) {
    constexpr std::uint32_t turns = 500'000;
    const std::uint32_t calibration = time(1, [] { calibration_loop(turns); });
    return static_cast<std::uint32_t>(std::uint64_t{ticks} * 2 * turns / calibration / calls);
}

/// Runs `body` often enough for the counter, and prints the instructions of one call, or of one of so many `parts` of it;
/// then its ticks, and by what the emulator's figures are to be divided.
template <class Body>
void measure(const char* name, int repeats, Body&& body, std::uint32_t parts = 1) {
    body();
    region_begin();
    const std::uint32_t ticks = time(repeats, body);
    region_end();
    const std::uint32_t calls = static_cast<std::uint32_t>(repeats) * parts;
    console::line(name, " ", instructions(ticks, calls), " ", ticks / calls, " ", calls);
}

}  // namespace dunlin::bench
