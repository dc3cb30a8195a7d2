// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "envs/classification.hpp"
#include "envs/data_file.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dunlin {

/// Rows of features with a label each, for hosts. Whatever is shared out among nodes is an index of a row.
struct DataTable {
    int features = 0;
    int classes = 0;
    std::vector<float> values;  ///< row-major; a missing value is NaN until standardise()
    std::vector<std::uint8_t> labels;
    std::vector<std::int32_t> users;       ///< whose row it is, from 0; empty where rows belong to nobody
    std::vector<std::string> class_names;  ///< empty: classes are numbers
    std::vector<std::string> user_names;
    int image_height = 0, image_width = 0;  ///< 0: not images

    std::size_t rows() const { return labels.size(); }
    LabelledRows view(std::span<const std::uint32_t> chosen, const std::uint8_t* relabel = nullptr) const {
        return {values.data(), labels.data(), features, chosen, relabel};
    }

    /// Prepares features by what they are on the rows `fit` (rows that models train on; not empty): a missing value
    /// becomes the mean, a constant feature goes, every other gets zero mean and unit variance.
    void standardise(std::span<const std::uint32_t> fit);
};

/// Two IDX files (MNIST, Fashion-MNIST): images of 8-bit pixels, scaled to [0, 1], and their labels.
/// Errors of the texts: file_magic, file_truncated, file_rest; bad_width (first: a side that is not in [1, 4096]);
/// file_counts (images, labels); label_out_of_range (row, label) from `classes` on.
Result<DataTable> parse_idx_images(std::string_view bytes);
Result<std::vector<std::uint8_t>> parse_idx_labels(std::string_view bytes, int classes = 10);
FileResult<DataTable> load_idx(const std::string& images_path, const std::string& labels_path, int classes = 10);

enum class IdxPart : std::uint8_t { train, test };
/// The files train-images-idx3-ubyte and train-labels-idx1-ubyte (or t10k-...) of a folder, plain or packed.
FileResult<DataTable> load_idx_folder(const std::string& folder, IdxPart part, int classes = 10);

/// Which columns of an ARFF file are not features.
struct ArffColumns {
    std::string label = "class";
    std::string user = "user";                         ///< empty: rows belong to nobody
    std::vector<std::string> ignored = {"UNIQUE_ID"};  ///< may be absent
};

/// An ARFF file (WISDM): numeric features, a label and a user per row; "?" is a missing feature. Labels are
/// numbered in the order of the header's list, or alphabetically where the header has none, users by number or
/// name. Errors: file_magic (no @relation, @attribute or @data); column_missing (0 label, 1 user, 2 any feature);
/// file_syntax (line; a declaration or a feature of a type that cannot be read); column_count; bad_number;
/// label_out_of_range (line; a label that the header's list lacks, or more than 256); file_truncated (no rows).
Result<DataTable> parse_arff(std::string_view text, const ArffColumns& columns = {});
FileResult<DataTable> load_arff(const std::string& path, const ArffColumns& columns = {});

/// Digits as a stand-in for handwriting, without any file: strokes of ten glyphs, each row turned, sheared, scaled,
/// shifted, drawn with another pen and blurred onto `side` x `side` pixels with noise.
struct DigitSettings {
    int rows = 5000;
    int side = 8;
    float wobble = 1.0f;  ///< how much the strokes vary; 0: not at all
    float noise = 0.1f;   ///< deviation per pixel; pixels are in [0, 1] before it
    int domains = 0;  ///< users; each sees every pixel with a gain exp(shift N) and an offset shift N of its own
    float domain_shift = 0.5f;
};

/// Row k shows the digit k mod 10; with domains it is of user (k / 10) mod domains. Errors: bad_setting (position
/// in the struct).
Result<DataTable> draw_digits(const DigitSettings& settings, std::uint64_t seed);

}  // namespace dunlin
