// SPDX-License-Identifier: Apache-2.0
// The metrics of jobs, as they are looked at.
#include "fleet/coordinator/index_storage.hpp"

#include <algorithm>

namespace dunlin {

/// From the database where the job was not asked for lately. However many rows there are, it steps from one member
/// and name to the next by the index.
Result<Index::Reported*> Index::reported(std::uint64_t job) {
    if (const auto known = reported_.find(job); known != reported_.end()) return &known->second;
    (void)flush();
    constexpr std::size_t jobs_at_hand = 32;
    if (reported_.size() >= jobs_at_hand) reported_.erase(reported_.begin());
    Reported found;
    Statement next(storage_->database,
                   "SELECT member, name FROM metric WHERE job = ?1 AND (member, name) > (?2, ?3)"
                   " ORDER BY member, name LIMIT 1");
    Statement newest(
        storage_->database,
        "SELECT record, time_ms, at, final, value FROM metric WHERE job = ?1 AND member = ?2 AND name = ?3"
        " ORDER BY id DESC LIMIT 1");
    std::int64_t member = -1;
    std::string name;
    for (std::size_t of_member = 0;;) {
        if (!next.again().bind(static_cast<std::int64_t>(job)).bind(member).bind(name).next()) break;
        of_member = next.integer(0) == member ? of_member + 1 : 0;
        member = next.integer(0);
        name = next.text(1);
        if (of_member >= metric_names) {  // of a store from before they were limited
            ++member;
            name.clear();
            of_member = 0;
            continue;
        }
        if (!found.names.contains(name) && found.names.size() >= metric_names) continue;
        found.names.insert(name);
        newest.again().bind(static_cast<std::int64_t>(job)).bind(member).bind(name);
        if (!newest.next()) {
            if (auto all = newest.ended(); !all) return tl::unexpected(all.error());
            continue;
        }
        const auto of = static_cast<std::uint32_t>(member);
        found.newest[{of, name}] = {static_cast<std::uint64_t>(newest.integer(0)),
                                    newest.integer(1),
                                    newest.integer(2),
                                    job,
                                    of,
                                    newest.integer(3) != 0,
                                    name,
                                    newest.real(4)};
    }
    if (auto all = next.ended(); !all) return tl::unexpected(all.error());
    return &(reported_[job] = std::move(found));
}

Result<std::vector<MetricRow>> Index::history(std::uint64_t job, std::uint32_t member, std::string_view name,
                                              std::size_t most) {
    (void)flush();
    Statement rows(
        storage_->database,
        "SELECT record, time_ms, at, final, value FROM metric WHERE job = ?1 AND member = ?2 AND name = ?3"
        " ORDER BY id DESC LIMIT ?4");
    rows.bind(static_cast<std::int64_t>(job)).bind(std::int64_t{member}).bind(name);
    rows.bind(static_cast<std::int64_t>(most));
    std::vector<MetricRow> found;
    while (rows.next())
        found.push_back({static_cast<std::uint64_t>(rows.integer(0)), rows.integer(1), rows.integer(2), job, member,
                         rows.integer(3) != 0, std::string(name), rows.real(4)});
    if (auto all = rows.ended(); !all) return tl::unexpected(all.error());
    std::ranges::reverse(found);
    return found;
}

bool Index::takes(std::uint64_t job, std::string_view metric) {
    const Result<Reported*> known = reported(job);
    if (!known) return false;  // how many there are cannot be told
    if ((*known)->names.contains(metric)) return true;
    if ((*known)->names.size() >= metric_names) return false;
    (*known)->names.emplace(metric);
    return true;
}

Result<const Index::Newest*> Index::newest_metrics(std::uint64_t job) {
    const Result<Reported*> known = reported(job);
    if (!known) return tl::unexpected(known.error());
    return &(*known)->newest;
}

}  // namespace dunlin
