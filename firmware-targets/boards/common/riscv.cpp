// SPDX-License-Identifier: Apache-2.0
// Start-up of a RISC-V processor that begins at the first address of FLASH in machine mode: the FPU, the stack, memory.
#include "board.hpp"
#include "boards/common/memory.hpp"

extern "C" {
int main();
[[noreturn]] void reset_handler();
[[noreturn, gnu::used]] void start_program();
}

extern "C" {

[[gnu::section(".vectors"), gnu::naked, gnu::used]] void reset_handler() {
    asm volatile(
        ".option push\n\t.option norelax\n\t"
        "la gp, __global_pointer$\n\t"
        ".option pop\n\t"
        "la sp, stack_top_address\n\t"
        "la t0, fault_handler\n\t"
        "csrw mtvec, t0\n\t"
        "li t0, 0x6000\n\t"  // the FPU is on
        "csrs mstatus, t0\n\t"
        "j start_program");
}

void start_program() {
    dunlin::board::prepare_memory();
    dunlin::board::start();
    dunlin::board::stop(main());
}

[[gnu::aligned(4), noreturn]] void fault_handler() {
    for (const char c : {'f', 'a', 'u', 'l', 't', '\r', '\n'}) dunlin::board::write(static_cast<std::uint8_t>(c));
    dunlin::board::stop(99);
}
}
