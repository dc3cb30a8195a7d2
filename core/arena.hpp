// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <type_traits>

namespace dunlin {

/// Hands out pieces of one block of memory that belongs to the caller, in order, and never gives one back singly.
/// A learner's need is a constexpr function of its shape, so a firmware declares a static buffer of that size and a
/// host allocates it once; running out is a bug of the caller, not an input error, and traps.
///
///     alignas(Arena::alignment) std::byte memory[needed];
///     Arena arena(memory);
///     std::span<float> gradient = arena.take<float>(shape.parameters());
class Arena {
public:
    /// Every piece starts on such a boundary: a cache line, and the widest vector of any kernel. Microcontrollers
    /// have neither, and no memory to spare.
#if defined(__ARM_ARCH_PROFILE) && __ARM_ARCH_PROFILE == 'M'
    static constexpr std::size_t alignment = 8;
#else
    static constexpr std::size_t alignment = 64;
#endif

    /// Bytes that `count` objects of type T take, with padding; sum these to size the buffer.
    template <class T>
    static constexpr std::size_t bytes(std::size_t count) {
        return (count * sizeof(T) + alignment - 1) / alignment * alignment;
    }

    /// The memory must start on a multiple of `alignment`.
    explicit Arena(std::span<std::byte> memory) : memory_(memory) {
        if (reinterpret_cast<std::uintptr_t>(memory.data()) % alignment != 0) __builtin_trap();
    }

    /// The next `count` objects, zeroed. T is an arithmetic or trivial type. Traps when the block is used up.
    template <class T>
    std::span<T> take(std::size_t count) {
        static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);
        const std::size_t size = bytes<T>(count);
        if (size > memory_.size() - used_) __builtin_trap();
        T* first = reinterpret_cast<T*>(memory_.data() + used_);
        used_ += size;
        for (std::size_t k = 0; k < count; ++k) ::new (static_cast<void*>(first + k)) T{};
        return {first, count};
    }

    std::size_t used() const {
        return used_;
    }
    std::size_t capacity() const {
        return memory_.size();
    }

private:
    std::span<std::byte> memory_;
    std::size_t used_ = 0;
};

/// Stands in for an Arena to learn how many bytes a set of `take` calls needs: write the calls once, as a template
/// over the arena, and run them with this first.
class ArenaSize {
public:
    template <class T>
    constexpr std::span<T> take(std::size_t count) {
        bytes_ += Arena::bytes<T>(count);
        return {};
    }
    constexpr std::size_t bytes() const { return bytes_; }

private:
    std::size_t bytes_ = 0;
};

}  // namespace dunlin
