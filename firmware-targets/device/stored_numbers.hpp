// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/checksum.hpp"
#include "hooks.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

namespace dunlin::device {

/// A device's own parameters, which begin as those in flash and outlive a reset where the firmware keeps them
/// (hooks.h). What was kept of other exported parameters, or was damaged, is not taken.
template <class Exported>
struct StoredNumbers {
    static constexpr std::size_t size = Exported::parameters.size();

    std::uint32_t checksum = 0;  ///< over the exported checksum and the numbers
    std::array<float, size> numbers{};

    /// Takes what was stored, or else the exported parameters.
    void load() {
        if (dunlin_storage_read(this, sizeof *this) == 0 || checksum != sum()) forget();
    }
    bool save() {
        checksum = sum();
        return dunlin_storage_write(this, sizeof *this) != 0;
    }
    void forget() { std::copy(Exported::parameters.begin(), Exported::parameters.end(), numbers.begin()); }

private:
    std::uint32_t sum() const { return crc32(std::span<const float>(numbers), Exported::checksum); }
};

}  // namespace dunlin::device
