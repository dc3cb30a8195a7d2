// SPDX-License-Identifier: Apache-2.0
// Dunlin's links beside ZeroMQ alone, both with CURVE on loopback in the same run: the round trip of an update of 1
// KiB and its acknowledgement, and updates per second in one direction (the pattern of libzmq's remote_thr and
// local_thr). Rounds alternate, so that a disturbance hits both.
#include "raw_zeromq.hpp"
#include "transport/encoding.hpp"
#include "transport/zeromq/node_link.hpp"
#include "transport/zeromq/server_link.hpp"

#include <algorithm>
#include <cstdio>
#include <thread>
#include <vector>

using namespace dunlin;
using namespace dunlin::bench;

namespace {

/// Both ends of a Dunlin link.
struct Links {
    KeyPair server_keys = KeyPair::make().value(), node_keys = KeyPair::make().value();
    ServerLink server = open_server();
    NodeLink node = open_node();

    ServerLink open_server() const {
        ServerLinkSettings settings;
        settings.endpoint = "tcp://127.0.0.1:*";
        settings.keys = server_keys;
        return ServerLink::open(settings).value();
    }
    NodeLink open_node() {
        server.admit(node_keys.public_key());
        NodeLinkSettings settings;
        settings.endpoint = server.endpoint();
        settings.server_key = server_keys.public_key();
        settings.keys = node_keys;
        NodeLink link = NodeLink::open(settings).value();
        Arrival arrival;
        while (!link.up()) {
            link.poll(10);
            (void)link.receive(arrival);
        }
        return link;
    }
};

/// Seconds that `count` updates of `values` take, and their bytes in `bytes`.
double stream_links(Links& links, int count, const std::vector<float>& values, std::size_t& bytes) {
    const auto receive = [&] {
        Incoming incoming;
        int left = count;
        while (left > 0) {
            links.server.poll(1000);
            while (left > 0 && links.server.receive(incoming)) {
                if (!incoming.message) give_up("decoding");
                bytes = incoming.message->bytes().size();
                --left;
            }
        }
    };
    const auto start = Clock::now();
    std::thread receiver(receive);
    for (int k = 0; k < count;) {
        const Message update{{1, 0, 1, static_cast<std::uint64_t>(k) + 1},
                             ModelUpdate{0, 0, 1.0f, view_values(values)}};
        if (links.node.send(update)) {
            ++k;
        } else {
            links.node.poll(1000);
        }
    }
    receiver.join();
    return seconds_since(start);
}

struct Times {
    double median_us, p99_us;
};

Times summary(std::vector<double> times) {
    std::sort(times.begin(), times.end());
    return {times[times.size() / 2] * 1e6, times[times.size() * 99 / 100] * 1e6};
}

void round_trips_links(Links& links, int count, std::vector<double>& times) {
    const std::vector<float> values(256, 0.5f);
    std::thread server([&] {
        Incoming incoming;
        for (int left = count; left > 0;) {
            links.server.poll(1000);
            while (links.server.receive(incoming)) {
                const Envelope& envelope = incoming.message->message().envelope;
                if (!links.server.send(incoming.from, {envelope, Acknowledgement{envelope.sequence, true, {}, 1}}))
                    give_up("answering");
                --left;
            }
        }
    });
    Arrival arrival;
    for (int k = 0; k < count; ++k) {
        const auto start = Clock::now();
        const std::uint64_t sequence = static_cast<std::uint64_t>(k) + 1;
        if (!links.node.send({{1, 0, 1, sequence}, ModelUpdate{0, 0, 1.0f, view_values(values)}}))
            give_up("sending");
        while (!links.node.receive(arrival)) links.node.poll(1000);
        times.push_back(seconds_since(start));
    }
    server.join();
}

void round_trips_raw(int count, std::size_t update_bytes, std::size_t answer_bytes, std::vector<double>& times) {
    Raw raw(ZMQ_ROUTER, ZMQ_DEALER);
    std::thread server([&] {
        std::vector<char> id(256), body(update_bytes);
        for (int k = 0; k <= count; ++k) {
            const int size = zmq_recv(raw.server, id.data(), id.size(), 0);
            zmq_recv(raw.server, body.data(), body.size(), 0);
            zmq_send(raw.server, id.data(), static_cast<std::size_t>(size), ZMQ_SNDMORE);
            zmq_send(raw.server, body.data(), answer_bytes, 0);
        }
    });
    std::vector<char> body(update_bytes);
    for (int k = 0; k <= count; ++k) {
        const auto start = Clock::now();
        zmq_send(raw.client, body.data(), body.size(), 0);
        zmq_recv(raw.client, body.data(), body.size(), 0);
        if (k > 0) times.push_back(seconds_since(start));  // the first waits for the handshake
    }
    server.join();
}

}  // namespace

int main() {
    constexpr int rounds = 7;
    Links links;
    std::vector<double> ours, raw;
    for (int round = 0; round < rounds; ++round) {
        round_trips_links(links, 1000, ours);
        round_trips_raw(1000, 1160, 80, raw);
    }
    const Times a = summary(ours), b = summary(raw);
    std::printf("round trip of 1 KiB: Dunlin median %.0f us, 99th percentile %.0f us; ", a.median_us, a.p99_us);
    std::printf("ZeroMQ %.0f us, %.0f us; ratio of medians %.2f\n", b.median_us, b.p99_us,
                a.median_us / b.median_us);

    const std::pair<int, int> sizes[] = {{1000, 20000}, {100000, 1000}, {1000000, 100}};
    for (const auto& [dimension, count] : sizes) {
        const std::vector<float> values(static_cast<std::size_t>(dimension), 0.5f);
        double best = 1e9, best_raw = 1e9;
        std::size_t bytes = 0;
        std::vector<double> ratios;
        for (int round = 0; round < rounds; ++round) {
            const double mine = stream_links(links, count, values, bytes), other = stream_raw(count, bytes);
            best = std::min(best, mine);
            best_raw = std::min(best_raw, other);
            ratios.push_back(other / mine);
        }
        std::sort(ratios.begin(), ratios.end());
        std::printf(
            "d = %7d: Dunlin %8.0f updates/s, %6.1f MB/s; ZeroMQ %8.0f, %6.1f; ratio %.2f (median of %d), %.2f "
            "(best)\n",
            dimension, count / best, count * static_cast<double>(bytes) / best * 1e-6, count / best_raw,
            count * static_cast<double>(bytes) / best_raw * 1e-6, ratios[rounds / 2], rounds, best_raw / best);
    }
}
