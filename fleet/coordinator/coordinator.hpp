// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fleet/coordinator/fleet_state.hpp"
#include "fleet/coordinator/outbox.hpp"
#include "fleet/coordinator/vitals.hpp"
#include "transport/mixing.hpp"

#include <functional>
#include <set>
#include <unordered_map>

namespace dunlin {

/// 64 bits of the operating system's generator.
std::uint64_t system_random();

struct CoordinatorSettings {
    std::uint32_t heartbeat_ms = 1000;
    std::uint32_t suspect_ms = 3000;  ///< a node that was not heard of for so long is suspect
    /// After its start a coordinator waits for so long for nodes to come back, who dial less and less often, before
    /// it takes one for away.
    std::uint32_t return_ms = 10'000;
    std::uint32_t silence_ms = 20'000;         ///< and after that its connection is ended, so that it dials again
    std::uint32_t shared_ms = 120'000;         ///< until a node whose connections were taken over is forgotten
    std::uint32_t retry_ms = 1000;             ///< until what brought no answer is said again
    std::uint32_t offer_retry_ms = 5000;       ///< until a node that was busy is offered a job again
    std::uint32_t first_round_ms = 5000;       ///< most that a first round waits for all members to accept
    std::uint32_t time_record_ms = 5000;       ///< how often a job's running time is stored
    std::uint32_t snapshot_retry_ms = 10'000;  ///< after one that could not be written
    std::uint32_t credit = 4;                  ///< messages of one node that may wait for being durable, and more:
    std::size_t credit_bytes = 256u << 10;  ///< as many as fit this, so that small ones are made durable together
    std::uint32_t reports_per_s = 20;       ///< of one node that are kept
    /// Without a server: most that a job's members may take to state what they hold. After half of it nobody waits for
    /// what is said to be on its way, and after all of it those that have stated nothing are fenced; so nobody can hold
    /// up the end of a job or an epoch. Longer where statements are large (`closing_ms`).
    std::uint32_t closing_ms = 60'000;
    /// Updates stay in the log for as long, or until their job ends, and are then but in the model.
    std::uint32_t retention_ms = 3'600'000;
    std::uint32_t masks_ms = 5000;  ///< most that a step of a masked round waits for answers; updates have longer
    /// Of the operating system, for what must not come twice: a job's seed is not enough.
    std::function<std::uint64_t()> random_number = system_random;
};

/// Since the process started.
struct CoordinatorCounters {
    std::array<std::uint64_t, std::variant_size_v<MessageBody>> received{};  ///< by kind
    std::map<Code, std::uint64_t> refused;                                   ///< messages, by reason
    std::uint64_t applied = 0, repeated = 0;                                 ///< updates
    std::uint64_t relayed = 0, relay_dropped = 0;                            ///< shares
    std::uint64_t commits = 0, records = 0, commit_failures = 0;
    std::uint64_t snapshots = 0, snapshot_failures = 0;
    std::uint64_t joins = 0;
};

/// A node that is connected, as far as is known.
struct Connection {
    std::uint32_t node = 0;
    std::uint16_t version = wire_version;
    std::int64_t joined_ms = 0, heard_ms = 0;
    bool suspect = false;
    bool known = false;                  ///< its incarnation is durable
    bool welcome = false;                ///< has been told Welcome
    std::uint32_t next_incarnation = 0;  ///< that it goes on as; 0: one that was never used
    std::uint64_t greet_commit = 0;      ///< number of the commit that makes it so
    std::uint64_t stray_job = 0;         ///< whose state it has, and is to forget
    std::uint64_t stray_nonce = 0;       ///< that it named it by
    bool stray_told = false;
    std::uint64_t job = 0;  ///< the one that it has the state of, or was offered last; 0: none
    std::string software, endpoint;
    std::uint64_t memory_bytes = 0;
    MachineVitals vitals = {};  ///< as it said last
};

/// A member of a job on its present connection: what it was told, and what it said that need not be remembered.
struct MemberSession {
    bool joined = false;      ///< has the job's state, by its own word
    std::uint32_t epoch = 0;  ///< that it is in
    std::int64_t offered_ms = never;
    bool lost = false;               ///< came without the state that it should have
    std::uint64_t state_commit = 0;  ///< number of the commit that changes the member's state
    std::int64_t freeze_ms = never, request_ms = never;
    std::int64_t busy_until_ms = 0;
    bool cannot = false;  ///< store its state: begins as soon as it can
    bool ended = false;
    std::optional<bool> paused = {};  ///< what it was told; it may come with either
    bool model_due = false;
    bool has_model = false;
    std::uint64_t waiting_sequence = 0;  ///< of an update in the next commit
    std::int64_t tick = -1;              ///< push-sum: of its last wake-up
    std::optional<std::pair<std::int64_t, std::vector<std::int64_t>>> frozen = {};  ///< its tick, and whom it heard
    std::vector<std::uint8_t> closed = {};  ///< push-sum: out-neighbours that it was told are away
    std::uint32_t peers_told = 0;           ///< revision of the addresses
    double share_credit = 0;                ///< shares that it may have relayed now
    std::int64_t credit_ms = never;         ///< when that was counted

    static constexpr std::int64_t never = -(std::int64_t{1} << 60);
};

/// The coordinator of a fleet as a state machine: no sockets, no clock. It is fed messages and a monotonic time,
/// and fills an outbox.
///
/// Whatever must not be forgotten is a record: it is gathered by `receive`, `tick` and the operator's calls, made
/// durable with others by `commit`, applied then, and only then answered (invariants 4 and 7). What nodes are told
/// is otherwise a function of the durable state and of what they said on their present connection, said again until
/// they answer; so a crash at any point loses nothing but time.
class Coordinator {
public:
    /// Opens the store and goes on where it was left. Errors: Store::open's.
    static Result<std::unique_ptr<Coordinator>> open(FileSystem& files, const FileSystem::Path& directory,
                                                     const StoreSettings& store,
                                                     const CoordinatorSettings& settings, Outbox& outbox,
                                                     Journal& journal);

    /// A message of the node with this key, a view for the time of the call.
    void receive(const PublicKey& from, const Message& message, std::int64_t now_ms);
    void disconnected(const PublicKey& key);
    /// A newer connection of this key takes the place of the one that there may be.
    void superseded(const PublicKey& key, std::int64_t now_ms);
    /// Do two programs seem to use the key of this node, taking the connection from each other?
    bool shared(std::uint32_t node) const;
    /// Something of the node with this key that is no message: it is told so, and it is counted.
    void malformed(const PublicKey& from, const Error& error) { refuse(from, {}, error); }
    /// To be called several times a second, and before commit.
    void tick(std::int64_t now_ms);
    /// Is anything gathered, or to be told, that waits for `commit`?
    bool commit_due() const { return store_->gathered() || !dirty_jobs_.empty() || store_->drafting(); }
    /// Makes what was gathered durable and answers for it. Error: not_durable; what was gathered was refused then.
    /// When the store is `broken()` only opening it again helps.
    Result<void> commit(std::int64_t now_ms);
    bool broken() const { return store_->broken(); }
    /// Writes a snapshot, say before a clean end.
    Result<void> snapshot();

    // The operator. All are durable when they return. Errors also: not_durable.

    /// Errors: name_taken (name or key belong to another node), message_too_long (the name), out_of_range (nodes).
    Result<std::uint32_t> admit(const RosterNode& node);
    /// Takes the node out of the roster and, for good, out of its jobs. Errors: not_admitted.
    Result<void> revoke(std::string_view name);
    /// Errors: not_admitted, name_taken (the key belongs to another node).
    Result<void> rotate(std::string_view name, const PublicKey& key);
    /// The job with this token, or a new one. Errors: Job::make's; out_of_range (jobs; not a node).
    Result<std::uint64_t> create_job(const JobPlan& plan, const JobRequest& request);
    /// Errors: unknown_job, job_over.
    Result<void> pause(std::uint64_t job, bool paused);
    /// Ends a job; a push-sum job asks its members first for what they hold, unless `now`. Errors: unknown_job,
    /// job_over.
    Result<void> stop(std::uint64_t job, bool now);
    /// Lets a node take part in a job that runs: from the next round or epoch on, or else at once. One that was in
    /// it before gets its number back. Answers which. Errors: unknown_job, job_over, not_admitted, bad_participants
    /// (it is in the job), busy (with another job, which its new incarnation would end), out_of_range (members).
    Result<std::uint32_t> add_member(std::uint64_t job, const AddedMember& added);
    /// Takes a member out of a job. Push-sum: it hands its mass on before, unless `now`. Errors: unknown_job,
    /// job_over, not_a_participant.
    Result<void> remove_member(std::uint64_t job, std::uint32_t member, bool now = true);
    /// Lets lists leave an ended job out, or not any more. Errors: unknown_job, busy (it has not ended).
    Result<void> archive_job(std::uint64_t job, bool archived);
    /// Forgets an ended job for good. Errors: unknown_job; busy (it has not ended, or is a roll-out's).
    Result<void> delete_job(std::uint64_t job);

    // Versions and roll-outs (staging.cpp).

    /// The number of this version, which may be kept already. Errors: out_of_range (versions).
    Result<std::uint32_t> keep_model(const ModelVersion& version);
    Result<void> name_model(std::uint32_t version, const std::string& name);
    /// Begins a roll-out: `forward` hands the new version out, `back` the old one (null: there is none), each planned
    /// for the plan's nodes. Errors: Job::make's; out_of_range (roll-outs, jobs).
    Result<std::uint64_t> start_rollout(const RolloutPlan& plan, JobPlan forward, const JobPlan* back);
    /// `kind`: rollout_paused, rollout_resumed or rollout_aborted.
    Result<void> change_rollout(std::uint64_t rollout, RecordKind kind);
    Result<void> roll_back(std::uint64_t rollout, const std::string& reason);
    /// What a roll-out would do next, and whether it waits for a device that is here.
    struct Staging {
        std::optional<RolloutStep> next;
        bool waits = false;
    };
    Staging staging(std::uint64_t rollout) const;

    /// The store is a copy of one that somebody may have gone on with, a backup say: numbers that are given from
    /// here on may mean something else to a node. To be called before nodes are heard.
    Result<void> came_from_a_copy();

    const FleetState& state() const { return state_; }
    Store& store() { return *store_; }
    const CoordinatorCounters& counters() const { return counters_; }
    /// When a node last sent something that it had learned or measured: an update, a share, a report, a later tick. Nothing
    /// since this coordinator started: no value.
    std::optional<std::int64_t> news_ms(std::uint32_t node) const {
        const auto found = news_.find(node);
        return found == news_.end() ? std::nullopt : std::optional(found->second);
    }
    /// Why the newest snapshot could not be written; nothing where it could, or none was due yet.
    const std::optional<Error>& snapshot_failure() const { return snapshot_failure_; }
    const std::unordered_map<PublicKey, Connection, PublicKeyHash>& connections() const { return connections_; }
    const Connection* connection(std::uint32_t node) const;
    /// Time that a job ran so far; what is stored of it follows by a few seconds.
    std::uint64_t elapsed_ms(const Job& job) const;
    /// Why updates of a masked job were left out last; "" where none were since this process began.
    std::string masks_trouble(const Job& job) const;
    /// Null where the member said nothing yet.
    const MemberSession* session(std::uint64_t job, std::uint32_t member) const;

private:
    using Sessions = std::vector<MemberSession>;  ///< by member
    struct Membership {
        const Job* job;
        std::uint32_t member;
    };
    struct WaitingUpdate {
        Membership at;
        std::uint64_t sequence;
    };

    Coordinator(const CoordinatorSettings& settings, Outbox& outbox, Journal& journal)
        : settings_(settings), outbox_(outbox), journal_(journal), state_(journal) {}

    // a node joins (joining.cpp)
    void joins(const PublicKey& key, const Message& message);
    Result<std::uint32_t> recognise(const PublicKey& key, const Join& join) const;
    void resume_memberships(Connection& connection, std::uint64_t job, std::uint32_t epoch);
    void greet(const PublicKey& key, Connection& connection);

    // messages (coordinator.cpp)
    void takes(const PublicKey& key, Connection& connection, const Message& message);
    Result<void> answered(Connection& connection, const Membership& at, const JobAnswer& answer);
    Result<void> asked(const Membership& at);
    Result<void> updated(const PublicKey& key, Connection& connection, const Message& message,
                         const ModelUpdate& update);
    Result<void> check_update(const Connection& connection, const Membership& at, const Message& message,
                              const ModelUpdate& update, Record& record);
    Result<void> reported(Connection& connection, const Membership& at, const Report& report);
    Result<void> left(Connection& connection, const Membership& at);
    Result<Membership> membership(const Connection& connection, const Envelope& said) const;
    void refuse(const PublicKey& key, const Message& message, const Error& error);
    void acknowledge(const PublicKey& key, std::uint64_t job, std::uint64_t sequence, const Verdict& verdict);
    void report_is_kept(const Membership& at);
    Result<void> gather(const Connection& connection, const Record& record);

    // messages of jobs without a server (exchange.cpp)
    Result<void> froze(const Membership& at, const Frozen& frozen);
    Result<void> stated(const Connection& connection, const Membership& at, const MassReport& report);
    Result<void> shared(const Membership& at, const Message& message, const ShareMessage& share);
    Result<void> receipted(const Membership& at, const ShareReceipt& receipt);

    // rounds whose updates are masked (masking.cpp)
    SecretSource secrets();
    void begin_masks(const Job& job);
    void tell_masks(const Job& job, bool at_once);
    void advance_masks(const Job& job);
    void tend_masks(const Job& job);
    Result<void> mask_said(const Membership& at, const MaskExchange& said);
    Result<void> mask_update(const PublicKey& key, Connection& connection, const Message& message,
                             const MaskedUpdate& update);
    void summed(const Job& job, std::span<const MaskedSum::Part> parts);

    // what follows from the state (duties.cpp)
    void applied(const Record& record, const JobChange& change);
    void void_state(const Membership& at);
    void tell(std::uint32_t node);
    void tell_stray(const PublicKey& key, Connection& connection);
    void tell_all(const Job& job);
    void tell(Connection& connection, const Membership& at);
    void tell_model(const PublicKey& key, const Membership& at, MemberSession& session);
    void tell_closing(const PublicKey& key, const Membership& at, MemberSession& session);
    void tell_neighbours(const PublicKey& key, const Membership& at, MemberSession& session);
    void change(const Membership& at, MemberSession& session, RecordKind kind);
    void offer(Connection& connection, const PublicKey& key, const Membership& at, MemberSession& session);
    void decline(const Connection& connection, const Membership& at, MemberSession& session);
    std::vector<Mass> weights_of(const Job& job, std::uint32_t member);
    bool drained(const Job& job) const;
    std::int64_t closing_limit_ms(const Job& job) const;
    void hold_to_time(const Job& job, std::int64_t passed_ms);
    bool relays(const Job& job, std::uint32_t member);
    void note_updates(const Job& job);
    bool snapshot_due() const;
    bool unheard(const Job& job, std::uint32_t member) const;
    std::optional<std::int64_t> last_tick(const Job& job, std::uint32_t member) const;
    void tend(const Job& job);
    void tend_rounds(const Job& job);
    std::int64_t patience_ms(const Job& job) const;
    void tend_push_sum(const Job& job, std::int64_t passed_ms);
    void fence(const Job& job);
    void find_components(const Job& job);
    void count_snapshot(const Result<void>& done);
    void tend_rollouts();
    bool may_begin(std::uint32_t node, std::uint64_t job) const;
    StagedRollout::View view_of(const StagedRollout& rollout, std::int64_t since_ms) const;
    Result<void> gather_step(std::uint64_t number, const RolloutStep& step);
    void forget_job(std::uint64_t job);
    bool exchanges(const Job& job, std::uint32_t member) const;
    std::int64_t count_time(const Job& job);
    void store_time(const Job& job);
    void record(RecordKind kind, std::uint64_t job, std::uint32_t node = 0, std::uint16_t detail = 0);
    Result<void> record_now(const Record& record);
    Result<const Job*> running(std::uint64_t job) const;
    void index_job(const Job& job);
    bool reachable(std::uint32_t node) const;
    bool sent(const PublicKey& key, const Envelope& envelope, const MessageBody& body);
    bool sent(const PublicKey& key, std::uint64_t job, const MessageBody& body);
    bool means(const Connection& connection, const Envelope& said, const Job& job) const;
    MemberSession& session_of(const Membership& at);

    CoordinatorSettings settings_;
    Outbox& outbox_;
    Journal& journal_;
    FleetState state_;
    std::unique_ptr<Store> store_;
    CoordinatorCounters counters_;
    std::optional<Error> snapshot_failure_;
    std::int64_t now_ms_ = 0, told_ms_ = 0, snapshot_after_ms_ = 0;
    std::int64_t opened_ms_ = MemberSession::never;  ///< when time first passed
    std::unordered_map<PublicKey, Connection, PublicKeyHash> connections_;
    std::unordered_map<std::uint32_t, PublicKey> keys_;  ///< of connected nodes
    std::unordered_map<std::uint32_t, std::vector<std::pair<std::uint64_t, std::uint32_t>>> memberships_;
    std::map<std::uint64_t, Sessions> sessions_;
    /// Records of a node in the next commit.
    struct Gathered {
        std::uint32_t records = 0;
        std::size_t bytes = 0;
    };
    std::unordered_map<std::uint32_t, Gathered> gathered_;
    /// Reports of a node in the present second.
    struct ReportCount {
        std::int64_t since_ms = 0;
        std::uint32_t reports = 0;
    };
    std::unordered_map<std::uint32_t, ReportCount> report_counts_;
    /// Connections of a node that were taken over while they still spoke.
    struct Takeovers {
        std::uint32_t count = 0;
        std::int64_t last_ms = 0;
    };
    std::unordered_map<std::uint32_t, Takeovers> takeovers_;
    std::unordered_map<std::uint32_t, std::int64_t> news_;
    std::vector<WaitingUpdate> waiting_updates_;  ///< that are in the next commit
    std::set<std::uint64_t> dirty_jobs_;          ///< whose members have to be told something

    /// Of a job, in this process.
    struct Watch {
        std::int64_t since_ms = 0;                        ///< when its running time was last counted
        std::uint64_t elapsed_ms = 0;                     ///< running time
        std::uint64_t stored_ms = 0;                      ///< and what is on its way to disk of it
        std::int64_t ready_ms = MemberSession::never;     ///< when the first member was ready for a first round
        std::int64_t round_ms = 0;                        ///< when the running round began
        bool due = false;                                 ///< a record that moves the job on is gathered
        std::uint32_t revision = 1;                       ///< of the members' addresses
        std::map<std::uint32_t, std::int64_t> away_ms;    ///< push-sum: since when members are away
        std::map<std::uint32_t, std::int64_t> fenced_ms;  ///< and since when those are that count no more
        std::int64_t closing_ms = 0;                      ///< push-sum: for how long it has been closing
        std::int64_t done_ms = 0;                         ///< and more than half of its members have been done
        /// Push-sum, by member: who can reach, and be reached by, whom (strong_components).
        std::vector<std::uint32_t> components;
        MixingWeights mixing = {};                      ///< by rounds: of the epoch's graph
        std::uint32_t mixing_epoch = 0;                 ///< that it is of; 0: of none
        std::map<std::uint32_t, std::int64_t> took_ms;  ///< rounds: what members took for their last update
        std::set<std::uint32_t> missed;                 ///< rounds that ended without them
        std::string masks_trouble = {};                 ///< why updates were left out of a masked round last
    };
    std::map<std::uint64_t, Watch> watches_;
    /// Of a job whose running round is masked, in this process.
    struct MaskRun {
        MaskRound round;
        std::int64_t since_ms = 0;  ///< when its stage began
        std::int64_t told_ms = 0;   ///< when members were told last what to answer
    };
    std::map<std::uint64_t, MaskRun> mask_runs_;
    /// Of a roll-out, in this process.
    struct Stage {
        std::uint64_t released = 0;  ///< devices that were let have the version when it was last seen
        std::int64_t since_ms = 0;   ///< and since when
        std::map<std::uint32_t, std::int64_t> away_ms;  ///< since when devices of the wave are away
        std::uint64_t commit = 0;                       ///< of the last step
        bool over = false;
    };
    std::map<std::uint64_t, Stage> stages_;
    std::vector<float> scratch_;
    std::int64_t updates_since_ms_ = MemberSession::never;  ///< of the oldest update that the log may hold
    bool updates_over_ = false;                             ///< the job of one of them has ended
};

}  // namespace dunlin
