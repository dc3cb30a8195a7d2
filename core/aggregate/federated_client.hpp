// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/aggregate/federated.hpp"

#include <array>
#include <bit>

namespace dunlin {

struct ClientSettings {
    std::uint32_t node = 0;
    std::uint32_t incarnation = 0;  ///< of a client that starts without stored state
    std::size_t dimension = 0;      ///< d
    std::uint32_t local_steps = 1;  ///< Q
    float local_rate = 0.05f;       ///< eta; with a Moreau envelope eta * lambda stays below 1
    float prox_weight = 0.0f;       ///< mu of FedProx: pulls the local steps back to w_0
    float samples = 1.0f;           ///< weight in a round's mean
    Payload payload = Payload::difference;
};

/// A client of any federated method: PersA-FL, Algorithm 2 (Toghani, Lee and Uribe 2022).
///
///     download(w, t)        w_0 := w                                                        lines 3-4
///     step(g), Q times      w_(q+1) := w_q - eta (g + mu (w_q - w_0))                       lines 7, 9, 12
///     upload()              Delta := w_0 - w_Q, or w_Q                                      lines 14-15
///
/// g is a stochastic gradient of the client's objective at parameters(): option A, B or C is the adaptation that
/// computed it. upload() may be called again until the next download and answers the same update under the same
/// sequence number, which a server takes at most once; whoever drives the client stores `state()` before it sends.
///
/// The state is one block of the caller's arena. Movable, not copyable.
class FederatedClient {
public:
    static constexpr std::size_t memory(std::size_t dimension) {
        return Arena::bytes<Header>(1) + 2 * Arena::bytes<float>(dimension);
    }

    /// What a client must remember once its update has arrived, until the next download: the front of its state, here
    /// that of one which starts. The rest is written anew. Errors: bad_setting.
    static Result<std::array<std::byte, 64>> remembered(const ClientSettings& settings) {
        if (auto checked = check(settings); !checked) return tl::unexpected(checked.error());
        static_assert(sizeof(Header) == 64);
        Header header{};
        const Identity identity = identity_of(settings);
        std::copy(identity.begin(), identity.end(), header.identity);
        header.incarnation = settings.incarnation;
        return std::bit_cast<std::array<std::byte, sizeof(Header)>>(header);
    }
    /// Completes the state of a client that remembers its front and whose update is `values`, so that `upload` answers
    /// it again. `state` holds memory(values.size()) bytes.
    static void recall(std::span<std::byte> state, ConstVector<float> values) {
        StateView block(state);
        block.take<Header>(1);
        for (int part = 0; part < 2; ++part) {
            const std::span<float> numbers = block.take<float>(values.size());
            std::copy(values.begin(), values.end(), numbers.begin());
        }
    }

    /// Errors: bad_setting.
    static Result<FederatedClient> make(const ClientSettings& settings, Arena& arena) {
        if (auto checked = check(settings); !checked) return tl::unexpected(checked.error());
        FederatedClient client(settings, arena.take<std::byte>(memory(settings.dimension)));
        const Identity identity = identity_of(settings);
        std::copy(identity.begin(), identity.end(), client.header_->identity);
        client.header_->incarnation = settings.incarnation;
        return client;
    }

    /// A client whose state is in `block` already, memory() bytes that it stored with the incarnation that it had,
    /// aligned as an Arena's. Errors: bad_setting, state_size, state_mismatch.
    static Result<FederatedClient> resume(const ClientSettings& settings, std::span<std::byte> block) {
        if (auto checked = check(settings); !checked) return tl::unexpected(checked.error());
        const std::size_t size = memory(settings.dimension);
        if (block.size() != size) {
            return fail(Code::state_size, static_cast<std::int64_t>(block.size()), static_cast<std::int64_t>(size));
        }
        if (auto same = check_identity(block, identity_of(settings)); !same) return tl::unexpected(same.error());
        return FederatedClient(settings, block);
    }

    static Result<void> check(const ClientSettings& settings) {
        if (settings.dimension == 0) return fail(Code::bad_setting, 2);
        if (settings.local_steps == 0) return fail(Code::bad_setting, 3);
        if (!(settings.local_rate > 0.0f && settings.local_rate <= rate_limit)) return fail(Code::bad_setting, 4);
        // A proximal step that overshoots w_0 diverges.
        if (!(settings.prox_weight >= 0.0f && settings.prox_weight * settings.local_rate < 1.0f)) {
            return fail(Code::bad_setting, 5);
        }
        if (!(settings.samples > 0.0f && settings.samples <= 1e9f)) return fail(Code::bad_setting, 6);
        return {};
    }

    FederatedClient(FederatedClient&&) = default;
    FederatedClient& operator=(FederatedClient&&) = default;

    /// Starts from a model of the server; whatever was under way is dropped. Errors: shape_mismatch, not_finite.
    Result<void> download(ConstVector<float> model, std::uint64_t version) {
        const bool small = looks_once && model.size() == start_.size() &&
                           !flat_kernels().any_beyond(model.data(), model.size(), small_limit);
        if (!small) {
            if (auto fit = check_finite(model, start_.size()); !fit) return fit;
        }
        if constexpr (looks_once) reach_ = small ? small_limit : largest_finite;
        std::copy(model.begin(), model.end(), start_.begin());
        std::copy(model.begin(), model.end(), parameters_.begin());
        header_->base_version = version;
        header_->steps = 0;
        header_->phase = training;
        return {};
    }

    /// w_q, where the next gradient is to be taken.
    ConstVector<float> parameters() const { return parameters_; }
    /// q, the steps that were taken since the download.
    std::uint64_t steps() const { return header_->steps; }
    /// Have all Q steps been taken?
    bool done() const { return header_->phase != idle && header_->steps >= settings_.local_steps; }

    /// One local step. Errors: no_model, local_steps (there were Q already), shape_mismatch, not_finite (of the
    /// gradient, or of where it would lead); the client is then unchanged.
    Result<void> step(ConstVector<float> gradient) {
        if (header_->phase == idle) return fail(Code::no_model);
        if (done()) return wrong_steps();
        // Of small numbers none can leave the range: w_(q+1) lies between w_q and w_0, less eta g.
        const bool small = looks_once && gradient.size() == start_.size() && reach_ < reach_limit &&
                           !flat_kernels().any_beyond(gradient.data(), gradient.size(), small_limit);
        if (!small) {
            if (auto fit = check_step(gradient); !fit) return fit;
        }
        if constexpr (looks_once) {
            reach_ = small ? reach_ + 2.0f * rate_limit * small_limit : largest_finite;
            flat_kernels().descend(settings_.local_rate, gradient.data(), settings_.prox_weight, start_.data(),
                                   parameters_.data(), gradient.size());
        } else {
            for (std::size_t k = 0; k < gradient.size(); ++k) parameters_[k] = stepped(gradient, k);
        }
        ++header_->steps;
        return {};
    }

    /// The update, a view of this client's memory until the next download. Errors: no_model, local_steps (not yet
    /// Q).
    Result<Update> upload() {
        if (header_->phase == idle) return fail(Code::no_model);
        if (!done()) return wrong_steps();
        if (header_->phase == training) {
            if constexpr (looks_once) {
                flat_kernels().add_scaled(-1.0f, parameters_.data(), start_.data(), start_.size());
            } else {
                for (std::size_t k = 0; k < start_.size(); ++k) start_[k] -= parameters_[k];
            }
            ++header_->sequence;
            header_->phase = delivered;
        }
        return Update{settings_.node,    static_cast<std::uint32_t>(header_->incarnation),
                      header_->sequence, header_->base_version,
                      settings_.samples, settings_.payload == Payload::model ? parameters_ : start_};
    }

    std::span<const std::byte> state() const { return state_; }
    /// Takes a state that this client stored, with the incarnation that it had. Errors: state_size, state_mismatch.
    Result<void> restore(std::span<const std::byte> saved) {
        reach_ = largest_finite;
        return restore_block(state_, saved, identity_words);
    }

private:
    static constexpr std::size_t identity_words = 3;
    /// Microcontrollers have no vectors that one comparison for all would feed, and no flash for it.
#if defined(__ARM_ARCH_PROFILE) && __ARM_ARCH_PROFILE == 'M'
    static constexpr bool looks_once = false;
#else
    static constexpr bool looks_once = true;
#endif
    static constexpr float rate_limit = 1e3f;    ///< of eta
    static constexpr float small_limit = 1e30f;  ///< of numbers that are checked by one comparison
    static constexpr float reach_limit = 1e37f;  ///< of parameters that a step from cannot lead out of the range

    enum : std::uint64_t { idle, training, delivered };  // a phase; `delivered`: start_ holds Delta

    struct Header {
        std::uint64_t identity[identity_words];  ///< kind; node; dimension
        std::uint64_t incarnation, sequence, base_version;
        std::uint64_t steps, phase;
    };

    using Identity = std::array<std::uint64_t, identity_words>;

    FederatedClient(const ClientSettings& settings, std::span<std::byte> state)
        : settings_(settings), state_(state) {
        StateView block(state_);
        header_ = block.take<Header>(1).data();
        start_ = block.take<float>(settings.dimension);
        parameters_ = block.take<float>(settings.dimension);
    }
    static Identity identity_of(const ClientSettings& settings) {
        return {0x46430001u, settings.node, settings.dimension};
    }

    tl::unexpected<Error> wrong_steps() const {
        return fail(Code::local_steps, static_cast<std::int64_t>(header_->steps), settings_.local_steps);
    }

    /// Is the gradient finite, and where it would lead?
    [[gnu::always_inline]] Result<void> check_step(ConstVector<float> gradient) const {
        if (auto fit = check_finite(gradient, start_.size()); !fit) return fit;
        for (std::size_t k = 0; k < gradient.size(); ++k) {
            if (const float next = stepped(gradient, k); !(next - next == 0.0f)) {
                return fail(Code::not_finite, static_cast<std::int64_t>(k));
            }
        }
        return {};
    }
    float stepped(ConstVector<float> gradient, std::size_t k) const {
        const float pull = settings_.prox_weight * (parameters_[k] - start_[k]);
        return parameters_[k] - settings_.local_rate * (gradient[k] + pull);
    }

    ClientSettings settings_;
    std::span<std::byte> state_;
    Header* header_ = nullptr;
    std::span<float> start_, parameters_;
    float reach_ = largest_finite;  ///< no parameter is farther from 0
};

}  // namespace dunlin
