// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/aggregate/server_rules.hpp"

namespace dunlin {

/// SCAFFOLD (Karimireddy et al. 2020, Algorithm 1, option II): rounds of FedAvg in which control variates, guesses of
/// each client's gradient and of the mean one, take out what drives a client's local steps away from the others.
///
///     y_i := y_i - eta_l (g_i(y_i) - c_i + c),  from x, Q times
///     c_i+ := c_i - c + (x - y_i) / (Q eta_l),  which is the mean of the g_i that the client has just seen
///     x := x + eta_g mean over S of (y_i - x),   c := c + |S|/N mean over S of (c_i+ - c_i)
///
/// The server needs no word of c_i: option II gives c_i+ - c_i = (x - y_i) / (Q eta_l) - c, so an upload is as long
/// as FedAvg's and a download, x and c, twice as long. c stays the mean of all c_i while no update is refused; where
/// clients are weighed by their samples, c is so only while all take part.
struct ScaffoldRule : FedAvgRule {
    static constexpr ServerTraits traits{
        .name = "scaffold", .title = "SCAFFOLD", .carries = "control variate", .sent = 2};

    float path = 1.0f;  ///< Q eta_l

    static ScaffoldRule of(const RuleSettings& s) {
        return {{s.round_rate}, static_cast<float>(s.local_steps) * s.local_rate};
    }
    Result<void> check(std::uint32_t nodes) const {
        if (!(path > 0.0f && path <= largest_finite)) return fail(Code::bad_setting, 1);
        return FedAvgRule::check(nodes);
    }
};

/// The server: FedAvg's and, behind it in one block of the caller's arena, what a client is sent, (x, c).
class ScaffoldServer {
    using Rounds = FederatedServer<FedAvgRule>;

public:
    static constexpr std::size_t memory(std::size_t dimension, std::size_t nodes) {
        return Rounds::memory(dimension, nodes) + Arena::bytes<float>(2 * dimension);
    }

    /// Errors: those of FederatedServer::make and of the rule.
    static Result<ScaffoldServer> make(const ServerSettings& settings, const ScaffoldRule& rule,
                                       ConstVector<float> model, Arena& arena) {
        if (auto checked = rule.check(settings.nodes); !checked) return tl::unexpected(checked.error());
        const std::span<std::byte> state = arena.take<std::byte>(memory(settings.dimension, settings.nodes));
        Arena block(state);
        auto rounds = Rounds::make(settings, rule, model, block);
        if (!rounds) return tl::unexpected(rounds.error());
        ScaffoldServer server(*std::move(rounds), rule, settings, state, block);
        std::copy(model.begin(), model.end(), server.sent_.begin());
        return server;
    }

    ScaffoldServer(ScaffoldServer&&) = default;
    ScaffoldServer& operator=(ScaffoldServer&&) = default;

    ConstVector<float> model() const { return rounds_.model(); }
    ConstVector<float> download() const { return sent_; }
    ConstVector<float> variate() const { return download().subspan(model().size()); }  ///< c
    std::uint64_t version() const { return rounds_.version(); }
    bool round_running() const { return rounds_.round_running(); }

    /// As FederatedServer's.
    Result<void> check(const Update& update) const { return rounds_.check(update); }
    void continue_from(const ScaffoldServer& smaller) {
        rounds_.continue_from(smaller.rounds_);
        std::copy(smaller.sent_.begin(), smaller.sent_.end(), sent_.begin());
    }
    Result<void> begin_round(std::span<const std::uint32_t> participants) {
        return rounds_.begin_round(participants);
    }
    Result<std::uint32_t> close_round() {
        const std::uint64_t before = version();
        Result<std::uint32_t> delivered = rounds_.close_round();
        if (version() != before) end_round(*delivered);
        return delivered;
    }
    Verdict receive(const Update& update) {
        const std::uint64_t before = version();
        const std::uint32_t gathered = rounds_.gathered() + 1;
        const Verdict verdict = rounds_.receive(update);
        if (version() != before) end_round(gathered);
        return verdict;
    }

    std::span<const std::byte> state() const { return state_; }
    /// Errors: state_size, state_mismatch.
    Result<void> restore(std::span<const std::byte> saved) { return restore_block(state_, saved, identity_words); }

private:
    static constexpr std::size_t identity_words = 3;  // of the FedAvg server, in front

    ScaffoldServer(Rounds&& rounds, const ScaffoldRule& rule, const ServerSettings& settings,
                   std::span<std::byte> state, Arena& block)
        : rounds_(std::move(rounds)),
          rule_(rule),
          nodes_(static_cast<float>(settings.nodes)),
          state_(state),
          sent_(block.take<float>(2 * settings.dimension)) {}

    /// The model is that of the next round, sent_ that of the last one.
    void end_round(std::uint32_t participants) {
        const std::size_t d = model().size();
        const float share = static_cast<float>(participants) / nodes_;
        for (std::size_t k = 0; k < d; ++k) {
            const float moved = (sent_[k] - model()[k]) / rule_.server_rate;
            sent_[d + k] += share * (moved / rule_.path - sent_[d + k]);
            sent_[k] = model()[k];
        }
    }

    Rounds rounds_;
    ScaffoldRule rule_;
    float nodes_;
    std::span<std::byte> state_;
    std::span<float> sent_;
};

/// What corrects the steps of a client of any method: its own variate c_i, and the mean one that came with its model.
/// A view of a block of memory() bytes, in which it goes on with what is there; zeros are a beginning.
class ControlVariates {
public:
    static constexpr std::size_t memory(std::size_t dimension) { return 4 * Arena::bytes<float>(dimension); }

    /// `local_steps` is Q.
    ControlVariates(std::span<std::byte> block, std::size_t dimension, std::uint32_t local_steps)
        : steps_(static_cast<float>(local_steps)) {
        StateView view(block);
        for (std::span<float>* part : {&own_, &mean_, &seen_, &corrected_}) *part = view.take<float>(dimension);
    }

    ConstVector<float> own() const { return own_; }  ///< c_i

    /// Before the steps from a model that came with this c.
    void begin(ConstVector<float> mean) {
        std::copy(mean.begin(), mean.end(), mean_.begin());
        std::fill(seen_.begin(), seen_.end(), 0.0f);
    }
    /// g - c_i + c, a view until the next call.
    ConstVector<float> correct(ConstVector<float> gradient) {
        for (std::size_t k = 0; k < own_.size(); ++k) corrected_[k] = gradient[k] + (mean_[k] - own_[k]);
        return corrected_;
    }
    /// A step was taken along the corrected gradient; `last` of Q.
    void stepped(ConstVector<float> gradient, bool last) {
        for (std::size_t k = 0; k < own_.size(); ++k) seen_[k] += gradient[k] / steps_;
        if (last) std::copy(seen_.begin(), seen_.end(), own_.begin());
    }

private:
    float steps_;
    std::span<float> own_, mean_, seen_, corrected_;  ///< c_i; c; what c_i will be; the step's direction
};

/// The client: that of any method, whose gradients are corrected by c - c_i before they are stepped along.
class ScaffoldClient {
public:
    static constexpr std::size_t memory(std::size_t dimension) {
        return FederatedClient::memory(dimension) + ControlVariates::memory(dimension);
    }

    /// Errors: those of FederatedClient::make.
    static Result<ScaffoldClient> make(const ClientSettings& settings, Arena& arena) {
        const std::span<std::byte> state = arena.take<std::byte>(memory(settings.dimension));
        const std::size_t front = FederatedClient::memory(settings.dimension);
        Arena block(state.first(front));
        auto client = FederatedClient::make(settings, block);
        if (!client) return tl::unexpected(client.error());
        const ControlVariates variates(state.subspan(front), settings.dimension, settings.local_steps);
        return ScaffoldClient(*std::move(client), variates, state);
    }

    ScaffoldClient(ScaffoldClient&&) = default;
    ScaffoldClient& operator=(ScaffoldClient&&) = default;

    /// Starts from the server's x and c. Errors: shape_mismatch, not_finite.
    Result<void> download(ConstVector<float> sent, std::uint64_t version) {
        const std::size_t d = variate().size();
        if (auto fit = check_finite(sent, 2 * d); !fit) return fit;
        if (auto taken = client_.download(sent.first(d), version); !taken) return taken;
        variates_.begin(sent.subspan(d));
        return {};
    }
    ConstVector<float> parameters() const { return client_.parameters(); }
    ConstVector<float> variate() const { return variates_.own(); }  ///< c_i
    bool done() const { return client_.done(); }

    /// Errors: those of FederatedClient::step; the client is then unchanged.
    Result<void> step(ConstVector<float> gradient) {
        if (gradient.size() != variate().size()) return wrong_size(gradient.size(), variate().size());
        if (auto stepped = client_.step(variates_.correct(gradient)); !stepped) return stepped;
        variates_.stepped(gradient, done());
        return {};
    }
    Result<Update> upload() { return client_.upload(); }

    std::span<const std::byte> state() const { return state_; }
    /// Errors: state_size, state_mismatch.
    Result<void> restore(std::span<const std::byte> saved) {
        if (auto restored = restore_block(state_, saved, identity_words); !restored) return restored;
        return client_.restore(saved.first(client_.state().size()));
    }

private:
    static constexpr std::size_t identity_words = 3;  // of the inner client, in front

    ScaffoldClient(FederatedClient&& client, const ControlVariates& variates, std::span<std::byte> state)
        : client_(std::move(client)), variates_(variates), state_(state) {}

    FederatedClient client_;
    ControlVariates variates_;
    std::span<std::byte> state_;
};

template <>
struct MachinesOf<ScaffoldRule> {
    using Server = ScaffoldServer;
    using Client = ScaffoldClient;
};
static_assert(Server<ScaffoldServer>);

}  // namespace dunlin
