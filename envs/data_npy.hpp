// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "envs/data_formats.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dunlin {

/// An array as NumPy's save() writes it, format versions 1.0 to 3.0, in C or Fortran order and either order of
/// bytes: booleans, whole and real numbers up to 64 bits, and fixed-length texts. Points into the file's bytes.
class NpyArray {
public:
    /// Errors: file_magic (no such file; objects, which are pickles; another type), file_syntax (its header),
    /// file_truncated, file_rest, file_too_large.
    static FileResult<NpyArray> parse(std::string_view bytes);
    static FileResult<NpyArray> parse(std::string&& bytes) = delete;  // would be gone while the array is not

    const std::vector<std::size_t>& shape() const { return shape_; }
    std::size_t count() const { return count_; }  ///< of elements
    bool is_text() const { return kind_ == 'S' || kind_ == 'U'; }
    bool is_bytes() const { return kind_ == 'u' && item_ == 1; }

    /// Element k, counted with the last index running fastest; of numbers.
    double number(std::size_t k) const;
    /// The same as text, a whole number without a point.
    std::string text(std::size_t k) const;

private:
    FileResult<void> read_header(std::string_view header);
    FileResult<void> read_type(std::string_view type);
    std::uint64_t bits(std::size_t k, std::size_t first, std::size_t width) const;
    std::size_t place(std::size_t k) const;

    std::vector<std::size_t> shape_;
    std::size_t count_ = 1, item_ = 0;
    char kind_ = 0;  ///< b, u, i, f, S or U as NumPy has it
    bool big_endian_ = false, fortran_ = false;
    std::string_view data_;
};

/// A table from an array of rows, and its labels and users: data.label and data.user are files beside it, or
/// numbers of its columns from 1. Without a label: y.npy beside X.npy, labels.npy, and so on. Unsigned bytes in three
/// dimensions are grey images, scaled to [0, 1]; else a row's numbers are features. Errors also: file_missing,
/// file_counts, bad_number (row, column: not finite), column_missing, bad_width.
FileResult<DataTable> load_npy(const TableSource& source);

}  // namespace dunlin
