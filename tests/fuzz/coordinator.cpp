// SPDX-License-Identifier: Apache-2.0
// Any messages of any nodes, in any order, with crashes and an operator who does not know what he does: no model
// gets a number that is not one, and after every crash there is the state that was there before.
#include "fleet/coordinator/coordinator.hpp"

#include "../fleet/coordinator/simulated_files.hpp"
#include "fuzz.hpp"

#include <algorithm>
#include <array>
#include <cmath>

using namespace dunlin;

namespace {

constexpr std::uint32_t dimension = 4, nodes = 3, masking = 5;

/// The input as decisions; zeros when it is used up.
class Decisions {
public:
    Decisions(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}
    bool any() const { return at_ < size_; }
    std::uint8_t byte() { return at_ < size_ ? data_[at_++] : std::uint8_t{0}; }
    std::uint8_t below(std::uint8_t limit) { return static_cast<std::uint8_t>(byte() % limit); }
    template <class T>
    T number() {
        // Small ones are the interesting ones.
        if (const std::uint8_t kind = byte(); kind < 200) return static_cast<T>(kind % 8);
        std::array<std::byte, sizeof(T)> raw{};
        for (std::byte& part : raw) part = static_cast<std::byte>(byte());
        return std::bit_cast<T>(raw);
    }
    /// Mostly as many as a job has numbers.
    template <class T>
    std::span<const T> numbers(std::vector<T>& memory) {
        const std::uint8_t kind = byte();
        memory.resize(kind < 220 ? dimension : kind % 16);
        for (T& value : memory) value = number<T>();
        return memory;
    }

private:
    const std::uint8_t* data_;
    std::size_t size_, at_ = 0;
};

PublicKey key_of(std::uint8_t node) {
    PublicKey key{};
    key[0] = static_cast<std::byte>(node + 1);
    return key;
}

struct Memory {
    std::vector<float> floats;
    std::vector<Mass> masses, steps;
    std::vector<std::int64_t> heard;
    std::vector<std::uint32_t> members;
    std::vector<std::byte> bytes;
    std::array<Metric, 3> metrics;
};

MessageBody any_body(Decisions& decide, Memory& memory) {
    const auto values = [&] {
        const auto floats = decide.numbers(memory.floats);
        return EncodedValues{static_cast<Encoding>(decide.below(4)), static_cast<std::uint32_t>(floats.size()),
                             std::as_bytes(floats)};
    };
    switch (decide.below(14)) {
        case 0:
            return Join{.newest_version = decide.number<std::uint16_t>(),
                        .name = "n1",
                        .epoch = decide.number<std::uint32_t>()};
        case 1:
            return JobAnswer{
                decide.below(2) == 0, {static_cast<Code>(decide.number<std::uint16_t>())}, decide.below(3)};
        case 2:
            return ModelRequest{};
        case 3:
            memory.metrics.fill({"loss", decide.number<double>()});
            return Report{decide.number<std::int64_t>(), decide.below(2) == 0,
                          std::span(memory.metrics).first(decide.below(4))};
        case 4:
            return Leave{};
        case 5:
            memory.heard.resize(decide.below(4));
            for (std::int64_t& tick : memory.heard) tick = decide.number<std::int64_t>();
            return Frozen{decide.number<std::uint32_t>(), decide.number<std::int64_t>(), memory.heard};
        case 6:
            return Heartbeat{decide.number<std::int64_t>()};
        case 7:
            return ModelUpdate{decide.number<std::uint32_t>(), decide.number<std::uint64_t>(),
                               decide.number<float>(), values()};
        case 8:
            return ShareMessage{decide.number<std::uint32_t>(), decide.number<std::uint32_t>(),
                                decide.number<std::uint32_t>(), decide.number<std::int64_t>(),
                                decide.number<Mass>(),          decide.numbers(memory.masses)};
        case 9:
            return MassReport{decide.number<std::uint32_t>(), decide.number<Mass>(), decide.numbers(memory.masses),
                              decide.numbers(memory.steps)};
        case 10:
            return Welcome{};
        case 11:
            memory.members.resize(decide.below(6));
            for (std::uint32_t& member : memory.members) member = decide.below(8);
            memory.bytes.resize(std::size_t{decide.below(7)} * 96);
            for (std::byte& byte : memory.bytes) byte = static_cast<std::byte>(decide.byte());
            return MaskExchange{decide.number<std::uint64_t>(),
                                decide.number<std::uint64_t>(),
                                static_cast<MaskStep>(decide.below(7)),
                                {},
                                memory.members,
                                memory.bytes};
        case 12:
            memory.bytes.resize(decide.below(2) == 0 ? (dimension + 1) * 4 : decide.byte());
            return MaskedUpdate{decide.number<std::uint32_t>(), decide.number<std::uint64_t>(),
                                decide.number<std::uint64_t>(), memory.bytes};
        default:
            return Model{0, values()};
    }
}

JobPlan plan_of(Aggregation aggregation, bool rounds) {
    JobPlan plan;
    plan.name = "fuzz";
    plan.terms.members = nodes;
    plan.terms.dimension = dimension;
    plan.terms.aggregation = aggregation;
    plan.terms.audit = true;
    plan.samples.assign(nodes, 1.0f);
    plan.first.assign(dimension, 0.5f);
    plan.graph.kind = "directed-ring";
    plan.removal_ms = 60'000;
    plan.budget.updates = 50;
    if (rounds) plan.server.rule = FedAvgRule{};
    return plan;
}

/// A fleet that lives through one input.
class Life final : public Outbox {
public:
    Life() {
        open();
        for (std::uint8_t i = 0; i < masking; ++i)
            fuzz::require(
                coordinator_->admit({.name = "n" + std::to_string(i), .key = key_of(i), .labels = {}}).has_value());
        JobRequest wanted;
        wanted.nodes = {0, 1, 2};
        for (const auto& plan : {plan_of(Aggregation::federated, false), plan_of(Aggregation::push_sum, false),
                                 plan_of(Aggregation::federated, true)}) {
            fuzz::require(coordinator_->create_job(plan, wanted).has_value());
        }
        JobPlan masked = plan_of(Aggregation::federated, true);
        masked.terms.members = masking;
        masked.terms.payload = Payload::masked;
        masked.samples.assign(masking, 1.0f);
        masked.server.masks.group = 10;
        wanted.nodes = {0, 1, 2, 3, 4};
        fuzz::require(coordinator_->create_job(masked, wanted).has_value());
        for (std::uint8_t i = 0; i < masking; ++i) hear(i, {{0, i, 0, 0}, Join{}});
        fuzz::require(coordinator_->commit(now_ms_).has_value());
    }

    void live(Decisions& decide) {
        Memory memory;
        while (decide.any()) {
            switch (const std::uint8_t what = decide.below(32)) {
                case 0:
                    now_ms_ += decide.number<std::uint16_t>();
                    coordinator_->tick(now_ms_);
                    break;
                case 1:
                case 2:
                    commit();
                    break;
                case 3:
                    commit();
                    reopen();
                    break;
                case 4:
                    coordinator_->disconnected(key_of(decide.below(masking + 1)));
                    break;
                case 5:
                    meddle(decide);
                    break;
                default: {
                    const std::uint8_t from = decide.below(masking + 1);
                    const Envelope envelope{decide.below(6), from, decide.number<std::uint32_t>(),
                                            decide.number<std::uint64_t>()};
                    hear(from, {envelope, any_body(decide, memory)});
                    if (what > 24) commit();
                }
            }
        }
        commit();
        for (const auto& [number, job] : coordinator_->state().jobs()) {
            for (const float value : job.model()) fuzz::require(std::isfinite(value));
        }
        reopen();
    }

    Result<void> send(const PublicKey&, const Message&) override { return {}; }

private:
    void open() {
        auto opened =
            Coordinator::open(files_, "store", {.batch_bytes = 1u << 16, .log_bytes = 2000}, {}, *this, nobody_);
        fuzz::require(opened.has_value());
        coordinator_ = *std::move(opened);
    }
    void hear(std::uint8_t from, const Message& message) { coordinator_->receive(key_of(from), message, now_ms_); }
    void commit() { fuzz::require(coordinator_->commit(now_ms_).has_value()); }
    /// What was gathered and not committed is gone; all else is as it was.
    void reopen() {
        const std::vector<std::byte> before = coordinator_->state().save();
        coordinator_.reset();
        files_.restart();
        open();
        fuzz::require(coordinator_->state().save() == before);
    }
    void meddle(Decisions& decide) {
        const std::uint64_t job = decide.below(6);
        switch (decide.below(7)) {
            case 0:
                (void)coordinator_->pause(job, decide.below(2) == 0);
                break;
            case 1:
                (void)coordinator_->stop(job, decide.below(2) == 0);
                break;
            case 2:
                (void)coordinator_->remove_member(job, decide.below(5));
                break;
            case 3:
                (void)coordinator_->revoke("n" + std::to_string(decide.below(4)));
                break;
            case 4:
                (void)coordinator_->admit(
                    {.name = "n" + std::to_string(decide.below(4)), .key = key_of(decide.below(4)), .labels = {}});
                break;
            case 5:
                (void)coordinator_->rotate("n" + std::to_string(decide.below(4)), key_of(decide.below(6)));
                break;
            default:
                (void)coordinator_->snapshot();
        }
    }

    testing::SimulatedFiles files_{1};
    Journal nobody_;
    std::unique_ptr<Coordinator> coordinator_;
    std::int64_t now_ms_ = 0;
};

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Decisions decide(data, size);
    Life().live(decide);
    return 0;
}
