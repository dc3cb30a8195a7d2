// SPDX-License-Identifier: Apache-2.0
#include "training/simulation/federated_fleet.hpp"

#include "training/network/traced_network.hpp"
#include "training/simulation/federated_message.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
#include <numeric>
#include <utility>

#include <fmt/format.h>

namespace dunlin {
namespace {

constexpr std::uint32_t server_node = 0;

}  // namespace

Outcome<std::unique_ptr<FederatedFleet>> FederatedFleet::make(const FederatedSettings& s, std::uint64_t seed,
                                                              ConstVector<float> first,
                                                              std::span<const float> samples, LearnerOf learner,
                                                              Workers& workers, bool trace_payloads) {
    const auto clients = static_cast<std::uint32_t>(samples.size());
    if (s.privacy.enabled() && workers.ranks().spread())
        return refuse("privacy.clip: ranks would each draw noise of their own; run it in one process");
    if (s.masks.enabled)
        return refuse(
            "secure_aggregation.enabled: in one process there is nobody to hide updates from; real nodes mask "
            "theirs: "
            "dunlin fleet run");
    if (auto fit = s.check(clients); !fit) return tl::unexpected(fit.error());
    std::unique_ptr<FederatedFleet> fleet(new FederatedFleet(s, std::move(learner), workers));
    auto machines = make_federated_machines(s, seed, first, samples);
    if (!machines) return tl::unexpected(machines.error());
    fleet->server_ = std::move(machines->server);
    if (s.attack.sends()) fleet->attack_ = std::make_unique<Attack>(s.attack, s.defence, clients, seed);

    for (std::uint32_t i = 0; i < clients; ++i) {
        Stream speed(seed, i, Purpose::lives);
        const bool traced = s.traced != nullptr && !s.traced->paces().empty();
        const double pace = traced ? static_cast<double>(s.traced->paces()[i])
                                   : std::exp(static_cast<double>(s.clock.speed_spread * speed.normal()));
        fleet->gradient_s_.push_back(static_cast<double>(s.clock.gradient_s) * pace);
        fleet->clients_.push_back(
            {.machine = std::move(machines->clients[i]), .random = Stream(seed, i, Purpose::samples)});
    }
    fleet->client_bytes_ = machines->client_bytes;
    for (int worker = 0; worker < workers.count(); ++worker)
        fleet->benches_.push_back({HostMemory(first.size_bytes()), HostMemory(machines->client_bytes)});
    fleet->draws_ = Stream(seed, 0, Purpose::tasks);
    fleet->idle_.resize(clients);
    std::iota(fleet->idle_.begin(), fleet->idle_.end(), 0u);
    if (s.attack.name == AttackName::left_out)
        for (const std::uint32_t liar : s.attack.liars(clients, seed)) std::erase(fleet->idle_, liar);

    auto graph = star(clients + 1);
    if (!graph) return refuse(graph.error(), "the fleet");
    fleet->graph_ = std::make_unique<Graph>(*std::move(graph));
    if (s.traced != nullptr)
        fleet->settings_.clock.loss = std::max(fleet->settings_.clock.loss, s.traced->largest_loss());
    const auto link = [&](float seconds) {
        simulation::LinkProfile profile;
        profile.latency = simulation::Latency::constant(std::max<Time>(1, simulation::seconds(seconds)));
        profile.delay_limit = std::max<Time>(simulation::longest_delay, profile.latency.minimum);
        profile.loss = s.clock.loss;
        profile.duplication = s.clock.duplication;
        return profile;
    };
    auto network = simulation::Network::create(*fleet->graph_, link(s.clock.download_s),
                                               {.seed = seed, .trace_payloads = trace_payloads});
    if (!network) return refuse(network.error(), "clock");
    fleet->network_ = std::make_unique<simulation::Network>(*std::move(network));
    const auto set = [&](std::uint32_t from, std::uint32_t to, simulation::LinkProfile profile) {
        if (s.traced != nullptr) profile = s.traced->profile(from, to, profile);
        return fleet->network_->set_profile(*fleet->graph_->find(from, to), profile);
    };
    for (std::uint32_t i = 1; i <= clients; ++i) {
        if (auto done = set(i, server_node, link(s.clock.upload_s)); !done)
            return refuse(done.error(), "clock.upload_s");
        if (auto done = set(server_node, i, link(s.clock.download_s)); !done)
            return refuse(done.error(), "clock.download_s");
    }
    return fleet;
}

ConstVector<float> FederatedFleet::model() const {
    return server_->model();
}
std::uint64_t FederatedFleet::version() const {
    return server_->version();
}

/// Each by itself with the chance that concurrency says, unknown to whoever sees the model, as the accountants count
/// on. Rounds for which nobody was drawn pass in no time; no seed says who was.
Result<std::vector<std::uint32_t>> FederatedFleet::draw_secretly() {
    const double most = static_cast<double>(settings_.clock.concurrency) * 0x1p53;
    std::ranges::sort(idle_);
    for (;;) {
        std::vector<std::uint32_t> chosen, others;
        for (const std::uint32_t client : idle_)
            (static_cast<double>(settings_.privacy.random() >> 11) < most ? chosen : others).push_back(client);
        if (!chosen.empty()) {
            idle_ = std::move(others);
            return chosen;
        }
        if (auto done = server_->empty_round(); !done) return tl::unexpected(done.error());
    }
}

/// As many invitations as concurrency allows: the first ones, or a round's.
Result<void> FederatedFleet::begin() {
    const auto share = std::lround(settings_.clock.concurrency * static_cast<float>(idle_.size()));
    const auto wanted = static_cast<std::size_t>(std::max(1L, share));
    std::vector<std::uint32_t> chosen;
    const bool secretly = settings_.privacy.enabled() && settings_.clock.concurrency < 1.0f;
    if (secretly) {
        auto drawn = draw_secretly();
        if (!drawn) return tl::unexpected(drawn.error());
        chosen = *std::move(drawn);
    }
    while (!secretly && chosen.size() < wanted) {
        const std::uint32_t at = draws_.below(static_cast<std::uint32_t>(idle_.size()));
        chosen.push_back(idle_[at]);
        idle_[at] = idle_.back();
        idle_.pop_back();
    }
    std::ranges::sort(chosen);
    if (settings_.rounds()) {
        if (auto opened = server_->begin_round(chosen); !opened) return opened;
    }
    for (const std::uint32_t client : chosen) {
        if (auto sent = invite(client); !sent) return sent;
    }
    return {};
}

/// After an update of an awaited client, which is idle now.
Result<void> FederatedFleet::invite_next() {
    if (!settings_.rounds()) {
        const std::uint32_t at = draws_.below(static_cast<std::uint32_t>(idle_.size()));
        const std::uint32_t client = idle_[at];
        idle_[at] = idle_.back();
        idle_.pop_back();
        return invite(client);
    }
    if (awaited_ > 0) return {};
    if (server_->round_running()) {  // an update was refused
        if (auto closed = server_->close_round(); !closed) return tl::unexpected(closed.error());
    }
    std::ranges::sort(idle_);
    return begin();
}

Result<void> FederatedFleet::invite(std::uint32_t client) {
    ++clients_[client].invitation;
    clients_[client].awaited = true;
    ++awaited_;
    return send_model(client);
}

Result<void> FederatedFleet::send_model(std::uint32_t client) {
    if (message_version_ != version()) {
        auto made = message(*network_, {version(), 0, 0, 0, 0.0f, 0}, server_->download());
        if (!made) return tl::unexpected(made.error());
        model_message_ = *std::move(made);
        message_version_ = version();
    }
    const std::uint64_t invitation = clients_[client].invitation;
    if (auto sent = network_->send(server_node, client + 1, model_message_, invitation); !sent) return sent;
    if (settings_.clock.loss == 0.0f) return {};
    return network_->set_timer(server_node, network_->now() + simulation::seconds(settings_.clock.patience_s),
                               invitation << 32 | client);
}

Result<void> FederatedFleet::at_client(std::uint32_t number, const simulation::Event& event) {
    Client& client = clients_[number];
    if (event.kind == simulation::Event::Kind::timer) {
        client.computing = false;
        count_busy(event.time);
        --busy_;
        return upload(number);
    }
    if (event.tag < client.accepted) return {};
    if (event.tag == client.accepted) return client.computing ? Result<void>{} : upload(number);
    client.model = event.payload;
    client.update = {};
    client.accepted = event.tag;
    client.computing = true;
    client.started = event.time;
    count_busy(event.time);
    ++busy_;
    waiting_.push_back(number);
    return {};
}

Result<simulation::Payload> FederatedFleet::update_of(AnyClient& machine) {
    const Result<Update> update = machine.upload();
    if (!update) return tl::unexpected(update.error());
    return message(*network_,
                   {update->base_version, update->sequence, update->node, update->incarnation, update->samples, 0},
                   update->values);
}

Result<void> FederatedFleet::upload(std::uint32_t number) {
    Client& client = clients_[number];
    const simulation::Payload update = unreliable() ? client.update : std::exchange(client.update, {});
    return network_->send(number + 1, server_node, update, client.accepted);
}

Result<void> FederatedFleet::at_server(const simulation::Event& event) {
    if (event.kind == simulation::Event::Kind::timer) {
        const auto number = static_cast<std::uint32_t>(event.tag & 0xffffffffu);
        const Client& client = clients_[number];
        return client.awaited && client.invitation == event.tag >> 32 ? send_model(number) : Result<void>{};
    }
    const MessageHead head = head_of(event.payload);
    const Update update{head.node,    head.incarnation, head.sequence,
                        head.version, head.samples,     values_of(event.payload)};
    const Verdict verdict = server_->receive(update);
    if (verdict.outcome == Reception::refused) {
        const bool repeated = verdict.refusal.code == Code::update_duplicate;
        ++(repeated ? counters_.repeated : counters_.refused);
        if (repeated) return {};
        counters_.last_refusal = verdict.refusal;
    } else {
        ++counters_.applied;
        counters_.staleness += verdict.staleness;
        const auto bin = static_cast<std::size_t>(std::min<std::uint64_t>(verdict.staleness, staleness_limit - 1));
        if (bin >= staleness_counts_.size()) staleness_counts_.resize(bin + 1);
        ++staleness_counts_[bin];
    }
    const std::uint32_t number = event.from - 1;
    Client& client = clients_[number];
    if (!client.awaited || event.tag != client.invitation) return {};  // it came twice, refused
    client.awaited = false;
    --awaited_;
    idle_.push_back(number);
    return invite_next();
}

Result<void> FederatedFleet::take_steps(Client& client, Learner& learner, Vector<float> gradient) {
    AnyClient& machine = *client.machine;
    if (client.model.size() > 0) {  // unless it was restored from after that
        if (auto taken = machine.download(values_of(client.model), head_of(client.model).version); !taken)
            return taken;
        client.model = {};
    }
    const int least = settings_.least_gradients();
    client.gradients = learner.given(machine.parameters(), client.random);
    while (!machine.done()) {
        client.gradients += std::max(least, learner.gradient(machine.parameters(), client.random, gradient));
        if (auto stepped = machine.step(gradient); !stepped) return stepped;
    }
    auto update = update_of(machine);
    if (!update) return tl::unexpected(update.error());
    client.update = *std::move(update);
    return {};
}

void FederatedFleet::compute_one(std::uint32_t number, int worker) {
    Client& client = clients_[number];
    Bench& bench = benches_[static_cast<std::size_t>(worker)];
    const auto numbers = reinterpret_cast<float*>(bench.gradient.bytes().data());
    const bool slept = client.machine->asleep();
    if (slept) client.machine->wake(std::move(bench.machine));
    client.computed = take_steps(client, learner_(number, worker), {numbers, server_->model().size()});
    HostMemory memory = client.machine->sleep();
    if (slept) bench.machine = std::move(memory);
}

/// Puts what liars make of it in place of the updates that they have just computed.
Result<void> FederatedFleet::lie() {
    std::vector<ConstVector<float>> honest;
    std::vector<std::uint32_t> liars;
    for (const std::uint32_t number : waiting_) {
        if (!clients_[number].computed) continue;
        if (attack_->lies(number)) {
            liars.push_back(number);
        } else {
            honest.push_back(values_of(clients_[number].update));
        }
    }
    if (liars.empty()) return {};
    attack_->see(std::move(honest), liars.size());
    std::vector<float> crafted(server_->model().size());
    for (const std::uint32_t number : liars) {
        Client& client = clients_[number];
        attack_->craft(values_of(client.update), client.random, crafted);
        auto lie = message(*network_, head_of(client.update), crafted);
        if (!lie) return tl::unexpected(lie.error());
        client.update = *std::move(lie);
    }
    return {};
}

/// Runs what waits, and says when each will be done.
Outcome<void> FederatedFleet::compute() {
    std::vector<std::uint32_t> here;
    const RankGroup::Block own = workers_.ranks().block(clients());
    std::ranges::copy_if(waiting_, std::back_inserter(here),
                         [&](std::uint32_t client) { return own.holds(client); });
    workers_.run(static_cast<int>(here.size()),
                 [&](int piece, int worker) { compute_one(here[static_cast<std::size_t>(piece)], worker); });
    if (workers_.ranks().spread()) exchange_computed();
    if (attack_ != nullptr) {
        if (auto lied = lie(); !lied) return refuse(lied.error(), "attack");
    }
    for (const std::uint32_t number : waiting_) {
        const Client& client = clients_[number];
        const std::string who = fmt::format("client {}", number);
        if (!client.computed) return refuse(client.computed.error(), who);
        counters_.gradients += client.gradients;
        const double lasts_s = static_cast<double>(client.gradients) * gradient_s_[number];
        if (auto set = network_->set_timer(number + 1, client.started + simulation::seconds(lasts_s)); !set)
            return refuse(set.error(), who);
    }
    waiting_.clear();
    return {};
}

/// No client that waits to compute can be done before.
simulation::Time FederatedFleet::earliest_finish() const {
    Time earliest = simulation::time_limit;
    const double least = static_cast<double>(settings_.least_gradients()) * settings_.local_steps;
    for (const std::uint32_t number : waiting_)
        earliest = std::min(earliest, clients_[number].started + simulation::seconds(least * gradient_s_[number]));
    return earliest;
}

void FederatedFleet::count_busy(Time now) {
    counters_.busy_s += simulation::to_seconds(now - counted_until_) * busy_;
    counted_until_ = now;
}

Outcome<void> FederatedFleet::advance(double until_s, const std::function<bool()>& stop) {
    const Time until = simulation::seconds(until_s);
    if (!begun_) {
        begun_ = true;
        if (auto started = begin(); !started) return refuse(started.error(), "the fleet");
    }
    simulation::Event event;
    while (!stop()) {
        const Time earliest = earliest_finish();
        if (!network_->next(event, std::min(until, earliest))) {
            if (earliest > until) break;
            computed_until_ = earliest;
            if (auto done = compute(); !done) return done;
            continue;
        }
        const Result<void> handled =
            event.node == server_node ? at_server(event) : at_client(event.node - 1, event);
        if (!handled)
            return refuse(handled.error(),
                          event.node == server_node ? "the server" : fmt::format("client {}", event.node - 1));
    }
    if (until > counted_until_) count_busy(until);
    return {};
}

}  // namespace dunlin
