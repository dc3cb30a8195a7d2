// SPDX-License-Identifier: Apache-2.0
#include "training/axes/federated_settings.hpp"

#include "training/axes/objective_settings.hpp"
#include "training/network/traced_network.hpp"
#include "training/settings/reading.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace dunlin {
GraphRecipe PushSettings::recipe(std::uint32_t nodes) const {
    return {.kind = graph, .nodes = nodes, .probability = static_cast<double>(probability), .path = graph_file};
}

Outcome<Graph> PushSettings::draw(std::uint32_t nodes, std::uint64_t seed, AggregationName by,
                                  DataNotes* notes) const {
    auto drawn = read_graph(recipe(nodes), seed, "push", notes);
    if (!drawn || !traits_of(by).undirected) return drawn;
    return take_both_ways(*std::move(drawn), "push.graph = \"" + graph + "\"", name_of(by), notes);
}

Outcome<float> PushSettings::floor_for(std::size_t out_degree) const {
    const float highest = 0.5f / static_cast<float>(out_degree + 1);
    if (weight_floor > highest) {
        return refuse(
            fmt::format("push.weight_floor = {}: must not exceed {:.3g}, half of what sharing with {} others "
                        "leaves of a weight of 1",
                        weight_floor, highest, out_degree));
    }
    return weight_floor > 0.0f ? weight_floor : highest / 2;
}

RuleSettings FederatedSettings::rule() const {
    return {.server_rate = server_rate,
            .round_rate = round_rate,
            .mixing = mixing,
            .staleness_exponent = staleness_exponent,
            .buffer_size = static_cast<std::uint32_t>(buffer_size),
            .prox_weight = fedprox_weight,
            .adam_rate = adam_rate,
            .adam_epsilon = adam_epsilon,
            .adam_half_life = adam_half_life,
            .local_steps = static_cast<std::uint32_t>(local_steps),
            .local_rate = rate()};
}

int FederatedSettings::slots() const {
    if (objective() == Objective::bilevel) return Bilevel::slots();
    return objective() == Objective::maml ? maml.slots() : 1;
}

bool FederatedSettings::second_order() const {
    if (objective() == Objective::maml) return !maml.first_order;
    return objective() == Objective::bilevel &&
           (method.aggregation == AggregationName::hgp || bilevel.hyper_gradient == HyperGradient::neumann);
}

Personalisation FederatedSettings::personalisation(bool personal_layers) const {
    Personalisation how = personal;
    how.personal_layers_only = personal_layers;
    const Kept kept = traits_of(objective()).kept;
    if (kept != Kept::nothing) how.steps = 0;
    how.own_model = kept == Kept::model;
    return how;
}

float FederatedSettings::rate() const {
    switch (objective()) {
        case Objective::maml:
            return maml_local_rate;
        case Objective::moreau:
            return moreau_local_rate;
        default:
            return local_rate;
    }
}

std::string_view FederatedSettings::rate_key() const {
    if (baseline()) return "baseline.rate";
    switch (objective()) {
        case Objective::maml:
            return "maml.local_rate";
        case Objective::moreau:
            return "moreau.local_rate";
        default:
            return "federated.local_rate";
    }
}

Personalisation FederatedSettings::following() const {
    if (objective() != Objective::ditto) return {.steps = 0};
    return {.steps = ditto.steps, .rate = ditto.personal_rate, .prox_weight = ditto.prox_weight};
}

int FederatedSettings::least_gradients() const {
    switch (objective()) {
        case Objective::maml:
            return maml.steps + 1 + (maml.first_order ? 0 : 2 * maml.steps);
        case Objective::moreau:
            return moreau.accuracy > 0.0f ? 1 : moreau.step_limit;
        case Objective::bilevel:
            return method.aggregation == AggregationName::hgp ? 1 : bilevel.gradients();
        default:
            return 1;
    }
}

Outcome<void> FederatedSettings::check(std::uint32_t clients) const {
    if (const std::string refusal = refusal_of(method); !refusal.empty())
        return refuse(fmt::format("objective.name = {}, aggregation.name = {}: {}", name_of(method.objective),
                                  name_of(method.aggregation), refusal));
    if (method.aggregation == AggregationName::fedbuff && static_cast<std::uint32_t>(buffer_size) > clients)
        return refuse(Error{Code::buffer_exceeds_fleet, buffer_size, clients}, "federated.buffer_size");
    const auto below_one = [](std::string_view what, float product) -> Outcome<void> {
        if (product < 1.0f) return {};
        return refuse(fmt::format("{} = {:.3g}: must stay below 1, or steps overshoot", what, product));
    };
    const auto awaited =
        static_cast<std::uint32_t>(std::max(1L, std::lround(clock.concurrency * static_cast<float>(clients))));
    const auto gathered =
        method.aggregation == AggregationName::fedbuff ? static_cast<std::uint32_t>(buffer_size) : awaited;
    if (auto fit = check_robust(attack, defence, method.aggregation, clients, gathered); !fit) return fit;
    if (auto fit = check_privacy(privacy, method.aggregation); !fit) return fit;
    if (auto fit = check_masks(masks, method.aggregation); !fit) return fit;
    if (masks.enabled && defence.defends())
        return refuse(
            fmt::format("defence.name = {}: looks at single updates, which secure_aggregation.enabled hides; "
                        "choose one of them "
                        "(against liars, privacy.clip bounds what one can add to a masked sum)",
                        name_of(defence.sum)));
    if (masks.enabled && deployment.encoding != Encoding::float32)
        return refuse(
            "fleet.encoding: with secure_aggregation.enabled updates travel as integers of "
            "secure_aggregation.bits; "
            "leave it at float32");
    if (masks.enabled && deployment.report_every != 0)
        return refuse(
            "fleet.report_every: with secure_aggregation.enabled members say nothing of their own; leave it at 0");
    if (privacy.enabled() && defence.defends())
        return refuse(
            fmt::format("defence.name = {}: sums up single updates, of which privacy.clip releases none; "
                        "choose one of them (clipping itself bounds what a liar can do)",
                        name_of(defence.sum)));
    if (privacy.enabled() && weigh_by_samples)
        return refuse("federated.weigh_by_samples: with privacy.clip all members count alike; leave it out");
    if (defence.defends() && weigh_by_samples)
        return refuse(
            "federated.weigh_by_samples: with a defence all members count alike, since who lies may lie about "
            "samples too; leave it out");
    if (attack.knows_the_round() && (!rounds() || clock.loss > 0.0f || !trace.empty()))
        return refuse(
            fmt::format("attack.name = {}: its liars must know a whole round of updates; there are such in "
                        "rounds (fedavg, fedprox) without clock.loss and network.trace",
                        name_of(attack.name)));
    if (objective() == Objective::moreau) {
        if (auto fit = below_one("moreau.local_rate * moreau.prox_weight", moreau_local_rate * moreau.prox_weight);
            !fit)
            return fit;
        if (auto fit = below_one("moreau.inner_rate * moreau.prox_weight", moreau.inner_rate * moreau.prox_weight);
            !fit)
            return fit;
    }
    if (method.aggregation == AggregationName::fedprox) {
        if (auto fit = below_one(fmt::format("{} * federated.fedprox_weight", rate_key()), rate() * fedprox_weight);
            !fit)
            return fit;
    }
    if (objective() == Objective::ditto) {
        if (auto fit =
                below_one("ditto.personal_rate * ditto.prox_weight", ditto.personal_rate * ditto.prox_weight);
            !fit)
            return fit;
    }
    return below_one("personal.rate * personal.prox_weight", personal.rate * personal.prox_weight);
}

std::string personal_sentence(const Personalisation& how) {
    if (how.own_model) return "the model that the node kept beside the shared one, which it followed";
    if (how.steps == 0)
        return how.personal_layers_only ? "the shared model with the node's own layers" : "the shared model";
    return fmt::format("{} gradient steps of size {} on the node's own rows, pulled back with weight {}{}",
                       how.steps, how.rate, how.prox_weight,
                       how.personal_layers_only ? ", of its personal layers alone" : "");
}

void add_federated_settings(Settings& list, FederatedSettings& s) {
    using Range = Settings::Range;
    const Range rate{0, 1e3, true};
    std::vector<std::pair<std::string_view, Method>> names;
    for (const Preset& preset : presets()) names.emplace_back(preset.name, preset.method);
    list.add_preset("federated.method", s.method,
                    "a paper's method, which is an objective.name and an aggregation.name; write these instead for "
                    "any other pair",
                    std::move(names), {"objective.name", "aggregation.name"});
    list.add("federated.local_steps", s.local_steps, "Q: local steps of an update", Range{1, 1e6});
    list.add("federated.batch", s.batch, "samples (or queries) in a batch", Range{1, 16384});
    list.add("federated.local_rate", s.local_rate, "eta: step size of plain local steps", rate);
    list.add("federated.server_rate", s.server_rate, "beta of persafl*: between 1/n and 5/n of n clients", rate);
    list.add("federated.round_rate", s.round_rate, "beta of the methods that average rounds, and of fedbuff", rate);
    list.add("federated.mixing", s.mixing, "alpha of fedasync", Range{0, 1, true});
    list.add("federated.staleness_exponent", s.staleness_exponent,
             "fedasync, fedbuff: weight (1 + staleness)^-this", Range{0, 10});
    list.add("federated.buffer_size", s.buffer_size, "K of fedbuff, at most the number of clients", Range{1, 1e6});
    list.add("federated.fedprox_weight", s.fedprox_weight, "mu of fedprox", Range{0, 1e3});
    list.add("federated.adam_rate", s.adam_rate, "eta of fedadam: size of the server's steps", rate);
    list.add("federated.adam_epsilon", s.adam_epsilon,
             "tau of fedadam: smaller differences move the model less than eta", Range{0, 1e3, true});
    list.add("federated.adam_half_life", s.adam_half_life, "fedadam: rounds in which eta halves; 0: it stays",
             Range{0, 1e9});
    list.add("federated.staleness_limit", s.staleness_limit,
             "refuse updates that are staler; 0: than a hundred times the clients", Range{0, 1e9});
    list.add("federated.weigh_by_samples", s.weigh_by_samples,
             "rounds: clients count by their samples, not equally");

    add_axes(list, s.method);

    list.add("maml.steps", s.maml.steps, "u: inner steps", Range{1, Maml::step_limit});
    list.add("maml.inner_rate", s.maml.inner_rate, "alpha: step size of the inner steps", rate);
    list.add("maml.local_rate", s.maml_local_rate, "eta of persafl-maml and per-fedavg", rate);
    list.add("maml.first_order", s.maml.first_order, "leave the Hessians out");

    list.add("moreau.prox_weight", s.moreau.prox_weight, "lambda: pull towards the shared parameters", rate);
    list.add("moreau.inner_rate", s.moreau.inner_rate, "step size of the inner loop", rate);
    list.add("moreau.inner_steps", s.moreau.step_limit, "most inner steps", Range{1, 10000});
    list.add("moreau.accuracy", s.moreau.accuracy,
             "nu: the inner loop stops at this gradient norm; 0: at its limit", Range{0, 1e6});
    list.add("moreau.local_rate", s.moreau_local_rate, "eta of persafl-me and pfedme; times prox_weight below 1",
             rate);

    add_bilevel_settings(list, "bilevel", s.bilevel);
    add_ditto_settings(list, s.ditto);
    add_series_settings(list, s.series);

    list.add("push.graph", s.push.graph,
             "who hears whom without a server: directed-ring, exponential, complete, ring, star, erdos-renyi, "
             "erdos-renyi-undirected, or file");
    list.add("push.probability", s.push.probability, "of each edge of an Erdos-Renyi graph", Range{0, 1, true});
    list.add_path("push.file", s.push.graph_file, "edge list, one \"from to\" a line, for graph = \"file\"");
    list.add(
        "push.weight_floor", s.push.weight_floor,
        "push-sum weight that a node never gives away, at most 0.5 / (out-degree + 1); a step acts as eta over the "
        "weight; 0: by the graph",
        Range{0, 0.25});
    list.add(
        "push.longest_gap", s.push.longest_gap,
        "Gamma_w: a step makes up for as many steps of the median node at most, so it is eta times that at most",
        Range{1, 1e6});

    FleetClock& clock = s.clock;
    const Range time{0, 1e8, true}, any_time{0, 1e8}, chance{0, 0.9};
    list.add("clock.budget_s", clock.budget_s, "simulated seconds that the fleet learns for", time).may_change();
    list.add("clock.gradient_s", clock.gradient_s, "of a task gradient, on a client of median speed", time);
    list.add("clock.speed_spread", clock.speed_spread, "sigma of the clients' log-normal speeds", Range{0, 5});
    list.add("clock.download_s", clock.download_s, "a model's way to a client", any_time);
    list.add("clock.upload_s", clock.upload_s, "an update's way to the server, or to another node", any_time);
    list.add("clock.concurrency", clock.concurrency, "share of the clients that work at a time", Range{0, 1, true});
    list.add("clock.loss", clock.loss, "probability that a message is lost", chance);
    list.add("clock.duplication", clock.duplication, "probability that a message arrives twice", Range{0, 1});
    list.add("clock.patience_s", clock.patience_s, "where links lose: until the server asks a silent client again",
             time);

    list.add("personal.steps", s.personal.steps, "steps from the shared to a client's personal model",
             Range{0, 1e6});
    list.add("personal.rate", s.personal.rate, "their size", rate);
    list.add("personal.prox_weight", s.personal.prox_weight, "their pull towards the shared model", Range{0, 1e3});

    list.add("baseline.steps", s.baseline_steps, "steps of each client alone (local), or on all data (global)",
             Range{1, 1e7})
        .may_change();
    list.add("baseline.rate", s.baseline_rate, "their size", rate);

    add_trace_setting(list, s.trace);
    add_robust_settings(list, s.attack, s.defence);
    list.add("limits.component", s.limits.component, "refuse updates with a larger component",
             Range{0, 1e30, true});
    list.add("limits.norm", s.limits.norm, "and those of a larger norm, whatever others send",
             Range{0, 1e30, true});
    list.add("limits.factor", s.limits.factor,
             "and those of a norm so many times what members usually send, the median over them; 0: not looked at",
             Range{0, 1e6});
    add_privacy_settings(list, s.privacy);
    add_mask_settings(list, s.masks);

    list.add("report.evaluations", s.evaluations, "how often the models are judged, over the clock",
             Range{1, 10000})
        .may_change();

    add_deployment_settings(list, s.deployment);
}

std::span<const std::pair<std::string_view, std::string_view>> newer_federated_settings() {
    static constexpr std::pair<std::string_view, std::string_view> newer[] = {
        {"model.personal_layers", "[]"},
        {"model.layers", "[]"},
        {"model.input", "\"\""},
        {"data.resize", "\"\""},
        {"bilevel.personal_rate", "0.02"},
        {"bilevel.ridge", "0.0"},
        {"bilevel.hyper_gradient", "\"cheap\""},
        {"bilevel.neumann_terms", "10"},
        {"bilevel.neumann_rate", "0.02"},
        {"federated.adam_rate", "0.01"},
        {"federated.adam_epsilon", "0.001"},
        {"federated.adam_half_life", "0.0"},
        {"data.alphabet", "\"letters\""},
        {"data.every_step", "false"},
        {"data.lead", "16"},
        {"baseline.trees", "0"},
        {"network.trace", "\"\""},
        {"data.source", "\"job\""},
        {"newcomers.users", "[]"},
        {"newcomers.count", "0"},
        {"newcomers.rows", "[1, 2, 5, 10]"},
        {"newcomers.repeats", "5"},
        {"newcomers.mean_layers", "false"},
        {"newcomers.steps", "0"},
        {"newcomers.own_steps", "500"},
        {"newcomers.own_rate", "0.1"},
        {"data.header", "\"auto\""},
        {"data.features", "[]"},
        {"data.classes", "[]"},
        {"data.inputs", "0"},
        {"data.centre", "[]"},
        {"data.scale", "[]"},
        {"ditto.prox_weight", "0.5"},
        {"ditto.personal_rate", "0.1"},
        {"ditto.steps", "10"},
        {"hgp.inner_steps", "10"},
        {"hgp.neumann_steps", "5"},
        {"attack.name", "\"none\""},
        {"attack.share", "0.2"},
        {"attack.strength", "1.0"},
        {"defence.name", "\"none\""},
        {"defence.mixing", "\"nearest\""},
        {"defence.adaptive_clipping", "true"},
        {"defence.share", "0.2"},
        {"defence.momentum", "0.0"},
        {"defence.radius", "0.0"},
        {"defence.bucket", "2"},
        {"limits.component", "1000000.0"},
        {"limits.norm", "1e+09"},
        {"limits.factor", "10.0"},
        {"privacy.clip", "0.0"},
        {"privacy.noise", "0.0"},
        {"privacy.delta", "1e-05"},
        {"secure_aggregation.enabled", "false"},
        {"secure_aggregation.group", "17"},
        {"secure_aggregation.bits", "20"},
        {"secure_aggregation.range", "4.0"}};
    return newer;
}

}  // namespace dunlin
