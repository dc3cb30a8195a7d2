// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fleet/coordinator/model_server.hpp"
#include "fleet/coordinator/record.hpp"
#include "fleet/masks/mask_round.hpp"
#include "training/host/archive.hpp"
#include "training/plans/mass_book.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace dunlin {

enum class MemberState : std::uint8_t {
    invited,   ///< not offered yet
    offered,   ///< not known to have accepted; push-sum: has begun nothing
    active,    ///< accepted
    leaving,   ///< push-sum: asked to go, and holds its mass until the epoch is over
    lost,      ///< push-sum: holds nothing of the job; begins anew with the next epoch
    declined,  ///< will not or cannot; `refusal` says why
    left,
    gone,   ///< for good
    fenced  ///< push-sum: away for too long: its state is void; begins anew when it is back
};

struct JobMember {
    std::uint32_t node = 0;  ///< in the roster
    MemberState state = MemberState::invited;
    bool reported = false;  ///< finally
    // Federated: the newest update that was taken, and how many.
    std::uint32_t incarnation = 0;
    std::uint64_t sequence = 0;  ///< push-sum: the epoch with which it began (anew); older states are void
    std::uint64_t updates = 0;
    Error refusal = {};
    std::string reason = {};  ///< of its refusal, in the node's words; among Job::Identity's fields

    /// Part of the job, now or soon?
    bool in() const { return state <= MemberState::lost || state == MemberState::fenced; }
    /// Push-sum: may it hold mass of this epoch?
    bool holds() const { return state >= MemberState::offered && state <= MemberState::leaving; }

    template <class Archive>
    void fields(Archive& archive) {
        archive(node, state, reported, incarnation, sequence, updates, refusal.code, refusal.first, refusal.second);
    }
};

/// How a job was asked for.
struct JobRequest {
    std::string token;                 ///< the same one twice is the same job; "": none
    bool push = false;                 ///< only hands a model out, for the nodes to adapt
    std::vector<std::uint32_t> nodes;  ///< in the roster; member i is nodes[i]
    std::uint64_t nonce = 0;           ///< Envelope's; not among the fields, for older jobs have none

    template <class Archive>
    void fields(Archive& archive) {
        archive(token, push, nodes);
    }
};

/// Who takes part from now on, and what of the plan is another with it.
struct AddedMember {
    std::uint32_t node = 0;  ///< in the roster
    float samples = 1;
    float weight_floor = 0;       ///< push-sum
    std::string experiment = {};  ///< that says of its part, too

    template <class Archive>
    void fields(Archive& archive) {
        archive(node, samples, weight_floor, experiment);
    }
};

/// What a record did to a job.
struct JobChange {
    std::optional<Verdict> verdict = {};       ///< of an update
    std::vector<MaskedSum::Part> summed = {};  ///< whose updates are in the model with this, of a masked round
    std::optional<LedgerEntry> ledger = {};    ///< an epoch is over
    bool ended = false;                        ///< and with this the job is
};

/// A job's durable state: a function of the records about it, the same whenever they are applied (invariant 8).
class Job {
public:
    static constexpr std::size_t member_limit = WireLimits::neighbours;

    /// Errors: those of the plan's server or graph; shape_mismatch where plan and request differ in members.
    static Result<Job> make(std::uint64_t number, JobPlan plan, JobRequest request);
    Job() = default;

    std::uint64_t number() const { return number_; }
    const JobPlan& plan() const { return plan_; }
    const JobRequest& request() const { return request_; }
    const std::vector<JobMember>& members() const { return members_; }
    /// What is said of push-sum here is so for all jobs without a server; where they have no mass, members state their
    /// parameters (MassBook).
    bool serverless() const { return plan_.terms.aggregation != Aggregation::federated; }
    bool paused() const { return paused_; }
    std::uint64_t elapsed_ms() const { return elapsed_ms_; }
    std::uint64_t updates() const { return updates_; }

    /// Why it has ended; nothing while it lasts.
    std::optional<JobEndReason> ended() const { return ended_; }
    /// Push-sum: is this epoch to be brought to an end, by the members stating what they hold?
    bool closing() const;
    /// Push-sum: and the job with it.
    bool ending() const { return ending_.has_value(); }
    /// Push-sum: a member that is away for longer is fenced.
    std::int64_t regroup_ms() const;

    std::uint32_t epoch() const { return book_ ? book_->epoch() : 1; }
    std::uint32_t epoch_before() const { return book_ ? book_->epoch_before() : 0; }
    std::uint64_t nonce() const { return request_.nonce; }
    const MassBook* book() const { return book_ ? &*book_ : nullptr; }

    /// Federated; null when the job has ended.
    const ModelServer* server() const { return server_.get(); }
    /// Federated: how large updates usually are, since this process began.
    const NormWatch& norms() const { return norms_; }
    /// An update of this member's was refused for its norm. Not in the log: nothing that was taken depends on it.
    void too_large(std::uint32_t member) const { norms_.refused(member); }
    /// Does the running round wait for this member?
    bool awaited(std::uint32_t member) const { return !awaited_.empty() && awaited_[member] != 0; }
    /// What the job has learned so far (push-sum: when the epoch began), and its version.
    ConstVector<float> model() const;
    std::uint64_t version() const;
    /// The numbers of an update, in the encoding that it came with, as this job's server would see them; a view of
    /// `scratch` or of the bytes. Errors: message_malformed, shape_mismatch.
    Result<ConstVector<float>> decode_update(const EncodedValues& values, std::vector<float>& scratch) const;

    /// Error: store_damaged (first: the record), for one that cannot be read: not for one that comes too late.
    Result<JobChange> apply(const Record& record);
    /// This may be a copy of a state that somebody went on with: so many numbers of epochs are not given again.
    void skip_epochs(std::uint32_t count) {
        if (book_) book_->set_epochs(book_->epoch_before(), book_->skip() + count);
    }

    /// What newer programs keep beside fields(): what tells this job and its epochs from others of that number.
    struct Identity {
        std::uint64_t nonce = 0;
        std::uint32_t epoch_before = 0, skip = 0;
        std::vector<std::string> reasons = {};  ///< by member

        template <class Archive>
        void fields(Archive& archive) {
            archive(nonce, epoch_before, skip, reasons);
        }
    };
    Identity identity() const;
    void set_identity(Identity identity);
    void set_equal_shares(bool equal) { plan_.equal_shares = equal; }
    void set_norm_factor(float factor) {
        plan_.server.norm_factor = factor;
        watch_norms();
    }
    /// What else is kept of a job whose machines say floats.
    std::int64_t first_round() const { return book_ ? book_->first_round() : 0; }
    void set_first_round(std::int64_t round) {
        if (book_) book_->set_first_round(round);
    }
    /// Push-sum: epochs whose books did not balance; never without a lie, or a link that lost what was waited for too
    /// long.
    std::uint32_t unbalanced() const { return book_ ? book_->unbalanced() : 0; }
    void set_unbalanced(std::uint32_t epochs) {
        if (book_) book_->set_unbalanced(epochs);
    }

    void fields(Saver& archive);
    void fields(Loader& archive);
    /// What came with version 2 of the store, behind all that version 1 has; a store of version 1 ends before it.
    template <class Archive>
    void later_fields(Archive& archive) {
        archive(plan_.regroup_ms);
        if (book_) book_->later_fields(archive);
    }
    /// After loading. Errors: store_damaged.
    Result<void> restore();

private:
    void watch_norms() {
        const ServerPlan& plan = plan_.server;
        norms_ = NormWatch({plan.component_limit, plan.norm_limit, plan.norm_factor}, members_.size());
    }
    template <class Archive>
    void all_fields(Archive& archive);
    bool fits_together() const;
    Result<JobChange> apply_any(const Record& record);
    Result<JobChange> apply_round(const Record& record);
    Result<JobChange> apply_sum(const Record& record);
    Result<JobChange> apply_update(const Record& record);
    Result<JobChange> apply_member(const Record& record);
    Result<JobChange> apply_added(const Record& record);
    void close_if_all_came();
    Result<JobChange> apply_statement(const Record& record);
    /// Push-sum: turns to the next epoch if all is stated.
    JobChange settle();
    void end(JobEndReason reason);
    void end_by_budget();

    std::uint64_t number_ = 0;
    JobPlan plan_;
    JobRequest request_;
    std::vector<JobMember> members_;
    bool paused_ = false;
    std::uint64_t elapsed_ms_ = 0;
    std::uint64_t updates_ = 0;
    std::optional<JobEndReason> ending_, ended_;
    std::unique_ptr<ModelServer> server_;
    std::vector<std::uint8_t> awaited_;  ///< by member; empty without a round
    std::optional<MassBook> book_;
    std::vector<std::uint32_t> departed_;  ///< push-sum: members who left this epoch with their mass
    std::vector<float> final_model_;       ///< of a job that has ended
    std::uint64_t final_version_ = 0;
    std::vector<std::byte> loaded_;  ///< the server's state, between fields() and restore()
    std::vector<float> scratch_;
    mutable NormWatch norms_;
};

/// A metric as it is kept.
struct KeptMetric {
    std::string name;
    double value = 0;

    template <class Archive>
    void fields(Archive& archive) {
        archive(name, value);
    }
};

/// Push-sum: is this more than one member's part, 1/n, of all the weight that there was?
bool heavy_loss(const Job& job, Mass lost);

// Words for people.
/// What somebody who takes the job's result should know of it.
std::vector<std::string> warnings_of(const Job& job);
std::string_view name_of(MemberState state);
std::string_view aggregation_name(const JobPlan& plan);
/// Why a member declined, behind `what`.
std::string refusal_text(const JobMember& member, std::string_view what);
std::string_view name_of(JobEndReason reason);
std::string_view state_name(const Job& job);

// What payloads hold.
std::vector<std::byte> job_payload(const JobPlan& plan, const JobRequest& request);
Result<Job> read_job(const Record& record);
/// What job_payload was given. Error: store_damaged (first: `record`).
Result<std::pair<JobPlan, JobRequest>> read_job_payload(std::span<const std::byte> payload, std::uint64_t record);
std::vector<std::byte> statement_payload(const MassReport& report);
std::vector<std::byte> sum_payload(const MaskedSum& sum);
std::vector<std::byte> report_payload(std::span<const Metric> metrics);
/// Error: store_damaged (first: the record).
Result<std::vector<KeptMetric>> load_report(const Record& record);
/// Of a report that was applied: it can be read.
std::vector<KeptMetric> read_report(const Record& record);
std::vector<std::byte> refusal_payload(const Error& refusal, std::string_view reason);

}  // namespace dunlin
