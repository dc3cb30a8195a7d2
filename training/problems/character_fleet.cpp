// SPDX-License-Identifier: Apache-2.0
#include "training/problems/character_fleet.hpp"

#include "training/problems/classification_fleet.hpp"

#include <fmt/format.h>

namespace dunlin {
namespace {

Settings character_settings(CharacterFleetSettings& s) {
    using Range = Settings::Range;
    Settings list = problem_settings(s);
    DialectSettings& speech = s.data.speech;
    list.add_path(
        "data.path", s.data.path,
        "a text of lines \"SPEAKER: ...\", or a table (.csv, .tsv) or folder of one with columns speaker and text; "
        "empty: generated speech");
    list.add("data.alphabet", s.data.alphabet,
             "letters: a to z and one blank for all else; ascii: all printable characters and the ends of lines",
             {{"letters", Alphabet::letters}, {"ascii", Alphabet::ascii}});
    list.add("data.every_step", s.data.every_step,
             "guess behind each of the context's characters, not behind the last alone; a last layer, `conv 1` "
             "with an output for "
             "each character, need not be among model.layers");
    list.add("data.lead", s.data.lead,
             "every_step: characters that a row to test on begins with and is not judged on", Range{0, 1023});
    list.add("data.speakers", speech.speakers, "each is a node; of a text those who say most", Range{2, 1000});
    list.add("data.characters", speech.characters, "most of each speaker", Range{10, 1e6});
    list.add("data.context", s.data.context, "characters that the next is guessed from", Range{1, 1024});
    list.add("data.test_fraction", s.data.test_fraction,
             "of each speaker's characters, the last ones; not where a table says which lines test",
             Range{0.01, 0.9});
    list.add("data.dialects", speech.dialects, "generated speech: dialects that speakers mix", Range{1, 100});
    list.add("data.sharpness", speech.sharpness, "generated speech: how certain a dialect's next character is",
             Range{0, 20});
    list.add("data.spread", speech.spread, "generated speech: how differently speakers mix", Range{0, 20});
    add_network_settings(list, s, "speaker");
    add_federated_settings(list, s.federated);
    return list;
}

Outcome<std::unique_ptr<FederatedProblem>> make_characters(const CharacterFleetSettings& s, int threads) {
    CharacterSettings wanted = s.data;
    wanted.as_tokens = s.takes_layers();
    auto data = read_characters(wanted, s.seed);
    if (!data) return tl::unexpected(data.error());
    NetworkSettings network = s;
    const std::string last = fmt::format("conv 1 {}", data->shared.table.classes);
    if (s.data.every_step && network.layers.back() != last) network.layers.push_back(last);
    return make_classification_problem(std::move(data->shared), network, s, threads);
}

}  // namespace

ProblemKind<CharacterFleetSettings> character_kind() {
    return {.name = "characters",
            .nodes_are = "speakers",
            .settings = character_settings,
            .make = make_characters,
            .about = [](const CharacterFleetSettings& s, const FederatedProblem& made) {
                return fmt::format(
                    "Characters: what {} speakers say{}, the next character guessed from {} {}; {} are held out.",
                    made.nodes(), s.data.path.empty() ? ", generated" : " in " + s.data.path,
                    s.data.every_step ? "up to" : "the last", s.data.context,
                    s.data.every_step && !s.data.path.empty()
                        ? "the lines that the text sets apart, else the last of each one's,"
                        : fmt::format("the last {} of each one's", s.data.test_fraction));
            }};
}

}  // namespace dunlin
