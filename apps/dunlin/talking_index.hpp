// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "apps/dunlin/fleet_log.hpp"
#include "fleet/coordinator/index.hpp"

#include <set>

#include <fmt/format.h>

namespace dunlin::app {

/// Keeps the index, and says what happens.
class TalkingIndex final : public Journal {
public:
    TalkingIndex(Index& index, FleetLog& log) : index_(index), log_(log) {}
    void loaded(const FleetState& state, std::uint64_t newest) override { index_.loaded(state, newest); }
    void applied(const FleetState& state, const Record& record, const JobChange* change) override {
        index_.applied(state, record, change);
        if (!talks) return;
        const Event event = describe_record(state, record, change);
        if (!event.kind.empty()) log_.say(FleetLog::Level::info, event);
    }
    bool takes(std::uint64_t job, std::string_view metric) override {
        const bool room = index_.takes(job, metric);
        if (!room && full_.insert(job).second) {
            log_.say(
                FleetLog::Level::warning,
                Event{.job = job,
                      .kind = "metrics-full",
                      .text = fmt::format("metrics of more than {} names are reported; further ones are left out",
                                          Index::metric_names)});
        }
        return room;
    }
    Result<void> keep() override { return index_.keep(); }

    bool talks = false;

private:
    Index& index_;
    FleetLog& log_;
    std::set<std::uint64_t> full_;  ///< jobs that have as many metrics as are kept, as was said
};

}  // namespace dunlin::app
