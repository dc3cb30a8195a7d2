/* SPDX-License-Identifier: Apache-2.0 */
/* What the firmware had before: start-up, a serial line, a clock, a page of storage. The functions that begin with
   dunlin_ stand in for the weak ones of the learner. */
#include "dunlin/hooks.h"

#include <string.h>

static unsigned char page[4096];
static uint32_t page_used;

int dunlin_storage_write(const void* from, uint32_t bytes) {
    if (bytes > sizeof page) return 0;
    memcpy(page, from, bytes);
    page_used = bytes;
    return 1;
}

int dunlin_storage_read(void* to, uint32_t bytes) {
    if (bytes == 0 || bytes != page_used) return 0;
    memcpy(to, page, bytes);
    return 1;
}

#ifdef __arm__

static volatile uint32_t* const uart = (volatile uint32_t*)0x40004000;
static volatile uint32_t* const timer = (volatile uint32_t*)0x40000000; /* CMSDK timer 0, 25 MHz, counts down */

uint32_t dunlin_clock_ms(void) {
    return (0xffffffffu - timer[1]) / 25000u;
}

void vendor_print(const char* text) {
    for (; *text; ++text) {
        while (uart[1] & 1u) {
        }
        uart[0] = (unsigned char)*text;
    }
}

extern uint32_t stack_top[], data_load[], data_start[], data_end[], bss_start[], bss_end[];
int main(void);
void on_reset(void);

static void quit(int code) {
    const uint32_t block[2] = {0x20026, (uint32_t)code};
    register uint32_t operation __asm__("r0") = 0x20;
    register const uint32_t* argument __asm__("r1") = block;
    __asm__ volatile("bkpt 0xab" : : "r"(operation), "r"(argument) : "memory");
    for (;;) {
    }
}

static void on_fault(void) {
    quit(99);
}

void on_reset(void) {
    volatile uint32_t* const coprocessors = (volatile uint32_t*)0xe000ed88;
    const uint32_t* from = data_load;
    uint32_t* to;
    *coprocessors |= 0xfu << 20;
    __asm__ volatile("dsb\n\tisb" ::: "memory");
    for (to = data_start; to != data_end;) *to++ = *from++;
    for (to = bss_start; to != bss_end;) *to++ = 0;
    uart[4] = 16;
    uart[2] = 1;
    timer[1] = timer[2] = 0xffffffffu;
    timer[0] = 1;
    quit(main());
}

__attribute__((section(".vectors"), used)) static const void* const vectors[16] = {
    stack_top, (void*)on_reset, (void*)on_fault, (void*)on_fault, (void*)on_fault, (void*)on_fault, (void*)on_fault,
};

#else

#include <stdio.h>
#include <time.h>

uint32_t dunlin_clock_ms(void) {
    return (uint32_t)(clock() * 1000 / CLOCKS_PER_SEC);
}

void vendor_print(const char* text) {
    fputs(text, stdout);
}

#endif
