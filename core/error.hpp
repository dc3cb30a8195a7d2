// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include <tl/expected.hpp>

namespace dunlin {

/// What can be wrong with input. One line each; the host turns a code, its two integers and the place (file, key)
/// into a sentence that says what to do (`fleet/problem.hpp`).
enum class Code : std::uint8_t {
    // shapes and settings
    no_layers = 1,        ///< a perceptron without a layer
    too_many_layers,      ///< first: layers asked for; second: the limit
    bad_width,            ///< first: the width of layer `second`, not in [1, limit]
    shape_mismatch,       ///< first: parameters found; second: parameters expected
    out_of_range,         ///< first: the value (truncated); second: the limit
    too_little_memory,    ///< first: bytes given; second: bytes needed
    not_finite,           ///< first: index of the first NaN or infinity
    unknown_kernels,      ///< no such set of kernels
    unsupported_kernels,  ///< this processor cannot run the set asked for
    // maps
    map_header,         ///< first: line with a wrong or missing header field
    map_size,           ///< first: height; second: width; a side is not in [1, limit]
    map_row_length,     ///< first: line; second: characters found
    map_truncated,      ///< first: rows found; second: rows promised
    map_character,      ///< first: line; second: column
    map_no_free_cell,   ///< every cell is a wall
    goal_outside,       ///< first: row; second: column; not on the map
    goal_in_wall,       ///< first: row; second: column
    start_in_wall,      ///< first: row; second: column; or outside the map
    goal_unreachable,   ///< first: row; second: column; no free cell leads there
    not_a_permutation,  ///< first: index of the entry that repeats or is out of range
    start_is_goal,      ///< first: row; second: column
    wall_outside,       ///< first: row; second: column; not on the map
    map_rest,           ///< first: line; text after the last row
    // files
    file_missing,     ///< cannot be opened
    file_truncated,   ///< first: bytes found; second: bytes expected
    file_magic,       ///< not a file of this kind
    file_version,     ///< first: version found; second: newest version understood
    file_checksum,    ///< first: checksum found; second: checksum expected
    file_too_large,   ///< first: bytes found; second: the limit
    file_unwritable,  ///< first: errno
    file_syntax,      ///< first: line; second: column
};

/// Wrong input, never a bug: 24 bytes, no text, so that it fits a microcontroller.
struct Error {
    Code code{};
    std::int64_t first = 0;
    std::int64_t second = 0;

    friend constexpr bool operator==(const Error&, const Error&) = default;
};

template <class T>
using Result = tl::expected<T, Error>;

inline tl::unexpected<Error> fail(Code code, std::int64_t first = 0, std::int64_t second = 0) {
    return tl::unexpected<Error>(Error{code, first, second});
}

}  // namespace dunlin
