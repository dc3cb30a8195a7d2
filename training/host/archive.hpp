// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/random.hpp"

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

namespace dunlin {

static_assert(std::endian::native == std::endian::little, "what is stored is little-endian and copied as it is");

/// What is stored as its bytes: numbers, and random streams with how far they have come.
template <class T>
concept PlainNumber =
    std::is_arithmetic_v<T> || std::is_enum_v<T> || std::is_same_v<T, std::byte> || std::is_same_v<T, Stream>;
static_assert(std::is_trivially_copyable_v<Stream> && std::has_unique_object_representations_v<Stream>);

/// Values to bytes and back, both by one list of fields:
///
///     template <class Archive>
///     void fields(Archive& archive) { archive(name, weights, inner); }
///
/// Numbers as they are, texts and vectors with their length in front, optionals with a flag, structs by their
/// fields.
class Saver {
public:
    /// From `limit` bytes on nothing is kept, and `full` says so.
    explicit Saver(std::size_t limit = std::numeric_limits<std::size_t>::max()) : limit_(limit) {}

    template <class... T>
    void operator()(const T&... values) {
        (put(values), ...);
    }
    /// Bytes that another Saver made, as if it had been this one.
    void append(std::span<const std::byte> saved) { put_raw(saved); }
    std::span<const std::byte> bytes() const { return bytes_; }
    std::vector<std::byte> take() { return std::move(bytes_); }
    bool full() const { return full_; }

private:
    void put_raw(std::span<const std::byte> raw) {
        full_ = full_ || raw.size() > limit_ - bytes_.size();
        if (!full_) bytes_.insert(bytes_.end(), raw.begin(), raw.end());
    }
    template <PlainNumber T>
    void put(const T& value) {
        put_raw(std::as_bytes(std::span(&value, 1)));
    }
    void put(const std::string& text) {
        put(static_cast<std::uint64_t>(text.size()));
        put_raw(std::as_bytes(std::span(text)));
    }
    template <class T>
    void put(const std::vector<T>& values) {
        put(static_cast<std::uint64_t>(values.size()));
        if constexpr (PlainNumber<T>) {
            put_raw(std::as_bytes(std::span(values)));
        } else {
            for (const T& value : values) put(value);
        }
    }
    template <PlainNumber T, std::size_t n>
    void put(const std::array<T, n>& values) {
        put_raw(std::as_bytes(std::span(values)));
    }
    template <class T>
    void put(const std::optional<T>& value) {
        put(value.has_value());
        if (value) put(*value);
    }
    template <class T>
    requires requires(T& value, Saver& saver) { value.fields(saver); }
    void put(const T& value) {
        const_cast<T&>(value).fields(*this);  // which only reads, for a Saver
    }

    std::vector<std::byte> bytes_;
    std::size_t limit_;
    bool full_ = false;
};

/// What is not there reads as zero or empty, and `ok()` is false from then on.
class Loader {
public:
    explicit Loader(std::span<const std::byte> bytes) : rest_(bytes) {}

    template <class... T>
    void operator()(T&... values) {
        (take(values), ...);
    }
    bool ok() const { return ok_; }
    /// As many bytes as fit, as `Saver::append` put them.
    void copy(std::span<std::byte> raw) { take_raw(raw); }
    /// What was read is none of what was saved here.
    void refuse() { ok_ = false; }
    /// Has all been read, and nothing beyond?
    bool done() const { return ok_ && rest_.empty(); }

private:
    bool fits(std::uint64_t bytes) { return ok_ = ok_ && bytes <= rest_.size(); }
    void take_raw(std::span<std::byte> raw) {
        if (!fits(raw.size()) || raw.empty()) return;
        std::memcpy(raw.data(), rest_.data(), raw.size());
        rest_ = rest_.subspan(raw.size());
    }
    template <PlainNumber T>
    void take(T& value) {
        value = T{};
        take_raw(std::as_writable_bytes(std::span(&value, 1)));
    }
    void take(bool& value) {
        std::uint8_t byte = 0;
        take(byte);
        value = byte != 0;
    }
    void take(std::string& text) { take_run(text); }
    template <class T>
    void take(std::vector<T>& values) {
        if constexpr (PlainNumber<T>) {
            take_run(values);
        } else {
            std::uint64_t count = 0;
            take(count);
            values.clear();
            // An element takes a byte at least.
            if (!fits(count)) return;
            for (std::uint64_t k = 0; k < count && ok_; ++k) take(values.emplace_back());
        }
    }
    template <class Run>
    void take_run(Run& values) {
        std::uint64_t count = 0;
        take(count);
        values.clear();
        if (count > rest_.size() / sizeof(*values.data())) ok_ = false;
        if (!ok_) return;
        values.resize(static_cast<std::size_t>(count));
        take_raw(std::as_writable_bytes(std::span(values)));
    }
    template <PlainNumber T, std::size_t n>
    void take(std::array<T, n>& values) {
        take_raw(std::as_writable_bytes(std::span(values)));
    }
    template <class T>
    void take(std::optional<T>& value) {
        bool there = false;
        take(there);
        value.reset();
        if (there && ok_) take(value.emplace());
    }
    template <class T>
    requires requires(T& value, Loader& loader) { value.fields(loader); }
    void take(T& value) { value.fields(*this); }

    std::span<const std::byte> rest_;
    bool ok_ = true;
};

}  // namespace dunlin
