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

/// First what a table refers to: it lies behind the table.
class Targets {
public:
    template <class T>
    using Reference = const T&;

    explicit Targets(FlatWriter& writer) : writer_(writer) {}

    template <class T>
    void number(const T&) {}
    template <class E>
    void choice(const E&, E) {}
    void text(std::string_view text, std::size_t) { add(writer_.text(text)); }
    void lines(std::string_view text, std::size_t) { add(writer_.text(text)); }
    template <class T>
    void list(std::span<const T> values, std::size_t) {
        add(writer_.vector(values.data(), values.size_bytes(), values.size(), sizeof(T)));
    }
    void bytes(std::span<const std::byte> values, std::size_t) {
        add(writer_.vector(values.data(), values.size(), values.size(), 8));
    }
    template <class T>
    void table(const T& sub) {
        add(write_table(writer_, sub));
    }
    template <class T>
    void tables(std::span<const T> entries, std::size_t) {
        for (const T& entry : entries) writer_.keep(write_table(writer_, entry));
        add(writer_.listed(entries.size()));
    }

    const Place* places() const { return places_.data(); }

private:
    void add(Place place) { places_[count_++] = place; }

    FlatWriter& writer_;
    std::array<Place, 8> places_{};
    std::size_t count_ = 0;
};

/// Then the fields of one size: from 8 bytes to 1, they need no padding between them.
class Fields {
public:
    template <class T>
    using Reference = const T&;

    Fields(FlatWriter& writer, const Place* places, std::size_t size)
        : writer_(writer), places_(places), size_(size) {}

    template <class T>
    void number(const T& value) {
        if constexpr (std::is_enum_v<T>) {
            number(static_cast<std::underlying_type_t<T>>(value));
        } else if constexpr (std::is_same_v<T, bool>) {
            number(static_cast<std::uint8_t>(value));
        } else {
            if (sizeof(T) == size_) writer_.field(index_, value);
            ++index_;
        }
    }
    template <class E>
    void choice(const E& value, E) {
        number(value);
    }
    void text(std::string_view, std::size_t) { refer(); }
    void lines(std::string_view, std::size_t) { refer(); }
    template <class T>
    void list(std::span<const T>, std::size_t) {
        refer();
    }
    void bytes(std::span<const std::byte>, std::size_t) { refer(); }
    template <class T>
    void table(const T&) {
        refer();
    }
    template <class T>
    void tables(std::span<const T>, std::size_t) {
        refer();
    }

private:
    void refer() {
        if (size_ == sizeof(Place)) writer_.reference(index_, *places_++);
        ++index_;
    }

    FlatWriter& writer_;
    const Place* places_;
    std::size_t size_, index_ = 0;
};

template <class T>
Place write_table(FlatWriter& writer, const T& m) {
    Targets targets(writer);
    wire::fields<Targets>(targets, m);
    writer.start_table();
    for (const std::size_t size : {1, 2, 4, 8}) {
        Fields visit(writer, targets.places(), size);
        wire::fields<Fields>(visit, m);
    }
    return writer.end_table();
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
