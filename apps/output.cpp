// SPDX-License-Identifier: Apache-2.0
#include "apps/output.hpp"

#include "training/host/plain_text.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <mutex>

namespace dunlin::app {
namespace {

bool muted = false;
KeptOutput* kept_output = nullptr;
std::mutex keeping;  ///< several threads may say something

void write(std::FILE* file, std::string_view text) {
    if (muted) return;
    {
        const std::lock_guard lock(keeping);
        if (kept_output != nullptr) {
            (file == stdout ? kept_output->out : kept_output->notes) += shown(text);
            return;
        }
    }
    const std::string safe = shown(text);
    std::fwrite(safe.data(), 1, safe.size(), file);
}

}  // namespace

void write_out(std::string_view text) {
    write(stdout, text);
}

void mute_output(bool mute) {
    muted = mute;
}

void keep_output(KeptOutput* kept) {
    const std::lock_guard lock(keeping);
    kept_output = kept;
}

void write_note(std::string_view text) {
    write(stderr, text);
}

bool output_lost() {
    std::cout.flush();  // help texts
    return std::fflush(stdout) != 0 || std::ferror(stdout) != 0 || !std::cout;
}

int end_output(std::string_view program, int code) {
    errno = 0;
    if (!output_lost()) return code;
    note("{}: some of the output is lost{}{}\n", program, errno == 0 ? "" : ": ",
         errno == 0 ? "" : std::strerror(errno));
    return code == 0 ? 1 : code;
}

}  // namespace dunlin::app
