// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "envs/classification.hpp"
#include "training/problems/problem_kinds.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace dunlin::python {

/// The settings of classification on arrays that Python hands over.
struct DataSettings : ProblemSettings {
    int nodes = 1;
    int features = 1;
    std::vector<std::string> classes;
    std::vector<int> hidden{32};
    float held_out = 0.2f;
};
Settings data_settings(DataSettings& settings);

/// Rows of each node, of which the last share is held out: a World of WorldProblem.
struct DataWorld {
    using Task = Classification<float>;
    static constexpr std::size_t class_limit = 256;  ///< a label is a byte

    DataSettings settings;
    MlpShape shape;
    const Kernels<float>* kernels;
    std::vector<float> values{};
    std::vector<std::uint8_t> labels{};
    std::vector<std::vector<std::uint32_t>> train{}, test{};  ///< rows of each node
    std::vector<std::uint32_t> all{};                         ///< that anybody trains on

    /// Without rows yet. Errors: too many classes; widths that make no network; unknown kernels.
    static Outcome<DataWorld> make(const DataSettings& settings);
    /// The next node's rows: features one after another, and a label each.
    Outcome<void> take(int node, std::span<const float> rows, std::span<const std::int64_t> of_rows);

    std::uint32_t nodes() const { return static_cast<std::uint32_t>(train.size()); }
    void initialise(Vector<float> w) const;
    std::vector<float> samples() const;
    std::size_t bytes() const;
    Task make_task(Arena& arena) const;
    void assign(Task& task, std::uint32_t node) const;
    FleetScore judge(Task& task, std::uint32_t node, ConstVector<float> w) const;
    std::vector<FleetMetric> metrics(const FleetScore& score) const;
    void describe(TrainedModel& model) const;

private:
    LabelledRows rows(const std::vector<std::uint32_t>& which) const {
        return {values.data(), labels.data(), settings.features, which};
    }
};

}  // namespace dunlin::python
