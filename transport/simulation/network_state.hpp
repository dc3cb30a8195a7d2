// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "transport/simulation/network.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace dunlin::simulation {

/// What a simulated network must remember to go on later, as plain numbers (Network::save). `fields` lists them for an
/// archive.
struct NetworkState {
    struct Link {
        Time last_arrival = 0, busy_until = 0;
        std::uint64_t messages = 0;
        std::uint32_t failures = 0;

        template <class Archive>
        void fields(Archive& archive) {
            archive(last_arrival, busy_until, messages, failures);
        }
    };
    /// A delivery, a timer or a departure that is to come; or a message that waits for its link.
    struct Pending {
        Time time = 0;
        std::uint64_t tag = 0;
        std::uint32_t payload = 0;  ///< number in `payloads`, from 1; 0: none
        std::uint32_t subject = 0;  ///< link, or node of a timer
        std::uint8_t kind = 0;

        template <class Archive>
        void fields(Archive& archive) {
            archive(time, tag, payload, subject, kind);
        }
    };
    struct Cut {
        std::uint32_t link = 0;
        Time from = 0, until = 0;

        template <class Archive>
        void fields(Archive& archive) {
            archive(link, from, until);
        }
    };

    Time now = 0;
    std::uint64_t trace = 0;
    Counters counters;
    std::vector<Link> links;
    /// Each once, however many messages carry it; empty where something stands in for it.
    std::vector<std::vector<std::byte>> payloads;
    std::vector<Pending> queue;    ///< those of one time in their order
    std::vector<Pending> waiting;  ///< those of one link in their order
    std::vector<Cut> cuts;

    template <class Archive>
    void fields(Archive& archive) {
        archive(now, trace, counters, links, payloads, queue, waiting, cuts);
    }
};

}  // namespace dunlin::simulation
