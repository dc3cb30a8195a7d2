// SPDX-License-Identifier: Apache-2.0
// The IDX format (Y. LeCun, C. Cortes, C. Burges: The MNIST database): two zero bytes, the type (8: unsigned byte),
// the number of dimensions, each dimension as a big-endian 32-bit number, the data.
#include "envs/data_table.hpp"

#include <array>

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

template <std::size_t N>
Result<IdxHeader<N>> parse_header(std::string_view bytes) {
    constexpr std::size_t length = 4 + 4 * N;
    if (bytes.size() < 4) return fail(Code::file_truncated, std::ssize(bytes), length);
    if (number_at(bytes, 0) != (0x800 | N)) return fail(Code::file_magic);
    if (bytes.size() < length) return fail(Code::file_truncated, std::ssize(bytes), length);
    IdxHeader<N> header;
    std::int64_t expected = 1;
    for (std::size_t k = 0; k < N; ++k) {
        const std::int64_t size = header.sizes[k] = number_at(bytes, 4 + 4 * k);
        if (k > 0 && (size < 1 || size > 4096)) return fail(Code::bad_width, size, static_cast<std::int64_t>(k));
        expected *= size;
    }
    header.data = bytes.substr(length);
    expected += length;
    if (std::ssize(bytes) < expected) return fail(Code::file_truncated, std::ssize(bytes), expected);
    if (std::ssize(bytes) > expected) return fail(Code::file_rest, std::ssize(bytes), expected);
    return header;
}

}  // namespace

Result<DataTable> parse_idx_images(std::string_view bytes) {
    const Result<IdxHeader<3>> header = parse_header<3>(bytes);
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

Result<std::vector<std::uint8_t>> parse_idx_labels(std::string_view bytes, int classes) {
    const Result<IdxHeader<1>> header = parse_header<1>(bytes);
    if (!header) return tl::unexpected(header.error());
    std::vector<std::uint8_t> labels(header->data.begin(), header->data.end());
    for (std::size_t k = 0; k < labels.size(); ++k) {
        if (labels[k] >= classes) return fail(Code::label_out_of_range, static_cast<std::int64_t>(k), labels[k]);
    }
    return labels;
}

FileResult<DataTable> load_idx(const std::string& images_path, const std::string& labels_path, int classes) {
    FileResult<DataTable> table = load_file(images_path, parse_idx_images);
    if (!table) return table;
    auto labels =
        load_file(labels_path, [classes](std::string_view bytes) { return parse_idx_labels(bytes, classes); });
    if (!labels) return tl::unexpected(labels.error());
    if (labels->size() != table->rows()) {
        const Error error{Code::file_counts, std::ssize(*labels), std::ssize(table->labels)};
        return tl::unexpected(FileProblem{labels_path, error});
    }
    table->labels = std::move(*labels);
    table->classes = classes;
    return table;
}

FileResult<DataTable> load_idx_folder(const std::string& folder, IdxPart part, int classes) {
    const std::string stem = folder + (part == IdxPart::train ? "/train" : "/t10k");
    return load_idx(plain_or_packed(stem + "-images-idx3-ubyte"), plain_or_packed(stem + "-labels-idx1-ubyte"),
                    classes);
}

}  // namespace dunlin
