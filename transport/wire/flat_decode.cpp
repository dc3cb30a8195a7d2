// SPDX-License-Identifier: Apache-2.0
#include "transport/wire/fields.hpp"
#include "transport/wire/flat_codec.hpp"
#include "transport/wire/limits.hpp"

// A firmware has nowhere to print to.
#define FLATBUFFERS_ASSERT(claim) ((claim) ? static_cast<void>(0) : __builtin_trap())
#include <wire_generated.h>

namespace dunlin {
namespace {

/// Reads a table that was verified, or none (null). What an older sender did not write reads as zero or empty.
class Reader {
public:
    template <class T>
    using Reference = T&;
    static constexpr bool for_boards = true;

    Reader(const void* table, const DecodeScratch& scratch, Result<void>& result)
        : table_(static_cast<const flatbuffers::Table*>(table)), scratch_(scratch), result_(result) {}

    template <class T>
    void number(T& value) {
        if constexpr (std::is_same_v<T, bool>) {
            std::uint8_t byte = 0;
            get(&byte, sizeof byte);
            value = byte != 0;
        } else {
            static_assert(std::is_arithmetic_v<T> || std::is_enum_v<T>);
            get(&value, sizeof value);
        }
    }
    template <class E>
    void choice(E& value, E) {
        number(value);
    }
    void text(std::string_view& text, std::size_t) {
        const auto* found = pointer<flatbuffers::String>();
        text = found ? std::string_view(found->c_str(), found->size()) : std::string_view();
    }
    void lines(std::string_view& lines, std::size_t most) { text(lines, most); }
    template <class T>
    void list(std::span<const T>& values, std::size_t) {
        const auto* found = pointer<flatbuffers::Vector<T>>();
        values = found ? std::span<const T>(found->data(), found->size()) : std::span<const T>();
    }
    void bytes(std::span<const std::byte>& bytes, std::size_t most) {
        std::span<const std::uint8_t> values;
        list(values, most);
        bytes = std::as_bytes(values);
    }
    template <class T>
    void table(T& sub) {
        Reader reader(pointer<flatbuffers::Table>(), scratch_, result_);
        wire::fields<Reader>(reader, sub);
    }
    void tables(std::span<const Metric>& metrics, std::size_t most) { entries(metrics, scratch_.metrics, most); }
    void tables(std::span<const PeerAddress>& peers, std::size_t most) { entries(peers, scratch_.peers, most); }

private:
    /// The next field's `size` bytes, or zeros. Once for all fields: a small processor has no room for more.
    [[gnu::noinline]] void get(void* number, std::size_t size) {
        if (const std::uint8_t* found = next()) {
            std::memcpy(number, found, size);
        } else {
            std::memset(number, 0, size);
        }
    }
    template <class T>
    const T* pointer() {
        return reinterpret_cast<const T*>(target());
    }
    [[gnu::noinline]] const std::uint8_t* target() {
        const std::uint8_t* found = next();
        return found ? found + flatbuffers::ReadScalar<flatbuffers::uoffset_t>(found) : nullptr;
    }
    /// Where the next field is; null if it was not written.
    const std::uint8_t* next() {
        place_ = static_cast<flatbuffers::voffset_t>(place_ + 2);
        return table_ ? table_->GetAddressOf(place_) : nullptr;
    }
    template <class T>
    void entries(std::span<const T>& view, std::span<T> room, std::size_t most) {
        const auto* found = pointer<flatbuffers::Vector<flatbuffers::Offset<flatbuffers::Table>>>();
        const std::size_t count = found ? found->size() : 0;
        const auto wide = static_cast<std::int64_t>(count);
        if (count > most) {
            result_ = fail(Code::message_too_long, wide, static_cast<std::int64_t>(most));
        } else if (count > room.size()) {
            result_ = fail(Code::too_little_memory, wide * sizeof(T), static_cast<std::int64_t>(room.size_bytes()));
        } else {
            for (std::size_t k = 0; k < count; ++k) {
                Reader reader(found->Get(static_cast<flatbuffers::uoffset_t>(k)), scratch_, result_);
                room[k] = T{};
                wire::fields<Reader>(reader, room[k]);
            }
            view = room.first(count);
        }
    }

    const flatbuffers::Table* table_;
    const DecodeScratch& scratch_;
    Result<void>& result_;
    flatbuffers::voffset_t place_ = 2;
};

/// Makes the body's alternative with number `kind` and reads it.
template <std::size_t K = 0>
void read_body(std::size_t kind, const void* table, const DecodeScratch& scratch, MessageBody& body,
               Result<void>& result) {
    if constexpr (K < wire::kinds_here) {
        if (kind != K) return read_body<K + 1>(kind, table, scratch, body, result);
        Reader reader(table, scratch, result);
        wire::fields<Reader>(reader, body.emplace<K>());
    }
}

}  // namespace

bool is_flat(std::span<const std::byte> bytes) {
    return bytes.size() >= 8 && std::memcmp(bytes.data() + 4, flat_identifier.data(), 4) == 0;
}

Result<Message> decode_flat(std::span<const std::byte> bytes, const DecodeScratch& scratch) {
    if (reinterpret_cast<std::uintptr_t>(bytes.data()) % 8 != 0) __builtin_trap();
    const auto size = static_cast<std::int64_t>(bytes.size());
    if (bytes.size() > WireLimits::message_bytes)
        return fail(Code::message_too_long, size, WireLimits::message_bytes);
    if (!is_flat(bytes)) return fail(Code::message_malformed, size);
    const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
    flatbuffers::Verifier::Options options;
    options.max_depth = 4;
    options.max_tables = WireLimits::neighbours + 8;
    flatbuffers::Verifier verifier(data, bytes.size(), options);
    if (!verifier.VerifyBuffer<flat::Frame>(nullptr)) return fail(Code::message_malformed, size);

    const flat::Frame& frame = *flatbuffers::GetRoot<flat::Frame>(data);
    const std::size_t tag = static_cast<std::size_t>(frame.body_type());
    if (tag == 0) return fail(Code::message_malformed, size);
    if (auto spoken = check_version(frame.version(), tag - 1); !spoken) return tl::unexpected(spoken.error());
    if (tag > wire::kinds_here) return fail(Code::message_unknown, static_cast<std::int64_t>(tag));
    if (frame.body() == nullptr) return fail(Code::message_malformed, size);

    Message message;
    message.envelope = {frame.job(), frame.sender(), frame.incarnation(), frame.sequence(), frame.nonce()};
    Result<void> result;
    read_body(tag - 1, frame.body(), scratch, message.body, result);
    if (result) result = check_limits(message);
    if (!result) return tl::unexpected(result.error());
    return message;
}

}  // namespace dunlin
