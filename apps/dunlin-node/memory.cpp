// SPDX-License-Identifier: Apache-2.0
// The program's heap, which counts what a job takes: --memory-mb bounds that, and a job that wants more is declined
// with std::bad_alloc, before the system has to end the program.
#include "apps/dunlin-node/commands.hpp"
#include "fleet/node/job_memory.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

#include <malloc.h>
#include <unistd.h>

namespace {

using dunlin::Spending;

void* allocate(std::size_t size, std::size_t alignment) noexcept {
    dunlin::JobMemory* const job = Spending::current();
    // Before it is taken: what is asked for may be more than there is.
    const auto bytes = static_cast<std::int64_t>(size);
    if (job != nullptr && (bytes < 0 || !job->spend(bytes))) return nullptr;
    void* memory = nullptr;
    if (alignment <= alignof(std::max_align_t)) {
        memory = std::malloc(size > 0 ? size : 1);
    } else if (posix_memalign(&memory, alignment, size > 0 ? size : 1) != 0) {
        memory = nullptr;
    }
    if (job == nullptr) return memory;
    // It is given back by what it takes.
    job->give_back(bytes - (memory != nullptr ? static_cast<std::int64_t>(malloc_usable_size(memory)) : 0));
    return memory;
}

void* need(std::size_t size, std::size_t alignment) {
    void* const memory = allocate(size, alignment);
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
}

void release(void* memory) noexcept {
    if (memory == nullptr) return;
    if (dunlin::JobMemory* const job = Spending::current(); job != nullptr)
        job->give_back(static_cast<std::int64_t>(malloc_usable_size(memory)));
    std::free(memory);
}

}  // namespace

// Here because the program calls it: a linker takes the file out of its library for that, with this heap.
std::size_t dunlin::node_app::default_memory_mb() {
    const long pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
    constexpr std::size_t most = 1024;
    if (pages <= 0 || page_bytes <= 0) return most;
    const double mb = static_cast<double>(pages) * static_cast<double>(page_bytes) / 2 / (1 << 20);
    return std::clamp<std::size_t>(static_cast<std::size_t>(mb), 1, most);
}

void* operator new(std::size_t size) {
    return need(size, 0);
}
void* operator new[](std::size_t size) {
    return need(size, 0);
}
void* operator new(std::size_t size, std::align_val_t alignment) {
    return need(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
    return need(size, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    return allocate(size, 0);
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
    return allocate(size, 0);
}
void operator delete(void* memory) noexcept {
    release(memory);
}
void operator delete[](void* memory) noexcept {
    release(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    release(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
    release(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
    release(memory);
}
void operator delete[](void* memory, std::align_val_t) noexcept {
    release(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
    release(memory);
}
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept {
    release(memory);
}
