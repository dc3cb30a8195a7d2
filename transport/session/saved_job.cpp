// SPDX-License-Identifier: Apache-2.0
#include "transport/session/saved_job.hpp"

#include "core/aggregate/state_block.hpp"
#include "transport/encoding.hpp"

#include <algorithm>
#include <cstring>

namespace dunlin {
namespace {

constexpr std::uint64_t state_magic = 0x33454444'4e4c5544;  // "DULNDDE3"
/// As "DULNDDE3", but that nothing stands where least_parts does.
constexpr std::uint64_t uneven_magic = 0x32454444'4e4c5544;
/// As "DULNDDE2", but that nothing stands where random_epoch_high does.
constexpr std::uint64_t narrow_magic = 0x31454444'4e4c5544;

std::size_t padded(std::size_t bytes) {
    return Arena::bytes<std::byte>(bytes);
}

/// Numbers that are rounded on the wire: encoded once, and what rounding took away.
std::size_t rounded(const JobTerms& terms) {
    return !serverless(terms) && terms.encoding != Encoding::float32 ? terms.dimension : 0;
}

/// What a neighbour is told is not what all are told where its edge was closed; and floats are packed.
std::size_t told(const JobTerms& terms, bool edges_close) {
    const MachineKind* kind = machine_kind(terms, edges_close);
    const std::size_t words = kind != nullptr ? kind->words(terms.dimension) : 0;
    return serverless(terms) && edges_close ? std::max<std::size_t>(terms.dimension, words) : 0;
}

/// Numbers in a server's message.
std::size_t sent_down(const JobTerms& terms) {
    return (corrected(terms) ? 2 : 1) * static_cast<std::size_t>(terms.dimension);
}

/// Of what lives only as long as the job runs: gradient, estimate and, where edges close, what one is told.
std::size_t work_bytes(const JobTerms& terms, bool edges_close) {
    return Arena::bytes<float>(terms.dimension) + Arena::bytes<float>(sent_down(terms)) +
           Arena::bytes<Mass>(told(terms, edges_close)) + padded(encoded_bytes(terms.encoding, rounded(terms))) +
           Arena::bytes<float>(rounded(terms));
}

std::size_t machine_bytes(const JobTerms& terms, bool edges_close) {
    if (!serverless(terms)) {
        return FederatedClient::memory(terms.dimension) +
               (corrected(terms) ? ControlVariates::memory(terms.dimension) : 0);
    }
    if (const MachineKind* kind = machine_kind(terms, edges_close)) return kind->state_bytes(terms);
    return ParsPush<>::memory(terms.dimension, terms.in_neighbours.size(),
                              edges_close ? terms.out_neighbours.size() : 0);
}

std::size_t step_sums(const JobTerms& terms) {
    return pushes(terms) && terms.audit ? terms.dimension : 0;
}

constexpr std::size_t nonce_bytes = Arena::bytes<std::uint64_t>(1);

/// Neighbours and text, which stand between Saved and what is learned.
std::size_t list_bytes(const JobTerms& terms) {
    return Arena::bytes<std::uint32_t>(terms.in_neighbours.size()) +
           Arena::bytes<std::uint32_t>(terms.out_neighbours.size()) + padded(terms.experiment.size());
}

}  // namespace

std::size_t NodeSession::state_bytes(const JobTerms& terms, bool edges_close) {
    static_assert(Arena::bytes<Saved>(1) + nonce_bytes <= saved_bytes);
    return Arena::bytes<Saved>(1) + list_bytes(terms) + Arena::bytes<Mass>(step_sums(terms)) +
           machine_bytes(terms, edges_close) + nonce_bytes;
}

std::size_t NodeSession::bytes(const JobTerms& terms, bool edges_close) {
    const std::size_t lists = Arena::bytes<std::int64_t>(terms.in_neighbours.size()) +
                              2 * Arena::bytes<std::uint8_t>(edges_close ? terms.out_neighbours.size() : 0) +
                              (pushes(terms) ? receipt_bytes(terms.in_neighbours.size()) : 0);
    const MachineKind* kind = machine_kind(terms, edges_close);
    return work_bytes(terms, edges_close) + state_bytes(terms, edges_close) + lists +
           (kind != nullptr ? kind->object_bytes(terms) : 0);
}

std::uint64_t NodeSession::job() const {
    return saved_ != nullptr ? saved_->job : 0;
}
std::uint64_t NodeSession::nonce() const {
    return saved_ != nullptr ? *nonce_ : 0;
}
std::uint64_t NodeSession::updates() const {
    return saved_ != nullptr ? saved_->updates : 0;
}
const JobTerms& NodeSession::terms() const {
    return saved_->terms;
}

// memory

Result<void> NodeSession::fits(const JobTerms& terms) const {
    if (terms.dimension == 0 || sent_down(terms) > WireLimits::values) {
        return fail(Code::message_too_long, terms.dimension, WireLimits::values);
    }
    const bool known = terms.aggregation <= Aggregation::push_sum || machine_kind(terms, edges_close()) != nullptr;
    const bool maskable = terms.payload != Payload::masked || (edges_can_close && settings_.masks != nullptr);
    if (!known || !maskable || (!steps_are_corrected && terms.payload > Payload::model))
        return fail(Code::job_not_understood);
    // In 64 bits, because it may be more than a small processor can count.
    const std::uint64_t neighbours = terms.in_neighbours.size() + (edges_close() ? terms.out_neighbours.size() : 0);
    const std::uint64_t least = pushes(terms) ? neighbours * terms.dimension * sizeof(Mass) : 0;
    if (least > settings_.memory.size()) {
        return fail(Code::job_too_large, static_cast<std::int64_t>(least),
                    static_cast<std::int64_t>(settings_.memory.size()));
    }
    const std::size_t needed = bytes(terms, edges_close());
    if (needed > settings_.memory.size()) {
        return fail(Code::job_too_large, static_cast<std::int64_t>(needed),
                    static_cast<std::int64_t>(settings_.memory.size()));
    }
    return {};
}

/// Work space first, which stays where it is when a new epoch changes the size of all that follows.
void NodeSession::lay_out_work(const JobTerms& terms) {
    Arena arena(settings_.memory);
    gradient_ = arena.take<float>(terms.dimension);
    const std::span<float> sent = arena.take<float>(sent_down(terms));
    if (steps_are_corrected) sent_ = sent;
    estimate_ = sent.first(terms.dimension);
    told_ = arena.take<Mass>(told(terms, edges_close()));
    encoded_ = arena.take<std::byte>(encoded_bytes(terms.encoding, rounded(terms)));
    residual_ = arena.take<float>(rounded(terms));
    grant_epoch_ = 0;
}

/// Masses where gradient and estimate are, which nobody needs between two epochs.
std::span<Mass> NodeSession::exchange() const {
    return {reinterpret_cast<Mass*>(gradient_.data()), gradient_.size()};
}

/// A new state, with the sums of the steps of the one that was there, if `keeps_steps`.
void NodeSession::lay_out_state(const Envelope& job, const JobTerms& terms, bool keeps_steps) {
    const auto memory = settings_.memory.subspan(work_bytes(terms, edges_close()));
    const std::size_t size = state_bytes(terms, edges_close());
    const std::size_t front = Arena::bytes<Saved>(1) + list_bytes(terms);
    std::size_t kept = 0;
    if (keeps_steps && steps_.size() == step_sums(terms)) {
        kept = steps_.size_bytes();
        if (kept > 0) std::memmove(memory.data() + front, steps_.data(), kept);
    }
    std::memset(memory.data(), 0, front);
    std::memset(memory.data() + front + kept, 0, size - front - kept);
    *reinterpret_cast<Saved*>(memory.data()) = {
        .magic = state_magic,
        .bytes = size,
        .job = job.job,
        .updates = 0,
        .incarnation = incarnation_,
        .random_epoch_low = 0,
        .in_count = static_cast<std::uint32_t>(terms.in_neighbours.size()),
        .out_count = static_cast<std::uint32_t>(terms.out_neighbours.size()),
        .text_size = static_cast<std::uint32_t>(terms.experiment.size()),
        .started = 0,
        .frozen = 0,
        .sealed = 0,
        .current = settings_.store_every == 1,
        .random_epoch_high = 0,
        .terms = terms};
    StateView lists(memory.subspan(Arena::bytes<Saved>(1)));
    const auto put = [&](auto values) {
        const auto place = lists.take<typename decltype(values)::value_type>(values.size());
        std::copy(values.begin(), values.end(), place.begin());
    };
    put(terms.in_neighbours);
    put(terms.out_neighbours);
    put(terms.experiment);
    find_state(terms);
    *nonce_ = job.nonce;
}

/// The parts of a state that is in its place; of `terms` only sizes are asked.
void NodeSession::find_state(const JobTerms& terms) {
    StateView memory(settings_.memory.subspan(work_bytes(terms, edges_close())));
    state_ = memory.take<std::byte>(state_bytes(terms, edges_close()));
    heard_ = memory.take<std::int64_t>(terms.in_neighbours.size());
    away_ = memory.take<std::uint8_t>(edges_close() ? terms.out_neighbours.size() : 0);
    std::ranges::fill(away_, std::uint8_t{1});
    mute_ = memory.take<std::uint8_t>(away_.size());
    std::ranges::fill(mute_, std::uint8_t{0});
    receipts_ = memory.take<ReceiptDue>(pushes(terms) ? terms.in_neighbours.size() : 0);
    std::ranges::fill(receipts_, ReceiptDue{-1, -1, -1, 0, 0});
    if (const MachineKind* kind = machine_kind(terms, edges_close()))
        object_ = memory.take<std::byte>(kind->object_bytes(terms));
    StateView block(state_);
    saved_ = block.take<Saved>(1).data();
    saved_->terms.in_neighbours = block.take<std::uint32_t>(terms.in_neighbours.size());
    saved_->terms.out_neighbours = block.take<std::uint32_t>(terms.out_neighbours.size());
    const auto text = block.take<char>(terms.experiment.size());
    saved_->terms.experiment = {text.data(), text.size()};
    steps_ = block.take<Mass>(step_sums(terms));
    machine_ = block.take<std::byte>(machine_bytes(terms, edges_close()));
    nonce_ = block.take<std::uint64_t>(1).data();
}

ParsPushSettings NodeSession::push_sum_settings() const {
    const JobTerms& t = saved_->terms;
    return {.network = {.node = t.member,
                        .nodes = t.members,
                        .dimension = t.dimension,
                        .in_neighbours = t.in_neighbours,
                        .out_degree = static_cast<std::uint32_t>(t.out_neighbours.size()),
                        .least_parts = t.least_parts,
                        .format = t.format,
                        .largest_value = t.largest_value,
                        .weight_floor = t.weight_floor,
                        .edges_close = settings_.edges_close},
            .theta = t.theta};
}

ClientSettings NodeSession::client_settings(std::uint32_t incarnation) const {
    const JobTerms& t = saved_->terms;
    return {.node = t.member,
            .incarnation = incarnation,
            .dimension = t.dimension,
            .local_steps = t.local_steps,
            .local_rate = t.local_rate,
            .prox_weight = t.fedprox_weight,
            .samples = t.samples,
            .payload = t.payload};
}

Result<void> NodeSession::make_client(std::uint32_t incarnation) {
    Arena arena(client_memory());
    auto made = FederatedClient::make(client_settings(incarnation), arena);
    if (!made) return tl::unexpected(made.error());
    client_.emplace(std::move(*made));
    find_variates();
    return {};
}

/// Of a job with a server, the client's; behind it, where steps are corrected, what corrects them.
std::span<std::byte> NodeSession::client_memory() const {
    return steps_are_corrected ? machine_.first(FederatedClient::memory(saved_->terms.dimension)) : machine_;
}

/// They outlive the client: who begins anew, as another incarnation, has learned what its gradients are like.
void NodeSession::find_variates() {
    const JobTerms& t = saved_->terms;
    if (corrected(t)) variates_.emplace(machine_.subspan(client_memory().size()), t.dimension, t.local_steps);
}

Result<void> NodeSession::make_push_sum(ConstVector<float> first) {
    Arena arena(machine_);
    auto made = ParsPush<>::make(push_sum_settings(), first, arena);
    if (!made) return tl::unexpected(made.error());
    take_over(std::move(*made));
    return {};
}

/// Neighbours are given something from when it is known that they are there.
void NodeSession::take_over(ParsPush<>&& machine) {
    push_sum_.emplace(std::move(machine));
    for (std::uint32_t edge = 0; edge < away_.size(); ++edge) set_away(edge, away_[edge] != 0);
}

Result<void> NodeSession::resume(std::span<const std::byte> bytes) {
    Saved front;
    if (bytes.size() < sizeof front) {
        return fail(Code::state_size, static_cast<std::int64_t>(bytes.size()), sizeof front);
    }
    std::memcpy(&front, bytes.data(), sizeof front);
    if (front.magic != state_magic && front.magic != uneven_magic && front.magic != narrow_magic)
        return fail(Code::state_mismatch, 0);
    const auto mismatch = [&] {
        return fail(Code::state_size, static_cast<std::int64_t>(bytes.size()),
                    static_cast<std::int64_t>(front.bytes));
    };
    if (front.bytes != bytes.size() || front.in_count > WireLimits::neighbours ||
        front.out_count > WireLimits::neighbours || front.text_size > WireLimits::text_bytes) {
        return mismatch();
    }
    std::size_t at = Arena::bytes<Saved>(1);
    const std::size_t lists = Arena::bytes<std::uint32_t>(front.in_count) +
                              Arena::bytes<std::uint32_t>(front.out_count) + padded(front.text_size);
    if (at + lists > bytes.size()) return mismatch();
    const auto list = [&](std::uint32_t count) {
        const std::span<const std::uint32_t> numbers(reinterpret_cast<const std::uint32_t*>(bytes.data() + at),
                                                     count);
        at += Arena::bytes<std::uint32_t>(count);
        return numbers;
    };
    front.terms.in_neighbours = list(front.in_count);
    front.terms.out_neighbours = list(front.out_count);
    front.terms.experiment = {reinterpret_cast<const char*>(bytes.data() + at), front.text_size};
    if (auto fit = fits(front.terms); !fit) return fit;
    // Of before there were nonces: 0.
    const std::size_t size = state_bytes(front.terms, edges_close());
    const bool nameless = bytes.size() + nonce_bytes == size;
    if (bytes.size() != size && !nameless) return mismatch();

    std::memmove(settings_.memory.data() + work_bytes(front.terms, edges_close()), bytes.data(), bytes.size());
    find_state(front.terms);
    if (saved_->magic == narrow_magic) saved_->random_epoch_high = 0;
    if (saved_->magic != state_magic) saved_->terms.least_parts = 0;
    saved_->magic = state_magic;
    if (nameless) *nonce_ = 0;
    saved_->bytes = size;
    lay_out_work(saved_->terms);
    const std::uint32_t current = saved_->current;
    saved_->current = settings_.store_every == 1;
    if (auto restored = resume_machine(current != 0); !restored) {
        drop_job();
        return restored;
    }
    phase_ = Phase::preparing;
    resumed_ = true;
    return {};
}

/// Without a server the machine is all there is. With one, a state that is not the latest is of no use: what was
/// delivered since then is not in it, so the node begins a new incarnation with the next model.
Result<void> NodeSession::resume_machine(bool current) {
    random_ = Stream(saved_->terms.seed, saved_->terms.member, Purpose::samples);
    random_.seek_epoch(saved_->random_epoch());
    if (serverless(saved_->terms)) {
        incarnation_ = saved_->incarnation;
        if (saved_->started == 0) return {};
        if (const MachineKind* kind = machine_kind(saved_->terms, edges_close())) {
            auto resumed = kind->resume(saved_->terms, machine_, object_);
            if (!resumed) return tl::unexpected(resumed.error());
            neighbour_ = *resumed;
            again_after_ms_ = least_patience_ms();
            stored_tick_ = neighbour_->tick();
            return {};
        }
        auto resumed = ParsPush<>::resume(push_sum_settings(), machine_);
        if (!resumed) return tl::unexpected(resumed.error());
        take_over(std::move(*resumed));
        stored_tick_ = push_sum_->tick();
        return {};
    }
    if (saved_->started == 0 || !current) return {};
    incarnation_ = saved_->incarnation;
    auto resumed = FederatedClient::resume(client_settings(incarnation_), client_memory());
    if (!resumed) return tl::unexpected(resumed.error());
    client_.emplace(std::move(*resumed));
    find_variates();
    return {};
}

void NodeSession::drop_job() {
    if (masks() != nullptr) masks()->forget();
    client_.reset();
    if (steps_are_corrected) variates_.reset();
    push_sum_.reset();
    if (edges_can_close) neighbour_ = nullptr;
    saved_ = nullptr;
    state_ = {};
    steps_ = {};
    phase_ = Phase::idle;
    paused_ = resumed_ = dirty_ = report_wanted_ = final_asked_ = wanted_ = storing_dirty_ = false;
    unstored_ = since_report_ = share_cursor_ = storing_count_ = 0;
    storing_tick_ = -1;
    ended_early_.reset();
    final_reports_ = 0;
    stored_tick_ = -1;
    const bool join = due_.join;
    due_ = {};
    due_.join = join;
}

}  // namespace dunlin
