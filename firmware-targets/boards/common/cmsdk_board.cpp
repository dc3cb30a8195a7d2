// SPDX-License-Identifier: Apache-2.0
// Drivers of Arm's MPS boards: their UART, where board.cmake says that it is, and SysTick.
#include "boards/common/cortex_m.hpp"

namespace dunlin::board {
namespace {

using Uart = CmsdkUart<DUNLIN_BOARD_UART>;
constinit SysTick counter;

}  // namespace

void start() {
    Uart::start();
    counter.start();
}
void write(std::uint8_t byte) {
    Uart::write(byte);
}
bool read(std::uint8_t& byte) {
    return Uart::read(byte);
}
std::uint32_t ticks() {
    return counter.read();
}
std::uint32_t ticks_per_second() {
    return DUNLIN_BOARD_CLOCK_HZ;
}

}  // namespace dunlin::board
