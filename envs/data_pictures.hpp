// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "envs/data_formats.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace dunlin {

/// Pictures with what a table beside them says of each: a folder with NAME-images-idx3-ubyte and NAME-labels.csv (or
/// any one file of pictures and labels.csv), plain or packed. The table has titles and a row for each picture, in their
/// order; of its columns those are taken that are called
///
///     label, class, digit, character      what it shows
///     user, writer, speaker, drawer       whose it is; may be missing
///     split                               train, test, or another word for rows that nobody uses; may be missing
struct PictureSet {
    DataTable pictures;                ///< without labels and users
    std::vector<std::int32_t> labels;  ///< a place in `label_names`
    std::vector<std::string> label_names, user_names;
};

/// Does such a folder lie there?
bool has_pictures(const std::string& path);

/// `choice` may name the columns of labels and users. Errors: of IDX and CSV files; column_missing (0 label, 1 user);
/// file_counts (rows of the table, pictures).
FileResult<PictureSet> load_pictures(const std::string& path, const TableChoice& choice = {});
/// The same as a table of at most 256 labels. Error also: label_out_of_range.
FileResult<DataTable> load_picture_table(const TableSource& source);

/// Made-up characters as a stand-in for an alphabet, without any file: each a line of a few strokes, drawn `drawings`
/// times by as many hands; every fourth is to test on.
PictureSet draw_characters(int characters, int drawings, int side, std::uint64_t seed);

/// The binary form of CIFAR-10 (Krizhevsky 2009): data_batch_1.bin, ... to train on and test_batch.bin, plain or packed,
/// each picture a byte of its label and 32 x 32 pixels of three colours, one colour after another; here the colours of
/// a pixel stand next to each other. Errors: file_missing; file_truncated (no whole number of pictures);
/// label_out_of_range.
bool has_cifar(const std::string& path);
FileResult<DataTable> load_cifar(const std::string& folder, IdxPart part);

/// Makes pictures `height` x `width` by the mean of what falls on each pixel. Error: bad_setting (it has none, or these
/// sides are not in [1, 4096]).
Result<void> resize_pictures(DataTable& table, int height, int width);

}  // namespace dunlin
