// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/adapt/maml.hpp"
#include "core/adapt/moreau_envelope.hpp"
#include "core/adapt/objective.hpp"
#include "core/aggregate/federated.hpp"
#include "core/aggregate/step_schedule.hpp"
#include "core/error.hpp"
#include "core/fixed_point.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>
#include <variant>

namespace dunlin {

/// What coordinator and nodes say to each other, whatever carries it (docs/wire.md says how it looks as bytes).
/// Every message is a view: texts and numbers belong to whoever made or decoded it. "N to C" is said by a node to
/// its coordinator.

/// The newest version of the wire that this code speaks, and the oldest that it still understands.
inline constexpr std::uint16_t wire_version = 4;
inline constexpr std::uint16_t oldest_wire_version = 1;

/// Limits on what a peer can make large. Decoders refuse what goes beyond them.
struct WireLimits {
    static constexpr std::size_t values = 16u << 20;  ///< numbers in a model, update or share
    static constexpr std::size_t message_bytes = values * 8 + 4096;
    static constexpr std::size_t text_bytes = 64u << 10;  ///< an experiment; names are shorter
    static constexpr std::size_t name_bytes = 64;
    static constexpr std::size_t line_bytes = 256;  ///< an endpoint, a program's description of itself
    static constexpr std::size_t neighbours = 4096;
    static constexpr std::size_t metrics = 32;
};

/// A node is its CURVE key pair; this half of it is on the coordinator's roster.
using PublicKey = std::array<std::byte, 32>;

/// The coordinator's number, where nodes have theirs from the roster.
inline constexpr std::uint32_t coordinator_number = 0xffffffffu;

/// Who says it, of which job. Sequence numbers grow from 1 within an incarnation, which grows when a node starts
/// without what it knew before: it joins as incarnation 0 then, and its Welcome says which one it is.
struct Envelope {
    std::uint64_t job = 0;     ///< 0: about no job
    std::uint32_t sender = 0;  ///< the node's number in the roster, or coordinator_number
    std::uint32_t incarnation = 0;
    std::uint64_t sequence = 0;
    /// Of the job, drawn when it was made: numbers are given again once a coordinator's store was restored from a
    /// backup. 0: about no job, or from who knows no nonces.
    std::uint64_t nonce = 0;
};

/// How floating-point numbers travel. Push-sum shares are integers and always travel whole.
enum class Encoding : std::uint8_t {
    float32,
    float16,  ///< to nearest even; half the bytes
    int8,     ///< blocks of 64: a float32 scale and 64 signed bytes; about a quarter
};

/// Numbers in their encoding; little-endian, for float32 not necessarily aligned.
struct EncodedValues {
    Encoding encoding = Encoding::float32;
    std::uint32_t count = 0;
    std::span<const std::byte> bytes = {};
};

/// By which machine the nodes of a job agree. The first has a server; those behind push_sum are of version 3, the last
/// of version 4.
enum class Aggregation : std::uint8_t { federated, push_sum, dsgd, spd, gnsd, push_pull, hgp };
inline constexpr Aggregation last_aggregation = Aggregation::hgp;
/// Do nodes give each other mass? A coordinator keeps books of it then.
constexpr bool holds_mass(Aggregation aggregation) {
    return aggregation == Aggregation::push_sum;
}
/// With neighbours, by a machine whose messages are floats?
constexpr bool says_floats(Aggregation aggregation) {
    return aggregation > Aggregation::push_sum;
}
/// The first version of the wire that has it.
constexpr std::uint16_t version_of(Aggregation aggregation) {
    if (aggregation == Aggregation::hgp) return 4;
    return says_floats(aggregation) ? 3 : 1;
}

/// A job as one of its nodes sees it: all that a device needs. A host builds its task from `experiment`; a device
/// brings its own.
struct JobTerms {
    std::uint32_t epoch = 1;    ///< of the graph; grows when nodes come or go
    std::uint32_t member = 0;   ///< this node's number in the job, i
    std::uint32_t members = 1;  ///< n; numbers are kept when nodes go
    std::uint64_t seed = 1;
    std::uint32_t dimension = 0;  ///< d
    Aggregation aggregation = Aggregation::federated;
    Objective objective = Objective::moreau;
    std::uint16_t least_parts = 0;  ///< push-sum: see PushSumSettings; hgp: M (SeriesPlan)
    MoreauEnvelope moreau = {};
    Maml maml = {};
    std::string_view experiment = {};  ///< a resolved config.toml

    // federated
    std::uint32_t local_steps = 1;          ///< Q; hgp: T (SeriesPlan)
    float local_rate = 0.1f;                ///< eta
    float fedprox_weight = 0.0f;            ///< mu
    float samples = 1.0f;                   ///< weight in a round's mean
    Payload payload = Payload::difference;  ///< `corrected`: a Model holds c behind the parameters, 2 d numbers
    Encoding encoding = Encoding::float32;

    // push-sum
    std::span<const std::uint32_t> in_neighbours = {}, out_neighbours = {};  ///< ascending, as members
    StepSchedule theta = {};                                                 ///< longest_gap is Gamma_w
    FixedPoint format = {};
    float largest_value = 1000.0f;
    float weight_floor = 0.01f;
    std::uint32_t tick_ms = 100;    ///< one round t
    std::uint32_t wake_ticks = 1;   ///< from one wake-up to the next at least
    std::int64_t learn_until = -1;  ///< the tick from which on nodes only agree; -1: never
    bool audit = false;             ///< keep the exact sum of all steps too

    std::uint32_t report_every = 0;  ///< wake-ups or updates between two reports; 0: only at the end
};

// N to C: control

/// The first message of every connection. The envelope's job is the one that the node has the state of, or 0; its
/// incarnation is 0 where the node does not know what it sent last, and Welcome gives it a new one then. A member
/// of a push-sum job that comes back without its state has lost its mass: it is gone, and taken in anew.
struct Join {
    std::uint16_t oldest_version = oldest_wire_version, newest_version = wire_version;
    std::string_view name = {};      ///< as in the roster
    std::string_view software = {};  ///< "dunlin-node 0.1.0 aarch64 neon"
    std::string_view endpoint = {};  ///< where other nodes can reach this one, "" if nowhere
    std::uint64_t memory_bytes = 0;  ///< most that a job may take; 0: not said
    std::uint32_t epoch = 0;         ///< of the envelope's job, which the node is in and goes on with
};
/// A node's answer to JobOffer.
struct JobAnswer {
    bool accepted = false;
    Error refusal = {};
    std::uint32_t epoch = 0;       ///< push-sum: of the offer; 0: not said
    std::string_view reason = {};  ///< of a refusal, for people: the setting that the node does not know
};
/// "Send me the model": after a JobOffer, and when one that was due did not come.
struct ModelRequest {};
/// What a node measured. Names are of the task: "return_ratio".
struct Metric {
    std::string_view name = {};
    double value = 0;
};
struct Report {
    std::int64_t at = 0;  ///< the node's tick, or the sequence number of its last update
    bool final = false;
    std::span<const Metric> metrics = {};
};
/// "Take me out of the job", by a node that goes for good. What it holds is asked for (MassRequest) and handed on.
struct Leave {};
/// A node that holds still. `heard` is, for each in-neighbour in order, the tick of the newest share received.
struct Frozen {
    std::uint32_t epoch = 0;
    std::int64_t tick = -1;  ///< of its own last share
    std::span<const std::int64_t> heard = {};
};

// C to N: control

/// The answer to Join, or else a Refusal. What reaches a node on a connection before it is not meant for it as it
/// is now.
struct Welcome {
    std::uint16_t version = wire_version;  ///< the one to speak from here on
    std::uint32_t node = 0;                ///< the receiver's number in the roster
    std::uint32_t incarnation = 1;         ///< the receiver's: Join's, or one that was never used
    std::uint32_t heartbeat_ms = 1000;     ///< say something this often; three missed are suspect
};
/// Take part in the envelope's job, or (push-sum, when frozen and drained) go on in a new epoch of it, with the
/// mass that a MassGrant just brought if `grant` says so. Who takes part anew asks for the first parameters by
/// ModelRequest and starts with push-sum weight 1.
struct JobOffer {
    JobTerms terms = {};
    bool grant = false;
    std::uint32_t shift = 0;  ///< version 2: multiply what you hold by 2^shift first, exactly
    // version 3, of machines that go by rounds
    std::span<const Mass> weights = {};  ///< W_ij of the in-neighbours, times 2^weight_bits
    std::int64_t first_round = 0;        ///< that this epoch begins with: so many were done before
    std::int64_t last_round = 0;         ///< after so many a node holds still; 0: it goes on until the job ends

    static constexpr int weight_bits = 62;
};
/// What became of an update, or that a final report is there; sent when it is durable and (an update) in the model,
/// or refused.
struct Acknowledgement {
    std::uint64_t sequence = 0;  ///< of the update; 0: of the final report
    bool applied = false;
    Error refusal = {};
    std::uint64_t version = 0;  ///< of the model
};
/// Push-sum: take no more steps, send the last share again, say Frozen whenever a newer share arrives.
struct Freeze {
    std::uint32_t epoch = 0;
};
/// Push-sum, of a frozen node: say what you hold.
struct MassRequest {
    std::uint32_t epoch = 0;
};
enum class JobEndReason : std::uint8_t { finished, stopped, removed, failed };
/// The job is over for the receiver, who may still ask for the last model (federated: it came just before), makes
/// it its own and sends its final Report.
struct JobEnd {
    JobEndReason reason = JobEndReason::finished;
};
/// Push-sum: give this out-neighbour nothing until it can be reached again.
struct Presence {
    std::uint32_t member = 0;
    bool reachable = true;
    bool confirms = false;  ///< version 2: it says what it has of the receiver's shares (ShareReceipt)
};
/// Federated or push-sum: hold still, or go on.
struct JobPause {
    bool paused = true;
};
/// Where a member can be reached without the coordinator; hosts only.
struct PeerAddress {
    std::uint32_t member = 0;
    std::string_view endpoint = {};
    std::span<const std::byte> key = {};  ///< its public key, 32 bytes
};
struct Peers {
    std::span<const PeerAddress> peers = {};
};

// both ways: control

/// In a push-sum job with the tick of the sender's last wake-up, once that is durable.
struct Heartbeat {
    std::int64_t tick = -1;
};
/// Something the receiver said was wrong; the envelope's sequence is that message's, if it had one.
struct Refusal {
    Error error = {};
};

// data

/// C to N: where to start the next local steps.
struct Model {
    std::uint64_t version = 0;
    EncodedValues values = {};
};
/// N to C.
struct ModelUpdate {
    std::uint32_t member = 0;
    std::uint64_t base_version = 0;
    float samples = 1.0f;
    EncodedValues values = {};
};
/// From member to member, directly or by way of the coordinator. Only the newest of a link matters; of a machine that
/// goes by rounds the newest two do, and a node that waits says them again. Where a machine says floats
/// (says_floats), `values` holds two of them in each 64 bits, the first in the lower half, `tick` is the machine's
/// counter, and there is no weight.
struct ShareMessage {
    std::uint32_t epoch = 0;
    std::uint32_t from = 0, to = 0;     ///< members
    std::int64_t tick = -1;             ///< kappa
    Mass weight = 0;                    ///< phi^y
    std::span<const Mass> values = {};  ///< phi^x
};
/// N to C, of a frozen node: x and y, with what it has taken in. From here on (on disk before the report leaves) it
/// takes in no share until its job goes on in a new epoch.
struct MassReport {
    std::uint32_t epoch = 0;
    Mass weight = 0;
    std::span<const Mass> values = {};
    std::span<const Mass> steps = {};  ///< sum of all steps taken, modulo 2^64, if the job's audit is on
};
/// C to N: mass of a node that left, to be added to one's own when `epoch` begins.
struct MassGrant {
    std::uint32_t epoch = 0;
    Mass weight = 0;
    std::span<const Mass> values = {};
};

/// From member to member against the direction of shares, directly or by way of the coordinator, at most once for
/// every store of the sender's: "your share of this tick, with all that it carries, is in a state of mine that is
/// durable". Version 2.
struct ShareReceipt {
    std::uint32_t epoch = 0;
    std::uint32_t from = 0, to = 0;  ///< members, of the share: `to` says it, `from` is told
    std::int64_t tick = -1;          ///< kappa of the newest share
    Mass weight = 0;                 ///< rho^y: what it brought in all
};

/// How members' updates become integers (RingValues), and what each adds to them.
struct MaskTerms {
    std::uint32_t ring_bits = 32;
    std::uint32_t value_bits = 20;
    float range = 4.0f;
    std::uint32_t largest_weight = 1;
    float clip = 0.0f;   ///< Euclidean norm to which an update is scaled first; 0: none
    float noise = 0.0f;  ///< discrete Gaussian of so many clips on a group's sum; each member adds its part
};

/// The steps of a masked round, in their order; a member answers `begin`, `group` and `survivors`.
enum class MaskStep : std::uint8_t {
    begin,      ///< C to N: take part in this attempt; `terms`
    keys,       ///< N to C: bytes: two public keys and a commitment, 96
    group,      ///< C to N: members: the others of its group; bytes: 96 of each
    shares,     ///< N to C: members: the same; bytes: for each what only it can open, 80
    delivered,  ///< C to N: members: those whose shares came; bytes: what each sealed for the receiver, 80
    survivors,  ///< C to N: members: all of the group whose masked updates came
    opened,     ///< N to C: members: those who shared; bytes: of each one share, 32
};

/// Version 4. What members and coordinator say to each other so that a sum of masked updates can be unmasked
/// (docs/wire.md, "Masked rounds").
struct MaskExchange {
    std::uint64_t attempt = 0;  ///< random; every one has masks of its own
    std::uint64_t version = 0;  ///< of the model that the round's updates start from
    MaskStep step = MaskStep::begin;
    MaskTerms terms = {};
    std::span<const std::uint32_t> members = {};  ///< ascending
    std::span<const std::byte> bytes = {};

    static constexpr std::size_t keys_bytes = 96, sealed_bytes = 80, share_bytes = 32;
};
/// Version 4, N to C: an update and behind it its weight, as integers of the ring, masked. Little-endian.
struct MaskedUpdate {
    std::uint32_t member = 0;
    std::uint64_t attempt = 0;
    std::uint64_t base_version = 0;
    std::span<const std::byte> bytes = {};
};

using MessageBody =
    std::variant<Join, JobAnswer, ModelRequest, Report, Leave, Frozen, Welcome, JobOffer, Acknowledgement, Freeze,
                 MassRequest, JobEnd, Presence, JobPause, Peers, Heartbeat, Refusal, Model, ModelUpdate,
                 ShareMessage, MassReport, MassGrant, ShareReceipt, MaskExchange, MaskedUpdate>;

struct Message {
    Envelope envelope;
    MessageBody body;
};

/// The place of a message in MessageBody: its number on the wire hangs on it, so that new ones come last.
template <class Body>
inline constexpr std::size_t body_index = [] {
    return []<class... Bodies>(std::variant<Bodies...>*) {
        std::size_t index = 0;
        (void)((std::is_same_v<Body, Bodies> || (++index, false)) || ...);
        return index;
    }(static_cast<MessageBody*>(nullptr));
}();

/// Travels as FlatBuffers on every link; all else is Protobuf between hosts and FlatBuffers on a serial line.
template <class Body>
inline constexpr bool is_data =
    std::is_same_v<Body, Model> || std::is_same_v<Body, ModelUpdate> || std::is_same_v<Body, ShareMessage> ||
    std::is_same_v<Body, MassReport> || std::is_same_v<Body, MassGrant> || std::is_same_v<Body, ShareReceipt> ||
    std::is_same_v<Body, MaskExchange> || std::is_same_v<Body, MaskedUpdate>;

/// The version that a message says it is of: the first that has its kind. So those who speak an older one
/// understand all that they know, and fields that came later are left out by them.
constexpr std::uint16_t version_of(std::size_t kind) {
    return kind >= body_index<MaskExchange> ? 4 : kind >= body_index<ShareReceipt> ? 2 : 1;
}

/// The first version that knows every word of a job's terms: who speaks an older one cannot be offered it.
constexpr std::uint16_t version_of(const JobTerms& terms) {
    const bool newer = terms.objective > Objective::moreau || terms.payload > Payload::model;
    const std::uint16_t words = terms.payload == Payload::masked ? 4 : newer ? 3 : 1;
    return std::max(version_of(terms.aggregation), words);
}

}  // namespace dunlin
