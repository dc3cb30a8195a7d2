// SPDX-License-Identifier: Apache-2.0
#include "board.hpp"

namespace dunlin::board {
namespace {

/// A 16550's registers, and those of the device that ends the machine.
volatile std::uint8_t& uart(std::uint32_t offset) {
    return *reinterpret_cast<volatile std::uint8_t*>(0x10000000u + offset);
}

}  // namespace

void start() {}
void write(std::uint8_t byte) {
    while ((uart(5) & 0x20u) == 0) {
    }
    uart(0) = byte;
}
bool read(std::uint8_t& byte) {
    if ((uart(5) & 1u) == 0) return false;
    byte = uart(0);
    return true;
}
/// Cycles; in an emulator that counts, instructions.
std::uint32_t ticks() {
    std::uint32_t cycles;
    asm volatile("csrr %0, mcycle" : "=r"(cycles));
    return cycles;
}
std::uint32_t ticks_per_second() {
    return 1000000000;
}

void stop(int code) {
#ifdef DUNLIN_SEMIHOSTING
    *reinterpret_cast<volatile std::uint32_t*>(0x100000) =
        code == 0 ? 0x5555u : 0x3333u | static_cast<std::uint32_t>(code) << 16;
#else
    (void)code;
#endif
    for (;;) asm volatile("wfi");
}

}  // namespace dunlin::board
