// SPDX-License-Identifier: Apache-2.0
#include "transport/wire/fields.hpp"
#include "transport/wire/flat_codec.hpp"
#include "transport/wire/flat_writer.hpp"
#include "transport/wire/limits.hpp"

namespace dunlin {
namespace {

using wire::FlatWriter;
using Place = FlatWriter::Place;

template <class T>
Place write_table(FlatWriter& writer, const T& m);

/// Goes through the fields of a table once: what a field refers to is written at once, for it lies behind the table;
/// of a number it is noted where it is. The table is then written by one function for all messages, because a small
/// processor has no room for one of each.
class Table {
public:
    template <class T>
    using Reference = const T&;
    static constexpr bool for_boards = true;

    explicit Table(FlatWriter& writer) : writer_(writer) {}

    template <class T>
    void number(const T& value) {
        static_assert(std::is_arithmetic_v<T> || std::is_enum_v<T>);
        note(&value, sizeof value);
    }
    template <class E>
    void choice(const E& value, E) {
        number(value);
    }
    void text(std::string_view text, std::size_t) { refer(writer_.text(text)); }
    void lines(std::string_view text, std::size_t) { refer(writer_.text(text)); }
    template <class T>
    void list(std::span<const T> values, std::size_t) {
        refer(writer_.vector(values.data(), values.size_bytes(), values.size(), sizeof(T)));
    }
    void bytes(std::span<const std::byte> values, std::size_t) {
        refer(writer_.vector(values.data(), values.size(), values.size(), 8));
    }
    template <class T>
    void table(const T& sub) {
        refer(write_table(writer_, sub));
    }
    template <class T>
    void tables(std::span<const T> entries, std::size_t) {
        for (const T& entry : entries) writer_.keep(write_table(writer_, entry));
        refer(writer_.listed(entries.size()));
    }

    /// The fields of one size after the other: from 8 bytes to 1, they need no padding between them.
    Place write() {
        writer_.start_table();
        for (const std::size_t size : {1, 2, 4, 8}) {
            for (std::size_t index = 0; index < count_; ++index) {
                const Field& field = fields_[index];
                if (field.size == size) writer_.field(index, field.number, size);
                if (field.size == 0 && size == sizeof(Place)) writer_.reference(index, field.target);
            }
        }
        return writer_.end_table();
    }

private:
    struct Field {
        union {
            const void* number;
            Place target;
        };
        std::size_t size;  ///< of a number; 0 for what is referred to
    };

    [[gnu::noinline]] void note(const void* number, std::size_t size) {
        fields_[count_].number = number;
        fields_[count_++].size = size;
    }
    [[gnu::noinline]] void refer(Place target) {
        fields_[count_].target = target;
        fields_[count_++].size = 0;
    }

    FlatWriter& writer_;
    std::array<Field, FlatWriter::most_fields> fields_;
    std::size_t count_ = 0;
};

template <class T>
Place write_table(FlatWriter& writer, const T& m) {
    Table table(writer);
    wire::fields<Table>(table, m);
    return table.write();
}

void write(FlatWriter& writer, const Message& message) {
    const Place body = wire::dispatch(message.body, [&](const auto& m) { return write_table(writer, m); });
    writer.start_table();
    writer.field(5, static_cast<std::uint8_t>(message.body.index() + 1));
    writer.field(0, version_of(message.body.index()));
    writer.reference(6, body);
    writer.field(3, message.envelope.incarnation);
    writer.field(2, message.envelope.sender);
    // Left out where there is none, so that what has none is what it always was.
    if (message.envelope.nonce != 0) writer.field(7, message.envelope.nonce);
    writer.field(4, message.envelope.sequence);
    writer.field(1, message.envelope.job);
    writer.finish(writer.end_table(), flat_identifier);
}

Result<FlatParts> encode(const Message& message, std::span<std::byte> buffer, bool whole) {
    if (auto sound = check_limits(message); !sound) return tl::unexpected(sound.error());
    FlatWriter writer(buffer);
    if (!whole) writer.detach_first();
    write(writer, message);
    if (!writer.fits())
        return fail(Code::too_little_memory, static_cast<std::int64_t>(buffer.size()),
                    static_cast<std::int64_t>(writer.needed()));
    return FlatParts{writer.result(), writer.detached()};
}

}  // namespace

std::size_t flat_bytes(const Message& message) {
    FlatWriter writer;
    write(writer, message);
    return writer.needed() + 14;  // what an unaligned buffer loses
}

Result<std::span<std::byte>> encode_flat(const Message& message, std::span<std::byte> buffer) {
    return encode(message, buffer, true).map([](const FlatParts& parts) { return parts.head; });
}

Result<FlatParts> encode_flat_head(const Message& message, std::span<std::byte> buffer) {
    return encode(message, buffer, false);
}

}  // namespace dunlin
