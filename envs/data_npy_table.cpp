// SPDX-License-Identifier: Apache-2.0
#include "envs/data_columns.hpp"
#include "envs/data_npy.hpp"
#include "envs/table_rows.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>

namespace dunlin {
namespace {

constexpr std::size_t side_limit = 4096, width_limit = TableHeader::column_limit;

/// A file's bytes and the array in them.
struct Loaded {
    std::string path, bytes;
    NpyArray array;
    Loaded() = default;
    Loaded(const Loaded&) = delete;  // the array points into the bytes
};

FileResult<void> load(const std::string& path, Loaded& out) {
    FileResult<std::string> bytes = read_data_file(path);
    if (!bytes) return tl::unexpected(bytes.error());
    out.path = path;
    out.bytes = *std::move(bytes);
    FileResult<NpyArray> array = NpyArray::parse(out.bytes);
    if (!array) {
        array.error().path = path;
        return tl::unexpected(std::move(array.error()));
    }
    out.array = *std::move(array);
    return {};
}

/// Names of files that hold the labels of one of this name, the likeliest first.
std::vector<std::string> label_files(const std::string& path) {
    std::string stem = path.substr(path.rfind('/') + 1);
    stem.resize(std::min(stem.size(), stem.rfind(".npy")));
    std::vector<std::string> stems;
    const auto replace = [&](std::string_view from, std::string_view to) {
        std::string other = stem;
        if (const std::size_t at = other.find(from); at != other.npos)
            stems.push_back(other.replace(at, from.size(), to));
    };
    if (stem == "X" || stem == "x" || stem.starts_with("X_") || stem.starts_with("x_"))
        stems.push_back(sentence("y", stem.substr(1)));
    for (const std::string_view word : {"features", "images", "data"}) replace(word, "labels");
    for (const std::string_view tail : {"_labels", "-labels"}) stems.push_back(stem + std::string(tail));
    stems.insert(stems.end(), {"labels", "y"});
    for (std::string& name : stems) name += ".npy";
    return stems;
}

class NpyTable {
public:
    explicit NpyTable(const TableSource& source) : source_(source) {}

    FileResult<DataTable> read() {
        if (auto read = load(source_.path, rows_); !read) return tl::unexpected(read.error());
        const std::vector<std::size_t>& shape = rows_.array.shape();
        if (shape.empty() || shape[0] == 0 || rows_.array.count() == 0)
            return refuse({Code::file_truncated, 0, 1}, "no rows; expected an array of rows by columns");
        if (rows_.array.is_text())
            return refuse({Code::file_magic}, "texts; expected numbers, a row of features for each sample");
        count_ = shape[0];
        width_ = rows_.array.count() / count_;
        if (width_ > width_limit)
            return refuse({Code::bad_width, static_cast<std::int64_t>(width_)}, width_,
                          " numbers in a row, of at most ", width_limit);
        used_.assign(width_, false);
        for (const std::string& name : source_.choice.ignored) {
            const auto at = column(name, "data.ignored", 3, 0);
            if (!at) return tl::unexpected(at.error());
            used_[*at] = true;
        }
        if (auto labelled = read_labels(); !labelled) return tl::unexpected(labelled.error());
        if (!source_.choice.user.empty()) {
            if (auto read = read_names(source_.choice.user, "data.user", 1, users_, table_.users); !read)
                return tl::unexpected(read.error());
            table_.user_names = users_.sort(table_.users);
        }
        if (auto read = read_features(); !read) return tl::unexpected(read.error());
        return std::move(table_);
    }

private:
    template <class... Parts>
    tl::unexpected<FileFailure> refuse(Error error, const Parts&... parts) const {
        return tl::unexpected(FileFailure{source_.path, error, sentence(parts...)});
    }

    FileResult<std::size_t> column(std::string_view name, std::string_view setting, std::int64_t which,
                                   std::int64_t place) const {
        const auto number = parse_integer(name);
        const auto width = static_cast<std::int64_t>(width_);
        if (number && *number >= 1 && *number <= width) return static_cast<std::size_t>(*number - 1);
        if (number && *number < 0 && *number >= -width) return static_cast<std::size_t>(width + *number);
        return refuse({Code::column_missing, which, place}, setting, " = ", Quoted(name),
                      ": no such column; the array has columns 1 to ", width_);
    }

    /// False: the column is something else already.
    bool use(std::size_t at) {
        const bool free = !used_[at];
        used_[at] = true;
        return free;
    }

    FileResult<void> read_labels() {
        std::string from = source_.choice.label;
        const std::string folder = source_.path.substr(0, source_.path.rfind('/') + 1);
        if (from.empty()) {
            const std::vector<std::string> names = label_files(source_.path);
            std::error_code ignored;
            for (const std::string& name : names) {
                if (!from.empty() || !std::filesystem::exists(plain_or_packed(folder + name), ignored)) continue;
                from = name;
                table_.notes.push_back({"", 0, sentence("the labels are those of ", Quoted(name))});
            }
            if (from.empty())
                return refuse({Code::column_missing, 0}, "no labels; beside it was expected one of ",
                              quoted_list(names), ", or data.label = FILE.npy or the number of a column");
        }
        std::vector<std::int32_t> numbers;
        if (auto read = read_names(from, "data.label", 0, labels_, numbers); !read) return read;
        if (labels_.size() > 256)
            return refuse({Code::label_out_of_range, 0, static_cast<std::int64_t>(labels_.size())}, labels_.size(),
                          " different labels, of at most 256; are they numbers to predict? data.label names the "
                          "classes");
        table_.class_names = labels_.sort(numbers);
        table_.classes = static_cast<int>(table_.class_names.size());
        table_.labels.assign(numbers.begin(), numbers.end());
        return {};
    }

    /// One name a row: of a file beside the array, or of one of its columns.
    FileResult<void> read_names(const std::string& from, std::string_view setting, std::int64_t which, Names& names,
                                std::vector<std::int32_t>& numbers) {
        if (parse_integer(from)) {
            const auto at = column(from, setting, which, 0);
            if (!at) return tl::unexpected(at.error());
            if (!use(*at))
                return refuse({Code::column_missing, which}, setting, " = ", Quoted(from),
                              ": another setting names this column too");
            return number_names(rows_, width_, *at, names, numbers);
        }
        const std::string folder = source_.path.substr(0, source_.path.rfind('/') + 1);
        Loaded beside;
        if (auto read = load(plain_or_packed((from.starts_with('/') ? "" : folder) + from), beside); !read)
            return read;
        if (beside.array.count() != count_ || beside.array.shape().empty() || beside.array.shape()[0] != count_)
            return tl::unexpected(FileFailure{
                beside.path,
                {Code::file_counts, static_cast<std::int64_t>(beside.array.count()),
                 static_cast<std::int64_t>(count_)},
                sentence(beside.array.count(), " elements, but ", source_.path, " has ", count_,
                         " rows; expected one a row (classes, not one-hot rows: array.argmax(axis=1))")});
        return number_names(beside, 1, 0, names, numbers);
    }

    FileResult<void> number_names(const Loaded& from, std::size_t width, std::size_t at, Names& names,
                                  std::vector<std::int32_t>& numbers) const {
        for (std::size_t row = 0; row < count_; ++row) {
            const std::size_t k = row * width + at;
            if (!from.array.is_text() && !std::isfinite(from.array.number(k)))
                return not_finite(from.path, row, at);
            const std::string name = from.array.text(k);
            if (name.empty())
                return tl::unexpected(FileFailure{from.path,
                                                  {Code::bad_number, static_cast<std::int64_t>(row + 1), 1},
                                                  sentence("row ", row + 1, " has no name; fill it in")});
            numbers.push_back(names.number(name));
        }
        return {};
    }

    static tl::unexpected<FileFailure> not_finite(const std::string& path, std::size_t row, std::size_t column) {
        return tl::unexpected(FileFailure{
            path,
            {Code::bad_number, static_cast<std::int64_t>(row + 1), static_cast<std::int64_t>(column + 1)},
            sentence(
                "row ", row + 1, ", column ", column + 1,
                ": NaN, infinity or too large for 32 bits; fill it in, remove the row, or leave the column out "
                "with data.ignored")});
    }

    FileResult<void> read_features() {
        const std::vector<std::size_t>& shape = rows_.array.shape();
        std::vector<std::size_t> columns;
        for (std::size_t k = 0; k < source_.choice.features.size(); ++k) {
            const auto at = column(source_.choice.features[k], "data.features", 4, static_cast<std::int64_t>(k));
            if (!at) return tl::unexpected(at.error());
            if (!use(*at))
                return refuse({Code::column_missing, 4, static_cast<std::int64_t>(k)},
                              "data.features = ", Quoted(source_.choice.features[k]),
                              ": another setting names this column too");
            columns.push_back(*at);
        }
        if (columns.empty()) {
            for (std::size_t k = 0; k < width_; ++k) {
                if (!used_[k]) columns.push_back(k);
            }
        }
        if (columns.empty())
            return refuse({Code::column_missing, 2}, "no column is left as a feature of ", width_,
                          "; expected one at least besides label, user and what is ignored");
        table_.features = static_cast<int>(columns.size());
        const bool images = rows_.array.is_bytes() && shape.size() == 3 && columns.size() == width_ &&
                            shape[1] <= side_limit && shape[2] <= side_limit;
        if (images) {
            table_.image_height = static_cast<int>(shape[1]);
            table_.image_width = static_cast<int>(shape[2]);
            table_.values.reserve(rows_.array.count());
            for (std::size_t k = 0; k < rows_.array.count(); ++k)
                table_.values.push_back(static_cast<float>(rows_.array.number(k)) / 255.0f);
            return {};
        }
        std::vector<double> cells;
        cells.reserve(count_ * columns.size());
        for (std::size_t row = 0; row < count_; ++row) {
            for (const std::size_t at : columns) {
                const double value = rows_.array.number(row * width_ + at);
                if (!(std::abs(value) <= static_cast<double>(std::numeric_limits<float>::max())))
                    return not_finite(source_.path, row, at);
                cells.push_back(value);
            }
        }
        table_.values = to_floats(cells, columns.size(), table_.origin);
        for (const std::size_t at : columns) table_.feature_names.push_back(std::to_string(at + 1));
        return {};
    }

    const TableSource& source_;
    Loaded rows_;
    std::size_t count_ = 0, width_ = 0;
    std::vector<bool> used_;  ///< columns that are something else than features
    Names labels_, users_;
    DataTable table_;
};

}  // namespace

FileResult<DataTable> load_npy(const TableSource& source) {
    return NpyTable(source).read();
}

}  // namespace dunlin
