// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/interrupt.hpp"

#include <csignal>

namespace dunlin::app {
namespace {

volatile std::sig_atomic_t seen = 0;

void remember(int signal) {
    seen = 1;
    std::signal(signal, SIG_DFL);
}

}  // namespace

void catch_interrupts() {
    std::signal(SIGINT, remember);
    std::signal(SIGTERM, remember);
}

void outlive_readers() {
    std::signal(SIGPIPE, SIG_IGN);
}

bool interrupted() {
    return seen != 0;
}

}  // namespace dunlin::app
