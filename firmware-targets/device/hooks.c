/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks.h"

__attribute__((weak)) uint32_t dunlin_clock_ms(void) {
    return 0;
}

__attribute__((weak)) uint64_t dunlin_entropy_seed(uint64_t fallback) {
    return fallback;
}

__attribute__((weak)) int dunlin_entropy(void* to, uint32_t bytes) {
    (void)to;
    (void)bytes;
    return 0;
}

__attribute__((weak)) int dunlin_counter(uint64_t* next) {
    (void)next;
    return 0;
}

__attribute__((weak)) int dunlin_storage_read(void* to, uint32_t bytes) {
    (void)to;
    (void)bytes;
    return 0;
}

__attribute__((weak)) int dunlin_storage_write(const void* from, uint32_t bytes) {
    (void)from;
    (void)bytes;
    return 0;
}
