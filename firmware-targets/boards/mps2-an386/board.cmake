# SPDX-License-Identifier: Apache-2.0
# Arm MPS2 with a Cortex-M4F
set(BOARD_PROCESSOR -mcpu=cortex-m4 -mthumb -mfpu=fpv4-sp-d16 -mfloat-abi=hard)
set(BOARD_EMULATOR qemu-system-arm -M mps2-an386)
set(BOARD_DRIVERS common/cmsdk_board.cpp)
set(BOARD_UART 0x40004000)
set(BOARD_CLOCK_HZ 25000000)
