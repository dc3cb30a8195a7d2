# SPDX-License-Identifier: Apache-2.0
# QEMU's RISC-V machine `virt` with 32 bits: RV32IMAFC, single precision, no vectors
set(BOARD_TOOLCHAIN riscv64-unknown-elf)
set(BOARD_FAMILY riscv)
set(BOARD_PROCESSOR -march=rv32imafc -mabi=ilp32f -mcmodel=medany)
set(BOARD_EMULATOR qemu-system-riscv32 -M virt -bios none)
set(BOARD_HAS_NODE OFF)
