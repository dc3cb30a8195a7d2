// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace dunlin::chaos {

/// What all processes said of what they did (roles.hpp), and whether it fits together.
class Books {
public:
    /// A line as it came.
    void take(const std::string& line);

    /// What contradicts an invariant, in words.
    const std::vector<std::string>& faults() const { return faults_; }
    /// After everything has ended: what is missing.
    void close();

    bool created(std::uint64_t job) const { return created_.contains(job); }
    bool ended(std::uint64_t job) const { return ended_.contains(job); }
    std::string reason(std::uint64_t job) const { return ended(job) ? ended_.at(job) : ""; }
    const std::vector<float>& model(std::uint64_t job) { return models_[job]; }
    std::size_t updates() const { return updates_.size(); }
    std::size_t acknowledged() const { return acknowledged_.size(); }
    std::size_t states() const { return states_.size(); }
    std::size_t replayed() const { return replayed_; }
    std::size_t ledger() const { return ledger_.size(); }
    /// The last distance of each member in a job.
    const std::map<std::uint32_t, double>& distances(std::uint64_t job) { return distances_[job]; }
    /// Members that gave their final report.
    std::size_t finals(std::uint64_t job) const { return finals_.contains(job) ? finals_.at(job).size() : 0; }

private:
    using Update = std::array<std::uint64_t, 4>;  ///< job, member, incarnation, sequence

    void fault(std::string text) { faults_.push_back(std::move(text)); }

    std::vector<std::string> faults_;
    std::map<std::uint64_t, std::string> states_;  ///< hash by record
    std::map<std::uint64_t, Update> records_;      ///< updates by record
    std::map<Update, std::uint64_t> updates_;      ///< and the other way round
    std::set<Update> acknowledged_;
    std::map<std::uint64_t, std::string> ledger_;  ///< by job and epoch
    std::set<std::uint64_t> created_;
    std::map<std::uint64_t, std::string> ended_;
    std::map<std::uint64_t, std::vector<float>> models_;
    std::map<std::uint64_t, std::map<std::uint32_t, double>> distances_;
    std::map<std::uint64_t, std::set<std::uint32_t>> finals_;
    std::uint64_t newest_ = 0;
    std::size_t replayed_ = 0;
};

}  // namespace dunlin::chaos
