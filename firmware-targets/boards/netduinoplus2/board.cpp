// SPDX-License-Identifier: Apache-2.0
// The chip runs from its internal oscillator of 16 MHz, as it starts; USART1 (PA9, PA10) at 115,200 baud.
#include "boards/common/cortex_m.hpp"

namespace dunlin::board {
namespace {

constexpr std::uint32_t uart = 0x40011000, clocks = 0x40023800, port_a = 0x40020000;
constinit SysTick counter;

}  // namespace

void start() {
    device(clocks + 0x30) |= 1u;                                                   // port A
    device(clocks + 0x44) |= 1u << 4;                                              // USART1
    device(port_a) = (device(port_a) & ~(0xfu << 18)) | 0xau << 18;                // alternate function
    device(port_a + 0x24) = (device(port_a + 0x24) & ~(0xffu << 4)) | 0x77u << 4;  // number 7: USART1
    device(uart + 0x08) = 139;                                                     // 16 MHz / 115,200
    device(uart + 0x0c) = 1u << 13 | 1u << 3 | 1u << 2;                            // on, transmit, receive
    counter.start();
}
void write(std::uint8_t byte) {
    while ((device(uart) & 1u << 7) == 0) {
    }
    device(uart + 0x04) = byte;
}
bool read(std::uint8_t& byte) {
    if ((device(uart) & 1u << 5) == 0) return false;
    byte = static_cast<std::uint8_t>(device(uart + 0x04));
    return true;
}
std::uint32_t ticks() {
    return counter.read();
}
std::uint32_t ticks_per_second() {
    return 16'000'000;
}

}  // namespace dunlin::board
