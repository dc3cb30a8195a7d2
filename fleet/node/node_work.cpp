// SPDX-License-Identifier: Apache-2.0
// What a job asks of a node: its task, gradients and measurements, on a second thread.
#include "fleet/node/node.hpp"

#include <algorithm>
#include <cmath>
#include <new>

#include <fmt/format.h>

namespace dunlin {
namespace {

/// As a message may carry it.
std::string one_line(std::string text) {
    for (char& c : text) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
    }
    std::size_t end = std::min(text.size(), WireLimits::line_bytes);
    // Not within a character.
    while (end < text.size() && end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
    text.resize(end);
    return text;
}

}  // namespace

void Node::begin_work(Duty duty) {
    work_.duty = duty;
    work_.job = session_.job();
    if (duty == Duty::prepare) {
        work_.terms = session_.terms();
        work_.experiment = work_.terms.experiment;
        work_.in.assign(work_.terms.in_neighbours.begin(), work_.terms.in_neighbours.end());
        work_.out.assign(work_.terms.out_neighbours.begin(), work_.terms.out_neighbours.end());
        work_.terms.experiment = work_.experiment;
        work_.terms.in_neighbours = work_.in;
        work_.terms.out_neighbours = work_.out;
    } else {
        const ConstVector<float> parameters = session_.parameters();
        work_.parameters.assign(parameters.begin(), parameters.end());
        work_.task = task_;
        work_.begins = session_.begins();
        if (duty == Duty::learn) {
            work_.question = session_.question();
            work_.gradient.assign(session_.gradient().begin(), session_.gradient().end());
        }
        work_.kept = kept_.numbers;
        work_.random = session_.random();
        work_.final = session_.final_report();
    }
    if (duty == Duty::prepare)
        job_memory_.allow(static_cast<std::int64_t>(settings_.memory_bytes) - beside_data(work_.terms));
    session_.begun(duty);
    work_thread_.begin([this] { work(); });
    // Most gradients are quick, and waiting for one is quicker than being woken.
    if (work_thread_.collect(at_once)) end_work();
}

/// On the second thread.
void Node::work() {
    work_.too_large = false;
    try {
        const Spending spending(job_memory_);
        do_work();
    } catch (const std::bad_alloc&) {
        work_.too_large = true;
    } catch (const std::exception& unforeseen) {
        // It may name a file.
        work_.task = tl::unexpected(Failure{unforeseen.what(), true, "an unforeseen error, which its log names"});
    }
}

void Node::do_work() {
    Work& w = work_;
    if (w.duty == Duty::prepare) {
        w.task = settings_.make_task(w.terms).map(
            [](std::unique_ptr<NodeTask>&& made) { return std::shared_ptr<NodeTask>(std::move(made)); });
        if (!w.task) return;
        w.kept = (*w.task)->kept();
        // With the copies of it that there are beside this one: the node's, of what is stored, and the file's.
        if (!job_memory_.spend(static_cast<std::int64_t>(3 * sizeof(float) * w.kept.size())))
            throw std::bad_alloc();
        return;
    }
    if (!w.kept.empty()) (*w.task)->put_kept(w.kept);
    if (w.duty == Duty::learn) {
        Learner& learner = (*w.task)->learner();
        if (w.begins) learner.given(w.parameters, w.random);
        learner.answer(w.question, w.parameters, w.random, w.gradient);
        if (!w.kept.empty()) w.kept = (*w.task)->kept();
    } else {
        const auto measured = (*w.task)->measure(w.parameters);
        w.metrics.assign(measured.begin(), measured.end());
        w.names.clear();
        for (const Metric& metric : measured) w.names.emplace_back(metric.name);
        if (!w.final) return;
        w.personal_file = (*w.task)->personal_file();
        if (!w.personal_file.empty())
            w.personal = store_.keep_personal(w.job, std::as_bytes(std::span(w.personal_file)));
    }
}

/// Bytes that a job takes beside what the second thread allocates: the session's, copies of parameters, gradient
/// and state, and a message that comes or goes.
std::int64_t Node::beside_data(const JobTerms& terms) const {
    const std::size_t session = NodeSession::bytes(terms, true);
    const std::size_t masks = terms.payload == Payload::masked ? 24 : 0;  // the sum, and what is sent of it
    return static_cast<std::int64_t>(3 * session + (16 + masks) * terms.dimension);
}

/// The node goes on without the job, and says what it would take.
void Node::too_large() {
    work_.task = nullptr;
    if (!session_.wanted()) return session_.refuse({Code::job_too_large});
    const JobTerms& terms = session_.terms();
    const std::int64_t needed = beside_data(terms) + job_memory_.wanted();
    const auto allowed = static_cast<std::int64_t>(settings_.memory_bytes);
    constexpr std::int64_t mb = std::int64_t{1} << 20;
    refusal_ =
        fmt::format("needs {} MB or more with its data, and --memory-mb allows {}", needed / mb + 1, allowed / mb);
    log_("job_refused", fmt::format("job {}: {}", session_.job(), refusal_));
    task_.reset();
    session_.refuse({Code::job_too_large, needed, allowed}, refusal_);
}

void Node::end_work() {
    if (work_.too_large) return too_large();
    if (!work_.task) {
        const Failure why = work_.task.error();
        work_.task = nullptr;
        return decline(why);
    }
    if (work_.duty == Duty::prepare) return prepared();
    work_.duty == Duty::learn ? learned() : reported();
    work_.task = nullptr;
}

void Node::decline(const Failure& why, const Error& error) {
    refusal_ = one_line(why.told.empty() ? why.text : why.told);
    log_("job_refused", fmt::format("job {}: {}", work_.job, one_line(why.text)));
    task_.reset();
    session_.refuse(error, refusal_);
}

/// What stays with the node: as it was stored, or as the task begins. Error: what was stored is of another task.
Outcome<void> Node::keep_on() {
    const bool same = kept_.job == session_.job() && kept_.nonce != 0 && kept_.nonce == session_.nonce();
    const bool again = session_.resumed() || same;
    if (again && kept_.numbers.size() != work_.kept.size())
        return tl::unexpected(Failure{
            .text =
                fmt::format("{}/state keeps {} numbers that stay with this node, and the job's task {}: what it "
                            "learns from has changed, or the file has; put them back as they were, or remove "
                            "the file, and the node begins anew",
                            settings_.directory.string(), kept_.numbers.size(), work_.kept.size()),
            .told = fmt::format("keeps {} numbers of its own in this job, and its task would be of {}",
                                kept_.numbers.size(), work_.kept.size())});
    if (!again) kept_.numbers = std::move(work_.kept);
    kept_.job = session_.job();
    kept_.nonce = session_.nonce();
    return {};
}

void Node::prepared() {
    auto made = std::exchange(work_.task, nullptr);
    if (!session_.wanted()) return session_.prepared();  // the offer is gone
    task_ = *std::move(made);
    if (auto kept = keep_on(); !kept) return decline(kept.error());
    log_("job_taken", fmt::format("takes part in job {} as member {} of {}", work_.job, work_.terms.member,
                                  work_.terms.members));
    for (const DataNote& note : task_->notes()) {
        if (!note.text.empty()) log_("data", note.text);
    }
    session_.prepared();
}

void Node::learned() {
    if (session_.wanted()) {
        const auto wrong = std::ranges::find_if_not(work_.kept, [](float x) { return std::isfinite(x); });
        if (wrong != work_.kept.end())
            return decline({.text = "what stays with this node is not finite: it diverged"},
                           {Code::not_finite, 0, 0});
        std::ranges::copy(work_.gradient, session_.gradient().begin());
        session_.random() = work_.random;
        std::swap(kept_.numbers, work_.kept);
    }
    if (auto taken = session_.learned(now_ms()); !taken) {
        log_("diverged", describe(taken.error(), fmt::format("job {}", work_.job)).text);
    }
}

void Node::reported() {
    if (session_.wanted()) {
        names_ = std::move(work_.names);
        for (std::size_t k = 0; k < names_.size(); ++k) work_.metrics[k].name = names_[k];
        work_.metrics.push_back({"updates", static_cast<double>(session_.updates())});
        for (const Metric& metric : work_.metrics)
            log_("metric", fmt::format("{} {:.4g}", metric.name, metric.value));
        if (work_.final) log_personal();
    }
    session_.reported(work_.metrics);
}

/// What the job was for. It stays here, also when the job's state is gone.
void Node::log_personal() const {
    if (work_.personal_file.empty()) return;
    if (work_.personal) {
        log_("personal",
             fmt::format("what this node made its own in job {} is in {}", work_.job, work_.personal->string()));
    } else {
        log_("store_failed", fmt::format("what this node made its own in job {} is lost: {}", work_.job,
                                         describe(work_.personal.error(), settings_.directory.string()).text));
    }
}

}  // namespace dunlin
