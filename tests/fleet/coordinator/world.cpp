// SPDX-License-Identifier: Apache-2.0
// A world whose time goes on, its coordinator, and what is under way between it and the nodes.
#include "world.hpp"

#include <cstring>

namespace dunlin::testing {
namespace {

/// What is put aside is done so many milliseconds later.
class Later final : public Aside {
public:
    Later(const std::int64_t& now_ms, std::uint64_t delay_ms)
        : now_ms_(now_ms), delay_ms_(static_cast<std::int64_t>(delay_ms)) {}
    void begin(std::function<void()> work) override {
        work_ = std::move(work);
        due_ms_ = now_ms_ + delay_ms_;
    }
    bool collect(std::chrono::milliseconds wait) override {
        if (!work_ || (now_ms_ < due_ms_ && wait.count() == 0)) return false;
        std::exchange(work_, nullptr)();
        return true;
    }

private:
    const std::int64_t& now_ms_;
    std::int64_t delay_ms_, due_ms_ = 0;
    std::function<void()> work_;
};

}  // namespace

void Chronicle::applied(const FleetState& state, const Record& record, const JobChange* change) {
    if (!state.jobs().empty()) {
        const ConstVector<float> model = state.jobs().begin()->second.model();
        const std::uint64_t sum = checksum_of(std::as_bytes(model));
        const auto [found, fresh] = models.emplace(record.index, sum);
        // The same record gives the same model, bit for bit; a record that a crash took may come again as another.
        if (!fresh) found->second = sum;
    }
    if (change == nullptr) return;
    if (change->ledger) ledger[record.index] = *change->ledger;
    if (!change->summed.empty()) sums[record.index] = change->summed;
    if (record.kind == RecordKind::report) metrics += read_report(record).size();
    if (change->verdict && change->verdict->outcome != Reception::refused) {
        updates[record.index] = {record.job,          record.node,
                                 record.incarnation,  record.sequence,
                                 record.base_version, record.samples,
                                 record.detail,       {record.payload.begin(), record.payload.end()}};
    }
}

World::World(const WorldSettings& settings)
    : settings_(settings),
      random_(settings.seed, 2, Purpose::lives),
      files_(settings.seed),
      nodes_(settings.nodes) {
    open();
    for (std::uint32_t i = 0; i < size(); ++i) {
        nodes_[i].key[0] = static_cast<std::byte>(i + 1);
        nodes_[i].key[31] = static_cast<std::byte>(7);
        nodes_[i].clock_ms = random_.below(100'000);
        boot(i);
    }
    admit_all();
}

void World::admit_all() {
    for (std::uint32_t i = 0; i < size(); ++i) {
        REQUIRE(
            coordinator_->admit({.name = "node-" + std::to_string(i), .key = nodes_[i].key, .labels = {"all"}}));
    }
}

void World::forget_everything() {
    coordinator_.reset();
    chronicle_ = {};
    acknowledged.clear();
    directory_ += "-again";
    open();
    admit_all();
    REQUIRE(coordinator_->came_from_a_copy());
    for (std::uint32_t i = 0; i < size(); ++i) cut(i);
}

void World::open() {
    // Every other fleet writes its snapshots while it goes on; what a crash finds half done is never gone on with.
    if (settings_.seed % 2 == 1)
        settings_.store.aside = std::make_shared<Later>(now_ms_, 5 * (coordinator_crashes % 9));
    for (;;) {
        auto opened =
            Coordinator::open(files_, directory_, settings_.store, settings_.coordinator, *this, chronicle_);
        if (opened) {
            coordinator_ = *std::move(opened);
            return;
        }
        INFO("code " << static_cast<int>(opened.error().code));
        REQUIRE(files_.dark());
        files_.restart();
    }
}

void World::restart_coordinator(bool power_loss) {
    ++coordinator_crashes;
    const std::uint64_t newest = coordinator_->store().newest();
    coordinator_.reset();
    if (power_loss) files_.restart();
    files_.fail_at(0);
    const auto before = chronicle_.models;
    open();
    // What was durable is there, and gives the model that it gave (invariant 8).
    REQUIRE(coordinator_->store().newest() >= newest);
    for (const auto& [index, sum] : before) {
        if (index > newest) break;
        REQUIRE(chronicle_.models.at(index) == sum);
    }
    for (auto* kept : {&chronicle_.models})
        kept->erase(kept->upper_bound(coordinator_->store().newest()), kept->end());
    if (const auto last = before.find(newest); last != before.end() && coordinator_->store().newest() == newest) {
        const ConstVector<float> model = coordinator_->state().jobs().begin()->second.model();
        REQUIRE(checksum_of(std::as_bytes(model)) == last->second);
    }
    for (std::uint32_t i = 0; i < size(); ++i) cut(i);
    // Nodes may be back before it has looked at its clock for the first time.
    tick_from_ms_ = now_ms_ + (coordinator_crashes % 2 == 0 ? 250 : 0);
}

std::uint64_t World::start_job(const JobPlan& plan, std::string token) {
    return start_job(plan, std::move(token), size());
}

std::uint64_t World::start_job(const JobPlan& plan, std::string token, std::uint32_t nodes) {
    JobRequest request;
    request.token = std::move(token);
    for (std::uint32_t i = 0; i < nodes; ++i) request.nodes.push_back(i);
    for (;;) {
        if (const auto job = coordinator_->create_job(plan, request)) return *job;
        restart_coordinator(true);
    }
}

World::Node* World::find(const PublicKey& key) {
    for (Node& node : nodes_) {
        if (node.key == key) return &node;
    }
    return nullptr;
}

void World::carry(std::deque<std::pair<std::int64_t, Frame>>& queue, const Message& message) {
    auto frame = encode_frame(message);
    INFO("kind " << message.body.index());
    REQUIRE(frame);
    std::int64_t due_ms = now_ms_ + 1 + random_.below(faults_.longest_delay_ms);
    if (!queue.empty()) due_ms = std::max(due_ms, queue.back().first);
    queue.emplace_back(due_ms, *std::move(frame));
}

Result<void> World::send(const PublicKey& to, const Message& message) {
    Node* node = find(to);
    if (node == nullptr || node->connection == 0) return fail(Code::not_connected);
    if (random_.uniform() < faults_.busy) return fail(Code::busy);
    const auto* said = std::get_if<Acknowledgement>(&message.body);
    if (said != nullptr && said->applied && said->sequence > 0) {
        const std::uint32_t number = static_cast<std::uint32_t>(node - nodes_.data());
        const Job& job = *coordinator_->state().job(message.envelope.job);
        const JobMember& member = job.members()[number];
        acknowledged.push_back({message.envelope.job, number, member.incarnation, said->sequence});
    }
    Message told = message;
    if (node->older) told.envelope.nonce = 0;
    carry(node->inbox, told);
    return {};
}

void World::silent(const PublicKey& key) {
    if (Node* node = find(key)) cut(static_cast<std::uint32_t>(node - nodes_.data()));
}

void World::step(const WorldFaults& faults) {
    faults_ = faults;
    ++now_ms_;
    if (random_.uniform() < faults.power) {
        if (random_.below(3) == 0) {
            restart_coordinator(random_.below(2) == 0);
        } else {
            files_.lose_power_at(1 + random_.below(20));
        }
    }
    if (random_.uniform() < faults.file_failure) files_.fail_at(1 + random_.below(10));
    for (std::uint32_t i = 0; i < size(); ++i) {
        Node& node = nodes_[i];
        if (node.off) continue;
        if (random_.uniform() < faults.cut) cut(i);
        if (random_.uniform() < faults.node_crash) {
            cut(i);
            boot(i);
        }
        if (random_.uniform() < faults.amnesia) {
            cut(i);
            node.stored.clear();
            node.storing.reset();
            boot(i);
        }
        if (node.connection == 0 && now_ms_ >= node.dial_ms) {
            node.connection = ++connections_;
            node.session->connected(now_ms_ + node.clock_ms);
        }
        deliver(i);
        drive(i);
    }
    if (now_ms_ >= tick_from_ms_) coordinator_->tick(now_ms_);
    (void)coordinator_->commit(now_ms_);
    if (files_.dark() || coordinator_->broken()) restart_coordinator(files_.dark());
}

JobPlan toy_plan(std::uint32_t members, Aggregation aggregation) {
    JobPlan plan;
    plan.name = "toy";
    plan.experiment = "kind = \"toy\"";
    plan.terms.members = members;
    plan.terms.dimension = 6;
    plan.terms.aggregation = aggregation;
    plan.terms.local_steps = 3;
    if (aggregation == Aggregation::hgp) plan.terms.least_parts = 2;
    plan.terms.local_rate = 0.2f;
    plan.terms.tick_ms = 10;
    plan.terms.theta = {.scale = 0.005, .offset = 0, .longest_gap = 4};
    plan.terms.weight_floor = 0.05f;  // so that no step overshoots: 4 * 0.005 / 0.05 < 1
    plan.terms.audit = true;
    plan.samples.assign(members, 1.0f);
    plan.first.assign(plan.terms.dimension, 0.5f);
    plan.graph.kind = "exponential";
    return plan;
}

}  // namespace dunlin::testing
