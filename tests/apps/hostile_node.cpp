// SPDX-License-Identifier: Apache-2.0
// dunlin-node-hostile: for tests alone, in no package. A node with an admitted key that takes part in jobs as dunlin-node
// does, and lies: `dunlin-node-hostile run --attack NAME ...`, or `init` as dunlin-node has it. What liars in a real fleet
// know is what a member hears: its own updates, the models, its neighbours' shares. So the attacks for which all honest
// updates of a round must be known (their optimised forms, mimic) and those on data (label flip) are the simulator's.
#include "apps/programs.hpp"
#include "core/random.hpp"
#include "fleet/jobs/node_task.hpp"
#include "training/host/host_memory.hpp"
#include "transport/encoding.hpp"
#include "transport/session/node_session.hpp"
#include "transport/zeromq/node_link.hpp"

#include <atomic>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <limits>
#include <string_view>

#include <sys/prctl.h>

using namespace dunlin;

namespace {

std::atomic<bool> stop_wanted{false};

std::int64_t now_ms() {
    using namespace std::chrono;
    return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
}

/// How a message is changed before it leaves.
class Lies {
public:
    static constexpr std::string_view names[] = {"none",        "sign-flip",      "gaussian",    "infinity",
                                                 "huge",        "inner-product",  "alie",        "false-samples",
                                                 "stale-flood", "mass-invention", "false-mass",  "tick-jump",
                                                 "overflow",    "never-freezes",  "never-states"};

    explicit Lies(std::string_view name) : name_(name) {}
    static bool knows(std::string_view name) { return std::ranges::find(names, name) != std::end(names); }
    bool floods() const { return name_ == "stale-flood"; }

    /// The model that the next update starts from.
    void hear(const Model& model) {
        std::swap(before_, model_);
        model_.resize(model.values.count);
        (void)decode(model.values, model_);
    }
    /// False: it does not leave at all. What it then views is this object's until the next call.
    bool tell(Message& message, const FixedPoint& format) {
        if (auto* update = std::get_if<ModelUpdate>(&message.body)) change(*update);
        if (auto* share = std::get_if<ShareMessage>(&message.body)) change(*share, format);
        if (auto* mass = std::get_if<MassReport>(&message.body)) {
            if (name_ == "never-states") return false;
            if (name_ == "false-mass") {
                mass->weight *= 3;
                masses_.assign(mass->values.size(), 670 * one(format));
                mass->values = masses_;
            }
        }
        if (std::holds_alternative<Frozen>(message.body) && name_ == "never-freezes") return false;
        if (auto* beat = std::get_if<Heartbeat>(&message.body); beat != nullptr && name_ == "tick-jump")
            beat->tick = std::int64_t{1} << 40;
        return true;
    }

private:
    static Mass one(const FixedPoint& format) {
        Mass mass = 0;
        format.to_mass(1.0f, mass);
        return mass;
    }
    void change(ModelUpdate& update) {
        values_.resize(update.values.count);
        if (!decode(update.values, values_)) return;
        if (name_ == "false-samples") {
            update.samples = 1e9f;
            for (float& value : values_) value *= -3.0f;
        } else if (name_ == "sign-flip") {
            for (float& value : values_) value *= -3.0f;
        } else if (name_ == "gaussian") {
            for (float& value : values_) value = random_.normal();
        } else if (name_ == "infinity") {
            std::ranges::fill(values_, std::numeric_limits<float>::infinity());
        } else if (name_ == "huge") {
            std::ranges::fill(values_, 999'999.0f);
        } else if (name_ == "inner-product") {
            // Updates are differences that are taken off: what the others did last is the model before less this one.
            const bool known = before_.size() == values_.size() && model_.size() == values_.size();
            for (std::size_t k = 0; k < values_.size(); ++k)
                values_[k] = known ? 3.0f * (model_[k] - before_[k]) : -values_[k];
        } else if (name_ == "alie") {
            hide_in_deviations();
        }
        update.values = view_values(values_);
    }
    /// "A little is enough", of what this node's own updates say of mean and deviation.
    void hide_in_deviations() {
        mean_.resize(values_.size());
        squares_.resize(values_.size());
        ++count_;
        for (std::size_t k = 0; k < values_.size(); ++k) {
            const double off = static_cast<double>(values_[k]) - mean_[k];
            mean_[k] += off / count_;
            squares_[k] += off * (static_cast<double>(values_[k]) - mean_[k]);
            values_[k] = static_cast<float>(mean_[k] - 1.5 * std::sqrt(squares_[k] / count_));
        }
    }
    void change(ShareMessage& share, const FixedPoint& format) {
        masses_.assign(share.values.begin(), share.values.end());
        share.values = masses_;
        if (name_ == "tick-jump") share.tick += std::int64_t{1} << 40;
        if (name_ == "mass-invention") {
            ++count_;
            share.weight = add_wrapped(share.weight, static_cast<Mass>(count_) * (one(format) / 8));
            for (Mass& mass : masses_)
                mass = add_wrapped(mass, static_cast<Mass>(count_) * 600 * (one(format) / 8));
        }
        if (name_ == "overflow") {
            ++count_;
            for (Mass& mass : masses_) mass = add_wrapped(mass, static_cast<Mass>(std::uint64_t(count_) << 61));
        }
    }

    std::string_view name_;
    Stream random_{7, 0, Purpose::liars};
    std::vector<float> values_, model_, before_;
    std::vector<double> mean_, squares_;
    std::vector<Mass> masses_;
    double count_ = 0;
};

/// A node that keeps nothing on disk and does one thing after the other.
class HostileNode {
public:
    HostileNode(NodeLink link, std::string_view name, std::string_view attack)
        : link_(std::move(link)),
          memory_(std::size_t{64} << 20),
          session_({.name = name, .software = "not Dunlin's", .endpoint = {}, .memory = memory_.bytes()}),
          lies_(attack) {}

    void run() {
        while (!stop_wanted) {
            const std::int64_t left = session_.wake_at_ms() - now_ms();
            link_.poll(static_cast<int>(std::clamp<std::int64_t>(left, 0, 20)));
            while (link_.receive(arrival_)) hear();
            for (Duty duty; (duty = session_.next(now_ms())) != Duty::wait;) act(duty);
            if (lies_.floods()) flood();
        }
    }

private:
    void hear() {
        if (arrival_.kind == Arrival::Kind::up) session_.connected(now_ms());
        if (arrival_.kind == Arrival::Kind::down) session_.disconnected();
        if (arrival_.kind != Arrival::Kind::message) return;
        const Message& message = arrival_.message.message();
        if (const auto* model = std::get_if<Model>(&message.body)) lies_.hear(*model);
        if (const auto* peers = std::get_if<Peers>(&message.body)) link_.set_peers(peers->peers);
        if (const auto* offer = std::get_if<JobOffer>(&message.body))
            (void)link_.expect_shares(offer->terms.dimension);
        (void)session_.receive(message, now_ms());
    }
    void act(Duty duty) {
        switch (duty) {
            case Duty::send:
                return send();
            case Duty::store:
                return session_.stored();
            case Duty::prepare:
                if (auto made = make_node_task(session_.terms())) {
                    task_ = *std::move(made);
                    session_.prepared();
                } else {
                    std::fprintf(stderr, "%s\n", made.error().text.c_str());
                    session_.refuse({Code::job_not_understood, 0, 0});
                }
                return;
            case Duty::learn: {
                Learner& learner = task_->learner();
                if (session_.begins()) learner.given(session_.parameters(), session_.random());
                learner.answer(session_.question(), session_.parameters(), session_.random(), session_.gradient());
                (void)session_.learned(now_ms());
                return;
            }
            case Duty::report:
                return session_.reported(task_->measure(session_.parameters()));
            case Duty::finish:
                task_.reset();
                old_ = {};
                return session_.finished();
            case Duty::wait:
                return;
        }
    }
    void send() {
        Message message = session_.message();
        const FixedPoint format = session_.job() != 0 ? session_.terms().format : FixedPoint{};
        if (!lies_.tell(message, format)) return session_.sent();
        if (const auto* update = std::get_if<ModelUpdate>(&message.body)) {
            old_ = message.envelope;
            values_.resize(update->values.count);
            (void)decode(update->values, values_);
        }
        const auto sent =
            session_.recipient() == coordinator_number ? link_.send(message) : link_.send_to_peer(message);
        sent ? session_.sent() : session_.not_sent();
    }
    /// As much as the link takes of updates from the first model, each a new one.
    void flood() {
        if (old_.job == 0) return;
        for (int k = 0; k < 200; ++k) {
            ++old_.sequence;
            const ModelUpdate update{session_.terms().member, 0, session_.terms().samples, view_values(values_)};
            if (!link_.send({old_, update})) return;
        }
    }

    NodeLink link_;
    HostMemory memory_;
    NodeSession session_;
    Lies lies_;
    std::unique_ptr<NodeTask> task_;
    Arrival arrival_;
    Envelope old_;
    std::vector<float> values_;
};

int complain(const char* what, const std::string& about) {
    std::fprintf(stderr, "dunlin-node-hostile: %s %s\n", what, about.c_str());
    return 2;
}

}  // namespace

int main(int count, char** words) {
    if (count < 2 || std::string_view(words[1]) != "run") return app::run_dunlin_node(count, words);
    std::string directory, endpoint, key, attack = "none";
    for (int k = 2; k < count; k += 2) {
        const std::string_view option = words[k];
        std::string* const told = option == "--dir"          ? &directory
                                  : option == "--join"       ? &endpoint
                                  : option == "--server-key" ? &key
                                  : option == "--attack"     ? &attack
                                                             : nullptr;
        if (told == nullptr || k + 1 == count) return complain("no such option, or nothing behind it:", words[k]);
        *told = words[k + 1];
    }
    if (!Lies::knows(attack)) return complain("no such attack:", attack);
    const auto keys = KeyPair::load(directory + "/key");
    const auto server = parse_public_key(key);
    if (!keys || !server) return complain("no keys in", directory);
    NodeLinkSettings settings;
    settings.endpoint = endpoint;
    settings.server_key = *server;
    settings.keys = *keys;
    settings.longest_backoff_ms = 1000;
    auto link = NodeLink::open(settings);
    if (!link) return complain("cannot dial", endpoint);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    std::signal(SIGTERM, [](int) { stop_wanted = true; });
    // Its name on the roster is its folder's, as in the fleets of these tests.
    HostileNode(*std::move(link), directory, attack).run();
    return 0;
}
