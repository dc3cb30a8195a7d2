# SPDX-License-Identifier: Apache-2.0
# Arm MPS2 with a Cortex-M7 and double precision
set(BOARD_PROCESSOR -mcpu=cortex-m7 -mthumb -mfpu=fpv5-d16 -mfloat-abi=hard)
set(BOARD_EMULATOR qemu-system-arm -M mps2-an500)
set(BOARD_DRIVERS common/cmsdk_board.cpp)
set(BOARD_UART 0x40004000)
set(BOARD_CLOCK_HZ 25000000)
