// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>

namespace dunlin::wire {

/// Lays out FlatBuffers from the end of a buffer towards its front, as the format wants it: what is referred to
/// lies behind what refers. The library's own builder refers to the heap even where it is given other memory, which
/// a firmware without one cannot link; and this one counts without a buffer, so that exactly as much can be
/// allocated.
///
/// A place is a distance from the buffer's end, which is aligned to 8.
class FlatWriter {
public:
    using Place = std::uint32_t;
    static constexpr std::size_t most_fields = 32;

    /// Only counts.
    FlatWriter() = default;
    explicit FlatWriter(std::span<std::byte> buffer);

    /// The first vector, which ends the message, is not copied: it is in `detached`, and `result` ends before it.
    void detach_first() { detaches_ = true; }
    std::span<const std::byte> detached() const { return detached_; }

    /// Everything fitted.
    bool fits() const { return counting_ || needed() <= static_cast<std::size_t>(end_ - begin_); }
    /// Bytes of an aligned buffer that were needed, the message itself among them.
    std::size_t needed() const { return written() + most_kept_; }
    std::span<std::byte> result() const { return {end_ - written(), written()}; }

    /// A vector of `count` numbers in `size` bytes.
    Place vector(const void* data, std::size_t size, std::size_t count, std::size_t alignment);
    Place text(std::string_view text);

    /// Places of tables that a vector will list wait at the buffer's front.
    void keep(Place table);
    /// A vector of the last `count` tables kept.
    Place listed(std::size_t count);

    void start_table();
    template <class T>
    void field(std::size_t index, T value) {
        static_assert(std::is_arithmetic_v<T>);
        field(index, &value, sizeof value);
    }
    /// A number of `size` bytes.
    void field(std::size_t index, const void* number, std::size_t size);
    void reference(std::size_t index, Place target);
    Place end_table();

    /// The front of the message.
    void finish(Place root, const std::array<char, 4>& identifier);

private:
    Place place() const { return static_cast<Place>(size_); }
    std::size_t written() const { return size_ - left_out_; }
    bool writes() const { return !counting_ && fits(); }
    void note(std::size_t index);
    void refer(Place target);
    void put_count(std::size_t count);
    void put(const void* number, std::size_t size);
    void put_raw(const void* data, std::size_t size);
    void pad(std::size_t alignment, std::size_t size);

    bool counting_ = true, detaches_ = false;
    std::span<const std::byte> detached_;
    std::size_t left_out_ = 0;  ///< bytes at the end of the message that are not in the buffer
    std::byte *begin_ = nullptr, *end_ = nullptr;
    std::size_t size_ = 0, kept_ = 0, most_kept_ = 0;
    std::array<Place, most_fields> fields_{};
    std::size_t field_count_ = 0, table_end_ = 0;
};

}  // namespace dunlin::wire
