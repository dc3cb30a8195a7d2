// SPDX-License-Identifier: Apache-2.0
#include "envs/data_formats.hpp"

#include "envs/data_npy.hpp"
#include "envs/data_pictures.hpp"

#include <algorithm>
#include <filesystem>

namespace dunlin {
namespace {

/// The end of a file's name, plain or packed, whatever the case of its letters.
bool ends(std::string_view path, std::string_view tail) {
    const auto cut = [&path](std::string_view what) {
        if (path.size() < what.size() || !same_but_case(path.substr(path.size() - what.size()), what)) return false;
        path.remove_suffix(what.size());
        return true;
    };
    cut(".gz");
    return cut(tail);
}

bool is_folder(const std::string& path) {
    std::error_code ignored;
    return std::filesystem::is_directory(path, ignored);
}

bool is_idx(const std::string& path) {
    std::error_code ignored;
    return is_folder(path) || !std::filesystem::is_regular_file(path, ignored);  // FOLDER/NAME
}

/// Of "x-images-idx3-ubyte", "x-labels-idx1-ubyte".
std::string labels_beside(std::string path) {
    for (const auto& [from, to] : {std::pair{"images", "labels"}, std::pair{"idx3", "idx1"}}) {
        if (const std::size_t at = path.rfind(from); at != path.npos)
            path.replace(at, std::string(from).size(), to);
    }
    std::error_code ignored;
    if (path.ends_with(".gz") && !std::filesystem::exists(path, ignored)) path.resize(path.size() - 3);
    return plain_or_packed(path);
}

constexpr TableFormat formats[] = {
    {.name = "CSV",
     .fits = [](const std::string& path) { return !is_folder(path) && (ends(path, ".csv") || ends(path, ".tsv")); },
     .load = [](const TableSource& s) { return load_csv(s.path, s.choice, s.titles); }},
    {.name = "ARFF",
     .fits = [](const std::string& path) { return !is_folder(path) && ends(path, ".arff"); },
     .load = [](const TableSource& s) { return load_arff(s.path, s.choice); }},
    {.name = "NPY",
     .fits = [](const std::string& path) { return !is_folder(path) && ends(path, ".npy"); },
     .load = load_npy},
    {.name = "IDX",
     .fits = [](const std::string& path) { return !is_folder(path) && ends(path, "idx3-ubyte"); },
     .load = [](const TableSource& s) { return load_idx(s.path, labels_beside(s.path), s.labels); }},
    {.name = "pictures with a table of labels", .fits = has_pictures, .load = load_picture_table},
    {.name = "CIFAR",
     .fits = has_cifar,
     .load = [](const TableSource& s) { return load_cifar(s.path, IdxPart::train); },
     .load_test = [](const TableSource& s) { return load_cifar(s.path, IdxPart::test); }},
    {.name = "IDX",
     .fits = is_idx,
     .load = [](const TableSource& s) { return load_idx_folder(s.path, IdxPart::train, s.labels); },
     .load_test = [](const TableSource& s) { return load_idx_folder(s.path, IdxPart::test, s.labels); }},
    {.name = "ARFF",
     .fits = [](const std::string&) { return true; },
     .load = [](const TableSource& s) { return load_arff(s.path, s.choice); }}};

}  // namespace

const TableFormat& table_format(const std::string& path) {
    return *std::ranges::find_if(formats, [&](const TableFormat& format) { return format.fits(path); });
}

FileResult<DataTable> load_table(const TableSource& source) {
    auto table = table_format(source.path).load(source);
    if (!table || source.choice.classes.empty()) return table;
    if (auto named = table->name_classes(source.choice.classes); !named) {
        named.error().path = source.path;
        return tl::unexpected(std::move(named.error()));
    }
    return table;
}

}  // namespace dunlin
