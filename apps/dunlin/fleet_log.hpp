// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fleet/coordinator/index.hpp"

#include <memory>
#include <string_view>

namespace dunlin::app {

/// The coordinator's log on stderr: lines for people, or one JSON object each.
class FleetLog {
public:
    enum class Level : std::uint8_t { info, warning, error };

    explicit FleetLog(bool json);
    ~FleetLog();

    void say(Level level, const Event& event);
    void say(Level level, std::string kind, std::string text, std::string node = {}) {
        say(level, Event{0, 0, 0, std::move(node), std::move(kind), std::move(text)});
    }

private:
    struct Implementation;
    std::unique_ptr<Implementation> implementation_;
};

}  // namespace dunlin::app
