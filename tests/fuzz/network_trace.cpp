// SPDX-License-Identifier: Apache-2.0
// Any bytes as a measured network: round trips as IDX and as text, radio links, speeds.
#include "training/network/network_trace.hpp"

#include "fuzz.hpp"

using namespace dunlin;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text = fuzz::text(data, size);
    const auto trace = parse_network_trace(text, "rtt-ms");
    if (!trace) {
        for (const char c : trace.error().detail) fuzz::require(static_cast<unsigned char>(c) >= 0x20);
        return 0;
    }
    const std::size_t n = trace->nodes;
    fuzz::require(n > 0);
    switch (trace->kind) {
        case NetworkTrace::Kind::latency:
            fuzz::require(trace->slices > 0 && trace->round_trip_ms.size() == trace->slices * n * n);
            for (const float ms : trace->round_trip_ms) fuzz::require(ms >= 0.0f && ms <= 3.6e6f);
            break;
        case NetworkTrace::Kind::radio:
            fuzz::require(trace->delivery.size() == n * n);
            for (const float delivered : trace->delivery) fuzz::require(delivered >= 0.0f && delivered <= 1.0f);
            break;
        case NetworkTrace::Kind::speeds:
            fuzz::require(trace->speed.size() == n);
            for (const float speed : trace->speed) fuzz::require(speed > 0.0f && speed <= 1e9f);
            break;
    }
    (void)unit_ms_of(text);
    return 0;
}
