// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <span>

namespace dunlin {

/// The bytes of one message and whoever they belong to: moved from codec to link and from link to codec, never
/// copied. The bytes start on a multiple of 8.
class Frame {
public:
    using Owner = std::unique_ptr<void, void (*)(void*)>;

    Frame() = default;
    Frame(Owner owner, std::span<const std::byte> bytes) : owner_(std::move(owner)), bytes_(bytes) {}

    std::span<const std::byte> bytes() const { return bytes_; }

private:
    Owner owner_{nullptr, [](void*) {}};
    std::span<const std::byte> bytes_;
};

}  // namespace dunlin
