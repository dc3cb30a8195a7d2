// SPDX-License-Identifier: Apache-2.0
// Start-up of every Cortex-M: the vector table, memory, the FPU. There is no heap, and nothing runs before main but
// what stands here: the linker script refuses images with static constructors.
#include "boards/common/cortex_m.hpp"

#include "boards/common/memory.hpp"
#include "hooks.h"

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

#ifdef DUNLIN_SEMIHOSTING
namespace {

std::uint32_t semihost(std::uint32_t operation, const void* block) {
    register std::uint32_t what asm("r0") = operation;
    register const void* argument asm("r1") = block;
    asm volatile("bkpt 0xab" : "+r"(what) : "r"(argument) : "memory");
    return what;
}

}  // namespace

/// Of the machine that emulates the board. A board of silicon has a generator of its own, or a counter in flash.
extern "C" int dunlin_entropy(void* to, uint32_t bytes) {
    static constexpr char name[] = "/dev/urandom";
    const std::uint32_t open[3] = {reinterpret_cast<std::uint32_t>(name), 1, sizeof name - 1};
    const std::uint32_t file = semihost(0x01, open);  // SYS_OPEN, "rb"
    if (file == 0xffffffff) return 0;
    const std::uint32_t read[3] = {file, reinterpret_cast<std::uint32_t>(to), bytes};
    const std::uint32_t left = semihost(0x06, read);  // SYS_READ
    semihost(0x02, &file);                            // SYS_CLOSE
    return left == 0 ? 1 : 0;
}
#endif

namespace dunlin::board {

void stop(int code) {
#ifdef DUNLIN_SEMIHOSTING
    const std::uint32_t block[2] = {0x20026, static_cast<std::uint32_t>(code)};  // the program ended by itself
    semihost(0x20, block);                                                       // SYS_EXIT_EXTENDED
#else
    (void)code;
#endif
    for (;;) asm volatile("wfi");
}

}  // namespace dunlin::board
