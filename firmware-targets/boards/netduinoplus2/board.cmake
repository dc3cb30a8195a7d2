# SPDX-License-Identifier: Apache-2.0
# Netduino Plus 2: an STM32F405 with a Cortex-M4F
set(BOARD_PROCESSOR -mcpu=cortex-m4 -mthumb -mfpu=fpv4-sp-d16 -mfloat-abi=hard)
set(BOARD_EMULATOR qemu-system-arm -M netduinoplus2)
set(BOARD_HAS_ROOM OFF)
set(BOARD_HAS_NODE OFF)
set(BOARD_PUSH_SUM_LIMIT 256)
