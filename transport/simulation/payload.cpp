// SPDX-License-Identifier: Apache-2.0
#include "transport/simulation/payload.hpp"

#include <algorithm>
#include <bit>
#include <new>

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
        void* memory = ::operator new (bytes, std::align_val_t{alignof(Payload::Buffer)});
        buffer = ::new (memory) Payload::Buffer{};
        buffer->pool = this;
        buffer->size_class = size_class;
        reserved_bytes_ += bytes;
    }
    buffer->size = size;
    buffer->fingerprinted = false;
    buffer->references.store(1, std::memory_order_relaxed);
    ++in_use_;
    return Payload(buffer);
}

void PayloadPool::give_back(Payload::Buffer* buffer) {
    const std::scoped_lock lock(mutex_);
    buffer->next_free = free_[buffer->size_class];
    free_[buffer->size_class] = buffer;
    --in_use_;
}

/// Returns what is free to the system; called with the lock held, or when nobody else is left.
void PayloadPool::trim() {
    for (int k = 0; k < classes; ++k) {
        while (free_[k] != nullptr) {
            Payload::Buffer* buffer = std::exchange(free_[k], free_[k]->next_free);
            reserved_bytes_ -= sizeof(Payload::Buffer) + class_bytes(k);
            buffer->~Buffer();
            ::operator delete (buffer, std::align_val_t{alignof(Payload::Buffer)});
        }
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
