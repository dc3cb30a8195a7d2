// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace dunlin::fuzz {

/// What must hold whatever the input is.
inline void require(bool claim) {
    if (!claim) __builtin_trap();
}

/// The input in memory of its own that starts on a multiple of 8, so that reading beyond its end is seen.
class Aligned {
public:
    Aligned(const std::uint8_t* data, std::size_t size)
        : memory_(new (std::align_val_t{8}) std::uint8_t[size]), size_(size) {
        if (size > 0) std::memcpy(memory_, data, size);
    }
    ~Aligned() { operator delete[](memory_, std::align_val_t{8}); }
    Aligned(const Aligned&) = delete;
    std::span<const std::byte> bytes() const { return std::as_bytes(std::span(memory_, size_)); }

private:
    std::uint8_t* memory_;
    std::size_t size_;
};

inline std::string_view text(const std::uint8_t* data, std::size_t size) {
    return {reinterpret_cast<const char*>(data), size};
}

}  // namespace dunlin::fuzz
