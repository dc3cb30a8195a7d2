// SPDX-License-Identifier: Apache-2.0
#include "transport/simulation/payload.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <utility>

#include <sys/mman.h>

namespace dunlin::simulation {
namespace {

constexpr std::size_t smallest = 64;

/// Class 0 holds up to 64 bytes; then four classes from one power of two to the next.
constexpr int class_of(std::size_t size) {
    if (size <= smallest) return 0;
    const int octave = static_cast<int>(std::bit_width(size - 1)) - 1;
    const std::size_t above = size - 1 - (std::size_t{1} << octave);
    return (octave - 6) * 4 + static_cast<int>(above >> (octave - 2)) + 1;
}

constexpr std::size_t class_bytes(int size_class) {
    if (size_class == 0) return smallest;
    const int octave = (size_class - 1) / 4 + 6;
    const auto quarters = static_cast<std::size_t>((size_class - 1) % 4) + 5;
    return quarters << (octave - 2);
}

static_assert(class_bytes(class_of(64)) == 64 && class_bytes(class_of(65)) == 80);
static_assert(class_bytes(class_of(128)) == 128 && class_bytes(class_of(129)) == 160);
static_assert(class_of(PayloadPool::payload_limit_bytes) == 88);

}  // namespace

/// In front of its buffers, where its memory begins.
struct alignas(64) PayloadPool::Slab {
    std::size_t taken = sizeof(Slab);  ///< bytes
    std::uint32_t buffers = 0;         ///< that it holds
    std::uint32_t in_use = 0;

    static Slab* of(void* buffer) {
        return reinterpret_cast<Slab*>(reinterpret_cast<std::uintptr_t>(buffer) & ~std::uintptr_t{slab_bytes - 1});
    }
};

/// The next piece of the newest slab, or of another one.
void* PayloadPool::carve(std::size_t bytes) {
    bytes = (bytes + alignof(Payload::Buffer) - 1) / alignof(Payload::Buffer) * alignof(Payload::Buffer);
    if (newest_ == nullptr || newest_->taken + bytes > slab_bytes) {
        void* const memory = std::aligned_alloc(slab_bytes, slab_bytes);
        if (memory == nullptr) throw std::bad_alloc();
        (void)madvise(memory, slab_bytes, MADV_HUGEPAGE);  // or it stays in small pages
        newest_ = ::new (memory) Slab;
    }
    ++newest_->buffers;
    return reinterpret_cast<std::byte*>(newest_) + std::exchange(newest_->taken, newest_->taken + bytes);
}

Result<Payload> PayloadPool::allocate(std::size_t size) {
    if (size > payload_limit_bytes)
        return fail(Code::payload_too_large, static_cast<std::int64_t>(size), payload_limit_bytes);
    const int size_class = class_of(size);
    const std::scoped_lock lock(mutex_);
    Payload::Buffer* buffer = free_[size_class];
    if (buffer != nullptr) {
        free_[size_class] = buffer->next_free;
    } else {
        const std::size_t bytes = sizeof(Payload::Buffer) + class_bytes(size_class);
        if (reserved_bytes_ + bytes > limit_bytes_) trim();
        if (reserved_bytes_ + bytes > limit_bytes_)
            return fail(Code::payloads_full, static_cast<std::int64_t>(reserved_bytes_),
                        static_cast<std::int64_t>(limit_bytes_));
        const bool in_slab = bytes <= slab_buffer_bytes && reserved_bytes_ >= slab_bytes;
        void* memory = in_slab ? carve(bytes) : ::operator new (bytes, std::align_val_t{alignof(Payload::Buffer)});
        buffer = ::new (memory) Payload::Buffer{};
        buffer->in_slab = in_slab;
        buffer->pool = this;
        buffer->size_class = size_class;
        reserved_bytes_ += bytes;
    }
    buffer->size = size;
    buffer->fingerprinted = false;
    buffer->stands_in = false;
    buffer->references.store(1, std::memory_order_relaxed);
    if (buffer->in_slab) ++Slab::of(buffer)->in_use;
    ++in_use_;
    return Payload(buffer);
}

Result<Payload> PayloadPool::stand_in(std::size_t size, std::uint64_t fingerprint) {
    if (size > payload_limit_bytes)
        return fail(Code::payload_too_large, static_cast<std::int64_t>(size), payload_limit_bytes);
    return allocate(0).map([&](Payload&& payload) {
        Payload::Buffer& buffer = *payload.buffer_;
        buffer.size = size;
        buffer.fingerprint = fingerprint;
        buffer.fingerprinted = fingerprint != 0;
        buffer.stands_in = true;
        return std::move(payload);
    });
}

void PayloadPool::give_back(Payload::Buffer* buffer) {
    const std::scoped_lock lock(mutex_);
    buffer->next_free = free_[buffer->size_class];
    free_[buffer->size_class] = buffer;
    if (buffer->in_slab) --Slab::of(buffer)->in_use;
    --in_use_;
}

/// Returns what is free to the system; called with the lock held, or when nobody else is left.
void PayloadPool::trim() {
    newest_ = nullptr;
    for (int k = 0; k < classes; ++k) {
        Payload::Buffer* kept = nullptr;
        while (free_[k] != nullptr) {
            Payload::Buffer* buffer = std::exchange(free_[k], free_[k]->next_free);
            Slab* const slab = buffer->in_slab ? Slab::of(buffer) : nullptr;
            if (slab != nullptr && slab->in_use > 0) {
                buffer->next_free = std::exchange(kept, buffer);
                continue;
            }
            reserved_bytes_ -= sizeof(Payload::Buffer) + class_bytes(k);
            buffer->~Buffer();
            if (slab == nullptr)
                ::operator delete (buffer, std::align_val_t{alignof(Payload::Buffer)});
            else if (--slab->buffers == 0)
                std::free(slab);
        }
        free_[k] = kept;
    }
}

std::size_t PayloadPool::in_use() const {
    const std::scoped_lock lock(mutex_);
    return in_use_;
}

std::size_t PayloadPool::reserved_bytes() const {
    const std::scoped_lock lock(mutex_);
    return reserved_bytes_;
}

}  // namespace dunlin::simulation
