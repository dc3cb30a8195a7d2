// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/aggregate/federated_client.hpp"
#include "core/aggregate/pars_push.hpp"
#include "core/aggregate/scaffold.hpp"
#include "core/random.hpp"
#include "transport/messages.hpp"
#include "transport/session/neighbour_machine.hpp"
#include "transport/session/update_masks.hpp"

#include <array>
#include <optional>

namespace dunlin {

/// What whoever drives a session is to do next.
enum class Duty : std::uint8_t {
    wait,     ///< nothing until wake_at_ms(), or until something arrives
    send,     ///< message() to recipient(); then sent() or not_sent()
    store,    ///< state(), durably; then stored() or store_failed()
    prepare,  ///< set the task of terms() up; then prepared() or refuse()
    learn,  ///< a gradient, or what question() asks for, at parameters() into gradient(), with random(); then learned()
    report,  ///< measure the model; then reported()
    finish   ///< the job is over: forget what was stored; then finished()
};

struct SessionSettings {
    std::string_view name, software, endpoint;  ///< of Join; must live as long as the session
    /// For one job at a time, aligned to Arena::alignment: terms, machine and work space.
    std::span<std::byte> memory;
    /// Federated: updates, push-sum: wake-ups between two stores, at least 1. What a power cut costs: as many
    /// updates of learning; in push-sum shares leave only after a store, so that news travel that much slower.
    std::uint32_t store_every = 1;
    /// Keep what a dead neighbour would be given; takes d masses for each out-neighbour.
    bool edges_close = true;
    std::uint32_t retry_ms = 5000;  ///< until what brought no answer is said again
    /// For jobs whose updates are masked; null: this node takes none. Must live as long as the session.
    UpdateMasks* masks = nullptr;
};

/// A node's side of every conversation: it joins, takes jobs, learns, delivers, survives restarts and leaves. A
/// state machine without I/O: it is fed messages and the time of a monotonic clock, and says what to do next. The
/// same on a Linux board and on a microcontroller.
///
///     while (running) switch (session.next(now_ms())) {
///         case Duty::send: link.send(session.message()) ? session.sent() : session.not_sent(); break;
///         case Duty::learn: learner.gradient(session.parameters(), session.random(), session.gradient()); ...
///         case Duty::wait: link.wait(session.wake_at_ms()); ...
///
/// State is durable before a message that depends on it leaves (invariant 4): `next` asks for a store first.
///
/// With neighbours a node is push-sum's or, where the job says so, another machine (neighbour_machine.hpp). One that
/// goes by rounds stores each of them whatever `store_every` says, for its neighbours wait, learns as soon as it has
/// heard them all, but once in `wake_ticks` at most, and while it waits says its last two messages again, less and
/// less often.
///
/// The round t of push-sum is the job's tick: ms of the clock handed in over tick_ms, never below the last wake-up
/// and raised to the largest t received.
class NodeSession {
    /// What an in-neighbour is to know: the tick of its newest share in the state stored last with rho^y as of it,
    /// and the tick that it was told so of. Also that of the state that is just being stored.
    struct ReceiptDue {
        std::int64_t tick, told, storing_tick;
        Mass weight, storing_weight;
    };

public:
    /// Most metrics of one report that are sent.
    static constexpr std::size_t metric_limit = 8;
    static constexpr std::int64_t lead_ticks = 64;  ///< see follow
    /// Of a state what is neither neighbours nor machine, at most.
    static constexpr std::size_t saved_bytes =
        Arena::bytes<std::byte>(sizeof(JobTerms) + 72) + Arena::bytes<std::uint64_t>(1);

    /// Of memory, what the receipts of so many in-neighbours take.
    static constexpr std::size_t receipt_bytes(std::size_t in_neighbours) {
        return Arena::bytes<ReceiptDue>(in_neighbours);
    }
    /// Bytes of memory that a job takes.
    static std::size_t bytes(const JobTerms& terms, bool edges_close);

    explicit NodeSession(const SessionSettings& settings) : settings_(settings) {}

    /// Goes on with a job from a state that was stored, before anything else. It may lie anywhere in the memory
    /// that the session was given. Errors: state_size, state_mismatch, job_too_large, and what the terms in it get
    /// wrong.
    Result<void> resume(std::span<const std::byte> saved);

    void connected(std::int64_t now_ms);
    /// Nothing is said to the coordinator, and no member is taken for reachable, until there is a connection again.
    void disconnected();
    /// Push-sum: can this member be told shares? The coordinator says so, too (Presence).
    void set_reachable(std::uint32_t member, bool reachable);
    /// A message of the coordinator or of a member. Errors: those with which it is refused; a Refusal is on its way
    /// where the sender should know.
    Result<void> receive(const Message& message, std::int64_t now_ms);

    Duty next(std::int64_t now_ms);
    /// Whoever does what `next` asked for elsewhere, on another thread say, says so and goes on with receive() and
    /// next(), which talk meanwhile: one prepare, learn or report at a time, and a store beside it. It works with
    /// copies (of terms(), parameters(), random(), state()), for what is here changes. When it is done it answers
    /// as always.
    ///
    /// An answer that nobody waits for any more changes nothing: a gradient when the job was ended, left or frozen
    /// meanwhile, also when it goes on in another epoch; a measurement when a newer model came or when it was not
    /// of the final one; a task when its offer is gone. A pause ends nothing: the step that was begun is taken, and
    /// no other one is begun.
    void begun(Duty duty);
    /// Does anybody wait for the prepare, learn or report that was begun?
    bool wanted() const { return wanted_; }
    std::int64_t wake_at_ms() const { return wake_at_ms_; }

    const Message& message() const { return outgoing_; }
    /// coordinator_number, or a member.
    std::uint32_t recipient() const { return recipient_; }
    void sent();
    /// The link could not take it.
    void not_sent();

    /// Of the job that the node is in, or is offered.
    const JobTerms& terms() const;
    std::uint64_t job() const;    ///< 0: none
    std::uint64_t nonce() const;  ///< of the job, as far as it is known
    /// Does it go on with a state that was stored?
    bool resumed() const { return resumed_; }
    void prepared();
    /// `reason` is one line for people; it must live until the next job.
    void refuse(const Error& error, std::string_view reason = {});

    /// Where the next gradient is to be taken; also the model that reports are about.
    ConstVector<float> parameters();
    /// Is the next gradient the first one at a model that the node got from the others?
    bool begins() const { return !client_ || client_->steps() == 0; }
    /// What it is to be. Where that is products, gradient() holds the direction from here on.
    Question question();
    Stream& random() { return random_; }
    Vector<float> gradient() { return gradient_; }
    /// Takes the step. Errors: not_finite, mass_overflow: the node has diverged, says so and leaves the job.
    Result<void> learned(std::int64_t now_ms);

    std::span<const std::byte> state() const { return state_; }
    void stored();
    /// Nothing that depends on the state leaves until a later attempt succeeds.
    void store_failed(std::int64_t now_ms);

    /// Names must live until the next report, or until the job is over; more than metric_limit are cut off.
    void reported(std::span<const Metric> metrics);
    bool final_report() const { return phase_ == Phase::ending; }

    JobEndReason end_reason() const { return end_reason_; }
    void finished();

    /// Asks to be taken out of the job. Push-sum: mass is handed over; until JobEnd the session goes on.
    void leave() {
        if (!leaving_) retry_at_ms_ = now_ms_;
        leaving_ = true;
    }
    bool joined() const { return joined_; }
    std::uint32_t node() const { return node_; }

    /// Of the running job: the last wake-up without a server, or the rounds done, -1 for none; federated updates
    /// delivered, or wake-ups.
    std::int64_t tick() const { return meets() ? last_tick() : -1; }
    std::uint64_t updates() const;
    const ParsPush<>* push_sum() const { return push_sum_ ? &*push_sum_ : nullptr; }
    /// The sum of all steps, modulo 2^64; empty without the job's audit.
    std::span<const Mass> steps() const { return steps_; }

private:
    enum class Phase : std::uint8_t {
        idle,
        preparing,   ///< an offer, or a state gone on with, that the driver has no task for yet
        starting,    ///< waits for the first parameters
        learning,    ///< federated: local steps; push-sum: awake
        delivering,  ///< federated: an update without its acknowledgement
        waiting,     ///< federated: for the next model
        frozen,      ///< push-sum, between epochs
        ending,      ///< the final model, then the final report until it is acknowledged
        over
    };

    struct Saved;

    /// What is still to be said to the coordinator.
    struct Due {
        bool join = false, answer = false, request = false, update = false;
        bool report = false, leave = false, frozen = false, mass = false;
    };

    static std::size_t state_bytes(const JobTerms& terms, bool edges_close);
    Result<void> fits(const JobTerms& terms) const;
    void lay_out_work(const JobTerms& terms);
    void lay_out_state(const Envelope& job, const JobTerms& terms, bool keeps_steps);
    void find_state(const JobTerms& terms);
    ParsPushSettings push_sum_settings() const;
    ClientSettings client_settings(std::uint32_t incarnation) const;
    Result<void> make_client(std::uint32_t incarnation);
    std::span<std::byte> client_memory() const;
    void find_variates();
    Result<void> step();
    Result<void> make_push_sum(ConstVector<float> first);
    Result<void> make_neighbour(ConstVector<float> first, std::int64_t tick);
    Result<void> resume_machine(bool current);
    void drop_job();
    std::span<Mass> exchange() const;

    Result<void> in_job(const Message& message);
    bool means(const Envelope& envelope) const;
    Result<void> offered(const Envelope& envelope, const JobOffer& offer);
    Result<void> next_epoch(const JobOffer& offer, std::uint64_t nonce);
    Result<void> turn_neighbour(const JobOffer& offer, std::uint64_t nonce);
    Result<void> take_model(const Model& model);
    Result<void> take_acknowledgement(const Acknowledgement& acknowledgement);
    Result<void> take_masks(const MaskExchange& said);
    Result<void> take_share(const ShareMessage& share);
    Result<void> take_floats(const ShareMessage& share);
    Result<void> take_grant(const MassGrant& grant);
    Result<void> take_receipt(const ShareReceipt& receipt);
    void follow(std::int64_t tick);
    void put_forward(std::int64_t tick);
    void begin_epoch() {
        dirty_ = true;
        unstored_ = settings_.store_every;  // before anything else is said
        storing_count_ = 0;                 // what is being stored is of the last epoch
        due_ = {};
        answer(envelope(), {});
        phase_ = Phase::learning;
    }
    void confirm_for_the_mute();
    Result<void> freeze(std::uint32_t epoch);
    void welcomed(const Welcome& welcome);
    std::optional<std::uint32_t> edge_to(std::uint32_t member) const;
    void set_away(std::uint32_t edge, bool away);
    void take_over(ParsPush<>&& machine);
    void answer(const Envelope& job, const Error& refusal);
    Envelope envelope() const { return {job(), node_, incarnation_, 0, nonce()}; }
    void end(JobEndReason reason);
    void fall_out(const Error& error);

    void retry();
    bool may_learn();
    bool may_take_turn();
    void say_again_soon();
    std::int64_t least_patience_ms() const;
    std::int64_t due_ms(std::int64_t later = 0) const;
    bool paces() const;
    bool waits_for_word() const;
    void deliver();
    Result<void> wake(ConstVector<float> gradient);
    Result<void> wake_neighbour(ConstVector<float> gradient);
    bool report_due() const;
    bool store_wanted() const;
    bool compose();
    bool compose_share();
    bool compose_floats();
    Result<void> compose_statement();
    bool compose_receipt();
    void note_heard();
    bool may_deliver();
    bool compose_update();
    void say(MessageBody body, std::uint32_t recipient = coordinator_number);
    std::int64_t tick_now() const;
    /// Those that mask the job's updates; null where none are masked, and in firmware, which links no generator.
    UpdateMasks* masks() const {
        const bool masked = edges_can_close && saved_ != nullptr && terms().payload == Payload::masked;
        return masked ? settings_.masks : nullptr;
    }
    /// Push-sum: has it yet to store the state that accepting a job promises?
    bool unaccepted() const { return phase_ == Phase::starting && unstored_ > 0; }
    /// Has it a state of the job to go on with?
    bool keeps() const {
        const bool unheard = phase_ == Phase::preparing && !resumed_;
        const bool without_room = phase_ == Phase::over && answer_.refusal.code == Code::not_durable;
        return saved_ != nullptr && !unheard && !without_room && !unaccepted();
    }
    /// The machine of a job without a server that says floats; firmware knows that there is none.
    NeighbourMachine* neighbour() const { return edges_can_close ? neighbour_ : nullptr; }
    /// Has it begun to learn with neighbours?
    bool meets() const { return push_sum_ || neighbour() != nullptr; }
    std::int64_t last_tick() const;
    bool by_rounds() const { return neighbour() != nullptr && machine_kind(terms().aggregation)->rounds; }
    std::uint32_t store_every() const { return by_rounds() ? 1 : settings_.store_every; }
    bool edges_close() const { return edges_can_close && settings_.edges_close; }
    bool stale() const { return unstored_ > 0 || dirty_ || storing_; }

    SessionSettings settings_;
    std::int64_t now_ms_ = 0, wake_at_ms_ = 0;

    // the connection
    bool connected_ = false, joined_ = false;
    std::uint32_t node_ = coordinator_number, incarnation_ = 0;
    std::int64_t heartbeat_ms_ = 1000, last_beat_ms_ = 0, blocked_until_ms_ = 0;

    // the job
    Phase phase_ = Phase::idle;
    bool resumed_ = false, paused_ = false, leaving_ = false;
    std::optional<JobEndReason> ended_early_;  ///< the job that is gone on with, before there was a task for it
    JobEndReason end_reason_ = JobEndReason::finished;
    std::span<std::byte> state_, machine_;
    Saved* saved_ = nullptr;
    std::uint64_t* nonce_ = nullptr;  ///< behind the machine, where older states have none
    std::optional<FederatedClient> client_;
    std::optional<ParsPush<>> push_sum_;
    NeighbourMachine* neighbour_ = nullptr;  ///< lives in object_
    std::span<std::byte> object_;
    std::int64_t again_at_ms_ = 0, again_after_ms_ = 0;  ///< by rounds: when it says again what it said
    std::int64_t turned_ms_ = 0;                         ///< and when it was last one round on
    Stream random_;
    std::span<float> gradient_, estimate_, residual_;
    std::span<std::byte> encoded_;
    std::span<Mass> steps_;
    std::span<Mass> told_;  ///< where edges close: what one neighbour is told
    std::span<std::int64_t> heard_;
    std::span<std::uint8_t> away_;  ///< where edges close: which out-neighbours cannot be reached
    std::span<std::uint8_t> mute_;  ///< and which speak a wire without receipts
    std::span<ReceiptDue> receipts_;
    std::uint32_t grant_epoch_ = 0;  ///< mass granted is in exchange()
    Mass grant_weight_ = 0;
    /// For how much of its own time the clock may be put forward on one neighbour's word, and when that was counted.
    std::int64_t lead_ms_ = lead_ticks * std::int64_t{1'000'000}, lead_at_ms_ = 0;
    std::int64_t base_ms_ = 0, base_tick_ = 0, next_wake_ = 0, stored_tick_ = -1;
    std::uint32_t share_cursor_ = 0;    ///< the next out-edge to tell; out-degree: all are told
    std::uint32_t receipt_cursor_ = 0;  ///< the next in-neighbour to look at
    std::uint16_t spoken_ = 1;          ///< version that the coordinator chose last
    std::uint32_t unstored_ = 0;        ///< updates or wake-ups since the last store
    bool dirty_ = false;                ///< something else changed since then
    bool working_ = false;              ///< a prepare, learn or report was begun
    bool wanted_ = false;               ///< and is still to be answered
    bool storing_ = false;              ///< a store was begun: of so many of the unstored, ...
    std::uint32_t storing_count_ = 0;
    bool storing_dirty_ = false;  ///< ... of other changes, and of the state as of this tick
    std::int64_t storing_tick_ = -1;
    std::int64_t retry_at_ms_ = 0, store_again_ms_ = 0;
    std::uint32_t since_report_ = 0;
    bool report_wanted_ = false, final_asked_ = false;
    std::uint8_t final_reports_ = 0;  ///< times that the final report was sent

    // what is to be said
    Due due_{};
    JobAnswer answer_{};
    Envelope answered_{};     ///< the job that answer_ is about
    EncodedValues update_{};  ///< the encoded one that waits for its acknowledgement
    std::array<Metric, metric_limit> metrics_{};
    std::size_t metric_count_ = 0;
    Message outgoing_{};
    std::uint32_t recipient_ = coordinator_number;

    // of a job whose clients correct their steps
    std::optional<ControlVariates> variates_;
    std::span<float> sent_;  ///< what a server sent: estimate_, and the mean variate behind it
};

}  // namespace dunlin
