// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "transport/messages.hpp"

#include <memory>
#include <vector>

namespace dunlin {

namespace control {
class Control;
}

/// Control messages as Protobuf (control.proto), without what a frame puts in front of them. Host only.

/// A message in Protobuf's own form, to be measured and then written.
class EncodedControl {
public:
    /// A data message has no such form: a bug.
    explicit EncodedControl(const Message& message);
    ~EncodedControl();
    EncodedControl(const EncodedControl&) = delete;
    EncodedControl& operator=(const EncodedControl&) = delete;

    std::size_t bytes() const;
    /// To `out`, which holds bytes().
    void write(std::byte* out) const;

private:
    std::unique_ptr<control::Control> parsed_;
};

/// A control message and all that its views look at.
class DecodedControl {
public:
    DecodedControl();
    ~DecodedControl();
    DecodedControl(DecodedControl&&) noexcept;
    DecodedControl& operator=(DecodedControl&&) noexcept;

    /// Replaces what was there. `bytes` is not needed afterwards. Errors: those of decode_frame.
    Result<void> parse(std::span<const std::byte> bytes);
    const Message& message() const { return message_; }

private:
    std::unique_ptr<control::Control> parsed_;
    std::vector<Metric> metrics_;
    std::vector<PeerAddress> peers_;
    Message message_;
};

}  // namespace dunlin
