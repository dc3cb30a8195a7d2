// SPDX-License-Identifier: Apache-2.0
// What the records about a job hold.
#include "fleet/coordinator/job.hpp"
#include "fleet/coordinator/plan_fields.hpp"

#include <cassert>

namespace dunlin {

std::vector<std::byte> job_payload(const JobPlan& plan, const JobRequest& request) {
    Saver saver;
    plan_fields(saver, const_cast<JobPlan&>(plan));
    saver(request, plan.regroup_ms, request.nonce, plan.equal_shares);
    if (plan.server.norm_factor != UpdateLimits{}.factor) saver(plan.server.norm_factor);
    return saver.take();
}

Result<std::pair<JobPlan, JobRequest>> read_job_payload(std::span<const std::byte> payload, std::uint64_t record) {
    JobPlan plan;
    JobRequest request;
    Loader loader(payload);
    plan_fields(loader, plan);
    loader(request);
    if (!loader.done()) loader(plan.regroup_ms);  // a store of version 1 ends before it
    if (!loader.done()) loader(request.nonce);
    if (!loader.done()) loader(plan.equal_shares);  // one of version 2 before it
    if (!loader.done()) loader(plan.server.norm_factor);
    if (!loader.done()) return fail(Code::store_damaged, static_cast<std::int64_t>(record));
    return std::pair(std::move(plan), std::move(request));
}

Result<Job> read_job(const Record& record) {
    auto read = read_job_payload(record.payload, record.index);
    if (!read) return tl::unexpected(read.error());
    return Job::make(record.job, std::move(read->first), std::move(read->second));
}

std::vector<std::byte> statement_payload(const MassReport& report) {
    MassStatement statement;
    statement.held.weight = report.weight;
    statement.held.values.assign(report.values.begin(), report.values.end());
    statement.steps.assign(report.steps.begin(), report.steps.end());
    Saver saver;
    saver(statement);
    return saver.take();
}

std::vector<std::byte> sum_payload(const MaskedSum& sum) {
    Saver saver;
    saver(sum.values, sum.weight, static_cast<std::uint64_t>(sum.members.size()));
    for (const MaskedSum::Part& part : sum.members) saver(part.member, part.incarnation, part.sequence);
    return saver.take();
}

std::vector<std::byte> report_payload(std::span<const Metric> metrics) {
    std::vector<KeptMetric> kept;
    for (const Metric& metric : metrics) kept.push_back({std::string(metric.name), metric.value});
    Saver saver;
    saver(kept);
    return saver.take();
}

Result<std::vector<KeptMetric>> load_report(const Record& record) {
    std::vector<KeptMetric> kept;
    Loader loader(record.payload);
    loader(kept);
    if (!loader.done()) return unreadable(record);
    return kept;
}

std::vector<KeptMetric> read_report(const Record& record) {
    auto kept = load_report(record);
    assert(kept);
    return *std::move(kept);
}

std::vector<std::byte> refusal_payload(const Error& refusal, std::string_view reason) {
    Saver saver;
    saver(refusal.code, refusal.first, refusal.second);
    if (!reason.empty()) saver(std::string(reason));
    return saver.take();
}

}  // namespace dunlin
