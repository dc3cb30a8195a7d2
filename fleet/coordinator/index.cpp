// SPDX-License-Identifier: Apache-2.0
#include "fleet/coordinator/index.hpp"

#include "fleet/coordinator/index_storage.hpp"
#include "transport/zeromq/keys.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace dunlin {
namespace {

constexpr std::int64_t index_version = 1;
/// Rows that wait while SQLite cannot write; older ones are dropped.
constexpr std::size_t waiting_limit = 100'000;

constexpr const char* tables = R"sql(
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER);
CREATE TABLE IF NOT EXISTS node (number INTEGER PRIMARY KEY, name TEXT, public_key TEXT, labels TEXT, admitted INTEGER,
    incarnation INTEGER);
CREATE TABLE IF NOT EXISTS job (number INTEGER PRIMARY KEY, name TEXT, token TEXT, state TEXT, aggregation TEXT,
    members INTEGER, updates INTEGER, version INTEGER, epoch INTEGER, elapsed_ms INTEGER);
CREATE TABLE IF NOT EXISTS member (job INTEGER, member INTEGER, node INTEGER, state TEXT, incarnation INTEGER,
    sequence INTEGER, updates INTEGER, reported INTEGER, refusal INTEGER, PRIMARY KEY (job, member)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS model (job INTEGER, version INTEGER, record INTEGER, checksum TEXT,
    PRIMARY KEY (job, version)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS metric (id INTEGER PRIMARY KEY, record INTEGER, time_ms INTEGER, job INTEGER, member INTEGER,
    at INTEGER, final INTEGER, name TEXT, value REAL);
CREATE INDEX IF NOT EXISTS metric_of_job ON metric (job, member, name, id);
CREATE TABLE IF NOT EXISTS ledger (job INTEGER, epoch INTEGER, time_ms INTEGER, gone TEXT, left_members TEXT, joined TEXT,
    weight_before INTEGER, weight_after INTEGER, weight_lost INTEGER, values_lost REAL, fraction_bits INTEGER,
    PRIMARY KEY (job, epoch)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ledger_shift (job INTEGER, epoch INTEGER, shift INTEGER, PRIMARY KEY (job, epoch))
    WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS event (id INTEGER PRIMARY KEY, record INTEGER, time_ms INTEGER, job INTEGER, node TEXT,
    kind TEXT, text TEXT);
CREATE INDEX IF NOT EXISTS event_of_job ON event (job, id);
)sql";

std::string list_text(const std::vector<std::uint32_t>& numbers) {
    return fmt::format("{}", fmt::join(numbers, " "));
}

std::vector<std::uint32_t> list_of(const std::string& text) {
    std::vector<std::uint32_t> numbers;
    const char* end = text.c_str();
    while (*end != '\0') {
        char* next = nullptr;
        numbers.push_back(static_cast<std::uint32_t>(std::strtoul(end, &next, 10)));
        if (next == end) break;
        end = next;
    }
    return numbers;
}

double norm_of(const Holding& holding, const FixedPoint& format) {
    double sum = 0.0;
    for (const Mass value : holding.values) sum += std::pow(format.to_float<double>(value), 2);
    return std::sqrt(sum);
}

}  // namespace

Index::Index(std::unique_ptr<Storage> storage) : storage_(std::move(storage)) {}
Index::~Index() = default;

Result<std::unique_ptr<Index>> Index::open(const std::filesystem::path& path) {
    auto database = Database::open(path);
    if (!database && database.error().code == Code::file_magic) {
        // Nothing depends on it: it is kept aside and written anew, as far as the log reaches back.
        std::error_code ignored;
        std::filesystem::rename(path, path.string() + ".damaged", ignored);
        for (const char* part : {"-wal", "-shm"}) std::filesystem::remove(path.string() + part, ignored);
        database = Database::open(path);
    }
    if (!database) return tl::unexpected(database.error());
    auto storage = std::make_unique<Storage>();
    storage->database = *std::move(database);
    if (auto made = storage->database.run(tables); !made) return tl::unexpected(made.error());
    const auto version = storage->meta("version"), position = storage->meta("position");
    if (!version || !position) return tl::unexpected((version ? position : version).error());
    if (*version > index_version) return fail(Code::store_version, *version, index_version);
    if (*version == 0) {
        if (auto set = storage->set_meta("version", index_version); !set) return tl::unexpected(set.error());
    }
    std::unique_ptr<Index> index(new Index(std::move(storage)));
    index->position_ = static_cast<std::uint64_t>(*position);
    return index;
}

void Index::loaded(const FleetState& state, std::uint64_t newest) {
    state_ = &state;
    if (position_ >= newest) return;
    // It was lost, or is new: what the state still knows is written again.
    for (std::uint32_t number = 0; number < state.roster().nodes().size(); ++number) nodes_.insert(number);
    for (const auto& [number, job] : state.jobs()) jobs_.insert(number);
    position_ = newest;
}

void Index::applied(const FleetState& state, const Record& record, const JobChange* change) {
    state_ = &state;
    if (record.index <= position_) return;
    position_ = record.index;
    if (change == nullptr) {
        if (record.kind == RecordKind::node_admitted) {
            for (std::uint32_t number = 0; number < state.roster().nodes().size(); ++number) nodes_.insert(number);
        } else {
            nodes_.insert(record.node);
        }
    } else {
        jobs_.insert(record.job);
        if (record.kind == RecordKind::rollout_back) jobs_.insert(record.base_version);
        if (record.kind == RecordKind::rollout_aborted) {
            const StagedRollout* rollout = state.rollouts().find(record.sequence);
            if (rollout != nullptr && rollout->back_job() != 0) jobs_.insert(rollout->back_job());
        }
    }
    if (record.kind == RecordKind::job_deleted) {
        deleted_.insert(record.job);
        reported_.erase(record.job);
        std::erase_if(metrics_, [&](const MetricRow& row) { return row.job == record.job; });
        std::erase_if(ledger_, [&](const LedgerRow& row) { return row.job == record.job; });
    }
    if (change != nullptr && change->ledger) {
        const LedgerEntry& entry = *change->ledger;
        const FixedPoint& format = state.job(record.job)->plan().terms.format;
        ledger_.push_back({record.time_ms, record.job, entry.epoch, entry.gone, entry.left, entry.joined,
                           entry.before.weight, entry.after.weight, entry.lost.weight,
                           entry.lost.values.empty() ? -1.0 : norm_of(entry.lost, format), format.fraction_bits,
                           entry.shift});
    }
    if (record.kind == RecordKind::report && state.job(record.job) != nullptr) {
        for (KeptMetric& metric : read_report(record)) {
            metrics_.push_back({record.index, record.time_ms, static_cast<std::int64_t>(record.sequence),
                                record.job, record.node, record.detail != 0, std::move(metric.name), metric.value});
            const MetricRow& row = metrics_.back();
            if (const auto at_hand = reported_.find(record.job); at_hand != reported_.end())
                at_hand->second.newest[{row.member, row.name}] = row;
        }
        while (metrics_.size() > waiting_limit) metrics_.pop_front();
    }
    Event event = describe_record(state, record, change);
    if (event.kind.empty()) return;
    events_.push_back(std::move(event));
    while (events_.size() > waiting_limit) events_.pop_front();
}

Result<void> Index::write() {
    Database& database = storage_->database;
    Statement node(database, "INSERT OR REPLACE INTO node VALUES (?, ?, ?, ?, ?, ?)");
    for (const std::uint32_t number : nodes_) {
        if (number >= state_->roster().nodes().size()) continue;
        const RosterNode& known = state_->roster()[number];
        node.bind(std::int64_t{number}).bind(known.name).bind(to_hex(known.key));
        node.bind(fmt::format("{}", fmt::join(known.labels, " "))).bind(std::int64_t{known.admitted});
        if (auto done = node.bind(std::int64_t{known.incarnation}).run(); !done) return done;
    }
    Statement job(database, "INSERT OR REPLACE INTO job VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    Statement member(database, "INSERT OR REPLACE INTO member VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
    Statement model(database, "INSERT OR REPLACE INTO model VALUES (?, ?, ?, ?)");
    for (const std::uint64_t number : jobs_) {
        const Job* known = state_->job(number);
        if (known == nullptr) continue;
        const auto shown = static_cast<std::int64_t>(number);
        job.bind(shown).bind(known->plan().name).bind(known->request().token).bind(state_name(*known));
        job.bind(aggregation_name(known->plan())).bind(std::int64_t{std::ssize(known->members())});
        job.bind(static_cast<std::int64_t>(known->updates())).bind(static_cast<std::int64_t>(known->version()));
        job.bind(std::int64_t{known->epoch()}).bind(static_cast<std::int64_t>(known->elapsed_ms()));
        if (auto done = job.run(); !done) return done;
        for (std::uint32_t i = 0; i < known->members().size(); ++i) {
            const JobMember& at = known->members()[i];
            member.bind(shown).bind(std::int64_t{i}).bind(std::int64_t{at.node}).bind(name_of(at.state));
            member.bind(std::int64_t{at.incarnation}).bind(static_cast<std::int64_t>(at.sequence));
            member.bind(static_cast<std::int64_t>(at.updates)).bind(std::int64_t{at.reported});
            if (auto done = member.bind(static_cast<std::int64_t>(at.refusal.code)).run(); !done) return done;
        }
        model.bind(shown)
            .bind(static_cast<std::int64_t>(known->version()))
            .bind(static_cast<std::int64_t>(position_));
        const std::uint64_t sum = checksum_of(std::as_bytes(known->model()));
        if (auto done = model.bind(fmt::format("{:016x}", sum)).run(); !done) return done;
    }
    for (const char* gone : {"DELETE FROM job WHERE number = ?", "DELETE FROM member WHERE job = ?",
                             "DELETE FROM model WHERE job = ?", "DELETE FROM metric WHERE job = ?",
                             "DELETE FROM ledger WHERE job = ?", "DELETE FROM ledger_shift WHERE job = ?"}) {
        for (const std::uint64_t number : deleted_) {
            if (auto done = Statement(database, gone).bind(static_cast<std::int64_t>(number)).run(); !done)
                return done;
        }
    }
    Statement event(database,
                    "INSERT INTO event (record, time_ms, job, node, kind, text) VALUES (?, ?, ?, ?, ?, ?)");
    for (const Event& row : events_) {
        event.bind(static_cast<std::int64_t>(row.record))
            .bind(row.time_ms)
            .bind(static_cast<std::int64_t>(row.job));
        if (auto done = event.bind(row.node).bind(row.kind).bind(row.text).run(); !done) return done;
    }
    Statement metric(database,
                     "INSERT INTO metric (record, time_ms, job, member, at, final, name, value)"
                     " VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
    for (const MetricRow& row : metrics_) {
        metric.bind(static_cast<std::int64_t>(row.record))
            .bind(row.time_ms)
            .bind(static_cast<std::int64_t>(row.job));
        metric.bind(std::int64_t{row.member}).bind(row.at).bind(std::int64_t{row.final});
        if (auto done = metric.bind(row.name).bind(row.value).run(); !done) return done;
    }
    Statement ledger(database, "INSERT OR REPLACE INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    Statement shift(database, "INSERT OR REPLACE INTO ledger_shift VALUES (?, ?, ?)");
    for (const LedgerRow& row : ledger_) {
        ledger.bind(static_cast<std::int64_t>(row.job)).bind(std::int64_t{row.epoch}).bind(row.time_ms);
        ledger.bind(list_text(row.gone)).bind(list_text(row.left)).bind(list_text(row.joined));
        ledger.bind(row.weight_before).bind(row.weight_after).bind(row.weight_lost).bind(row.values_lost);
        if (auto done = ledger.bind(std::int64_t{row.fraction_bits}).run(); !done) return done;
        if (row.shift == 0) continue;
        shift.bind(static_cast<std::int64_t>(row.job)).bind(std::int64_t{row.epoch});
        if (auto done = shift.bind(std::int64_t{row.shift}).run(); !done) return done;
    }
    return storage_->set_meta("position", static_cast<std::int64_t>(position_));
}

Result<void> Index::flush() {
    if (state_ == nullptr || (nodes_.empty() && jobs_.empty() && events_.empty())) return {};
    if (auto begun = storage_->database.run("BEGIN"); !begun) return begun;
    auto done = write().and_then([this] { return storage_->database.run("COMMIT"); });
    if (!done) {
        (void)storage_->database.run("ROLLBACK");
        return done;
    }
    nodes_.clear();
    jobs_.clear();
    deleted_.clear();
    events_.clear();
    metrics_.clear();
    ledger_.clear();
    return {};
}

Result<void> Index::keep() {
    if (auto done = flush(); !done) return done;
    return storage_->database.run(
        "DELETE FROM metric WHERE id < (SELECT max(id) FROM metric) - 1000000;"
        "DELETE FROM event WHERE id < (SELECT max(id) FROM event) - 1000000;"
        "PRAGMA wal_checkpoint(TRUNCATE)");
}

Result<void> Index::copy_to(const std::filesystem::path& path) {
    if (auto done = flush(); !done) return done;
    Statement copy(storage_->database, "VACUUM INTO ?");
    return copy.bind(path.string()).run();
}

Result<std::vector<Event>> Index::events(std::uint64_t job, std::optional<std::uint64_t> after, std::size_t most) {
    (void)flush();
    // Each by an index: what a look costs must not grow with what is kept.
    const std::string sql = fmt::format(
        "SELECT record, time_ms, job, node, kind, text, id FROM event WHERE id > ?1{} ORDER BY id {} LIMIT ?2",
        job == 0 ? "" : " AND job = ?3", after ? "ASC" : "DESC");
    Statement rows(storage_->database, sql.c_str());
    rows.bind(static_cast<std::int64_t>(after.value_or(0))).bind(static_cast<std::int64_t>(most));
    if (job != 0) rows.bind(static_cast<std::int64_t>(job));
    std::vector<Event> found;
    while (rows.next()) {
        found.push_back({static_cast<std::uint64_t>(rows.integer(0)), rows.integer(1),
                         static_cast<std::uint64_t>(rows.integer(2)), rows.text(3), rows.text(4), rows.text(5),
                         static_cast<std::uint64_t>(rows.integer(6))});
    }
    if (auto all = rows.ended(); !all) return tl::unexpected(all.error());
    if (!after) std::ranges::reverse(found);
    return found;
}

Result<std::uint64_t> Index::newest_event() {
    (void)flush();
    Statement newest(storage_->database, "SELECT max(id) FROM event");
    const std::uint64_t id = newest.next() ? static_cast<std::uint64_t>(newest.integer(0)) : 0;
    return newest.ended().map([id] { return id; });
}

void Index::note(Event event) {
    event.record = position_;
    events_.push_back(std::move(event));
    while (events_.size() > waiting_limit) events_.pop_front();
}

Result<std::vector<LedgerRow>> Index::ledger(std::uint64_t job) {
    (void)flush();
    Statement rows(
        storage_->database,
        "SELECT job, epoch, time_ms, gone, left_members, joined, weight_before, weight_after, weight_lost,"
        " values_lost, fraction_bits, coalesce(shift, 0) FROM ledger LEFT JOIN ledger_shift USING (job, epoch)"
        " WHERE ?1 = 0 OR job = ?1 ORDER BY job, epoch");
    rows.bind(static_cast<std::int64_t>(job));
    std::vector<LedgerRow> found;
    while (rows.next()) {
        found.push_back({rows.integer(2), static_cast<std::uint64_t>(rows.integer(0)),
                         static_cast<std::uint32_t>(rows.integer(1)), list_of(rows.text(3)), list_of(rows.text(4)),
                         list_of(rows.text(5)), rows.integer(6), rows.integer(7), rows.integer(8), rows.real(9),
                         static_cast<int>(rows.integer(10)), static_cast<int>(rows.integer(11))});
    }
    if (auto all = rows.ended(); !all) return tl::unexpected(all.error());
    return found;
}

}  // namespace dunlin
