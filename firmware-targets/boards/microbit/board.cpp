// SPDX-License-Identifier: Apache-2.0
// The serial line goes to the interface chip (pins 24 and 25) at 115,200 baud. The processor has no SysTick; TIMER0
// counts instead, at 16 MHz.
#include "boards/common/cortex_m.hpp"

namespace dunlin::board {
namespace {

constexpr std::uint32_t uart = 0x40002000, timer = 0x40008000;

}  // namespace

void start() {
    device(uart + 0x50c) = 24;          // transmit
    device(uart + 0x514) = 25;          // receive
    device(uart + 0x524) = 0x01d7e000;  // 115,200 baud
    device(uart + 0x500) = 4;           // on
    device(uart + 0x000) = 1;           // start to receive
    device(uart + 0x008) = 1;           // start to transmit
    device(timer + 0x508) = 3;          // 32 bits
    device(timer + 0x510) = 0;          // not divided
    device(timer + 0x000) = 1;          // start
}
void write(std::uint8_t byte) {
    device(uart + 0x11c) = 0;
    device(uart + 0x51c) = byte;
    while (device(uart + 0x11c) == 0) {
    }
}
bool read(std::uint8_t& byte) {
    if (device(uart + 0x108) == 0) return false;
    device(uart + 0x108) = 0;
    byte = static_cast<std::uint8_t>(device(uart + 0x518));
    return true;
}
std::uint32_t ticks() {
    device(timer + 0x040) = 1;  // capture
    return device(timer + 0x540);
}
std::uint32_t ticks_per_second() {
    return 16'000'000;
}

}  // namespace dunlin::board
