// SPDX-License-Identifier: Apache-2.0
#include "roles.hpp"

#include "core/adapt/moreau_envelope.hpp"
#include "fleet/coordinator/fleet_server.hpp"
#include "fleet/node/node.hpp"
#include "transport/wire/wire_codec.hpp"

#include <algorithm>
#include <cmath>
#include <csignal>

#include <fmt/format.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace dunlin::chaos {
namespace {

std::atomic<bool> stop_wanted{false}, job_stop_wanted{false};

void on_signal(int signal) {
    (signal == SIGUSR1 ? job_stop_wanted : stop_wanted) = true;
}

/// A disk that is full is simulated by a limit on the size of files, whose signal would end the process.
void prepare() {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    std::signal(SIGXFSZ, SIG_IGN);
    struct sigaction action {};
    action.sa_handler = on_signal;
    for (const int signal : {SIGTERM, SIGUSR1}) sigaction(signal, &action, nullptr);
}

/// In one piece, as lines of a pipe are up to PIPE_BUF.
void say(std::string line) {
    line += '\n';
    while (write(report_descriptor, line.data(), line.size()) < 0 && errno == EINTR) {
    }
}

/// Into a log that may have no room.
void note(const std::string& text) {
    std::fputs((text + '\n').c_str(), stderr);
}

int complain(const std::string& text) {
    note(text);
    return 1;
}

// nodes

class PullTask final : public NodeTask, private Learner {
public:
    explicit PullTask(const JobTerms& terms) : member_(terms.member), pull_(terms.moreau.prox_weight) {}

    Learner& learner() override { return *this; }
    std::span<const Metric> measure(ConstVector<float> w) override {
        double sum = 0;
        for (std::uint32_t k = 0; k < w.size(); ++k) sum += std::abs(w[k] - target(member_, k));
        metric_ = {"distance", sum / static_cast<double>(w.size())};
        return {&metric_, 1};
    }

private:
    std::size_t dimension() const override { return chaos::dimension; }
    /// The Moreau envelope's, whose inner minimum is known.
    int gradient(ConstVector<float> w, Stream&, Vector<float> out) override {
        for (std::uint32_t k = 0; k < w.size(); ++k) out[k] = pull_ / (1.0f + pull_) * (w[k] - target(member_, k));
        return 1;
    }

    std::uint32_t member_;
    float pull_;
    Metric metric_{};
};

// the coordinator

/// Tells the driver what became durable.
class Told final : public Journal {
public:
    void loaded(const FleetState& state, std::uint64_t newest) override { hash(state, newest); }
    void applied(const FleetState& state, const Record& record, const JobChange* change) override {
        hash(state, record.index);
        if (record.kind == RecordKind::update && change != nullptr && change->verdict &&
            change->verdict->outcome != Reception::refused) {
            say(fmt::format("U {} {} {} {} {}", record.index, record.job, record.node, record.incarnation,
                            record.sequence));
        }
        if (change != nullptr && change->ledger) {
            const Holding& lost = change->ledger->lost;
            const auto odd = std::ranges::count_if(lost.values, [](Mass value) { return value != 0; });
            say(fmt::format("L {} {} {} {} {}", record.job, change->ledger->epoch, lost.weight, odd,
                            change->ledger->gone.size()));
        }
        if (record.kind == RecordKind::report) {
            const std::vector<KeptMetric> metrics = read_report(record);
            say(fmt::format("R {} {} {} {}", record.job, record.node,
                            metrics.empty() ? -1.0 : metrics.front().value, record.detail));
        }
        if (record.kind == RecordKind::job_created) say(fmt::format("C {}", record.job));
        if (change != nullptr && change->ended)
            say(fmt::format("J {} {}", record.job, name_of(*state.job(record.job)->ended())));
    }

private:
    static void hash(const FleetState& state, std::uint64_t index) {
        say(fmt::format("X {} {:016x}", index, checksum_of(state.save())));
    }
};

JobPlan plan_of(Aggregation aggregation, std::uint32_t members) {
    JobPlan plan;
    plan.name = "chaos";
    plan.terms.members = members;
    plan.terms.dimension = dimension;
    plan.terms.aggregation = aggregation;
    plan.terms.moreau.prox_weight = 1.0f;
    plan.terms.local_steps = 3;
    plan.terms.local_rate = 0.1f;
    // No step overshoots, however little mass a node is left with: 4 * 30/600 * 0.5 (the curvature) / 0.1 = 1.
    // Whoever was cut off pulled the mean towards itself; in the ticks without faults that is forgotten.
    plan.terms.theta = {.scale = 30.0, .offset = 600.0, .longest_gap = 4};
    plan.terms.weight_floor = 0.1f;
    plan.terms.tick_ms = 20;
    plan.terms.audit = true;
    plan.terms.report_every = 200;
    plan.first.assign(dimension, 0.0f);
    plan.server.rule = PersaflRule{0.2f};
    plan.server.component_limit = 1000.0f;
    plan.graph.kind = "exponential";
    // Nobody is left behind: whoever is killed comes back, and then nothing may be lost.
    plan.regroup_ms = 120'000;
    return plan;
}

class Service {
public:
    Service(const Place& place, Coordinator& coordinator) : place_(place), coordinator_(coordinator) {}

    /// Nodes and jobs that are not there yet, as far as it is their turn. False: it could not be made durable now.
    bool set_up() {
        for (int node = 0; node <= place_.nodes; ++node) {
            const std::string name = node < place_.nodes ? Place::name(node) : hostile_name;
            if (coordinator_.state().roster().find(name)) continue;
            const auto keys = KeyPair::load(place_.key_file(name));
            if (!keys || !coordinator_.admit({.name = name, .key = keys->public_key(), .labels = {}})) return false;
        }
        const Job* federated = coordinator_.state().job(1);
        if (federated == nullptr) return begin("federated", Aggregation::federated, place_.nodes + 1);
        if (over(*federated) && coordinator_.state().job(2) == nullptr)
            return begin("push-sum", Aggregation::push_sum, place_.nodes);
        return true;
    }
    void stop_job() {
        for (const auto& [number, job] : coordinator_.state().jobs()) {
            if (!job.ended() && !job.ending()) (void)coordinator_.stop(number, false);
        }
    }

private:
    static bool over(const Job& job) {
        return job.ended() && std::ranges::all_of(job.members(), [](const JobMember& member) {
                   return member.reported || !member.in();
               });
    }
    bool begin(const std::string& token, Aggregation aggregation, int members) {
        JobRequest request;
        request.token = token;
        for (int node = 0; node < members; ++node) {
            const std::string name = node < place_.nodes ? Place::name(node) : hostile_name;
            request.nodes.push_back(*coordinator_.state().roster().find(name));
        }
        const auto made =
            coordinator_.create_job(plan_of(aggregation, static_cast<std::uint32_t>(members)), request);
        if (!made) complain(describe(made.error(), token).text);
        return made.has_value();
    }

    const Place& place_;
    Coordinator& coordinator_;
};

}  // namespace

float target(std::uint32_t member, std::uint32_t component) {
    return 3.0f + std::sin(static_cast<float>(component + 31 * member));
}

int run_coordinator(const Place& place, const std::string& endpoint) {
    prepare();
    Told told;
    FleetServerSettings settings;
    settings.directory = place.directory / "store";
    settings.link.endpoint = endpoint;
    const auto keys = KeyPair::load(place.key_file("coordinator"));
    if (!keys) return complain("no keys");
    settings.link.keys = *keys;
    settings.coordinator.retry_ms = 300;
    settings.coordinator.silence_ms = 6000;
    settings.coordinator.offer_retry_ms = 500;
    settings.coordinator.snapshot_retry_ms = 1000;
    settings.store.log_bytes = 100'000;  // a snapshot every few hundred records
    auto server = FleetServer::open(settings, told);
    // While it was dead another program may have been given its port for a moment.
    for (int tries = 0; !server && tries < 50; ++tries) {
        usleep(100'000);
        server = FleetServer::open(settings, told);
    }
    if (!server) return complain(server.error().text);
    say(fmt::format("O {}", (*server)->coordinator().store().newest()));
    Service service(place, (*server)->coordinator());
    while (!stop_wanted) {
        (void)service.set_up();
        if (job_stop_wanted.exchange(false)) service.stop_job();
        if (auto turned = (*server)->turn(20); !turned) {
            complain(turned.error().text);
            return 3;
        }
    }
    for (const auto& [number, job] : (*server)->coordinator().state().jobs())
        say(fmt::format("M {} {}", number, fmt::join(job.model(), " ")));
    return 0;
}

int run_node(const Place& place, int node, const std::string& endpoint) {
    prepare();
    const auto keys = KeyPair::load(place.key_file(Place::name(node)));
    const auto server = KeyPair::load(place.key_file("coordinator"));
    if (!keys || !server) return complain("no keys");
    NodeSettings settings;
    settings.name = Place::name(node);
    settings.directory = place.directory / settings.name;
    settings.memory_bytes = 1 << 20;
    settings.link.endpoint = endpoint;
    settings.link.server_key = server->public_key();
    settings.link.keys = *keys;
    settings.link.longest_backoff_ms = 1000;
    // Half of them can be reached by others, and get their shares straight.
    if (node % 2 == 0) settings.link.listen = "tcp://127.0.0.1:0";
    settings.link.observer = [sent = Envelope{}, member = 0u](Direction, std::span<const std::byte> bytes) mutable {
        const auto decoded = decode_copy(bytes);
        if (!decoded) return;
        const auto& [envelope, body] = decoded->message();
        if (const auto* update = std::get_if<ModelUpdate>(&body)) {
            sent = envelope;
            member = update->member;
        }
        const auto* answer = std::get_if<Acknowledgement>(&body);
        if (answer != nullptr && answer->applied && answer->sequence > 0 && answer->sequence == sent.sequence)
            say(fmt::format("A {} {} {} {}", envelope.job, member, sent.incarnation, answer->sequence));
    };
    settings.make_task = [](const JobTerms& terms) -> Outcome<std::unique_ptr<NodeTask>> {
        return std::make_unique<PullTask>(terms);
    };
    auto made = Node::make(std::move(settings), [node](std::string_view, const std::string& text) {
        note(Place::name(node) + ": " + text);
    });
    if (!made) return complain(made.error().text);
    const std::atomic<bool> never{false};
    (*made)->run(stop_wanted, never);
    return 0;
}

}  // namespace dunlin::chaos
