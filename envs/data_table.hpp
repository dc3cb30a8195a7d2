// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "envs/classification.hpp"
#include "envs/data_file.hpp"
#include "envs/data_notes.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dunlin {

/// What a row is for, where the data say so.
enum class RowUse : std::uint8_t { train, test, none };

/// Rows of features with a label each, for hosts. Whatever is shared out among nodes is an index of a row.
struct DataTable {
    int features = 0;
    int classes = 0;
    std::vector<float> values;         ///< row-major; a missing value is NaN until standardise()
    std::vector<double> origin;        ///< by feature, what to add to its values (to_floats); empty: nothing
    std::vector<std::uint8_t> labels;  ///< `places` of each row, next to each other (LabelledRows)
    int places = 1;
    std::vector<std::int32_t> users;       ///< whose row it is, from 0; empty where rows belong to nobody
    std::vector<RowUse> uses;              ///< empty: the data do not say
    std::vector<std::string> class_names;  ///< empty: classes are numbers
    std::vector<std::string> user_names;
    std::vector<float> centre, scale;        ///< after standardise(): what each kept feature was less, and times
    std::vector<std::string> feature_names;  ///< empty: they have none
    DataNotes notes;                         ///< what reading and preparing it left out or changed
    int image_height = 0, image_width = 0;   ///< 0: not images; of colours, those of a pixel are next to each other
    int tokens = 0;                          ///< above 0: a feature is a token, one of so many kinds
    int first_label = 0;                     ///< of an IDX file: what class 0 is called there

    std::size_t rows() const { return labels.size() / static_cast<std::size_t>(places); }
    LabelledRows view(std::span<const std::uint32_t> chosen, const std::uint8_t* relabel = nullptr) const {
        return {values.data(), labels.data(), features, chosen, relabel, places};
    }

    /// Prepares features by what they are on the rows `fit` (rows that models train on; not empty): a missing value
    /// becomes the mean, a constant feature goes (or, with `keep_constant`, is 0), every other gets zero mean and unit
    /// variance. Notes constant_features and missing_values.
    void standardise(std::span<const std::uint32_t> fit, bool keep_constant = false);
    /// What class k is called in the data.
    std::string name_of_class(int k) const;
    /// Numbers the classes as they stand in `names`, some of which no row may have. Error: label_out_of_range (row,
    /// class).
    FileResult<void> name_classes(const std::vector<std::string>& names);
    /// Leaves the first `count` rows only; 0: all. Notes where there are fewer.
    void keep_first(int count);
};

/// How the labels of an IDX file are numbered.
struct IdxLabels {
    int first = -1;   ///< the label that becomes class 0 (letters count from 1); -1: the smallest in the file
    int classes = 0;  ///< 0: as many as the largest label says
};

/// Two IDX files (MNIST, Fashion-MNIST, EMNIST): images of 8-bit pixels, scaled to [0, 1], and their labels.
/// Errors of the texts: file_magic, file_truncated, file_rest; bad_width (first: a side that is not in [1, 4096]);
/// file_too_large (more numbers than a table may have); file_counts (images, labels); label_out_of_range (row,
/// label).
FileResult<DataTable> parse_idx_images(std::string_view bytes);
FileResult<std::vector<std::uint8_t>> parse_idx_labels(std::string_view bytes);
FileResult<DataTable> load_idx(const std::string& images_path, const std::string& labels_path,
                               const IdxLabels& labels = {});

enum class IdxPart : std::uint8_t { train, test };
/// The files train-images-idx3-ubyte and train-labels-idx1-ubyte of a folder, or t10k-... (test-...), plain or
/// packed. A dot may stand before "idx" and a name before it all, as in emnist-letters-train-images-idx3-ubyte;
/// where a folder has files of several names, `folder` is FOLDER/NAME. Error also: file_missing.
FileResult<DataTable> load_idx_folder(const std::string& folder, IdxPart part, const IdxLabels& labels = {});

/// What the columns of a table are for. The case of letters does not matter where only one column fits; a number
/// that is no name counts columns from 1, or backwards from -1.
struct TableChoice {
    std::string label{};                  ///< empty: class, label, activity, ...; else the last nominal one
    std::string user{};                   ///< empty: user, subject, ...; where there is none, rows belong to nobody
    std::vector<std::string> ignored{};   ///< besides UNIQUE_ID
    std::vector<std::string> features{};  ///< these alone, in this order; empty: the others, in the file's
    std::vector<std::string> classes{};   ///< the labels, from class 0 on; empty: by the file
};

/// An ARFF file as Weka writes it: features with a label, and perhaps a user, per row, dense or sparse; "?" is
/// missing. Numeric features stay as they are, a date becomes seconds since 1970, a nominal feature one column of 0
/// and 1 for each of its values. Rows without a label or a user are left out, instance weights too. Labels are
/// numbered in the order of the header's list, or alphabetically where the header has none, users by number or
/// name. Notes what was chosen, left out and changed.
///
/// Errors, where they are about a line with that first: file_magic (no @relation, @attribute or @data); file_syntax
/// (a declaration or a row that cannot be read; a feature that is text); column_missing (0 label, 1 user, 2 any
/// feature, 3 one to ignore, 4 one of `features` and which); column_count; bad_number (line, column); label_out_of_range (a value that the
/// header's list lacks, or more than 256 labels); file_truncated (no row); file_too_large (more numbers than a
/// table may have).
FileResult<DataTable> parse_arff(std::string_view text, const TableChoice& choice = {});
FileResult<DataTable> load_arff(const std::string& path, const TableChoice& choice = {});
/// Whether a text begins as ARFF does.
bool looks_like_arff(std::string_view text);

/// Whether the first line of a CSV file names the columns.
enum class CsvTitles : std::uint8_t {
    automatic,  ///< it does if it has no number
    yes,
    no  ///< columns are called 1, 2, ...
};

/// A table as comma-separated values (RFC 4180); or, where the first line has no comma, with semicolons or tabs. A
/// column is numbers alone or text alone; a feature that is text becomes one column of 0 and 1 for each of its
/// values, 256 at most. Labels are numbered as they sort: numbers by size, then the others by their bytes; users
/// too. A column whose title is empty is left out. Notes what was chosen and changed.
///
/// Errors: those of CsvReader; file_truncated (no row); column_count; column_missing as parse_arff's; bad_number (a
/// value that is missing or not finite, or text among numbers: line, column); label_out_of_range (a label that
/// `classes` lacks, or more than 256); file_syntax (a second column of a name; a text feature of too many values);
/// file_too_large.
FileResult<DataTable> parse_csv(std::string_view text, const TableChoice& choice = {},
                                CsvTitles titles = CsvTitles::automatic);
FileResult<DataTable> load_csv(const std::string& path, const TableChoice& choice = {},
                               CsvTitles titles = CsvTitles::automatic);

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
