// SPDX-License-Identifier: Apache-2.0
#include "fleet/coordinator/model_server.hpp"

#include "training/host/host_memory.hpp"

namespace dunlin {
namespace {

template <class Rule>
class RuleServer final : public ModelServer {
public:
    using Machine = typename MachinesOf<Rule>::Server;
    static constexpr bool by_rounds = Rule::gathering == Gathering::participants;

    RuleServer(const ServerSettings& settings, const Rule& rule, ConstVector<float> first)
        : memory_(Machine::memory(settings.dimension, settings.nodes)), machine_([&] {
              Arena arena(memory_.bytes());
              return Machine::make(settings, rule, first, arena);
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

private:
    HostMemory memory_;
    Result<Machine> machine_;
};

template <class Rule>
Result<std::unique_ptr<ModelServer>> make_server(const ServerSettings& settings, const Rule& rule,
                                                 ConstVector<float> first) {
    auto server = std::make_unique<RuleServer<Rule>>(settings, rule, first);
    if (auto made = server->made(); !made) return tl::unexpected(made.error());
    return server;
}

}  // namespace

Result<std::unique_ptr<ModelServer>> ModelServer::make(const ServerPlan& plan, std::uint32_t members,
                                                       ConstVector<float> first) {
    const ServerSettings settings{members, first.size(), plan.staleness_limit, plan.component_limit};
    return std::visit([&](const auto& rule) { return make_server(settings, rule, first); }, plan.rule);
}

}  // namespace dunlin
