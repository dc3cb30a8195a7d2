// SPDX-License-Identifier: Apache-2.0
#include "transport/wire/flat_writer.hpp"

#include <algorithm>
#include <cstring>

namespace dunlin::wire {

FlatWriter::FlatWriter(std::span<std::byte> buffer) : counting_(false) {
    const auto address = reinterpret_cast<std::uintptr_t>(buffer.data());
    const std::size_t front = (8 - address % 8) % 8, back = (address + buffer.size()) % 8;
    if (buffer.size() < front + back) return;
    begin_ = buffer.data() + front;
    end_ = buffer.data() + buffer.size() - back;
}

FlatWriter::Place FlatWriter::vector(const void* data, std::size_t size, std::size_t count, std::size_t alignment) {
    if (detaches_ && size_ == 0) {
        detached_ = {static_cast<const std::byte*>(data), size};
        size_ = left_out_ = (size + 7) / 8 * 8;
    } else {
        pad(4, size);
        pad(alignment, size);
        put_raw(data, size);
    }
    put_count(count);
    return place();
}

FlatWriter::Place FlatWriter::text(std::string_view text) {
    constexpr char end = 0;
    pad(4, text.size() + 1);
    put_raw(&end, 1);
    put_raw(text.data(), text.size());
    put_count(text.size());
    return place();
}

void FlatWriter::keep(Place table) {
    kept_ += sizeof table;
    most_kept_ = std::max(most_kept_, kept_);
    if (writes()) std::memcpy(begin_ + kept_ - sizeof table, &table, sizeof table);
}

FlatWriter::Place FlatWriter::listed(std::size_t count) {
    pad(4, 0);
    for (std::size_t k = 0; k < count; ++k) {
        Place target = 0;
        kept_ -= sizeof target;
        if (writes()) std::memcpy(&target, begin_ + kept_, sizeof target);
        refer(target);
    }
    put_count(count);
    return place();
}

void FlatWriter::start_table() {
    fields_ = {};
    field_count_ = 0;
    table_end_ = size_;
}

void FlatWriter::field(std::size_t index, const void* number, std::size_t size) {
    put(number, size);
    note(index);
}

void FlatWriter::reference(std::size_t index, Place target) {
    pad(4, 4);
    refer(target);
    note(index);
}

FlatWriter::Place FlatWriter::end_table() {
    std::int32_t to_vtable = 0;
    put(&to_vtable, sizeof to_vtable);
    const Place table = place();
    const auto entry = [this](std::size_t value) {
        const auto word = static_cast<std::uint16_t>(value);
        put(&word, sizeof word);
    };
    for (std::size_t k = field_count_; k-- > 0;) entry(fields_[k] != 0 ? table - fields_[k] : 0);
    entry(table - table_end_);
    entry(4 + 2 * field_count_);
    to_vtable = static_cast<std::int32_t>(place() - table);
    if (writes()) std::memcpy(end_ - (table - left_out_), &to_vtable, sizeof to_vtable);
    return table;
}

void FlatWriter::finish(Place root, const std::array<char, 4>& identifier) {
    pad(8, 8);
    put_raw(identifier.data(), identifier.size());
    refer(root);
}

void FlatWriter::note(std::size_t index) {
    fields_[index] = place();
    field_count_ = std::max(field_count_, index + 1);
}

/// The distance from here to the target; the place is aligned already.
void FlatWriter::refer(Place target) {
    const auto distance = static_cast<std::uint32_t>(size_ + 4 - target);
    put(&distance, sizeof distance);
}

void FlatWriter::put_count(std::size_t count) {
    const auto word = static_cast<std::uint32_t>(count);
    put(&word, sizeof word);
}

void FlatWriter::put(const void* number, std::size_t size) {
    pad(size, size);
    put_raw(number, size);
}

void FlatWriter::put_raw(const void* data, std::size_t size) {
    size_ += size;
    if (writes() && size > 0) std::memcpy(end_ - written(), data, size);
}

/// Zeros, so that the `size` bytes that come next end up on a multiple of `alignment`.
void FlatWriter::pad(std::size_t alignment, std::size_t size) {
    const std::size_t zeros = (alignment - (size_ + size) % alignment) % alignment;
    size_ += zeros;
    if (writes() && zeros > 0) std::memset(end_ - written(), 0, zeros);
}

}  // namespace dunlin::wire
