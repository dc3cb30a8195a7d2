// SPDX-License-Identifier: Apache-2.0
#include "envs/data_pictures.hpp"

#include "envs/data_csv.hpp"
#include "envs/table_rows.hpp"

#include <algorithm>
#include <filesystem>
#include <initializer_list>
#include <optional>
#include <utility>

namespace dunlin {
namespace {

struct PictureFiles {
    std::string pictures, table;
};

/// The files of the folder, if there is one pair of them.
std::optional<PictureFiles> find_pair(const std::string& path) {
    std::vector<std::string> names;
    std::error_code error;
    for (std::filesystem::directory_iterator at(path, error), end; !error && at != end; at.increment(error)) {
        std::string name = at->path().filename().string();
        if (name.ends_with(".gz")) name.resize(name.size() - 3);
        names.push_back(std::move(name));
    }
    std::optional<PictureFiles> found;
    std::ranges::sort(names);
    for (const std::string& name : names) {
        constexpr std::string_view tail = "idx3-ubyte";
        if (!name.ends_with(tail)) continue;
        std::string stem = name.substr(0, name.size() - tail.size() - 1);
        for (std::string table : {stem + "-labels.csv", std::string("labels.csv")}) {
            constexpr std::string_view images = "-images";
            if (stem.ends_with(images) && table != "labels.csv")
                table = stem.substr(0, stem.size() - images.size()) + "-labels.csv";
            if (!std::ranges::binary_search(names, table)) continue;
            if (found) return {};  // which one?
            const std::string folder = path + "/";
            found = {plain_or_packed(folder + name), plain_or_packed(folder + table)};
            break;
        }
    }
    return found;
}

/// The column that `chosen` names, or one of the usual ones.
std::ptrdiff_t column_of(const std::vector<std::string_view>& titles, const std::string& chosen,
                         std::initializer_list<std::string_view> usual) {
    if (!chosen.empty()) return find_column(titles, chosen);
    for (const std::string_view name : usual) {
        if (const std::ptrdiff_t at = find_column(titles, name); at >= 0) return at;
    }
    return -1;
}

class PictureTable {
public:
    PictureTable(PictureSet& set, const TableChoice& choice) : set_(set), choice_(choice) {}

    FileResult<void> read(std::string_view text) {
        CsvReader csv(text);
        auto more = csv.next();
        if (!more) return tl::unexpected(more.error());
        if (!*more) return refuse_text({Code::file_truncated, 0, 1}, "the file is empty; expected titles and rows");
        const std::vector<std::string_view> titles = csv.fields();
        const auto label = column_of(titles, choice_.label, {"label", "class", "digit", "character"});
        const auto user = column_of(titles, choice_.user, {"user", "writer", "speaker", "drawer"});
        const auto split = find_column(titles, "split");
        if (label < 0)
            return refuse_line(Code::column_missing, csv.line(), 0,
                               "no column of labels; expected one called label, class, digit or character, or that "
                               "data.label names");
        if (user < 0 && !choice_.user.empty())
            return refuse_line(Code::column_missing, csv.line(), 1, "no column ", Quoted(choice_.user),
                               " (data.user)");
        std::size_t unused = 0;
        DataTable& table = set_.pictures;
        for (;;) {
            more = csv.next();
            if (!more) return tl::unexpected(more.error());
            if (!*more) break;
            if (csv.fields().size() != titles.size())
                return refuse_line(Code::column_count, csv.line(), std::ssize(csv.fields()), csv.fields().size(),
                                   " fields; the first line has ", titles.size());
            const auto field = [&](std::ptrdiff_t at) {
                return std::string(csv.fields()[static_cast<std::size_t>(at)]);
            };
            set_.labels.push_back(labels_.number(field(label)));
            if (user >= 0) table.users.push_back(users_.number(field(user)));
            if (split < 0) continue;
            const std::string use = field(split);
            table.uses.push_back(use == "train" ? RowUse::train : use == "test" ? RowUse::test : RowUse::none);
            unused += table.uses.back() == RowUse::none ? 1 : 0;
        }
        set_.label_names = labels_.sort(set_.labels);
        table.user_names = set_.user_names = users_.sort(table.users);
        if (split >= 0)
            table.notes.push_back(
                {"", 0,
                 "rows are trained and tested on as the column split says, and data.test_fraction "
                 "is not looked at"});
        if (unused > 0)
            table.notes.push_back({"unused_rows_of_split", static_cast<std::int64_t>(unused),
                                   sentence(unused, " rows are neither train nor test by the column split")});
        return {};
    }

private:
    PictureSet& set_;
    const TableChoice& choice_;
    Names labels_, users_;
};

constexpr std::size_t cifar_side = 32, cifar_pixels = cifar_side * cifar_side, cifar_record = 1 + 3 * cifar_pixels;

FileResult<void> add_cifar(std::string_view bytes, DataTable& table) {
    if (bytes.empty() || bytes.size() % cifar_record != 0)
        return refuse_text({Code::file_truncated, std::ssize(bytes), cifar_record}, std::ssize(bytes),
                           " bytes; expected a whole number of pictures of ", cifar_record, " bytes each");
    for (; !bytes.empty(); bytes.remove_prefix(cifar_record)) {
        const auto label = static_cast<unsigned char>(bytes[0]);
        if (label > 9)
            return refuse_text({Code::label_out_of_range, std::ssize(table.labels), label}, "picture ",
                               table.labels.size(), " of the file has the label ", static_cast<int>(label),
                               "; expected 0 to 9");
        table.labels.push_back(label);
        for (std::size_t pixel = 0; pixel < cifar_pixels; ++pixel) {
            for (std::size_t colour = 0; colour < 3; ++colour)
                table.values.push_back(
                    static_cast<float>(static_cast<unsigned char>(bytes[1 + colour * cifar_pixels + pixel])) /
                    255.0f);
        }
    }
    return {};
}

}  // namespace

bool has_pictures(const std::string& path) {
    return find_pair(path).has_value();
}

FileResult<PictureSet> load_pictures(const std::string& path, const TableChoice& choice) {
    const auto files = find_pair(path);
    if (!files)
        return tl::unexpected(
            FileFailure{path,
                        {Code::file_missing},
                        "expected one file NAME-images-idx3-ubyte with NAME-labels.csv beside it, "
                        "plain or packed"});
    auto pictures = load_file(files->pictures, parse_idx_images);
    if (!pictures) return tl::unexpected(pictures.error());
    const std::size_t count = pictures->rows();
    PictureSet set;
    set.pictures = *std::move(pictures);
    const auto text = read_data_file(files->table);
    if (!text) return tl::unexpected(text.error());
    if (auto read = PictureTable(set, choice).read(*text); !read) {
        read.error().path = files->table;
        return tl::unexpected(std::move(read.error()));
    }
    if (set.labels.size() != count || count == 0) {
        const Error error{Code::file_counts, std::ssize(set.labels), static_cast<std::int64_t>(count)};
        return tl::unexpected(
            FileFailure{files->table, error,
                        sentence(set.labels.size(), " rows, but ", files->pictures, " has ", count, " pictures")});
    }
    return set;
}

FileResult<DataTable> load_picture_table(const TableSource& source) {
    auto set = load_pictures(source.path, source.choice);
    if (!set) return tl::unexpected(set.error());
    DataTable table = std::move(set->pictures);
    if (set->label_names.size() > 256)
        return tl::unexpected(FileFailure{source.path,
                                          {Code::label_out_of_range, 0, std::ssize(set->label_names)},
                                          sentence(set->label_names.size(), " labels, of at most 256")});
    for (std::size_t row = 0; row < set->labels.size(); ++row)
        table.labels[row] = static_cast<std::uint8_t>(set->labels[row]);
    table.classes = static_cast<int>(set->label_names.size());
    table.class_names = std::move(set->label_names);
    return table;
}

bool has_cifar(const std::string& path) {
    std::error_code ignored;
    return std::filesystem::exists(plain_or_packed(path + "/data_batch_1.bin"), ignored);
}

FileResult<DataTable> load_cifar(const std::string& folder, IdxPart part) {
    DataTable table;
    table.image_height = table.image_width = static_cast<int>(cifar_side);
    table.features = static_cast<int>(3 * cifar_pixels);
    table.classes = 10;
    table.class_names = {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"};
    for (int number = 1; number <= 100; ++number) {
        const bool tests = part == IdxPart::test;
        const std::string path =
            plain_or_packed(folder + (tests ? "/test_batch.bin" : sentence("/data_batch_", number, ".bin")));
        std::error_code ignored;
        if (number > 1 && (tests || !std::filesystem::exists(path, ignored))) break;
        const auto bytes = read_data_file(path);
        if (!bytes) return tl::unexpected(bytes.error());
        if (auto added = add_cifar(*bytes, table); !added) {
            added.error().path = path;
            return tl::unexpected(std::move(added.error()));
        }
    }
    return table;
}

Result<void> resize_pictures(DataTable& table, int height, int width) {
    if (table.image_width == 0) return fail(Code::bad_setting, 0);
    if (height < 1 || width < 1 || height > 4096 || width > 4096) return fail(Code::bad_setting, 1);
    if (height == table.image_height && width == table.image_width) return {};
    const int colours = table.features / (table.image_height * table.image_width);
    const auto row_size = static_cast<std::size_t>(height) * static_cast<std::size_t>(width * colours);
    const std::size_t rows = table.values.size() / static_cast<std::size_t>(table.features);
    if (rows > data_cell_limit / row_size) return fail(Code::file_too_large);
    std::vector<float> values(rows * row_size);
    /// body(k, share) for each old pixel k of a side that falls on the new one.
    const auto each = [](int at, int from, int to, const auto& body) {
        const double scale = static_cast<double>(from) / to, low = at * scale, high = (at + 1) * scale;
        for (int k = static_cast<int>(low); k < from && k < high; ++k) {
            const double share = std::min(high, k + 1.0) - std::max(low, static_cast<double>(k));
            if (share > 1e-9) body(k, share / scale);
        }
    };
    for (std::size_t row = 0; row * row_size < values.size(); ++row) {
        const float* const old = table.values.data() + row * static_cast<std::size_t>(table.features);
        float* const made = values.data() + row * row_size;
        for (int y = 0; y < height; ++y) {
            for (int x = 0; x < width; ++x) {
                each(y, table.image_height, height, [&](int from_y, double share_y) {
                    each(x, table.image_width, width, [&](int from_x, double share_x) {
                        for (int c = 0; c < colours; ++c)
                            made[(y * width + x) * colours + c] +=
                                static_cast<float>(share_y * share_x) *
                                old[(from_y * table.image_width + from_x) * colours + c];
                    });
                });
            }
        }
    }
    table.values = std::move(values);
    table.image_height = height;
    table.image_width = width;
    table.features = height * width * colours;
    return {};
}

}  // namespace dunlin
