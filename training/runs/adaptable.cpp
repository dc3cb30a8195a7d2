// SPDX-License-Identifier: Apache-2.0
#include "training/runs/adaptable.hpp"

#include "training/problems/classification_fleet.hpp"
#include "training/problems/personal_layers.hpp"

namespace dunlin {
namespace {

Adaptable as_adaptable(Outcome<std::unique_ptr<FederatedProblem>> made) {
    if (!made) return tl::unexpected(made.error());
    return *std::move(made);
}

}  // namespace

Adaptable make_adaptable(const DecentralisedSettings& s) {
    const auto kernels = find_kernels(s.kernels);
    if (!kernels) return refuse(kernels.error(), "kernels");
    auto data = read_data(s.data, s.seed);
    if (!data) return tl::unexpected(data.error());
    const Outcome<MlpShape> shape = network_of(s, data->table);
    if (!shape) return tl::unexpected(shape.error());
    const auto split = split_of(*shape, s.personal_layers);
    if (!split) return tl::unexpected(split.error());
    FederatedSettings settings;
    settings.method = preset::fedavg;
    settings.batch = s.batch;
    return as_adaptable(
        make_classification_problem(*std::move(data), *shape, *split, **kernels, settings, s.seed, 1));
}

Personalisation personalisation_of(const DecentralisedSettings& s) {
    const bool own = s.method == DecentralisedMethod::spdb || s.personal_for_all;
    return {.steps = 50,
            .rate = own ? s.bilevel.personal_rate : s.step,
            .personal_layers_only = own && !s.personal_layers.empty()};
}
Personalisation personalisation_of(const PdboSettings& s) {
    return {.steps = 20, .rate = s.outer_rate};
}
}  // namespace dunlin
