# SPDX-License-Identifier: Apache-2.0
# Arm MPS2 with a Cortex-M4F
set(BOARD_PROCESSOR -mcpu=cortex-m4 -mthumb -mfpu=fpv4-sp-d16 -mfloat-abi=hard)
set(BOARD_EMULATOR qemu-system-arm -M mps2-an386)
