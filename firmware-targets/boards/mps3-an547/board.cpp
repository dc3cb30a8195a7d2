// SPDX-License-Identifier: Apache-2.0
#include "boards/common/cortex_m.hpp"

namespace dunlin::board {
namespace {

using Uart = CmsdkUart<0x59303000>;
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
    return 32000000;
}

}  // namespace dunlin::board
