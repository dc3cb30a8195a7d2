// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/adapt/moreau_envelope.hpp"
#include "fleet/coordinator/fleet_server.hpp"
#include "fleet/node/node.hpp"
#include "training/host/array_file.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include <stdlib.h>

namespace dunlin::test {

/// f_i(theta) = |theta - a_i|^2 / 2, whose envelope's inner loop ends at personal parameters that are remembered
/// here, and must be remembered nowhere else.
class PullTask final : public NodeTask, private Learner {
public:
    PullTask(const JobTerms& terms, std::vector<std::vector<float>>& personal, std::mutex& mutex)
        : personal_(personal), mutex_(mutex), prox_weight_(terms.moreau.prox_weight) {
        for (std::uint32_t k = 0; k < terms.dimension; ++k) {
            target_.push_back(std::sin(static_cast<float>(k + 31 * terms.member)));
        }
    }

    Learner& learner() override { return *this; }
    std::span<const Metric> measure(ConstVector<float> w) override {
        double distance = 0;
        for (std::size_t k = 0; k < w.size(); ++k) distance += static_cast<double>(std::abs(w[k] - target_[k]));
        metric_ = {"distance", distance / static_cast<double>(w.size())};
        theta_ = adapt(w);
        return {&metric_, 1};
    }
    std::string personal_file() const override {
        ArrayFile file{"model", {}, {}};
        file.arrays = {{"parameters", theta_}};
        return file.bytes();
    }

private:
    std::size_t dimension() const override { return target_.size(); }
    int gradient(ConstVector<float> w, Stream&, Vector<float> out) override {
        const std::vector<float> theta = adapt(w);
        for (std::size_t k = 0; k < w.size(); ++k) out[k] = prox_weight_ * (w[k] - theta[k]);
        return 1;
    }
    std::vector<float> adapt(ConstVector<float> w) {
        std::vector<float> theta(w.size());
        for (std::size_t k = 0; k < w.size(); ++k)
            theta[k] = (target_[k] + prox_weight_ * w[k]) / (1.0f + prox_weight_);
        const std::lock_guard lock(mutex_);
        personal_.push_back(theta);
        return theta;
    }

    std::vector<std::vector<float>>& personal_;
    std::mutex& mutex_;
    float prox_weight_;
    std::vector<float> target_, theta_;
    Metric metric_{};
};

/// A coordinator and nodes with real sockets and CURVE, each node in a thread; everything that anybody says is
/// kept.
class RealFleet {
public:
    /// Nodes whose task is PullTask, or what `make_task` makes.
    explicit RealFleet(std::uint32_t nodes, TaskMaker make_task = {}, const CoordinatorSettings& coordinator = {});
    ~RealFleet();

    /// A job of these terms from zero parameters, until it is over for all. Answers its number.
    std::uint64_t run(JobPlan plan);
    /// The same of a plan as it is.
    std::uint64_t run_planned(const JobPlan& plan);
    /// From now on so many times a node is powered off without a word, and on again.
    void restart_during_jobs(int times) { restarts_ = times; }

    /// Powers a node off without a word, for good or until it is powered on.
    void power_off(std::size_t member) { stop(*members_[member]); }
    void power_on(std::size_t member) { start(*members_[member]); }
    /// A job may take so many rounds of the coordinator, of 10 ms or less.
    void set_turn_limit(int turns) { turn_limit_ = turns; }
    /// And so many from its end to the last final report.
    void set_report_limit(int turns) { report_limit_ = turns; }
    /// Called each time the coordinator has looked at its messages.
    void each_turn(std::function<void()> what) { each_turn_ = std::move(what); }
    /// Puts a node on the roster that somebody else runs, as a member of the jobs to come; answers how it reaches
    /// the coordinator. It has a key of its own.
    NodeLinkSettings admit(const std::string& name);

    const std::filesystem::path& folder() const { return folder_; }
    FleetServer& server() { return *server_; }
    const std::vector<std::vector<float>>& personal() const { return personal_; }
    const std::vector<std::vector<std::byte>>& frames() const { return frames_; }
    /// The first metric of each member's final report; -1 for none.
    const std::vector<double>& results() const { return results_.values; }
    /// Any of them, by name; throws std::out_of_range for one that was not reported.
    double metric(std::size_t member, const std::string& name) const { return results_.all.at(member).at(name); }
    const std::vector<LedgerEntry>& ledger() const { return results_.ledger; }

private:
    struct Results final : Journal {
        void applied(const FleetState&, const Record& record, const JobChange*) override;
        std::vector<double> values;
        std::vector<std::map<std::string, double>> all;
        std::vector<LedgerEntry> ledger;
    };
    struct Member {
        NodeSettings settings;
        std::unique_ptr<Node> node;
        std::atomic<bool> stop{false}, leave{false};
        std::thread thread;
    };

    void start(Member& member);
    void stop(Member& member);

    std::filesystem::path folder_;
    KeyPair keys_;
    int restarts_ = 0;
    int turn_limit_ = 3000, report_limit_ = 800;
    std::function<void()> each_turn_ = [] {};
    Results results_;
    std::unique_ptr<FleetServer> server_;
    std::vector<std::unique_ptr<Member>> members_;
    std::vector<std::uint32_t> numbers_;
    std::mutex mutex_;
    std::vector<std::vector<float>> personal_;
    std::vector<std::vector<std::byte>> frames_;
};

/// Half a second of each method.
JobPlan federated();
JobPlan push_sum();

}  // namespace dunlin::test
