// SPDX-License-Identifier: Apache-2.0
// A plugin for QEMU that counts, from region_begin to region_end of an image (images/measure.hpp), the instructions that
// ran, exactly, and the cycles that a Cortex-M4F takes for them by the tables of its manual:
//
//     qemu-system-arm ... -plugin libfirmware_cycles.so,out=FILE
//
// FILE gets a line for each region: instructions, cycles. Memory never waits, loads do not overlap, a division takes as
// long as it may, and a taken branch is 3 cycles. Source: Cortex-M4 Technical Reference Manual r0p1, tables 3-1 and 7-1.
// Of images for other processors the instructions are counted, and the cycles mean nothing.
//
// Debian ships no header for plugins: the functions of QEMU's plugin API, version 1, are declared here.
#include <bit>
#include <cstdint>
#include <cstdio>
#include <cstring>

extern "C" {

using PluginId = std::uint64_t;
struct Block;
struct Instruction;

void qemu_plugin_register_vcpu_tb_trans_cb(PluginId, void (*)(PluginId, Block*));
void qemu_plugin_register_vcpu_insn_exec_cb(Instruction*, void (*)(unsigned, void*), int registers, void*);
void qemu_plugin_register_vcpu_insn_exec_inline(Instruction*, int operation, void*, std::uint64_t);
std::size_t qemu_plugin_tb_n_insns(const Block*);
Instruction* qemu_plugin_tb_get_insn(const Block*, std::size_t);
const void* qemu_plugin_insn_data(const Instruction*);
std::size_t qemu_plugin_insn_size(const Instruction*);
std::uint64_t qemu_plugin_insn_vaddr(const Instruction*);
const char* qemu_plugin_insn_symbol(const Instruction*);

[[gnu::visibility("default")]] extern const int qemu_plugin_version;
const int qemu_plugin_version = 1;
[[gnu::visibility("default")]] int qemu_plugin_install(PluginId, const void* info, int argc, char** argv);
}

namespace {

std::uint64_t instructions, cycles, instructions_before, cycles_before;
std::uint64_t next_address;  // that comes if no branch is taken
std::uint64_t begins, ends;  // where region_begin and region_end are
std::FILE* out;

unsigned bits(std::uint32_t word, int from, int count) {
    return word >> from & ((1u << count) - 1u);
}
unsigned ones(std::uint32_t word) {
    return static_cast<unsigned>(std::popcount(word));
}

/// A 16-bit instruction, without what a taken branch adds.
unsigned cycles_of_short(std::uint32_t code) {
    if (bits(code, 11, 5) == 9) return 2;                            // load from the literals
    if (bits(code, 12, 4) >= 5 && bits(code, 12, 4) <= 9) return 2;  // load, store
    if ((code & 0xf600) == 0xb400) return 1 + ones(code & 0x1ff);    // push, pop
    if (bits(code, 12, 4) == 12) return 1 + ones(code & 0xff);       // several at once
    return 1;
}

unsigned cycles_of_float(std::uint32_t code) {
    if ((code & 0x0e000000) == 0x0c000000) {
        if ((code & 0x0fe00000) == 0x0c400000) return 2;  // two core registers
        const bool one = bits(code, 24, 1) == 1 && bits(code, 21, 1) == 0;
        return one ? 2 + bits(code, 8, 1) : 1 + bits(code, 0, 8);
    }
    if (bits(code, 4, 1) == 1) return 1;  // moves
    switch (bits(code, 23, 1) << 2 | bits(code, 20, 2)) {
        case 0:
        case 1:
        case 5:
        case 6:
            return 3;  // a product that is added to something, fused or not
        case 4:
            return 14;  // division
        case 7:
            return bits(code, 16, 4) == 1 && bits(code, 6, 2) == 3 ? 14 : 1;  // square root
        default:
            return 1;
    }
}

unsigned cycles_of_long(std::uint32_t code) {
    if ((code & 0xee000e00) == 0xec000a00 || (code & 0xef000e00) == 0xee000a00) return cycles_of_float(code);
    if ((code & 0xfe400000) == 0xe8000000) return 1 + ones(code & 0xffff);  // several at once
    if ((code & 0xfff000e0) == 0xe8d00000) return 2;                        // branch by a table
    if ((code & 0xfe400000) == 0xe8400000) return 3;                        // two at once
    if ((code & 0xfe000000) == 0xf8000000) return 2;                        // load, store
    if ((code & 0xffd000f0) == 0xfb9000f0) return 12;                       // division
    return 1;
}

unsigned cycles_of(const Instruction* instruction) {
    std::uint16_t halves[2] = {};
    std::memcpy(halves, qemu_plugin_insn_data(instruction), qemu_plugin_insn_size(instruction));
    if (qemu_plugin_insn_size(instruction) == 2) return cycles_of_short(halves[0]);
    return cycles_of_long(std::uint32_t{halves[0]} << 16 | halves[1]);
}

void begin(unsigned, void*) {
    instructions_before = instructions;
    cycles_before = cycles;
}
void end(unsigned, void*) {
    std::fprintf(out, "%llu %llu\n", static_cast<unsigned long long>(instructions - instructions_before),
                 static_cast<unsigned long long>(cycles - cycles_before));
    std::fflush(out);
}
/// Before the first instruction of a block: after a taken branch the pipeline was filled again.
void enter(unsigned, void* address) {
    if (reinterpret_cast<std::uintptr_t>(address) != next_address) cycles += 2;
}
/// Before its last one.
void pass(unsigned, void* following) {
    next_address = reinterpret_cast<std::uintptr_t>(following);
}

void call_before(Instruction* at, void (*function)(unsigned, void*), std::uint64_t address) {
    constexpr int no_registers = 0;
    qemu_plugin_register_vcpu_insn_exec_cb(at, function, no_registers,
                                           reinterpret_cast<void*>(static_cast<std::uintptr_t>(address)));
}

void translate(PluginId, Block* block) {
    constexpr int add = 0;
    const std::size_t count = qemu_plugin_tb_n_insns(block);
    for (std::size_t k = 0; k < count; ++k) {
        Instruction* const at = qemu_plugin_tb_get_insn(block, k);
        const std::uint64_t address = qemu_plugin_insn_vaddr(at);
        // The symbol of where a function begins is seen first there.
        if (const char* const symbol = qemu_plugin_insn_symbol(at); symbol != nullptr) {
            if (begins == 0 && std::strcmp(symbol, "region_begin") == 0) begins = address;
            if (ends == 0 && std::strcmp(symbol, "region_end") == 0) ends = address;
        }
        if (address == ends) call_before(at, end, 0);
        if (k == 0) call_before(at, enter, address);
        qemu_plugin_register_vcpu_insn_exec_inline(at, add, &instructions, 1);
        qemu_plugin_register_vcpu_insn_exec_inline(at, add, &cycles, cycles_of(at));
        if (k + 1 == count) call_before(at, pass, address + qemu_plugin_insn_size(at));
        if (address == begins) call_before(at, begin, 0);
    }
}

}  // namespace

int qemu_plugin_install(PluginId id, const void*, int argc, char** argv) {
    for (int k = 0; k < argc; ++k) {
        if (std::strncmp(argv[k], "out=", 4) == 0) out = std::fopen(argv[k] + 4, "w");
    }
    if (out == nullptr) {
        std::fputs("firmware_cycles: which file? -plugin LIBRARY,out=FILE\n", stderr);
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
    return 0;
}
