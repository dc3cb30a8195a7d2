// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/arena.hpp"

#include <memory>
#include <new>
#include <span>

namespace dunlin::test {

/// Aligned memory for one machine.
class Memory {
public:
    explicit Memory(std::size_t bytes)
        : bytes_(bytes),
          data_(static_cast<std::byte*>(::operator new (bytes, std::align_val_t{Arena::alignment}))) {}
    std::span<std::byte> bytes() { return {data_.get(), bytes_}; }
    Arena arena() { return Arena({data_.get(), bytes_}); }

private:
    struct Free {
        void operator()(std::byte* data) const { ::operator delete (data, std::align_val_t{Arena::alignment}); }
    };
    std::size_t bytes_;
    std::unique_ptr<std::byte, Free> data_;
};

}  // namespace dunlin::test
