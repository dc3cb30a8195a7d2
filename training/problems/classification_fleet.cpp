// SPDX-License-Identifier: Apache-2.0
#include "training/problems/classification_fleet.hpp"

#include "training/models/layer_text.hpp"
#include "training/problems/classification_world.hpp"
#include "training/problems/federated_result.hpp"
#include "training/problems/newcomers.hpp"
#include "training/problems/personal_layers.hpp"

#include <concepts>
#include <type_traits>
#include <variant>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace dunlin {
namespace {

/// What follows from the data: what goes in, what comes out, and the layers between.
std::string sizes_of(const TrainedModel& model) {
    std::string layers;
    if (model.network) {
        layers = fmt::format("of {}", fmt::join(layer_texts(*model.network), ", "));
    } else {
        layers = fmt::format("{}", model.shape.inputs);
        for (int k = 0; k < model.shape.layers; ++k)
            layers += fmt::format("-{}", model.shape.widths[static_cast<std::size_t>(k)]);
    }
    return fmt::format(", {} features{}, {} classes ({}), a network {}", model.inputs(),
                       model.centre.empty() ? "" : " (of zero mean and unit variance over the rows to train on)",
                       model.output_names.size(), quoted_list(model.output_names), layers);
}

}  // namespace

Settings classification_settings(ClassificationSettings& s) {
    Settings list = problem_settings(s);
    add_data_settings(list, s.data);
    add_newcomer_settings(list, s.data.newcomers);
    add_network_settings(list, s, "client");
    add_federated_settings(list, s.federated);
    return list;
}

namespace {

Outcome<void> check_held_out(const ClassificationSettings& s) {
    if (s.data.split.test_fraction > 0.0f) return {};
    return refuse("data.test_fraction = 0: clients are judged on rows of their own; hold some out");
}

Outcome<std::unique_ptr<FederatedProblem>> make_own_classification(const ClassificationSettings& s,
                                                                   const std::string& path) {
    if (auto held_out = check_held_out(s); !held_out) return tl::unexpected(held_out.error());
    auto data = read_own_data(s.data, path, s.seed);
    if (!data) return tl::unexpected(data.error());
    return make_classification_problem(*std::move(data), s, s, 1);
}

}  // namespace

Outcome<std::unique_ptr<FederatedProblem>> make_classification_problem(const ClassificationSettings& s,
                                                                       int threads) {
    if (auto held_out = check_held_out(s); !held_out) return tl::unexpected(held_out.error());
    auto data = read_data(s.data, s.seed);
    if (!data) return tl::unexpected(data.error());
    return make_classification_problem(*std::move(data), s, s, threads);
}

Outcome<std::unique_ptr<FederatedProblem>> make_classification_problem(SharedData data,
                                                                       const NetworkSettings& network,
                                                                       const ProblemSettings& s, int threads) {
    const auto kernels = find_kernels(s.kernels);
    if (!kernels) return refuse(kernels.error(), "kernels");
    const auto either = network_for(network, data.table);
    if (!either) return tl::unexpected(either.error());
    note_hidden(network, data.notes);
    return std::visit(
        [&](const auto& shape) -> Outcome<std::unique_ptr<FederatedProblem>> {
            const auto split = split_for(shape, network.personal_layers, s.federated.objective(), data.notes);
            if (!split) return tl::unexpected(split.error());
            return make_classification_problem(std::move(data), shape, *split, **kernels, s.federated, s.seed,
                                               threads);
        },
        *either);
}

template <class Shape>
Outcome<std::unique_ptr<FederatedProblem>> make_classification_problem(SharedData data, const Shape& shape,
                                                                       const LayerSplit& split,
                                                                       const Kernels<float>& kernels,
                                                                       const FederatedSettings& settings,
                                                                       std::uint64_t seed, int threads) {
    using Net = std::conditional_t<std::same_as<Shape, MlpShape>, MlpDerivatives<float>, NetworkDerivatives<float>>;
    auto world = ClassificationWorld<Net>::make(std::move(data), shape, split, kernels, settings, seed);
    if (!world) return tl::unexpected(world.error());
    return std::make_unique<WorldProblem<ClassificationWorld<Net>>>(*std::move(world), settings, threads);
}

template Outcome<std::unique_ptr<FederatedProblem>> make_classification_problem(SharedData, const MlpShape&,
                                                                                const LayerSplit&,
                                                                                const Kernels<float>&,
                                                                                const FederatedSettings&,
                                                                                std::uint64_t, int);
template Outcome<std::unique_ptr<FederatedProblem>> make_classification_problem(SharedData, const NetworkShape&,
                                                                                const LayerSplit&,
                                                                                const Kernels<float>&,
                                                                                const FederatedSettings&,
                                                                                std::uint64_t, int);

namespace {

void report_classification(const ClassificationSettings& s, FederatedProblem&, const FederatedResult& result,
                           RunFigures& figures) {
    if (!s.data.newcomers.any() || !result.complete || result.shared_model.empty()) return;
    const auto make = [&](SharedData data) { return make_classification_problem(std::move(data), s, s, 1); };
    const auto met = report_newcomers(s.data, s.federated.personal, s.seed, ConstVector<float>(result.shared_model),
                                      make, figures);
    if (!met)
        figures.warnings.push_back({"users who were never met could not be judged: " + met.error().text, true});
}

}  // namespace

ProblemKind<ClassificationSettings> classification_kind() {
    return {.name = "classification",
            .nodes_are = "clients",
            .settings = classification_settings,
            .make = [](const ClassificationSettings& s,
                       int threads) { return make_classification_problem(s, threads); },
            .about =
                [](const ClassificationSettings& s, const FederatedProblem& made) {
                    return fmt::format(
                        "Classification: {}. {} clients, {} of each one's rows held out{}.",
                        s.data.path.empty() ? "generated digits" : s.data.path + sizes_of(made.description()),
                        made.nodes(), s.data.split.test_fraction,
                        s.data.split.conflicting ? "; every client names the labels in a way of its own" : "");
                },
            .make_own = make_own_classification,
            .report = report_classification};
}

}  // namespace dunlin
