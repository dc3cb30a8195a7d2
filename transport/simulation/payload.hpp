// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/error.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <type_traits>
#include <utility>

namespace dunlin::simulation {

class PayloadPool;

/// A shared handle to the bytes of a message: a broadcast to d neighbours stores them once. The maker fills them
/// before the first send; from then on they are read only. Copying a handle counts a reference, and the last one
/// gives the memory back to the pool, which must live longer. Handles may be copied and dropped from any thread.
class Payload {
public:
    Payload() = default;  ///< no bytes
    Payload(const Payload& other);
    Payload(Payload&& other) noexcept : buffer_(std::exchange(other.buffer_, nullptr)) {}
    // Two of them, not one that takes its value: of `payload = {}` in a template clang (up to 16) never drops that value.
    Payload& operator=(const Payload& other) { return *this = Payload(other); }
    Payload& operator=(Payload&& other) noexcept {
        Payload taken(std::move(other));
        std::swap(buffer_, taken.buffer_);
        return *this;
    }
    ~Payload();

    std::size_t size() const;
    /// Does it stand in for bytes that are in another process?
    bool stands_in() const;
    std::uint64_t fingerprint() const;
    /// The bytes, aligned to 64, as an array of T; a rest that does not fill a T is left out.
    template <class T = std::byte>
    std::span<const T> as() const {
        return {data<T>(), stands_in() ? 0 : size() / sizeof(T)};
    }
    /// The same to write to; for the maker, before the first send.
    template <class T = std::byte>
    std::span<T> writable() {
        return {data<T>(), size() / sizeof(T)};
    }

    /// Asks the processor for the first `bytes` early, without waiting for any of them.
    void prefetch(std::size_t bytes) const {
        if (buffer_ == nullptr) return;
        for (std::size_t k = 0; k < 64 + bytes; k += 64) {
            __builtin_prefetch(reinterpret_cast<const std::byte*>(buffer_) + k);
        }
    }

private:
    friend class PayloadPool;
    friend class Network;
    struct Buffer;

    explicit Payload(Buffer* buffer) : buffer_(buffer) {}
    template <class T>
    T* data() const;

    Buffer* buffer_ = nullptr;
};

/// Memory of payloads, used again and again: free lists by size, four sizes to the octave. `allocate` may be called
/// from any thread.
class PayloadPool {
public:
    static constexpr std::size_t payload_limit_bytes = std::size_t{256} << 20;
    /// Of all payloads together, where nothing else is said: no more than a processor of 32 bits can count.
    static constexpr std::size_t usual_limit_bytes = std::min<std::uint64_t>(std::uint64_t{4} << 30, SIZE_MAX / 2);

    explicit PayloadPool(std::size_t limit_bytes) : limit_bytes_(limit_bytes) {}
    ~PayloadPool() { trim(); }
    PayloadPool(const PayloadPool&) = delete;
    PayloadPool& operator=(const PayloadPool&) = delete;

    /// `size` bytes, whatever they held before. Errors: payload_too_large, payloads_full.
    Result<Payload> allocate(std::size_t size);
    /// No bytes, but the size and the fingerprint of some. Errors as above.
    Result<Payload> stand_in(std::size_t size, std::uint64_t fingerprint);

    std::size_t in_use() const;          ///< payloads that somebody holds
    std::size_t reserved_bytes() const;  ///< memory taken from the system, used or free

private:
    friend class Payload;
    static constexpr int classes = 89;  // 64 bytes up to the limit

    /// Buffers side by side in a large page, which goes back to the system when none of them is in use. Of a pool that
    /// holds little each buffer is a piece of memory by itself.
    struct Slab;
    static constexpr std::size_t slab_bytes = std::size_t{2} << 20;
    static constexpr std::size_t slab_buffer_bytes = std::size_t{1} << 15;  ///< the largest that lies in one

    void* carve(std::size_t bytes);
    void give_back(Payload::Buffer* buffer);
    void trim();

    mutable std::mutex mutex_;
    std::array<Payload::Buffer*, classes> free_{};
    std::size_t limit_bytes_;
    std::size_t reserved_bytes_ = 0;
    std::size_t in_use_ = 0;
    Slab* newest_ = nullptr;  ///< has room behind what is taken
};

/// In front of every payload's bytes, in the same piece of memory.
struct alignas(64) Payload::Buffer {
    PayloadPool* pool;
    Buffer* next_free;
    std::size_t size;
    std::uint64_t fingerprint;  ///< of the bytes, once `fingerprinted`
    std::atomic<std::uint32_t> references;
    int size_class;
    bool fingerprinted;
    bool stands_in;
    bool in_slab;

    void add_reference() { references.fetch_add(1, std::memory_order_relaxed); }
    std::byte* data() { return reinterpret_cast<std::byte*>(this + 1); }
};

inline Payload::Payload(const Payload& other) : buffer_(other.buffer_) {
    if (buffer_ != nullptr) buffer_->add_reference();
}

inline Payload::~Payload() {
    if (buffer_ != nullptr && buffer_->references.fetch_sub(1, std::memory_order_acq_rel) == 1)
        buffer_->pool->give_back(buffer_);
}

inline std::size_t Payload::size() const {
    return buffer_ != nullptr ? buffer_->size : 0;
}

inline bool Payload::stands_in() const {
    return buffer_ != nullptr && buffer_->stands_in;
}

inline std::uint64_t Payload::fingerprint() const {
    return buffer_ != nullptr && buffer_->fingerprinted ? buffer_->fingerprint : 0;
}

template <class T>
T* Payload::data() const {
    static_assert(std::is_trivially_copyable_v<T>);
    return buffer_ != nullptr ? reinterpret_cast<T*>(buffer_->data()) : nullptr;
}

}  // namespace dunlin::simulation
