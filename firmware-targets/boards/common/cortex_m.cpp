// SPDX-License-Identifier: Apache-2.0
// Start-up of every Cortex-M: the vector table, memory, the FPU. There is no heap, and nothing runs before main but
// what stands here: the linker script refuses images with static constructors.
#include "boards/common/cortex_m.hpp"

extern "C" {
extern std::uint32_t stack_top_address[];
extern std::uint32_t stack_limit_address[];
extern std::uint32_t data_load[], data_start[], data_end[], bss_start[], bss_end[];
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
    const std::uint32_t* from = data_load;
    for (std::uint32_t* to = data_start; to != data_end;) *to++ = *from++;
    for (std::uint32_t* to = bss_start; to != bss_end;) *to++ = 0;
    // Painted, so that an image can tell how deep its stack once was.
    std::uint32_t* here;
    asm volatile("mov %0, sp" : "=r"(here));
    for (std::uint32_t* to = stack_limit_address; to < here - 16; ++to) *to = dunlin::board::stack_paint;
    dunlin::board::start();
    dunlin::board::stop(main());
}

void fault_handler() {
    for (const char c : {'f', 'a', 'u', 'l', 't', '\r', '\n'}) dunlin::board::write(static_cast<std::uint8_t>(c));
    dunlin::board::stop(99);
}
}

namespace dunlin::board {

std::uint32_t deepest_stack() {
    const std::uint32_t* at = stack_limit_address;
    while (at < stack_top_address && *at == stack_paint) ++at;
    return static_cast<std::uint32_t>(reinterpret_cast<const std::uint8_t*>(stack_top_address) -
                                      reinterpret_cast<const std::uint8_t*>(at));
}

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
