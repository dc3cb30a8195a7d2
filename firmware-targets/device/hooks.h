/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DUNLIN_DEVICE_HOOKS_H
#define DUNLIN_DEVICE_HOOKS_H

#include <stdint.h>

/* What Dunlin asks of the firmware around it. Each has a weak default (hooks.c): define the ones that you have, in
   C or C++, and the linker takes yours. None is called from an interrupt. */

#ifdef __cplusplus
extern "C" {
#endif

/* Milliseconds since some moment, wrapping around. Default: 0, time stands still. */
uint32_t dunlin_clock_ms(void);

/* A number that differs from device to device and from start to start: a hardware generator, a serial number mixed
   with noise. Default: `fallback`, so that a run can be replayed. */
uint64_t dunlin_entropy_seed(uint64_t fallback);

/* Bytes that nobody can guess, of a hardware generator: 1 if all of them are, else 0. Default: 0. */
int dunlin_entropy(void* to, uint32_t bytes);

/* A number that this device never gave before, also before a reset: 1, or 0 where it cannot. A counter in flash that is
   stored before it is given. Default: 0. A sealed line takes one or the other of these two, or has no session. */
int dunlin_counter(uint64_t* next);

/* Copies what was stored last to `to`: 1 if there were exactly `bytes` of it, else 0. Default: 0, nothing is kept.
 */
int dunlin_storage_read(void* to, uint32_t bytes);

/* Keeps `bytes` from `from` across a reset, whole or not at all: 1 if it did, else 0. Default: 0. */
int dunlin_storage_write(const void* from, uint32_t bytes);

#ifdef __cplusplus
}
#endif

#endif
