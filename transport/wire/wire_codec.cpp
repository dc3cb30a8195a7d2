// SPDX-License-Identifier: Apache-2.0
#include "transport/wire/wire_codec.hpp"

#include "transport/wire/fields.hpp"
#include "transport/wire/flat_codec.hpp"
#include "transport/wire/limits.hpp"
#include "transport/wire/proto_codec.hpp"

#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

namespace dunlin {
namespace {

bool is_control(std::span<const std::byte> bytes) {
    return bytes.size() >= 4 && std::memcmp(bytes.data(), control_identifier.data(), 4) == 0;
}

/// Uninitialised memory: it is written once.
std::pair<Frame::Owner, std::byte*> allocate(std::size_t bytes) {
    void* memory = std::malloc(bytes > 0 ? bytes : 1);
    if (memory == nullptr) throw std::bad_alloc();
    return {Frame::Owner(memory, std::free), static_cast<std::byte*>(memory)};
}

Frame copied(std::span<const std::byte> bytes) {
    auto [owner, memory] = allocate(bytes.size());
    if (!bytes.empty()) std::memcpy(memory, bytes.data(), bytes.size());
    return Frame(std::move(owner), {memory, bytes.size()});
}

Result<Frame> encode_control(const Message& message) {
    const EncodedControl control(message);
    const std::size_t bytes = 4 + control.bytes();
    if (bytes > control_bytes_limit)
        return fail(Code::message_too_long, static_cast<std::int64_t>(bytes), control_bytes_limit);
    auto [owner, memory] = allocate(bytes);
    std::memcpy(memory, control_identifier.data(), 4);
    control.write(memory + 4);
    return Frame(std::move(owner), {memory, bytes});
}

}  // namespace

struct DecodedMessage::Contents {
    Frame frame;
    DecodedControl control;
    Message data;
    bool is_data = false;
};

DecodedMessage::DecodedMessage() = default;
DecodedMessage::DecodedMessage(DecodedMessage&&) noexcept = default;
DecodedMessage& DecodedMessage::operator=(DecodedMessage&&) noexcept = default;
DecodedMessage::~DecodedMessage() = default;

const Message& DecodedMessage::message() const {
    static const Message none{};
    if (!contents_) return none;
    return contents_->is_data ? contents_->data : contents_->control.message();
}

std::span<const std::byte> DecodedMessage::bytes() const {
    return contents_ ? contents_->frame.bytes() : std::span<const std::byte>();
}

Frame DecodedMessage::release() && {
    const std::unique_ptr<Contents> contents = std::move(contents_);
    return contents ? std::move(contents->frame) : Frame();
}

Result<Frame> encode_frame(const Message& message) {
    const bool data = wire::dispatch(message.body, []<class Body>(const Body&) { return is_data<Body>; });
    if (!data) {
        if (auto sound = check_limits(message); !sound) return tl::unexpected(sound.error());
        return encode_control(message);
    }
    const std::size_t bytes = flat_bytes(message);
    auto [owner, memory] = allocate(bytes);
    const auto written = encode_flat(message, {memory, bytes});
    if (!written) return tl::unexpected(written.error());
    return Frame(std::move(owner), *written);
}

Result<DecodedMessage> decode_frame(Frame frame) {
    const auto size = static_cast<std::int64_t>(frame.bytes().size());
    DecodedMessage decoded;
    decoded.contents_ = std::make_unique<DecodedMessage::Contents>();
    auto& contents = *decoded.contents_;
    contents.frame = std::move(frame);
    const std::span<const std::byte> bytes = contents.frame.bytes();
    if (is_control(bytes)) {
        if (bytes.size() > control_bytes_limit) return fail(Code::message_too_long, size, control_bytes_limit);
        if (auto parsed = contents.control.parse(bytes.subspan(4)); !parsed) return tl::unexpected(parsed.error());
        return decoded;
    }
    const auto message = decode_flat(bytes);
    if (!message) {
        const bool list = message.error().code == Code::too_little_memory;  // a control message, which is no data
        return list ? fail(Code::message_malformed, size) : tl::unexpected(message.error());
    }
    contents.is_data = wire::dispatch(message->body, []<class Body>(const Body&) { return is_data<Body>; });
    if (!contents.is_data) return fail(Code::message_malformed, size);
    contents.data = *message;
    return decoded;
}

Result<DecodedMessage> decode_copy(std::span<const std::byte> bytes) {
    return decode_frame(copied(bytes));
}

}  // namespace dunlin
