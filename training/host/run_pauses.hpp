// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/stop.hpp"
#include "training/host/archive.hpp"
#include "training/host/failure.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace dunlin {

/// What every training loop asks between two of its steps, where all that it is about is whole: whether to leave off,
/// and whether to save what it needs to go on later. The loop knows what, who calls it knows when and where.
struct RunPauses {
    using Save = std::function<void(Saver&)>;

    std::function<bool()> stop = [] { return false; };
    /// Asked within a step, or a judgement, that takes long: is it to be left off?
    StopAsked give_up = never_asked;
    /// Called after each step of a run whose steps are long.
    std::function<void()> progress = [] {};
    /// Keeps what `save` writes if it is time for that, or at once where `now` says so. Errors: it cannot be kept.
    std::function<Outcome<void>(const Save& save, bool now)> checkpoint = [](const Save&, bool) -> Outcome<void> {
        return {};
    };
    /// What an earlier part of this run kept; empty: it begins.
    std::vector<std::byte> earlier = {};

    bool goes_on() const { return !earlier.empty(); }

    /// Leaves off? Keeps, and then at once, or now and then.
    Outcome<bool> left_off(const Save& save) const {
        const bool stops = stop();
        if (auto kept = checkpoint(save, stops); !kept) return tl::unexpected(kept.error());
        return stops;
    }

    /// Refuses to go on with less than was done. `key` says how much that is to be.
    static Outcome<void> check_length(std::string_view key, std::int64_t wanted, std::int64_t done) {
        if (wanted >= done) return {};
        return refuse(std::string(key) + ": " + std::to_string(done) +
                      " are done already, so a run that goes on cannot have " + std::to_string(wanted) +
                      ": give as many or more");
    }

    /// Reads `earlier` by `restore`, which is given a Loader. Errors: what that returns; bytes that are missing, or
    /// left over.
    template <class Restore>
    Outcome<void> go_on(const Restore& restore) const {
        Loader loader(earlier);
        const Result<void> restored = restore(loader);
        const char* const where = "checkpoint.dunlin, which this run cannot go on from";
        if (!restored) return refuse(restored.error(), where);
        if (!loader.done()) return refuse(Error{Code::file_syntax}, where);
        return {};
    }
};

}  // namespace dunlin
