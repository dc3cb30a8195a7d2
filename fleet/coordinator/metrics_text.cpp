// SPDX-License-Identifier: Apache-2.0
#include "fleet/coordinator/metrics.hpp"

#include <iterator>

#include <fmt/format.h>

namespace dunlin {
namespace {

constexpr std::string_view kinds[] = {
    "join",       "job_answer",      "model_request", "report",       "leave",        "frozen",   "welcome",
    "offer",      "acknowledgement", "freeze",        "mass_request", "job_end",      "presence", "job_pause",
    "peers",      "heartbeat",       "refusal",       "model",        "model_update", "share",    "mass_report",
    "mass_grant", "share_receipt",   "mask_exchange", "masked_update"};
static_assert(std::size(kinds) == std::variant_size_v<MessageBody>);

/// As a label's value is written: what would end it or its line is escaped.
std::string label_text(std::string_view text) {
    std::string out;
    for (const char letter : text) {
        if (letter == '\\' || letter == '"') out += '\\';
        if (letter == '\n')
            out += "\\n";
        else
            out += letter;
    }
    return out;
}

class Text {
public:
    /// Begins a metric.
    void metric(std::string name, std::string_view type, std::string_view help) {
        name_ = std::move(name);
        fmt::format_to(std::back_inserter(text_), "# HELP dunlin_{} {}\n# TYPE dunlin_{} {}\n", name_, help, name_,
                       type);
    }
    template <class V>
    void value(V value, std::string_view labels = "") {
        if (labels.empty())
            fmt::format_to(std::back_inserter(text_), "dunlin_{} {}\n", name_, value);
        else
            fmt::format_to(std::back_inserter(text_), "dunlin_{}{{{}}} {}\n", name_, labels, value);
    }
    template <class V>
    void single(std::string name, std::string_view type, std::string_view help, V number) {
        metric(std::move(name), type, help);
        value(number);
    }
    std::string take() { return std::move(text_); }

private:
    std::string text_, name_;
};

}  // namespace

std::string metrics_text(const FleetServer& server) {
    const Coordinator& coordinator = server.coordinator();
    const CoordinatorCounters& counters = coordinator.counters();
    const LinkCounters link = server.link_counters();
    const FleetState& state = coordinator.state();
    std::size_t here = 0, suspect = 0, revoked = 0;
    for (const RosterNode& node : state.roster().nodes()) revoked += node.admitted ? 0 : 1;
    for (const auto& [key, connection] : coordinator.connections()) {
        if (connection.welcome) ++(connection.suspect ? suspect : here);
    }
    Text text;
    text.metric("nodes", "gauge", "Nodes on the roster, by state.");
    text.value(here, "state=\"here\"");
    text.value(suspect, "state=\"suspect\"");
    text.value(state.roster().nodes().size() - here - suspect - revoked, "state=\"away\"");
    text.value(revoked, "state=\"revoked\"");
    text.metric("messages_received_total", "counter", "Messages of nodes, by kind.");
    for (std::size_t kind = 0; kind < std::size(kinds); ++kind) {
        if (counters.received[kind] > 0)
            text.value(counters.received[kind], fmt::format("kind=\"{}\"", kinds[kind]));
    }
    text.metric("messages_refused_total", "counter",
                "Messages refused, by the number of the error (core/error.hpp).");
    for (const auto& [code, count] : counters.refused)
        text.value(count, fmt::format("code=\"{}\"", static_cast<int>(code)));
    text.single("updates_applied_total", "counter", "Updates that are durable and in a model.", counters.applied);
    text.single("updates_repeated_total", "counter", "Updates that arrived again.", counters.repeated);
    text.single("shares_relayed_total", "counter", "Push-sum shares handed on.", counters.relayed);
    text.single("shares_dropped_total", "counter", "Push-sum shares whose receiver was away.",
                counters.relay_dropped);
    text.single("joins_total", "counter", "Connections of nodes that were let in.", counters.joins);
    text.single("commits_total", "counter", "Writes to the log, each made durable.", counters.commits);
    text.single("commit_failures_total", "counter", "Those that failed.", counters.commit_failures);
    text.single("commit_seconds_total", "counter", "Time spent in them.", server.commit_seconds());
    text.single("records_total", "counter", "Records made durable.", counters.records);
    text.single("snapshots_total", "counter", "Snapshots written.", counters.snapshots);
    text.single("snapshot_failures_total", "counter", "Those that failed.", counters.snapshot_failures);
    text.metric("link_bytes_total", "counter", "Bytes of messages.");
    text.value(link.received_bytes, "direction=\"received\"");
    text.value(link.sent_bytes, "direction=\"sent\"");
    text.single("link_malformed_total", "counter", "Messages that could not be decoded.", link.malformed);
    text.single("link_keys_refused_total", "counter", "Connections by keys that are not on the roster.",
                link.keys_refused);
    text.single("link_handshakes_failed_total", "counter", "Connections that did not get as far.",
                link.handshakes_failed);
    text.single("link_ended_total", "counter", "Connections that ended, those of too large messages among them.",
                link.ended);
    text.single("link_strangers_cut_total", "counter",
                "Connections cut because they said nothing, or too much, before a message.", link.strangers_cut);
    text.single("link_pauses_total", "counter", "Times that no connection was taken in for a while.", link.pauses);
    text.single("link_busy_total", "counter", "Messages not sent because earlier ones wait.", link.busy);
    // A node's name may be anybody's text, which labels are escaped for.
    for (const MachineVitals::Kind& kind : MachineVitals::kinds) {
        text.metric(fmt::format("node_{}", kind.name), "gauge", kind.help);
        for (const auto& [key, connection] : coordinator.connections()) {
            if (!connection.welcome) continue;
            for (const auto& [name, value] : connection.vitals.known()) {
                if (name == kind.name)
                    text.value(value, fmt::format("node=\"{}\"", label_text(state.roster()[connection.node].name)));
            }
        }
    }
    text.metric("job_updates_total", "counter", "Updates that a job has taken.");
    for (const auto& [number, job] : state.jobs()) text.value(job.updates(), fmt::format("job=\"{}\"", number));
    text.metric("job_version", "gauge", "Version of a job's model.");
    for (const auto& [number, job] : state.jobs()) text.value(job.version(), fmt::format("job=\"{}\"", number));
    text.metric("job_running", "gauge", "1 while a job lasts.");
    for (const auto& [number, job] : state.jobs())
        text.value(job.ended() ? 0 : 1, fmt::format("job=\"{}\"", number));
    text.metric("job_epoch", "gauge", "Epoch of a job's graph.");
    for (const auto& [number, job] : state.jobs()) {
        if (job.serverless()) text.value(job.epoch(), fmt::format("job=\"{}\"", number));
    }
    return text.take();
}

}  // namespace dunlin
