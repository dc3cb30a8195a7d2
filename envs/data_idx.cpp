// SPDX-License-Identifier: Apache-2.0
// The IDX format (Y. LeCun, C. Cortes, C. Burges: The MNIST database): two zero bytes, the type (8: unsigned byte),
// the number of dimensions, each dimension as a big-endian 32-bit number, the data.
#include "envs/data_table.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>

namespace dunlin {
namespace {

template <std::size_t N>
struct IdxHeader {
    std::array<std::int64_t, N> sizes{};
    std::string_view data;
};

std::int64_t number_at(std::string_view bytes, std::size_t place) {
    std::int64_t value = 0;
    for (std::size_t k = 0; k < 4; ++k) value = value << 8 | static_cast<unsigned char>(bytes[place + k]);
    return value;
}

/// What the first four bytes say.
std::string kind_text(std::int64_t magic) {
    constexpr std::pair<std::int64_t, std::string_view> types[] = {
        {0x08, "unsigned bytes"},  {0x09, "signed bytes"}, {0x0b, "16-bit integers"},
        {0x0c, "32-bit integers"}, {0x0d, "32-bit reals"}, {0x0e, "64-bit reals"}};
    for (const auto& [type, name] : types) {
        const std::int64_t dimensions = magic & 0xff;
        if (magic >> 8 == type && dimensions > 0 && dimensions < 8)
            return sentence("it holds ", name, " in ", dimensions, dimensions == 1 ? " dimension" : " dimensions");
    }
    return "it does not begin as an IDX file does";
}

template <std::size_t N>
FileResult<IdxHeader<N>> parse_header(std::string_view bytes) {
    constexpr std::size_t length = 4 + 4 * N;
    constexpr std::string_view meant = N == 1
                                           ? "labels (unsigned bytes in 1 dimension)"
                                           : "grey images (unsigned bytes in 3 dimensions: count, height, width)";
    const auto cut = [&](std::int64_t expected) {
        return refuse_text({Code::file_truncated, std::ssize(bytes), expected}, std::ssize(bytes), " bytes where ",
                           expected, " are expected; the file is cut off, get a whole copy");
    };
    if (bytes.size() < 4) return cut(length);
    if (number_at(bytes, 0) != (0x800 | N))
        return refuse_text({Code::file_magic}, kind_text(number_at(bytes, 0)), "; expected an IDX file of ", meant);
    if (bytes.size() < length) return cut(length);
    IdxHeader<N> header;
    std::int64_t expected = 1;
    for (std::size_t k = 0; k < N; ++k) {
        const std::int64_t size = header.sizes[k] = number_at(bytes, 4 + 4 * k);
        if (k > 0 && (size < 1 || size > 4096))
            return refuse_text({Code::bad_width, size, static_cast<std::int64_t>(k)}, "images ",
                               k == 1 ? "of height " : "of width ", size, "; expected 1 to 4096 pixels");
        expected *= size;
    }
    header.data = bytes.substr(length);
    expected += length;
    if (std::ssize(bytes) < expected) return cut(expected);
    if (std::ssize(bytes) > expected)
        return refuse_text({Code::file_rest, std::ssize(bytes), expected}, std::ssize(bytes),
                           " bytes where the header "
                           "promises ",
                           expected, "; header and data do not belong together");
    if (N > 1 && header.data.size() > data_cell_limit)
        return refuse_text(
            {Code::file_too_large, std::ssize(header.data), static_cast<std::int64_t>(data_cell_limit)},
            std::ssize(header.data), " pixels in all, of at most ", data_cell_limit);
    return header;
}

/// Files that hold one part of a set: by the set's name, the path. A plain file comes before a packed one.
using Found = std::map<std::string, std::string>;

Found find_files(const std::filesystem::path& folder, std::string_view part, std::string_view kind) {
    Found found;
    std::error_code error;
    for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
        std::string name = at->path().filename().string();
        const bool packed = name.ends_with(".gz");
        if (packed) name.resize(name.size() - 3);
        const std::string_view digits = kind == "images" ? "idx3-ubyte" : "idx1-ubyte";
        std::string_view stem = name;
        const auto drop = [&stem](std::string_view tail) {
            const bool there = stem.ends_with(tail);
            if (there) stem.remove_suffix(tail.size());
            return there;
        };
        if (!drop(digits) || (!drop("-") && !drop(".")) || !drop(kind) || !drop("-") || !drop(part)) continue;
        if (!stem.empty() && !drop("-") && !drop("_") && !drop(".")) continue;
        std::string& place = found[std::string(stem)];
        if (place.empty() || !packed) place = at->path().string();
    }
    return found;
}

FileResult<std::string> find_file(const std::string& path, std::initializer_list<std::string_view> parts,
                                  std::string_view kind) {
    std::filesystem::path folder(path);
    std::error_code ignored;
    std::string set;  // FOLDER/NAME, where several sets share a folder
    const bool named = !std::filesystem::is_directory(folder, ignored);
    if (named) {
        set = folder.filename().string();
        folder = folder.parent_path().empty() ? "." : folder.parent_path();
    }
    std::vector<std::string> others;
    for (const std::string_view part : parts) {
        const Found found = find_files(folder, part, kind);
        if (const auto own = found.find(set); own != found.end()) return own->second;
        if (!named && found.size() == 1) return found.begin()->second;
        for (const auto& [name, file] : found) others.push_back(name);
    }
    const std::string expected =
        sentence(*parts.begin(), "-", kind, kind == "images" ? "-idx3" : "-idx1", "-ubyte");
    const auto refuse = [&](std::string_view what) {
        return tl::unexpected(
            FileFailure{path + "/" + expected, {Code::file_missing}, sentence("cannot be opened: ", what)});
    };
    if (!others.empty())
        return refuse(sentence("the folder has files of ", quoted_list(others),
                               "; expected FOLDER/NAME with one of these names"));
    if (named) return refuse("there is no such folder; check the path and the permissions");
    return refuse(
        "the folder has no file of this name; .gz may follow, a dot may stand before idx, and a name "
        "before it all");
}

/// Makes labels classes from 0.
FileResult<void> number_classes(DataTable& table, const IdxLabels& how) {
    if (table.labels.empty()) return refuse_text({Code::file_truncated, 0, 1}, "no labels; expected one at least");
    const auto [least, most] = std::minmax_element(table.labels.begin(), table.labels.end());
    const int first = how.first >= 0 ? how.first : *least, last = *most;
    const int classes = how.classes > 0 ? how.classes : last - first + 1;
    for (std::size_t row = 0; row < table.labels.size(); ++row) {
        const int label = table.labels[row];
        if (label < first || label >= first + classes)
            return refuse_text({Code::label_out_of_range, static_cast<std::int64_t>(row), label}, "row ", row,
                               " has the label ", label, "; expected ", first, " to ", first + classes - 1,
                               how.first >= 0 && how.classes == 0 ? " (data.first_label)" : "");
    }
    for (std::uint8_t& label : table.labels) label = static_cast<std::uint8_t>(label - first);
    table.classes = classes;
    table.first_label = first;
    if (first > 0)
        table.notes.push_back(
            {"first_label", first,
             sentence("labels ", first, " to ", first + classes - 1, " became classes 0 to ", classes - 1)});
    return {};
}

}  // namespace

FileResult<DataTable> parse_idx_images(std::string_view bytes) {
    const FileResult<IdxHeader<3>> header = parse_header<3>(bytes);
    if (!header) return tl::unexpected(header.error());
    DataTable table;
    table.image_height = static_cast<int>(header->sizes[1]);
    table.image_width = static_cast<int>(header->sizes[2]);
    table.features = table.image_height * table.image_width;
    table.labels.resize(static_cast<std::size_t>(header->sizes[0]));
    table.values.reserve(header->data.size());
    for (char pixel : header->data) {
        table.values.push_back(static_cast<float>(static_cast<unsigned char>(pixel)) / 255.0f);
    }
    return table;
}

FileResult<std::vector<std::uint8_t>> parse_idx_labels(std::string_view bytes) {
    const FileResult<IdxHeader<1>> header = parse_header<1>(bytes);
    if (!header) return tl::unexpected(header.error());
    return std::vector<std::uint8_t>(header->data.begin(), header->data.end());
}

FileResult<DataTable> load_idx(const std::string& images_path, const std::string& labels_path,
                               const IdxLabels& labels) {
    FileResult<DataTable> table = load_file(images_path, parse_idx_images);
    if (!table) return table;
    auto read = load_file(labels_path, parse_idx_labels);
    if (!read) return tl::unexpected(read.error());
    if (read->size() != table->rows()) {
        const Error error{Code::file_counts, std::ssize(*read), std::ssize(table->labels)};
        return tl::unexpected(
            FileFailure{labels_path, error,
                        sentence(read->size(), " labels, but ", images_path, " has ", table->rows(), " images")});
    }
    table->labels = std::move(*read);
    if (auto numbered = number_classes(*table, labels); !numbered) {
        numbered.error().path = labels_path;
        return tl::unexpected(std::move(numbered.error()));
    }
    return table;
}

FileResult<DataTable> load_idx_folder(const std::string& folder, IdxPart part, const IdxLabels& labels) {
    const auto find = [&](std::string_view kind) {
        return part == IdxPart::train ? find_file(folder, {"train"}, kind)
                                      : find_file(folder, {"t10k", "test"}, kind);
    };
    const auto images_file = find("images"), labels_file = find("labels");
    if (!images_file) return tl::unexpected(images_file.error());
    if (!labels_file) return tl::unexpected(labels_file.error());
    return load_idx(*images_file, *labels_file, labels);
}

}  // namespace dunlin
