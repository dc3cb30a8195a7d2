// SPDX-License-Identifier: Apache-2.0
// Data that a node brings itself: what its job wants, and how a file is held against it.
#include "envs/data_formats.hpp"
#include "training/host/plain_text.hpp"
#include "training/problems/classification_data.hpp"
#include "training/settings/reading.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace dunlin {
namespace {

/// What the job names.
Outcome<DataTable> wanted_table(const DataSettings& s) {
    DataTable table;
    const std::size_t named = s.columns.features.size();
    table.features = named > 0 ? static_cast<int>(named) : s.inputs;
    if (named > 0 && s.inputs > 0 && static_cast<std::size_t>(s.inputs) != named)
        return refuse(
            fmt::format("data.inputs = {}, but data.features names {}; leave one of them out", s.inputs, named));
    if (table.features == 0)
        return refuse(
            "data.source = nodes: nobody here sees the data, so data.features says which columns nodes are to "
            "have, "
            "or data.inputs how many numbers");
    const auto distinct = [](const std::vector<std::string>& names) {
        return std::set<std::string>(names.begin(), names.end()).size() == names.size();
    };
    if (!distinct(s.columns.features)) return refuse("data.features: a name stands there twice");
    if (s.columns.classes.size() < 2 || s.columns.classes.size() > 256 || !distinct(s.columns.classes))
        return refuse(
            "data.source = nodes: nobody here sees the data, so data.classes lists the labels, 2 to 256 different "
            "ones");
    const auto width = static_cast<std::size_t>(table.features);
    for (const auto& [key, list] : {std::pair{"data.centre", &s.centre}, std::pair{"data.scale", &s.scale}}) {
        if (!list->empty() && list->size() != width)
            return refuse(fmt::format("{} has {} numbers for {} features", key, list->size(), width));
    }
    if (std::ranges::count(s.scale, 0.0f) > 0) return refuse("data.scale: 0 would leave nothing of a feature");
    if (!s.resize.empty())
        return refuse("data.resize: nodes with data of their own bring pictures of the size that the model takes");
    if (s.split.conflicting) return refuse("data.conflicting: nodes with data of their own keep their labels");
    table.classes = static_cast<int>(s.columns.classes.size());
    table.class_names = s.columns.classes;
    table.feature_names = s.columns.features;
    if (!s.centre.empty() || !s.scale.empty()) {
        table.centre = s.centre.empty() ? std::vector<float>(width, 0.0f) : s.centre;
        table.scale = s.scale.empty() ? std::vector<float>(width, 1.0f) : s.scale;
    }
    return table;
}

/// A problem whose text is for this machine's eyes, and what others may hear of it.
tl::unexpected<Failure> private_failure(std::string text, std::string told) {
    return tl::unexpected<Failure>(Failure{std::move(text), false, std::move(told)});
}

/// What others may hear of a file that does not fit: what the job names, and nothing that the file says.
std::string told_of(const FileFailure& wrong, const DataSettings& s) {
    const Error& error = wrong.error;
    switch (error.code) {
        case Code::column_missing:
            if (error.first == 4 && error.second < std::ssize(s.columns.features))
                return fmt::format("its data lack the column {} that data.features names",
                                   Quoted(s.columns.features[static_cast<std::size_t>(error.second)]).view());
            if (error.first == 0)
                return s.columns.label.empty() ? "its data have no column of classes; data.label names it"
                                               : fmt::format("its data lack the column {} that data.label names",
                                                             Quoted(s.columns.label).view());
            return "its data lack a column that the job names";
        case Code::label_out_of_range:
            return "its data have a label that data.classes does not list";
        case Code::file_missing:
            return "its data are not where its --data says";
        case Code::file_too_large:
            return "its data are too large";
        case Code::bad_number:
        case Code::column_count:
            return "its data have a value that is missing or no number";
        default:
            return "its data cannot be read";
    }
}

/// As the job wants them: less `centre`, times `scale`.
void normalise(DataTable& table, const std::vector<float>& centre, const std::vector<float>& scale) {
    const auto width = static_cast<std::size_t>(table.features);
    for (std::size_t at = 0; at < table.values.size(); ++at) {
        const std::size_t k = at % width;
        const double value = static_cast<double>(table.values[at]) + (table.origin.empty() ? 0.0 : table.origin[k]);
        table.values[at] =
            centre.empty()
                ? static_cast<float>(value)
                : static_cast<float>((value - static_cast<double>(centre[k])) * static_cast<double>(scale[k]));
    }
    table.origin.clear();
    table.centre = centre;
    table.scale = scale;
}

/// Held against what the job wants.
Outcome<void> check_shape(const DataTable& table, const DataTable& wanted, const std::string& path) {
    if (table.features == wanted.features &&
        (wanted.feature_names.empty() || table.feature_names == wanted.feature_names))
        return {};
    std::string told =
        fmt::format("its data have {} features, and the job wants {}", table.features, wanted.features);
    if (table.features == wanted.features || !wanted.feature_names.empty())
        told = "a feature of its data is words, and the job wants numbers";
    return private_failure(fmt::format("{}: {}", path, told), told);
}

}  // namespace

Outcome<SharedData> read_own_data(const DataSettings& s, const std::string& path, std::uint64_t seed) {
    auto wanted = wanted_table(s);
    if (!wanted) return tl::unexpected(wanted.error());
    const bool by_itself = wanted->centre.empty() && s.standardise;
    std::string input;
    if (by_itself)
        input = fmt::format("{} features, each less its mean and over its deviation on the rows of who uses it",
                            wanted->features);
    if (path.empty()) return SharedData{*std::move(wanted), {}, {}, {}, std::move(input)};
    // A job names columns, or files beside the data; where else a node has files is not for it to say, or to ask.
    for (const std::string& name : {s.columns.label, s.columns.user}) {
        if (name.find('/') == std::string::npos) continue;
        const std::string told = "data.label and data.user name files in another folder than the node's data";
        return private_failure(fmt::format("{}: {}", path, told), told);
    }

    const TableSource source{
        .path = path, .choice = s.columns, .titles = s.titles, .labels = {.first = s.first_label}};
    auto loaded = load_table(source);
    if (!loaded) return private_failure(refuse(loaded.error()).value().text, told_of(loaded.error(), s));
    DataTable& table = *loaded;
    if (auto fits = check_shape(table, *wanted, path); !fits) return tl::unexpected(fits.error());
    table.keep_first(s.rows);
    SplitSettings split = s.split;
    split.kind = Split::uniform;
    split.nodes = 1;
    auto parts = split_rows(table, split, seed);
    if (!parts) {
        const std::string told = "its data have too few rows to train on and to hold out";
        return private_failure(fmt::format("{}: {} rows: {}", path, table.rows(), told), told);
    }
    if (by_itself) {
        table.standardise(parts->front().train, true);
        table.centre.clear();  // this node's alone: no model of the job goes by them
        table.scale.clear();
    } else {
        if (std::ranges::any_of(table.values, [](float value) { return std::isnan(value); }))
            return private_failure(fmt::format("{}: a value is missing; fill it in, or remove the row", path),
                                   "its data have a value that is missing");
        normalise(table, wanted->centre, wanted->scale);
    }
    DataNotes notes = std::move(table.notes);
    return SharedData{std::move(table), *std::move(parts), std::move(notes), {}, std::move(input)};
}

}  // namespace dunlin
