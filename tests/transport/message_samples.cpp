// SPDX-License-Identifier: Apache-2.0
#include "message_samples.hpp"

#include "transport/encoding.hpp"
#include "transport/wire/fields.hpp"

#include <bit>
#include <cstring>
#include <sstream>

namespace dunlin::testing {
namespace {

/// Fills fields by counting up, or from a stream of random numbers.
class Filler {
public:
    template <class T>
    using Reference = T&;

    Filler(Samples::Memory& memory, Stream* random, std::size_t longest)
        : memory_(memory), random_(random), longest_(longest) {}

    template <class T>
    void number(T& value) {
        if constexpr (std::is_same_v<T, bool>) {
            value = (next() & 1) != 0;
        } else if constexpr (std::is_floating_point_v<T>) {
            using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
            value = random_ ? std::bit_cast<T>(static_cast<Bits>(next())) : static_cast<T>(next()) + T(0.5);
        } else {
            value = static_cast<T>(next());
        }
    }
    /// The last value that there was when the bytes that are kept were written.
    template <class E>
    static E golden(E last) {
        return last;
    }
    static Objective golden(Objective) { return Objective::moreau; }
    static Payload golden(Payload) { return Payload::model; }
    static Aggregation golden(Aggregation) { return Aggregation::push_pull; }
    template <class E>
    void choice(E& value, E last) {
        value = random_ ? static_cast<E>(below(static_cast<std::size_t>(last) + 1)) : golden(last);
    }
    void text(std::string_view& text, std::size_t most) { text = some_text(most, "name ü "); }
    void lines(std::string_view& text, std::size_t most) { text = some_text(most, "[a]\nb = "); }
    template <class T>
    void list(std::span<const T>& values, std::size_t most) {
        const std::size_t count = length(most);
        values = {reinterpret_cast<const T*>(words(count * sizeof(T)).data()), count};
    }
    void bytes(std::span<const std::byte>& bytes, std::size_t most) {
        const std::size_t count = most == 32 ? 32 : length(most);
        bytes = {reinterpret_cast<const std::byte*>(words(count).data()), count};
    }
    template <class T>
    void table(T& sub) {
        wire::fields<Filler>(*this, sub);
    }
    void tables(std::span<const Metric>& metrics, std::size_t most) { fill(metrics, memory_.metrics, most); }
    void tables(std::span<const PeerAddress>& peers, std::size_t most) { fill(peers, memory_.peers, most); }

private:
    std::uint64_t next() { return random_ ? random_->bits64() : ++counter_; }
    std::size_t below(std::size_t n) { return random_->below(static_cast<std::uint32_t>(n)); }
    std::size_t length(std::size_t most) { return random_ ? below(std::min(most, longest_) + 1) : 2; }
    std::string_view some_text(std::size_t most, const char* text) {
        std::string made = random_ ? std::string(length(most), 'x') : text + std::to_string(next());
        return memory_.texts.emplace_back(std::move(made));
    }
    const std::vector<std::uint64_t>& words(std::size_t bytes) {
        auto& words = memory_.words.emplace_back((bytes + 7) / 8 + 1);
        for (std::uint64_t& word : words) word = next();
        return words;
    }
    template <class T>
    void fill(std::span<const T>& view, std::deque<std::vector<T>>& store, std::size_t most) {
        auto& entries = store.emplace_back(length(most));
        for (T& entry : entries) table(entry);
        view = entries;
    }

    Samples::Memory& memory_;
    Stream* random_;
    std::size_t longest_;
    std::uint64_t counter_ = 0;
};

class Describer {
public:
    template <class T>
    using Reference = const T&;

    explicit Describer(std::ostringstream& out) : out_(out) {}

    template <class T>
    void number(const T& value) {
        unsigned char bytes[sizeof(T)];
        std::memcpy(bytes, &value, sizeof(T));
        for (const unsigned char byte : bytes) out_ << static_cast<int>(byte) << '.';
        out_ << ' ';
    }
    template <class E>
    void choice(const E& value, E) {
        number(value);
    }
    void text(std::string_view text, std::size_t) { out_ << '"' << text << "\" "; }
    void lines(std::string_view text, std::size_t most) { this->text(text, most); }
    template <class T>
    void list(std::span<const T> values, std::size_t) {
        out_ << values.size() << '[';
        for (const T& value : values) number(value);
        out_ << "] ";
    }
    void bytes(std::span<const std::byte> bytes, std::size_t most) { list(bytes, most); }
    template <class T>
    void table(const T& sub) {
        out_ << '{';
        wire::fields<Describer>(*this, sub);
        out_ << '}';
    }
    template <class T>
    void tables(std::span<const T> entries, std::size_t) {
        out_ << entries.size();
        for (const T& entry : entries) table(entry);
    }

private:
    std::ostringstream& out_;
};

template <std::size_t K = 0>
void emplace(MessageBody& body, std::size_t kind) {
    if constexpr (K < message_kinds) {
        if (kind == K) {
            body.emplace<K>();
        } else {
            emplace<K + 1>(body, kind);
        }
    }
}

/// What must fit together for a message to be one.
void agree(EncodedValues& values, std::span<const std::byte> all) {
    values.count = static_cast<std::uint32_t>(all.size());
    while (encoded_bytes(values.encoding, values.count) > all.size()) --values.count;
    values.bytes = all.first(encoded_bytes(values.encoding, values.count));
}
void agree(Model& m) {
    agree(m.values, m.values.bytes);
}
void agree(ModelUpdate& m) {
    agree(m.values, m.values.bytes);
}
void agree(MassReport& m) {
    const std::size_t count = std::min(m.values.size(), m.steps.size());
    m.values = m.values.first(count);
    m.steps = m.steps.first(count);
}
template <class T>
void agree(T&) {}

const Message& make(Samples::Memory& memory, std::size_t kind, Stream* random, std::size_t longest) {
    Message& message = memory.messages.emplace_back();
    Filler filler(memory, random, longest);
    filler.number(message.envelope.job);
    filler.number(message.envelope.sender);
    filler.number(message.envelope.incarnation);
    filler.number(message.envelope.sequence);
    emplace(message.body, kind);
    wire::dispatch(message.body, [&](auto& body) {
        wire::fields<Filler>(filler, body);
        agree(body);
    });
    return message;
}

}  // namespace

const Message& Samples::plain(std::size_t kind) {
    return make(memory_, kind, nullptr, 2);
}

const Message& Samples::any(std::size_t kind, Stream& random, std::size_t longest) {
    return make(memory_, kind, &random, longest);
}

std::string described(const Message& message) {
    std::ostringstream out;
    Describer describer(out);
    describer.number(message.envelope.job);
    describer.number(message.envelope.sender);
    describer.number(message.envelope.incarnation);
    describer.number(message.envelope.sequence);
    out << message.body.index() << ": ";
    wire::dispatch(message.body, [&](const auto& body) { wire::fields<Describer>(describer, body); });
    return out.str();
}

Message in_flat_form(const Message& message) {
    Message said = message;
    if (auto* offer = std::get_if<JobOffer>(&said.body)) {
        offer->weights = {};
        offer->first_round = offer->last_round = 0;
    }
    return said;
}

std::string kind_name(std::size_t kind) {
    static constexpr const char* names[] = {
        "join",         "job_answer", "model_request", "report",          "leave",
        "frozen",       "welcome",    "job_offer",     "acknowledgement", "freeze",
        "mass_request", "job_end",    "presence",      "job_pause",       "peers",
        "heartbeat",    "refusal",    "model",         "model_update",    "share_message",
        "mass_report",  "mass_grant", "share_receipt", "mask_exchange",   "masked_update"};
    static_assert(std::size(names) == message_kinds);
    return names[kind];
}

}  // namespace dunlin::testing
