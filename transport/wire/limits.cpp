// SPDX-License-Identifier: Apache-2.0
#include "transport/wire/limits.hpp"

#include "transport/encoding.hpp"
#include "transport/wire/fields.hpp"

#include <algorithm>

namespace dunlin {
namespace {

/// Notes the first limit that a message breaks.
class LimitCheck {
public:
    template <class T>
    using Reference = const T&;

    explicit LimitCheck(std::size_t kind) : kind_(static_cast<std::int64_t>(kind)) {}

    template <class T>
    void number(const T&) {}
    template <class E>
    void choice(const E& value, E last) {
        require(value <= last);
    }
    void text(std::string_view text, std::size_t most) {
        limit(text.size(), most);
        require(text.size() > most || is_text(text, false));
    }
    void lines(std::string_view text, std::size_t most) {
        limit(text.size(), most);
        require(text.size() > most || is_text(text, true));
    }
    template <class T>
    void list(std::span<const T> values, std::size_t most) {
        limit(values.size(), most);
    }
    void bytes(std::span<const std::byte> values, std::size_t most) { limit(values.size(), most); }
    template <class T>
    void table(const T& sub) {
        wire::fields<LimitCheck>(*this, sub);
    }
    template <class T>
    void tables(std::span<const T> entries, std::size_t most) {
        limit(entries.size(), most);
        if (result_) {
            for (const T& entry : entries) table(entry);
        }
    }

    void require(bool condition) {
        if (!condition && result_) result_ = fail(Code::message_malformed, kind_);
    }
    Result<void> result() const { return result_; }

private:
    void limit(std::size_t found, std::size_t most) {
        if (found > most && result_)
            result_ =
                fail(Code::message_too_long, static_cast<std::int64_t>(found), static_cast<std::int64_t>(most));
    }

    std::int64_t kind_;
    Result<void> result_;
};

bool consistent(const EncodedValues& values) {
    return values.bytes.size() == encoded_bytes(values.encoding, values.count);
}
bool consistent(const Model& m) {
    return consistent(m.values);
}
bool consistent(const ModelUpdate& m) {
    return consistent(m.values);
}
bool consistent(const MassReport& m) {
    return m.steps.empty() || m.steps.size() == m.values.size();
}
bool consistent(const Peers& m) {
    return std::all_of(m.peers.begin(), m.peers.end(),
                       [](const PeerAddress& peer) { return peer.key.size() == 32; });
}
template <class T>
bool consistent(const T&) {
    return true;
}

}  // namespace

std::size_t character_bytes(std::string_view text) {
    const auto byte = [&](std::size_t k) { return k < text.size() ? static_cast<unsigned char>(text[k]) : 0u; };
    const auto follows = [&](std::size_t k, unsigned low = 0x80, unsigned high = 0xbf) {
        return byte(k) >= low && byte(k) <= high;
    };
    const unsigned lead = byte(0);
    if (lead < 0x80) return 1;
    if (lead >= 0xc2 && lead <= 0xdf) return follows(1) ? 2 : 0;
    if (lead >= 0xe0 && lead <= 0xef) {
        const unsigned low = lead == 0xe0 ? 0xa0 : 0x80, high = lead == 0xed ? 0x9f : 0xbf;
        return follows(1, low, high) && follows(2) ? 3 : 0;
    }
    if (lead >= 0xf0 && lead <= 0xf4) {
        const unsigned low = lead == 0xf0 ? 0x90 : 0x80, high = lead == 0xf4 ? 0x8f : 0xbf;
        return follows(1, low, high) && follows(2) && follows(3) ? 4 : 0;
    }
    return 0;
}

bool is_text(std::string_view text, bool lines) {
    while (!text.empty()) {
        const unsigned char first = static_cast<unsigned char>(text.front());
        const bool blank = first == '\n' || first == '\r' || first == '\t';
        const std::size_t bytes = character_bytes(text);
        // C1 controls, U+0080 to U+009F, start with C2 80 to C2 9F.
        const bool control = (first < 0x20 && !(lines && blank)) || first == 0x7f ||
                             (first == 0xc2 && static_cast<unsigned char>(text[bytes > 1 ? 1 : 0]) < 0xa0);
        if (bytes == 0 || control) return false;
        text.remove_prefix(bytes);
    }
    return true;
}

Result<void> check_version(std::uint32_t version, std::size_t kind) {
    const bool spoken = version >= oldest_wire_version && version <= wire_version;
    if (spoken || kind == body_index<Join> || kind == body_index<Refusal>) return {};
    return fail(Code::wire_version_unknown, version, oldest_wire_version);
}

Result<void> check_limits(const Message& message) {
    LimitCheck check(message.body.index());
    wire::dispatch(message.body, [&](const auto& body) {
        wire::fields<LimitCheck>(check, body);
        check.require(consistent(body));
    });
    return check.result();
}

}  // namespace dunlin
