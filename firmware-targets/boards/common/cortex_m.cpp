// SPDX-License-Identifier: Apache-2.0
// Start-up of every Cortex-M: the vector table, memory, the FPU. There is no heap, and nothing runs before main but
// what stands here: the linker script refuses images with static constructors.
#include "boards/common/cortex_m.hpp"

#include "boards/common/memory.hpp"

extern "C" {
extern std::uint32_t stack_top_address[];
int main();
[[noreturn]] void reset_handler();
[[noreturn]] void fault_handler();
}

namespace {

using Handler = void (*)();
struct Vectors {
    std::uint32_t* stack;
    Handler handlers[15 + dunlin::board::interrupts];
};

}  // namespace

extern "C" {

[[gnu::section(".vectors"), gnu::used]] constexpr auto vectors = [] {
    Vectors table{stack_top_address, {}};
    for (Handler& handler : table.handlers) handler = fault_handler;
    table.handlers[0] = reset_handler;
    return table;
}();

void reset_handler() {
#ifdef __ARM_FP
    volatile auto* const coprocessor_access = reinterpret_cast<std::uint32_t*>(0xe000ed88);
    *coprocessor_access = *coprocessor_access | 0xfu << 20;
    asm volatile("dsb\n\tisb" ::: "memory");
#endif
    dunlin::board::prepare_memory();
    dunlin::board::start();
    dunlin::board::stop(main());
}

void fault_handler() {
    for (const char c : {'f', 'a', 'u', 'l', 't', '\r', '\n'}) dunlin::board::write(static_cast<std::uint8_t>(c));
    dunlin::board::stop(99);
}
}

namespace dunlin::board {

void stop(int code) {
#ifdef DUNLIN_SEMIHOSTING
    const std::uint32_t block[2] = {0x20026, static_cast<std::uint32_t>(code)};  // the program ended by itself
    register std::uint32_t operation asm("r0") = 0x20;                           // SYS_EXIT_EXTENDED
    register const std::uint32_t* argument asm("r1") = block;
    asm volatile("bkpt 0xab" : : "r"(operation), "r"(argument) : "memory");
#else
    (void)code;
#endif
    for (;;) asm volatile("wfi");
}

}  // namespace dunlin::board
