// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/fleet_log.hpp"

#include "training/host/plain_text.hpp"

#include <nlohmann/json.hpp>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace dunlin::app {

struct FleetLog::Implementation {
    bool json;
    spdlog::logger logger{"fleet", std::make_shared<spdlog::sinks::stderr_sink_mt>()};
};

FleetLog::FleetLog(bool json) : implementation_(std::make_unique<Implementation>()) {
    implementation_->json = json;
    auto formatter = std::make_unique<spdlog::pattern_formatter>(
        json ? R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})" : "%Y-%m-%d %H:%M:%S %L %v",
        spdlog::pattern_time_type::utc);
    implementation_->logger.set_formatter(std::move(formatter));
    implementation_->logger.flush_on(spdlog::level::info);
}
FleetLog::~FleetLog() = default;

void FleetLog::say(Level level, const Event& event) {
    std::string text;
    if (implementation_->json) {
        nlohmann::ordered_json fields{{"event", event.kind}};
        if (event.job != 0) fields["job"] = event.job;
        if (!event.node.empty()) fields["node"] = event.node;
        fields["text"] = event.text;
        text = fields.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
        text = text.substr(1, text.size() - 2);
    } else {
        if (event.job != 0) text += fmt::format("job {}: ", event.job);
        if (!event.node.empty()) text += event.node + ' ';
        text += event.text;
    }
    constexpr spdlog::level::level_enum levels[] = {spdlog::level::info, spdlog::level::warn, spdlog::level::err};
    implementation_->logger.log(levels[static_cast<std::size_t>(level)], "{}", shown(text, false));
}

}  // namespace dunlin::app
