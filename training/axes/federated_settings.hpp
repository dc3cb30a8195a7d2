// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/adapt/bilevel.hpp"
#include "core/adapt/ditto.hpp"
#include "core/adapt/maml.hpp"
#include "core/adapt/moreau_envelope.hpp"
#include "core/aggregate/federated.hpp"
#include "core/aggregate/gossip.hpp"
#include "envs/data_notes.hpp"
#include "training/axes/axes.hpp"
#include "training/axes/privacy_settings.hpp"
#include "training/axes/robust_settings.hpp"
#include "training/axes/update_limits.hpp"
#include "training/host/failure.hpp"
#include "training/settings/deployment.hpp"
#include "training/settings/settings.hpp"
#include "transport/graph.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace dunlin {

/// Simulated time of a fleet: what everything costs.
struct FleetClock {
    float budget_s = 1000.0f;
    float gradient_s = 1.0f;     ///< a task gradient on a node of median speed
    float speed_spread = 1.0f;   ///< sigma: a node's time per gradient is gradient_s exp(sigma N(0, 1)), fixed
    float download_s = 1.0f;     ///< a model's way to a client
    float upload_s = 4.4f;       ///< an update's way back (PersA-FL slides: about 4.4 times as long)
    float concurrency = 1.0f;    ///< share of the clients that are invited at a time, in (0, 1]
    float loss = 0.0f;           ///< probability that a message is lost, either way; it is sent again
    float duplication = 0.0f;    ///< probability that a message arrives twice
    float patience_s = 1000.0f;  ///< until the server repeats an invitation that brought nothing, if links lose
};

/// How a node makes the shared parameters w its own: `steps` steps on fresh batches of its training data towards
/// min over theta of f_i(theta) + lambda/2 |theta - w|^2.
struct Personalisation {
    int steps = 5;
    float rate = 0.1f;
    float prox_weight = 0.0f;           ///< lambda
    float accuracy = 0.0f;              ///< the steps end at this gradient norm; 0: none does
    bool personal_layers_only = false;  ///< as with ANIL; what a fleet with personal layers does
    bool own_model = false;             ///< none of these, but the model that the node keeps beside the shared one
};

/// How a node makes a shared model its own, for people.
std::string personal_sentence(const Personalisation& how);

/// Of the methods without a server: who hears whom, and how long a step makes up for missed time.
struct PushSettings {
    std::string graph = "exponential";
    float probability = 0.15f;  ///< of an edge of an Erdos-Renyi graph
    std::string graph_file;
    /// y that a node never gives away; 0: a quarter of what one of the most shares leaves it. Fast nodes run out of
    /// y among slow ones, and a step acts as eta / y.
    float weight_floor = 0.0f;
    int longest_gap = 4;  ///< Gamma_w, in times that the median node needs for a gradient of its objective

    GraphRecipe recipe(std::uint32_t nodes) const;
    /// The graph among so many nodes. `notes` are given what its file says that is not used, and how many edges
    /// were added where the method wants every edge in both directions. Errors: build_graph's, by the setting.
    Outcome<Graph> draw(std::uint32_t nodes, std::uint64_t seed, AggregationName by,
                        DataNotes* notes = nullptr) const;
    /// The floor where no node has more out-neighbours than these. Error: `weight_floor` is too high for them.
    Outcome<float> floor_for(std::size_t out_degree) const;
};

class TracedNetwork;

struct FederatedSettings {
    Method method = preset::persafl_me;

    int local_steps = 10;      ///< Q
    float local_rate = 0.1f;   ///< eta with plain gradients, and with bilevel ones
    float server_rate = 0.1f;  ///< beta of PersA-FL
    float round_rate = 1.0f;   ///< beta of the methods that average rounds or buffers
    float mixing = 0.6f;       ///< alpha of FedAsync
    float staleness_exponent = 0.5f;
    int buffer_size = 10;         ///< K of FedBuff
    float fedprox_weight = 0.1f;  ///< mu of FedProx
    float adam_rate = 0.01f;      ///< eta of FedAdam
    float adam_epsilon = 1e-3f;   ///< tau of FedAdam
    float adam_half_life = 0.0f;  ///< rounds in which eta of FedAdam halves
    int staleness_limit = 0;      ///< an update that is staler is refused; 0: see `stalest`
    bool weigh_by_samples = false;

    Maml maml{.inner_rate = 0.1f};
    float maml_local_rate = 0.1f;  ///< eta with MAML gradients
    MoreauEnvelope moreau{.prox_weight = 1.5f, .inner_rate = 0.2f, .accuracy = 0.0f, .step_limit = 5};
    float moreau_local_rate = 0.3f;  ///< eta with the envelope's; eta * lambda < 1

    Bilevel bilevel;
    Ditto ditto;
    SeriesPlan series;  ///< of hgp

    AttackSettings attack;  ///< of simulated fleets
    Defence defence;
    UpdateLimits limits;
    PrivacySettings privacy;
    MaskSettings masks;  ///< of real nodes

    int baseline_steps = 1000;   ///< of `local`, per node, and of `global`
    float baseline_rate = 0.1f;  ///< their step size

    FleetClock clock;
    PushSettings push;
    Personalisation personal;

    int batch = 20;
    int evaluations = 40;  ///< over the clock

    std::string trace;                                 ///< a file of NetworkTrace; empty: none
    std::shared_ptr<const TracedNetwork> traced = {};  ///< what it was read into (follow_trace); null: not yet

    Deployment deployment;

    Objective objective() const { return method.objective; }
    /// Synchronous rounds of a server?
    bool rounds() const { return has_server(method.aggregation) && traits_of(method.aggregation).rounds; }
    /// With neighbours, without a server?
    bool gossips() const { return has_neighbours(method.aggregation); }
    /// Without a fleet?
    bool baseline() const { return !gossips() && !has_server(method.aggregation); }
    /// How a node makes a shared model its own: with the bilevel objective its own layers are that already.
    Personalisation personalisation(bool personal_layers) const;
    /// The staleness limit of a server of so many clients: no client is so slow that a hundred times as many updates as
    /// there are clients come between its own, but one that floods a server with an old model's may be.
    std::uint64_t stalest(std::uint32_t clients) const {
        return staleness_limit > 0 ? static_cast<std::uint64_t>(staleness_limit) : std::uint64_t{100} * clients;
    }
    /// The limits of updates. With privacy whether one is refused must not depend on others', and it is clipped anyway.
    UpdateLimits update_limits() const {
        UpdateLimits all = limits;
        if (privacy.enabled()) all.factor = 0.0f;
        return all;
    }
    /// What the server's rule is made of.
    RuleSettings rule() const;
    float rate() const;                 ///< eta of this method
    std::string_view rate_key() const;  ///< the setting that holds it, or the step size of a method without a fleet
    /// Batches that a task keeps at once for this method.
    int slots() const;
    /// Does a policy's learner ask for Hessians?
    bool second_order() const;
    /// How the model that a node keeps follows one that it is given, where it keeps any.
    Personalisation following() const;
    /// Task gradients that one local step costs at least; with plain gradients and MAML exactly.
    int least_gradients() const;

    /// What the ranges of single settings cannot say. Error: which key, and why.
    Outcome<void> check(std::uint32_t clients) const;
};

/// Adds the sections [federated], [objective], [aggregation], [maml], [moreau], [bilevel], [hgp], [push], [clock],
/// [personal], [baseline], [network], [attack], [defence], [limits], [privacy],
/// [secure_aggregation] and [report].
void add_federated_settings(Settings& list, FederatedSettings& settings);
/// Settings that nodes of older Dunlins do not know, each with the value that they go by: while it has that, a
/// job's text leaves it out.
std::span<const std::pair<std::string_view, std::string_view>> newer_federated_settings();

}  // namespace dunlin
