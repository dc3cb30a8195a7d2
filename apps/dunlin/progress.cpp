// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/progress.hpp"

#include "apps/output.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include <fmt/format.h>
#include <unistd.h>

namespace dunlin::app {
namespace {

/// As `write_note`, for a line that is written over.
void write_over(std::string_view line, std::size_t width) {
    std::fputs(fmt::format("\r{:<{}}", shown(line, false), width).c_str(), stderr);
}

}  // namespace

Progress::Progress(bool quiet) : quiet_(quiet), terminal_(isatty(STDERR_FILENO) != 0) {}

bool Progress::due() const {
    return !quiet_ && Clock::now() >= next_;
}

void Progress::show(std::string_view line) {
    if (quiet_) return;
    next_ = Clock::now() + (terminal_ ? std::chrono::milliseconds(100) : std::chrono::milliseconds(5000));
    if (terminal_) {
        write_over(line, shown_);
        shown_ = std::max(shown_, line.size());
    } else {
        note("{}\n", line);
    }
}

void Progress::finish() {
    if (shown_ > 0) note("\n");
    shown_ = 0;
}

void tell(bool quiet, std::string_view line) {
    if (!quiet) note("{}\n", line);
}

std::string duration_text(double seconds) {
    const auto whole = static_cast<long>(std::lround(std::max(0.0, std::min(seconds, 1e9))));
    if (whole >= 3600) return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
    return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

}  // namespace dunlin::app
