# SPDX-License-Identifier: Apache-2.0
# Arm MPS2 with a Cortex-M33, in its secure state
set(BOARD_PROCESSOR -mcpu=cortex-m33 -mthumb -mfpu=fpv5-sp-d16 -mfloat-abi=hard)
set(BOARD_EMULATOR qemu-system-arm -M mps2-an505)
set(BOARD_DRIVERS common/cmsdk_board.cpp)
set(BOARD_UART 0x50200000)
set(BOARD_CLOCK_HZ 20000000)
