// SPDX-License-Identifier: Apache-2.0
#include "training/problems/character_data.hpp"
#include "training/problems/pdbo_fleet.hpp"
#include "training/settings/reading.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

namespace dunlin {
namespace {

constexpr std::uint32_t everybody = (1u << 24) - 2;  ///< the stream that belongs to no agent

std::size_t cluster_of(std::size_t agent, const PdboSettings& s) {
    return agent % static_cast<std::size_t>(s.clusters);
}

/// Every group of agents takes pixels for (value - mean) / deviation, mean and variance uniform in [0, 1] (appendix
/// A.1); a variance below a tenth would only make its group's steps diverge. A row belongs to one agent at most.
void normalise_by_cluster(PdboData& data, const PdboSettings& s) {
    Stream random(s.seed, everybody, Purpose::tasks);
    std::vector<std::pair<float, float>> views;  // mean, deviation
    for (int k = 0; k < s.clusters; ++k) {
        const float mean = random.uniform();
        views.emplace_back(mean, std::sqrt(0.1f + 0.9f * random.uniform()));
    }
    const auto width = static_cast<std::size_t>(data.table.features);
    for (std::size_t agent = 0; agent < data.parts.size(); ++agent) {
        const auto [mean, deviation] = views[cluster_of(agent, s)];
        for (const auto* rows : {&data.parts[agent].train, &data.parts[agent].test}) {
            for (const std::uint32_t row : *rows) {
                for (float& value : std::span(data.table.values).subspan(row * width, width)) {
                    value = (value - mean) / deviation;
                }
            }
        }
    }
}

void rename_by_cluster(PdboData& data, const PdboSettings& s) {
    Stream random(s.seed, everybody, Purpose::user);
    const auto classes = static_cast<std::size_t>(data.table.classes);
    std::vector<std::vector<std::uint8_t>> names(static_cast<std::size_t>(s.clusters),
                                                 std::vector<std::uint8_t>(classes));
    for (auto& list : names) {
        std::iota(list.begin(), list.end(), std::uint8_t{0});
        for (std::size_t k = classes; k > 1; --k) {
            std::swap(list[k - 1], list[random.below(static_cast<std::uint32_t>(k))]);
        }
    }
    for (std::size_t agent = 0; agent < data.parts.size(); ++agent) {
        data.parts[agent].relabel = names[cluster_of(agent, s)];
    }
}

Outcome<PdboData> digits(const PdboSettings& s) {
    PdboData data;
    if (s.path.empty()) {
        DigitSettings drawn = s.digits;
        drawn.rows = s.rows > 0 ? s.rows : 10000;
        auto table = draw_digits(drawn, s.seed);
        if (!table) return refuse(table.error(), "generated digits");
        data.table = *std::move(table);
    } else {
        auto table = load_idx_folder(s.path, IdxPart::train);
        if (!table) return refuse(table.error());
        data.table = *std::move(table);
    }
    data.table.keep_first(s.rows);
    const std::size_t rows = data.table.rows();
    SplitSettings split;
    split.kind = Split::dirichlet;
    split.nodes = s.agents;
    split.alpha = s.alpha;
    split.test_fraction = s.test_fraction;
    auto parts = split_rows(data.table, split, s.seed);
    if (!parts) return refuse(parts.error(), "data.agents, data.alpha");
    data.parts = *std::move(parts);
    data.notes = data.table.notes;
    for (DataNote& note : split_notes(data.table, split, data.parts)) data.notes.push_back(std::move(note));
    if (s.clusters > 1) normalise_by_cluster(data, s);
    if (s.cluster_labels) rename_by_cluster(data, s);
    data.description = fmt::format(
        "{} digits{}, shared out among {} agents by Dirichlet({}) over the labels; {} of agents, each of which "
        "normalises pixels{} in a way of its own. They stand in for the EMNIST of the method's paper.",
        rows, s.path.empty() ? ", generated" : " of " + s.path, s.agents, s.alpha,
        s.clusters == 1 ? std::string("one group") : fmt::format("{} groups", s.clusters),
        s.cluster_labels ? " and names the labels" : "");
    return data;
}

Outcome<PdboData> characters(const PdboSettings& s) {
    CharacterSettings settings{s.path, s.context, s.test_fraction, s.speech};
    settings.speech.speakers = s.agents;
    auto read = read_characters(settings, s.seed);
    if (!read) return tl::unexpected(read.error());
    PdboData data;
    for (const std::string& name : read->shared.table.user_names) data.names.push_back(shown_text(name));
    data.table = std::move(read->shared.table);
    data.parts = std::move(read->shared.parts);
    data.notes = std::move(read->shared.notes);
    data.description = read->description +
                       " They stand in for the Shakespeare of the method's paper, at the size of a "
                       "perceptron.";
    return data;
}

}  // namespace

Outcome<PdboData> make_pdbo_data(const PdboSettings& s) {
    Outcome<PdboData> data = s.task == PdboTask::digits ? digits(s) : characters(s);
    if (!data) return data;
    for (NodeRows& part : data->parts) {  // the last ones, which for characters are those next to the test
        const std::size_t kept = part.train.size() - part.train.size() / 4;
        data->validation.emplace_back(part.train.begin() + static_cast<std::ptrdiff_t>(kept), part.train.end());
        part.train.resize(kept);
    }
    return data;
}

}  // namespace dunlin
