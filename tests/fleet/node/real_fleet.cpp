// SPDX-License-Identifier: Apache-2.0
#include "real_fleet.hpp"

#include <catch2/catch.hpp>

namespace dunlin::test {

void RealFleet::Results::applied(const FleetState&, const Record& record, const JobChange* change) {
    if (change != nullptr && change->ledger) ledger.push_back(*change->ledger);
    if (record.kind != RecordKind::report || record.node >= values.size()) return;
    const auto metrics = read_report(record);
    values[record.node] = metrics.front().value;
    for (const KeptMetric& metric : metrics) all[record.node][metric.name] = metric.value;
}

RealFleet::RealFleet(std::uint32_t nodes, TaskMaker make_task, const CoordinatorSettings& coordinator) {
    std::string pattern = (std::filesystem::temp_directory_path() / "dunlin-fleet-XXXXXX").string();
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    folder_ = pattern;
    std::filesystem::create_directory(folder_ / "store");
    keys_ = *KeyPair::make();
    FleetServerSettings settings;
    settings.directory = folder_ / "store";
    settings.coordinator = coordinator;
    settings.link.endpoint = "tcp://127.0.0.1:0";
    settings.link.keys = keys_;
    settings.coordinator.return_ms = 0;  // there is nobody yet who could come back
    server_ = *FleetServer::open(settings, results_);
    const auto context = make_link_context(static_cast<int>(nodes));
    for (std::uint32_t i = 0; i < nodes; ++i) {
        auto member = std::make_unique<Member>();
        member->settings.name.assign(1, 'n').append(std::to_string(i));
        member->settings.directory = folder_ / member->settings.name;
        member->settings.memory_bytes = 1 << 20;
        member->settings.link.endpoint = server_->link().endpoint();
        member->settings.link.server_key = keys_.public_key();
        member->settings.link.keys = *KeyPair::make();
        member->settings.link.context = context;
        member->settings.link.observer = [this](Direction direction, std::span<const std::byte> bytes) {
            if (direction != Direction::sent) return;
            const std::lock_guard lock(mutex_);
            frames_.emplace_back(bytes.begin(), bytes.end());
        };
        member->settings.make_task = make_task;
        if (!make_task)
            member->settings.make_task = [this](const JobTerms& terms) -> Outcome<std::unique_ptr<NodeTask>> {
                return std::make_unique<PullTask>(terms, personal_, mutex_);
            };
        numbers_.push_back(*server_->coordinator().admit(
            {.name = member->settings.name, .key = member->settings.link.keys.public_key(), .labels = {}}));
        start(*member);
        members_.push_back(std::move(member));
    }
}

RealFleet::~RealFleet() {
    for (auto& member : members_) stop(*member);
    server_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
}

NodeLinkSettings RealFleet::admit(const std::string& name) {
    NodeLinkSettings link;
    link.endpoint = server_->link().endpoint();
    link.server_key = keys_.public_key();
    link.keys = *KeyPair::make();
    numbers_.push_back(*server_->coordinator().admit({.name = name, .key = link.keys.public_key(), .labels = {}}));
    return link;
}

void RealFleet::start(Member& member) {
    member.stop = false;
    auto made = Node::make(member.settings, [](std::string_view, const std::string&) {});
    INFO((made ? "" : made.error().text));
    REQUIRE(made);
    member.node = *std::move(made);
    member.thread = std::thread([&member] { member.node->run(member.stop, member.leave); });
}

void RealFleet::stop(Member& member) {
    if (!member.node) return;
    member.stop = true;
    member.node->wake();
    member.thread.join();
    member.node.reset();
}

std::uint64_t RealFleet::run(JobPlan plan) {
    plan.terms.members = static_cast<std::uint32_t>(numbers_.size());
    plan.first.assign(plan.terms.dimension, 0.0f);
    plan.experiment = "kind = \"pull\"\n";
    return run_planned(plan);
}

std::uint64_t RealFleet::run_planned(const JobPlan& plan) {
    results_.values.assign(numbers_.size(), -1.0);
    results_.all.assign(numbers_.size(), {});
    const auto number = server_->coordinator().create_job(plan, {.token = {}, .push = false, .nodes = numbers_});
    REQUIRE(number);
    int since_end = 0;
    for (int turns = 0; turns < turn_limit_; ++turns) {
        REQUIRE(server_->turn(10));
        each_turn_();
        const Job& job = *server_->coordinator().state().job(*number);
        const auto over = [](const JobMember& member) { return member.reported || !member.in(); };
        if (job.ended() && std::all_of(job.members().begin(), job.members().end(), over)) return *number;
        // Who was switched off before it had taken a step, and came back when all was over, has nothing to report.
        if (job.ended() && ++since_end > report_limit_) return *number;
        if (turns % 37 == 36 && restarts_ > 0) {
            --restarts_;
            const std::size_t member = static_cast<std::size_t>(turns) / 37 % members_.size();
            power_off(member);
            power_on(member);
        }
    }
    const Job& job = *server_->coordinator().state().job(*number);
    std::string told = "the job never ended: epoch " + std::to_string(job.epoch());
    told += job.ended() ? ", over" : job.ending() ? ", ending" : job.closing() ? ", closing" : ", running";
    for (std::uint32_t i = 0; i < members_.size(); ++i) {
        const MemberSession* session = server_->coordinator().session(*number, i);
        told += "; member in state " + std::to_string(static_cast<int>(job.members()[i].state));
        told += job.members()[i].reported ? " reported" : " silent";
        if (session != nullptr) {
            told += session->joined ? " joined" : " away";
            told += " epoch " + std::to_string(session->epoch) + " tick " + std::to_string(session->tick);
            told += session->frozen ? " frozen" : "";
        }
    }
    FAIL(told);
    return 0;
}

JobPlan federated() {
    JobPlan plan;
    plan.terms.dimension = 48;
    plan.terms.moreau.prox_weight = 0.7f;
    plan.terms.local_steps = 3;
    plan.terms.local_rate = 0.5f;
    plan.server.rule = PersaflRule{0.5f};
    plan.budget.updates = 90;
    return plan;
}

JobPlan push_sum() {
    JobPlan plan;
    plan.terms.dimension = 48;
    plan.terms.aggregation = Aggregation::push_sum;
    plan.terms.moreau.prox_weight = 0.7f;
    plan.terms.theta = {.scale = 0.1, .offset = 0, .longest_gap = 3};
    plan.terms.tick_ms = 5;
    plan.terms.learn_until = 60;
    plan.terms.audit = true;
    plan.graph.kind = "directed-ring";
    plan.budget.rounds = 120;
    return plan;
}

}  // namespace dunlin::test
