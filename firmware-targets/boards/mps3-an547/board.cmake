# SPDX-License-Identifier: Apache-2.0
# Arm MPS3 with a Cortex-M55 and its vector extension (MVE), in its secure state
set(BOARD_PROCESSOR -mcpu=cortex-m55 -mthumb -mfloat-abi=hard)
set(BOARD_EMULATOR qemu-system-arm -M mps3-an547)
set(BOARD_HAS_NODE OFF)
