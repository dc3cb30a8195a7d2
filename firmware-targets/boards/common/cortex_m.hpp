// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "board.hpp"

#include <cstdint>
#include <initializer_list>

/// What the boards with a Cortex-M share.
namespace dunlin::board {

inline constexpr int interrupts = 0;  ///< of the chip; the images here poll

/// A register of the chip.
inline volatile std::uint32_t& device(std::uint32_t address) {
    return *reinterpret_cast<volatile std::uint32_t*>(address);
}

/// SysTick as a counter of 32 bits: 24 of its own, and turns that are counted when it is read, which has to happen
/// once in a turn. Not every Cortex-M0 has it.
class SysTick {
public:
    void start() {
        device(0xe000e014) = mask;
        device(0xe000e018) = 0;
        device(0xe000e010) = 5;  // the processor's clock, no interrupt
    }
    std::uint32_t read() {
        const std::uint32_t now = mask - (device(0xe000e018) & mask);
        elapsed_ += (now - last_) & mask;
        last_ = now;
        return elapsed_;
    }

private:
    static constexpr std::uint32_t mask = 0xffffff;
    std::uint32_t last_ = 0, elapsed_ = 0;
};

/// The serial line of ARM's MPS2 boards (CMSDK UART).
template <std::uint32_t base>
struct CmsdkUart {
    static void start() {
        device(base + 0x10) = 16;  // divider
        device(base + 0x08) = 3;   // transmit and receive
    }
    static void write(std::uint8_t byte) {
        while ((device(base + 0x04) & 1u) != 0) {
        }
        device(base) = byte;
    }
    static bool read(std::uint8_t& byte) {
        if ((device(base + 0x04) & 2u) == 0) return false;
        byte = static_cast<std::uint8_t>(device(base));
        return true;
    }
};

}  // namespace dunlin::board
