# SPDX-License-Identifier: Apache-2.0
# Arm MPS2 with a Cortex-M33, in its secure state
set(BOARD_PROCESSOR -mcpu=cortex-m33 -mthumb -mfpu=fpv5-sp-d16 -mfloat-abi=hard)
set(BOARD_EMULATOR qemu-system-arm -M mps2-an505)
