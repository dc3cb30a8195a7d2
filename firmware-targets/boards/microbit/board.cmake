# SPDX-License-Identifier: Apache-2.0
# BBC micro:bit 1: an nRF51822 with a Cortex-M0, no FPU
set(BOARD_PROCESSOR -mcpu=cortex-m0 -mthumb)
set(BOARD_EMULATOR qemu-system-arm -M microbit)
set(BOARD_HAS_ROOM OFF)
set(BOARD_HAS_NODE OFF)
set(BOARD_PUSH_SUM_LIMIT 32)
set(BOARD_EXPERIMENT board-table)
