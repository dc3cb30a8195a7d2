// SPDX-License-Identifier: Apache-2.0
#include "envs/data_table.hpp"

#include "envs/data_columns.hpp"

#include <algorithm>
#include <cmath>

namespace dunlin {

void DataTable::standardise(std::span<const std::uint32_t> fit, bool keep_constant) {
    const auto width = static_cast<std::size_t>(features);
    ColumnScaling scaling(width);
    for (const std::uint32_t row : fit) scaling.see(values.data() + row * width);
    for (const std::uint32_t row : fit) scaling.measure(values.data() + row * width);
    std::vector<std::size_t> kept;
    std::vector<std::string> kept_names, gone;
    for (std::size_t f = 0; f < width; ++f) {
        const std::string name = feature_names.empty() ? "feature " + std::to_string(f) : feature_names[f];
        if (scaling.constant(f) && !keep_constant) {
            gone.push_back(name);
            continue;
        }
        kept.push_back(f);
        if (!feature_names.empty()) kept_names.push_back(name);
    }
    centre.clear();
    scale.clear();
    for (const std::size_t f : kept) {
        centre.push_back(static_cast<float>(scaling.mean(f) + (origin.empty() ? 0.0 : origin[f])));
        scale.push_back(static_cast<float>(scaling.factor(f)));
    }
    std::int64_t missing = 0;
    std::vector<float> scaled;
    scaled.reserve(rows() * kept.size());
    for (std::size_t row = 0; row < rows(); ++row) {
        for (const std::size_t f : kept) {
            const float value = values[row * width + f];
            missing += std::isnan(value) ? 1 : 0;
            scaled.push_back(scaling.scaled(f, value));
        }
    }
    values = std::move(scaled);
    features = static_cast<int>(kept.size());
    feature_names = std::move(kept_names);
    origin.clear();
    if (!gone.empty())
        notes.push_back({"constant_features", std::ssize(gone),
                         sentence(gone.size(), gone.size() == 1 ? " feature is" : " features are",
                                  " constant on the rows to train on and left out: ", quoted_list(gone))});
    if (missing > 0)
        notes.push_back({"missing_values", missing,
                         sentence(missing, missing == 1 ? " missing value was" : " missing values were",
                                  " filled with the feature's mean on the rows to train on")});
}

std::string DataTable::name_of_class(int k) const {
    const auto at = static_cast<std::size_t>(k);
    return at < class_names.size() ? class_names[at] : std::to_string(first_label + k);
}

FileResult<void> DataTable::name_classes(const std::vector<std::string>& names) {
    if (names == class_names) return {};
    std::vector<std::ptrdiff_t> numbers;
    for (int k = 0; k < classes; ++k) {
        const auto at = std::ranges::find(names, name_of_class(k));
        numbers.push_back(at == names.end() ? -1 : at - names.begin());
    }
    for (std::size_t row = 0; row < labels.size(); ++row) {
        const std::ptrdiff_t place = numbers[labels[row]];
        if (place < 0)
            return refuse_text({Code::label_out_of_range, static_cast<std::int64_t>(row), labels[row]}, "row ", row,
                               " has the label ", Quoted(name_of_class(labels[row])),
                               "; expected one of data.classes: ", quoted_list(names));
        labels[row] = static_cast<std::uint8_t>(place);
    }
    class_names = names;
    classes = static_cast<int>(names.size());
    first_label = 0;
    return {};
}

void DataTable::keep_first(int count) {
    if (count <= 0) return;
    const auto kept = static_cast<std::size_t>(count);
    if (kept > rows())
        notes.push_back({"rows_missing", static_cast<std::int64_t>(kept - rows()),
                         sentence("only ", rows(), " rows of the ", kept, " that data.rows asks for")});
    if (kept >= rows()) return;
    labels.resize(kept);
    values.resize(kept * static_cast<std::size_t>(features));
    if (!users.empty()) users.resize(kept);
    if (!uses.empty()) uses.resize(kept);
}

}  // namespace dunlin
