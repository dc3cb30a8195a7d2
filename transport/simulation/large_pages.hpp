// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>
#include <vector>

#include <sys/mman.h>

namespace dunlin::simulation {

/// Memory of a vector that may grow large and is then used here and there: from some megabytes on it lies in the large
/// pages of the system, where it has any, and the processor looks up fewer of them. At least 64 bytes aligned.
template <class T>
struct LargePages {
    using value_type = T;
    static constexpr std::size_t page = std::size_t{2} << 20;

    LargePages() = default;
    template <class U>
    LargePages(const LargePages<U>&) {}

    T* allocate(std::size_t count) {
        const std::size_t bytes = count * sizeof(T);
        if (bytes < 2 * page) return static_cast<T*>(::operator new (bytes, std::align_val_t{64}));
        const std::size_t whole = (bytes + page - 1) / page * page;
        void* const memory = std::aligned_alloc(page, whole);
        if (memory == nullptr) throw std::bad_alloc();
        (void)madvise(memory, whole, MADV_HUGEPAGE);  // or it stays in small ones
        return static_cast<T*>(memory);
    }
    void deallocate(T* memory, std::size_t count) {
        if (count * sizeof(T) < 2 * page)
            ::operator delete (memory, std::align_val_t{64});
        else
            std::free(memory);
    }
    friend bool operator==(const LargePages&, const LargePages&) { return true; }
};

template <class T>
using LargeVector = std::vector<T, LargePages<T>>;

}  // namespace dunlin::simulation
