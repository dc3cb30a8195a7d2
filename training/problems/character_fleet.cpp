// SPDX-License-Identifier: Apache-2.0
#include "training/problems/character_fleet.hpp"

#include "training/problems/classification_fleet.hpp"
#include "training/problems/personal_layers.hpp"

#include <fmt/format.h>

namespace dunlin {
namespace {

Settings character_settings(CharacterFleetSettings& s) {
    using Range = Settings::Range;
    Settings list = problem_settings(s);
    DialectSettings& speech = s.data.speech;
    list.add_path("data.path", s.data.path, "a text of lines \"SPEAKER: ...\"; empty: generated speech");
    list.add("data.speakers", speech.speakers, "each is a node; of a text those who say most", Range{2, 1000});
    list.add("data.characters", speech.characters, "most of each speaker", Range{10, 1e6});
    list.add("data.context", s.data.context, "characters that the next is guessed from", Range{1, 16});
    list.add("data.test_fraction", s.data.test_fraction, "of each speaker's characters, the last ones",
             Range{0.01, 0.9});
    list.add("data.dialects", speech.dialects, "generated speech: dialects that speakers mix", Range{1, 100});
    list.add("data.sharpness", speech.sharpness, "generated speech: how certain a dialect's next character is",
             Range{0, 20});
    list.add("data.spread", speech.spread, "generated speech: how differently speakers mix", Range{0, 20});
    list.add("model.hidden", s.hidden, "widths of the hidden layers", Range{1, 4096});
    list.add("model.activation", s.activation, "of the hidden layers",
             {{"tanh", Activation::tanh}, {"relu", Activation::relu}, {"sigmoid", Activation::sigmoid}});
    list.add("model.personal_layers", s.personal_layers,
             "layers that never leave their speaker: first, last, numbers from 0; empty: none");
    add_federated_settings(list, s.federated);
    return list;
}

Outcome<std::unique_ptr<FederatedProblem>> make_characters(const CharacterFleetSettings& s, int threads) {
    const auto kernels = find_kernels(s.kernels);
    if (!kernels) return refuse(kernels.error(), "kernels");
    auto data = read_characters(s.data, s.seed);
    if (!data) return tl::unexpected(data.error());
    const DataTable& table = data->shared.table;
    const auto shape = MlpShape::make(table.features, s.hidden, table.classes, s.activation);
    if (!shape) return refuse(shape.error(), "model.hidden");
    const auto split = split_for(*shape, s.personal_layers, s.federated.objective(), data->shared.notes);
    if (!split) return tl::unexpected(split.error());
    return make_classification_problem(std::move(data->shared), *shape, *split, **kernels, s.federated, s.seed,
                                       threads);
}

}  // namespace

ProblemKind<CharacterFleetSettings> character_kind() {
    return {.name = "characters",
            .nodes_are = "speakers",
            .settings = character_settings,
            .make = make_characters,
            .about = [](const CharacterFleetSettings& s, const FederatedProblem& made) {
                return fmt::format(
                    "Characters: what {} speakers say{}, the next character guessed from {}; the "
                    "last {} of each one's are held out.",
                    made.nodes(), s.data.path.empty() ? ", generated" : " in " + s.data.path, s.data.context,
                    s.data.test_fraction);
            }};
}

}  // namespace dunlin
