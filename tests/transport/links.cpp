// SPDX-License-Identifier: Apache-2.0
#include "transport/simulation/network.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>
#include <vector>

using namespace dunlin;
using namespace dunlin::simulation;

namespace {

const Graph& pair() {
    static const Graph graph = *ring(2);
    return graph;
}

struct Arrival {
    Time time;
    std::uint64_t tag;
};

/// Sends messages 0 ... count-1 from node 0 to node 1, one every `interval`, and lists what arrives in order.
std::vector<Arrival> stream_of_messages(Network& network, std::uint64_t count, Time interval,
                                        std::size_t bytes = 0) {
    for (std::uint64_t k = 0; k < count; ++k) REQUIRE(network.set_timer(0, static_cast<Time>(k) * interval, k));
    std::vector<Arrival> arrivals;
    Event event;
    while (network.next(event)) {
        if (event.kind == Event::Kind::delivery) {
            CHECK(event.node == 1);
            CHECK(event.from == 0);
            arrivals.push_back({event.time, event.tag});
        } else {
            Payload payload;
            if (bytes > 0) payload = *network.allocate(bytes);
            REQUIRE(network.send(0, 1, payload, event.tag));
        }
    }
    return arrivals;
}

Network network_of(const LinkProfile& profile, std::uint64_t seed = 1) {
    NetworkSettings settings;
    settings.seed = seed;
    return *Network::create(pair(), profile, settings);
}

/// Most messages in a row, among 0 ... count-1, that never arrived.
std::uint32_t longest_gap(const std::vector<Arrival>& arrivals, std::uint64_t count) {
    std::vector<bool> seen(count);
    for (const Arrival& arrival : arrivals) seen[arrival.tag] = true;
    std::uint32_t gap = 0, longest = 0;
    for (std::uint64_t k = 0; k < count; ++k) {
        gap = seen[k] ? 0 : gap + 1;
        longest = std::max(longest, gap);
    }
    return longest;
}

/// Half the width of a confidence interval of four standard deviations for a frequency.
double margin(double probability, std::uint64_t count) {
    return 4.0 * std::sqrt(probability * (1.0 - probability) / static_cast<double>(count));
}

}  // namespace

TEST_CASE("latencies have the moments and bounds of their distributions") {
    const int count = 100000;
    const auto draws = [&](const Latency& latency) {
        Stream random(4, 0, Purpose::links);
        std::vector<double> all;
        for (int k = 0; k < count; ++k) all.push_back(static_cast<double>(latency.draw(random)));
        std::sort(all.begin(), all.end());
        return all;
    };
    const auto mean = [&](const std::vector<double>& all) {
        double sum = 0;
        for (const double value : all) sum += value;
        return sum / count;
    };

    const auto constant = draws(Latency::constant(7));
    CHECK(constant.front() == 7);
    CHECK(constant.back() == 7);

    const auto uniform = draws(Latency::uniform(1, 4));
    for (int value = 1; value <= 4; ++value) {
        const auto equal = std::count(uniform.begin(), uniform.end(), value);
        CHECK(static_cast<double>(equal) / count == Approx(0.25).margin(margin(0.25, count)));
    }
    CHECK(uniform.front() == 1);
    CHECK(uniform.back() == 4);

    const auto exponential = draws(Latency::exponential(1000, 50000));
    CHECK(exponential.front() >= 1000);
    CHECK(mean(exponential) == Approx(51000).epsilon(0.02));
    CHECK(exponential[count / 2] == Approx(1000 + 50000 * std::log(2.0)).epsilon(0.02));

    const auto log_normal = draws(Latency::log_normal(0, 1'000'000, 0.5f));
    CHECK(log_normal[count / 2] == Approx(1e6).epsilon(0.02));
    CHECK(mean(log_normal) == Approx(1e6 * std::exp(0.125)).epsilon(0.02));
    const auto one_sigma = static_cast<std::size_t>(count * 0.841345);
    CHECK(log_normal[one_sigma] == Approx(1e6 * std::exp(0.5)).epsilon(0.03));
}

TEST_CASE("messages are lost as often as asked, and never more often in a row than Gamma_f") {
    const std::uint64_t count = 40000;
    for (const float loss : {0.1f, 0.3f, 0.6f, 1.0f}) {
        for (const std::uint32_t limit : {0u, 1u, 3u, 10u}) {
            Network network = network_of(LinkProfile::rounds(2, limit, loss));
            const auto arrivals = stream_of_messages(network, count, 1);
            // Failures in a row are a chain that must return to 0 from `limit`: its stationary share of losses.
            double lost = 0, all = 0, weight = 1;
            for (std::uint32_t k = 0; k <= limit; ++k, weight *= loss) {
                all += weight;
                if (k > 0) lost += weight;
            }
            CHECK(longest_gap(arrivals, count) <= limit);
            if (loss >= 0.3f && limit <= 3) CHECK(longest_gap(arrivals, count) == limit);
            const double rate = static_cast<double>(network.counters().lost) / static_cast<double>(count);
            CHECK(rate == Approx(lost / all).margin(margin(lost / all, count) + 1e-4));
            CHECK(arrivals.size() + network.counters().lost == count);
        }
    }
}

TEST_CASE("without a bound the loss rate is the probability") {
    const std::uint64_t count = 100000;
    for (const float loss : {0.0f, 0.05f, 0.3f, 0.6f}) {
        LinkProfile profile;
        profile.loss = loss;
        Network network = network_of(profile);
        const auto arrivals = stream_of_messages(network, count, 1);
        const double rate = 1.0 - static_cast<double>(arrivals.size()) / static_cast<double>(count);
        CHECK(rate == Approx(loss).margin(margin(loss, count)));
    }
}

TEST_CASE("no delay exceeds Gamma_d, with or without order") {
    for (const bool in_order : {false, true}) {
        LinkProfile profile;
        profile.latency = Latency::log_normal(1, 20, 1.5f);
        profile.delay_limit = 60;
        profile.duplication = 0.3f;
        profile.in_order = in_order;
        Network network = network_of(profile);
        Time longest = 0, shortest = 100;
        for (const Arrival& arrival : stream_of_messages(network, 20000, 3)) {
            const Time delay = arrival.time - static_cast<Time>(arrival.tag) * 3;
            longest = std::max(longest, delay);
            shortest = std::min(shortest, delay);
        }
        CHECK(longest == 60);
        CHECK(shortest >= 1);
    }
}

TEST_CASE("messages overtake each other with independent delays, and never on an ordered link") {
    for (const bool in_order : {false, true}) {
        LinkProfile profile;
        profile.latency = Latency::uniform(1, 10);
        profile.duplication = 0.2f;
        profile.in_order = in_order;
        Network network = network_of(profile);
        std::uint64_t newest = 0;
        int overtaken = 0;
        for (const Arrival& arrival : stream_of_messages(network, 5000, 1)) {
            if (arrival.tag < newest) ++overtaken;
            newest = std::max(newest, arrival.tag);
        }
        if (in_order) {
            CHECK(overtaken == 0);
        } else {
            CHECK(overtaken > 1000);
        }
    }
}

TEST_CASE("messages arrive twice as often as asked, and never more than twice") {
    const std::uint64_t count = 50000;
    LinkProfile profile;
    profile.latency = Latency::uniform(1, 5);
    profile.duplication = 0.25f;
    Network network = network_of(profile);
    std::map<std::uint64_t, int> copies;
    for (const Arrival& arrival : stream_of_messages(network, count, 1)) ++copies[arrival.tag];
    CHECK(copies.size() == count);
    std::uint64_t twice = 0;
    for (const auto& [tag, seen] : copies) {
        REQUIRE(seen <= 2);
        twice += seen == 2 ? 1 : 0;
    }
    CHECK(twice == network.counters().duplicated);
    CHECK(static_cast<double>(twice) / static_cast<double>(count) == Approx(0.25).margin(margin(0.25, count)));
}

TEST_CASE("a partition blocks what touches it, heals, and does not disturb other links") {
    LinkProfile profile;
    profile.latency = Latency::constant(5);
    Network network = network_of(profile);
    const std::uint32_t link = *pair().find(0, 1);
    REQUIRE(network.cut({&link, 1}, 100, 200));
    REQUIRE(network.cut({&link, 1}, 300, 301));
    const auto arrivals = stream_of_messages(network, 400, 1);
    std::vector<bool> seen(400);
    for (const Arrival& arrival : arrivals) seen[arrival.tag] = true;
    // Sent at t, under way during [t, t + 5]: lost if that touches [100, 200) or [300, 301).
    for (std::uint64_t t = 0; t < 400; ++t) REQUIRE(seen[t] == !((t >= 95 && t < 200) || (t >= 295 && t <= 300)));
    CHECK(network.counters().cut == 105 + 6);

    REQUIRE(network.cut({&link, 1}, network.now(), network.now() + 1000));
    REQUIRE(network.send(1, 0, {}, 7));
    Event event;
    CHECK(network.next(event));
    CHECK(event.tag == 7);
}

TEST_CASE("cutting off a group cuts its links to the others in both directions, and no other") {
    const Graph graph = *complete_graph(5);
    LinkProfile profile;
    profile.latency = Latency::constant(1);
    Network network = *Network::create(graph, profile, {});
    const std::uint32_t group[] = {1, 3};
    REQUIRE(network.cut_off(group, 0, 10));
    for (std::uint32_t i = 0; i < 5; ++i) REQUIRE(network.broadcast(i, {}));
    Event event;
    int arrived = 0;
    for (; network.next(event); ++arrived) {
        const auto inside = [](std::uint32_t node) { return node == 1 || node == 3; };
        CHECK(inside(event.from) == inside(event.node));
    }
    CHECK(arrived == 2 + 6);
    CHECK(network.counters().cut == 12);
}

TEST_CASE("failures in a partition count, so the first message after it gets through") {
    LinkProfile profile = LinkProfile::rounds(1, 2, 1.0f);  // loses two, then must deliver
    Network network = network_of(profile);
    const std::uint32_t link = *pair().find(0, 1);
    REQUIRE(network.cut({&link, 1}, 0, 51));
    const auto arrivals = stream_of_messages(network, 100, 1);
    REQUIRE(!arrivals.empty());
    CHECK(arrivals.front().tag == 51);
    CHECK(arrivals[1].tag == 54);
}

TEST_CASE("bandwidth spaces messages by their size, and they queue in order") {
    LinkProfile profile;
    profile.latency = Latency::constant(1000);
    profile.ticks_per_byte = 2.0;
    profile.queue_limit = 100;
    Network network = network_of(profile);
    const auto arrivals = stream_of_messages(network, 50, 10, 100);  // occupies the link for 200 ticks
    REQUIRE(arrivals.size() == 50);
    for (std::size_t k = 0; k < arrivals.size(); ++k) {
        CHECK(arrivals[k].tag == k);
        CHECK(arrivals[k].time == static_cast<Time>(k + 1) * 200 + 1000);
    }
    CHECK(network.payloads_in_use() == 0);
}

TEST_CASE("a full queue keeps the newest or the oldest, as asked") {
    for (const bool newest : {true, false}) {
        LinkProfile profile;
        profile.latency = Latency::constant(1);
        profile.ticks_per_byte = 10.0;
        profile.queue_limit = 3;
        profile.newest_replaces_oldest = newest;
        Network network = network_of(profile);
        const auto arrivals = stream_of_messages(network, 10, 1, 100);  // all sent while the first is on the link
        std::vector<std::uint64_t> tags;
        for (const Arrival& arrival : arrivals) tags.push_back(arrival.tag);
        CHECK(tags == (newest ? std::vector<std::uint64_t>{0, 7, 8, 9} : std::vector<std::uint64_t>{0, 1, 2, 3}));
        CHECK(network.counters().overflowed == 6);
        CHECK(network.payloads_in_use() == 0);
        CHECK(network.pending() == 0);
    }
}

TEST_CASE("what a link does depends on no other link") {
    LinkProfile profile;
    profile.latency = Latency::log_normal(0, 50, 1.0f);
    profile.loss = 0.3f;
    profile.duplication = 0.2f;
    const Graph graph = *complete_graph(4);
    const auto run = [&](bool busy) {
        Network network = *Network::create(graph, profile, {});
        std::vector<std::pair<Time, std::uint64_t>> arrivals;
        for (std::uint64_t k = 0; k < 300; ++k) REQUIRE(network.set_timer(0, static_cast<Time>(k) * 10, k));
        Event event;
        while (network.next(event)) {
            if (event.kind == Event::Kind::timer) {
                if (busy) REQUIRE(network.broadcast(2, {}, 1));
                REQUIRE(network.send(0, 3, {}, event.tag));
                if (busy) REQUIRE(network.send(3, 0, {}, event.tag));
            } else if (event.from == 0 && event.node == 3) {
                arrivals.emplace_back(event.time, event.tag);
            }
        }
        return arrivals;
    };
    const auto alone = run(false), together = run(true);
    CHECK(alone.size() > 200);
    CHECK(alone == together);
}

TEST_CASE("a link has a profile of its own when it is given one") {
    LinkProfile slow;
    slow.latency = Latency::constant(100);
    Network network = network_of(LinkProfile{});
    REQUIRE(network.set_profile(*pair().find(1, 0), slow));
    REQUIRE(network.send(0, 1, {}));
    REQUIRE(network.send(1, 0, {}));
    Event event;
    REQUIRE(network.next(event));
    CHECK(std::pair{event.node, event.time} == std::pair{1u, Time{1}});
    REQUIRE(network.next(event));
    CHECK(std::pair{event.node, event.time} == std::pair{0u, Time{100}});
}

TEST_CASE("a link setting that is out of range is named") {
    const auto field = [](auto change) {
        LinkProfile profile;
        change(profile);
        const auto network = Network::create(pair(), profile, {});
        REQUIRE(!network);
        CHECK(network.error().code == Code::bad_link_setting);
        return static_cast<LinkField>(network.error().first);
    };
    CHECK(field([](auto& p) { p.latency.minimum = -1; }) == LinkField::latency);
    CHECK(field([](auto& p) { p.latency.scale = -1; }) == LinkField::latency);
    CHECK(field([](auto& p) { p.latency.sigma = std::nanf(""); }) == LinkField::latency);
    CHECK(field([](auto& p) { p.delay_limit = 0; }) == LinkField::delay_limit);
    CHECK(field([](auto& p) { p.loss = 1.01f; }) == LinkField::loss);
    CHECK(field([](auto& p) { p.loss = std::nanf(""); }) == LinkField::loss);
    CHECK(field([](auto& p) { p.duplication = -0.1f; }) == LinkField::duplication);
    CHECK(field([](auto& p) { p.ticks_per_byte = -1.0; }) == LinkField::ticks_per_byte);
    CHECK(field([](auto& p) { p.queue_limit = 0; }) == LinkField::queue_limit);
}
