// SPDX-License-Identifier: Apache-2.0
#include "fleet/coordinator/model_server.hpp"

#include "core/robust/defended_rows.hpp"
#include "core/robust/private_sum.hpp"
#include "training/host/host_memory.hpp"

namespace dunlin {
namespace {

template <class Rule, class Machine>
class RuleServer final : public ModelServer {
public:
    static constexpr bool by_rounds = Rule::gathering == Gathering::participants;

    template <class... Gathered>
    RuleServer(const ServerSettings& settings, const Rule& rule, ConstVector<float> first,
               const Gathered&... gathered)
        : memory_(Machine::memory(settings.dimension, settings.nodes)), machine_([&] {
              Arena arena(memory_.bytes());
              return Machine::make(settings, rule, first, arena, gathered...);
          }()) {}

    /// To be asked before anything else.
    Result<void> made() const { return machine_ ? Result<void>{} : tl::unexpected(machine_.error()); }

    Result<void> check(const Update& update) const override { return machine_->check(update); }
    Verdict receive(const Update& update) override { return machine_->receive(update); }
    ConstVector<float> model() const override { return machine_->model(); }
    ConstVector<float> download() const override { return machine_->download(); }
    std::uint64_t version() const override { return machine_->version(); }
    std::span<const std::byte> state() const override { return machine_->state(); }
    Result<void> restore(std::span<const std::byte> saved) override { return machine_->restore(saved); }

    void continue_from(const ModelServer& smaller) override {
        machine_->continue_from(*dynamic_cast<const RuleServer&>(smaller).machine_);
    }

    std::uint64_t undefended() const override {
        if constexpr (requires { machine_->gathering().undefended(); }) return machine_->gathering().undefended();
        return 0;
    }
    bool rounds() const override { return by_rounds; }
    bool round_running() const override {
        if constexpr (by_rounds) return machine_->round_running();
        return false;
    }
    Result<void> begin_round([[maybe_unused]] std::span<const std::uint32_t> participants) override {
        if constexpr (by_rounds) return machine_->begin_round(participants);
        return fail(Code::round_closed);
    }
    Result<void> close_round() override {
        if constexpr (by_rounds) return machine_->close_round().map([](std::uint32_t) {});
        return fail(Code::round_closed);
    }
    Result<void> close_round_with([[maybe_unused]] ConstVector<float> mean,
                                  [[maybe_unused]] std::span<const Update> delivered) override {
        if constexpr (requires { machine_->close_round_with(mean, delivered); })
            return machine_->close_round_with(mean, delivered);
        return fail(Code::round_closed);
    }
    void set_noise_key([[maybe_unused]] std::span<const std::byte, 32> key) override {
        if constexpr (requires { machine_->gathering().set_noise_key(key); })
            machine_->gathering().set_noise_key(key);
    }

private:
    HostMemory memory_;
    Result<Machine> machine_;
};

template <class Machine, class Rule, class... Gathered>
Result<std::unique_ptr<ModelServer>> make_server(const ServerSettings& settings, const Rule& rule,
                                                 ConstVector<float> first, const Gathered&... gathered) {
    auto server = std::make_unique<RuleServer<Rule, Machine>>(settings, rule, first, gathered...);
    if (auto made = server->made(); !made) return tl::unexpected(made.error());
    return server;
}

}  // namespace

Result<std::unique_ptr<ModelServer>> ModelServer::make(const ServerPlan& plan, std::uint64_t seed,
                                                       std::uint32_t members, ConstVector<float> first) {
    const ServerSettings settings{members, first.size(), plan.staleness_limit, plan.component_limit};
    return std::visit(
        [&]<class Rule>(const Rule& rule) {
            if constexpr (Defensible<Rule>) {
                if (plan.defence.defends())
                    return make_server<DefendedServerOf<Rule>>(settings, rule, first,
                                                               DefendedRows::Settings{plan.defence, seed});
            }
            if constexpr (std::derived_from<Rule, FedAvgRule>) {
                // Members that mask their updates add the noise themselves.
                if (plan.privacy.enabled() && !plan.masks.enabled()) {
                    PrivateSum::Settings noisy;
                    noisy.clip = static_cast<double>(plan.privacy.clip);
                    noisy.noise = static_cast<double>(plan.privacy.noise);
                    noisy.expected = static_cast<double>(plan.privacy.expected);
                    noisy.rate = static_cast<double>(rule.server_rate);
                    return make_server<FederatedServer<Rule, PrivateSum>>(settings, rule, first, noisy);
                }
            }
            return make_server<typename MachinesOf<Rule>::Server>(settings, rule, first);
        },
        plan.rule);
}

}  // namespace dunlin
