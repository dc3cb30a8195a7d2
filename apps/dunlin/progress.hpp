// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/host/plain_text.hpp"

#include <chrono>
#include <string>
#include <string_view>

namespace dunlin::app {

/// One live line on stderr: rewritten in place on a terminal, else a line now and then. Data never goes there.
class Progress {
public:
    /// Quiet shows nothing.
    explicit Progress(bool quiet = false);
    ~Progress() { finish(); }

    /// Whether a line is due; making one costs more than asking.
    bool due() const;
    void show(std::string_view line);
    /// Ends the live line, so that what follows starts on a line of its own.
    void finish();

private:
    using Clock = std::chrono::steady_clock;
    bool quiet_;
    bool terminal_;
    std::size_t shown_ = 0;
    Clock::time_point next_ = Clock::now();
};

/// A line on stderr about what was done and what to do next: for people, so not when they asked for quiet.
void tell(bool quiet, std::string_view line);

/// "1:02:03", "2:03" or "0:03" from seconds.
std::string duration_text(double seconds);

}  // namespace dunlin::app
