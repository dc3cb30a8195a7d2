# SPDX-License-Identifier: Apache-2.0
# Arm MPS3 with a Cortex-M55 and its vector extension (MVE), in its secure state
set(BOARD_PROCESSOR -mcpu=cortex-m55 -mthumb -mfloat-abi=hard)
set(BOARD_EMULATOR qemu-system-arm -M mps3-an547)
set(BOARD_HAS_NODE OFF)
set(BOARD_DRIVERS common/cmsdk_board.cpp)
set(BOARD_UART 0x59303000)
set(BOARD_CLOCK_HZ 32000000)
