// SPDX-License-Identifier: Apache-2.0
#include "training/network/network_trace.hpp"

#include "measured_file.hpp"
#include "source_dir.hpp"
#include "training/network/traced_network.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include <catch2/catch.hpp>

using namespace dunlin;
using dunlin::test::measured_file;
using simulation::Time;
using Kind = NetworkTrace::Kind;

namespace {

NetworkTrace parsed(std::string_view text, std::string_view name = "trace.txt") {
    const auto trace = parse_network_trace(text, name);
    if (!trace) FAIL(trace.error().detail);
    return *trace;
}

/// Code and sentence of a refusal.
FileFailure refused(std::string_view text, std::string_view name = "trace.txt") {
    const auto trace = parse_network_trace(text, name);
    REQUIRE_FALSE(trace);
    return trace.error();
}

void refuses(std::string_view text, Code code, const std::string& begin, std::string_view name = "trace.txt") {
    INFO(text);
    const FileFailure failure = refused(text, name);
    CHECK(failure.error.code == code);
    CHECK_THAT(failure.detail, Catch::StartsWith(begin));
}

/// An IDX file of 16- or 32-bit integers.
std::string idx(const std::vector<std::uint32_t>& sizes, const std::vector<std::int32_t>& cells, bool wide) {
    std::string bytes{'\0', '\0', wide ? '\x0c' : '\x0b', static_cast<char>(sizes.size())};
    const auto put = [&](std::uint32_t value, int count) {
        for (int k = count - 1; k >= 0; --k) bytes += static_cast<char>(value >> 8 * k & 0xff);
    };
    for (const std::uint32_t size : sizes) put(size, 4);
    for (const std::int32_t cell : cells) put(static_cast<std::uint32_t>(cell), wide ? 4 : 2);
    return bytes;
}

std::shared_ptr<const TracedNetwork> laid(const NetworkTrace& trace, const TracedFleet& fleet,
                                          DataNotes* notes = nullptr) {
    auto made = TracedNetwork::lay(trace, fleet, notes);
    if (!made) FAIL(made.error().text);
    return *made;
}

std::vector<Time> times(const TracedNetwork& network, std::uint32_t from, std::uint32_t to) {
    const simulation::LinkProfile profile = network.profile(from, to, {});
    CHECK(profile.latency.shape == simulation::Latency::Shape::listed);
    return {profile.latency.times.begin(), profile.latency.times.end()};
}

std::int64_t counted(const DataNotes& notes, std::string_view key) {
    const auto found = std::ranges::find(notes, key, &DataNote::key);
    return found == notes.end() ? -1 : found->count;
}

}  // namespace

TEST_CASE("a trace's file says its unit in its name") {
    CHECK(unit_ms_of("planetlab-rtt-us-idx3-int.gz") == Approx(1e-3));
    CHECK(unit_ms_of("seattle-rtt-10ms-idx3-short.gz") == 10.0);
    CHECK(unit_ms_of("rtt_s.txt") == 1e3);
    CHECK(unit_ms_of("plus-0ms-us.txt") == Approx(1e-3));
    CHECK(unit_ms_of("musk.txt") == 0.0);
    CHECK(unit_ms_of("99999999999ms") == 0.0);
    CHECK(unit_ms_of("") == 0.0);
}

TEST_CASE("round trips are read as text, in milliseconds or the unit of the name") {
    const NetworkTrace trace = parsed("# three nodes\n0 10 20\n10\t0 30.5\n\n20 30.5 0\n");
    CHECK(trace.kind == Kind::latency);
    CHECK(trace.nodes == 3);
    CHECK(trace.slices == 1);
    CHECK(trace.round_trip_ms == std::vector<float>{0, 10, 20, 10, 0, 30.5f, 20, 30.5f, 0});
    CHECK(parsed("0,.5\r\n.25,0\r\n", "rtt-s.csv").round_trip_ms == std::vector<float>{0, 500, 250, 0});
}

TEST_CASE("round trips are read as IDX, in slices of 16 or 32 bits") {
    const NetworkTrace wide = parsed(idx({2, 2, 2}, {0, 1000, 2000, 0, 0, 3000, 70'000, 0}, true), "a-us-b");
    CHECK(wide.kind == Kind::latency);
    CHECK(wide.nodes == 2);
    CHECK(wide.slices == 2);
    CHECK(wide.round_trip_ms == std::vector<float>{0, 1, 2, 0, 0, 3, 70, 0});
    const NetworkTrace narrow = parsed(idx({2, 2}, {0, 3, 4, 0}, false), "a-10ms-b");
    CHECK(narrow.slices == 1);
    CHECK(narrow.round_trip_ms == std::vector<float>{0, 30, 40, 0});
}

TEST_CASE("radio links are read from a table and from the k7 format, where what nobody wrote was lost") {
    const NetworkTrace table = parsed("src,dst,pdr\n0,1,0.5\n1,0,1\n2,1,.25\n");
    CHECK(table.kind == Kind::radio);
    CHECK(table.nodes == 3);
    CHECK(table.delivered(0, 1) == 0.5f);
    CHECK(table.delivered(2, 1) == 0.25f);
    CHECK(table.delivered(1, 2) == 0.0f);
    // Four bursts: 1 to 0 was heard in all, 0 to 1 in two.
    const NetworkTrace k7 = parsed(
        "{\"location\": \"here\", \"node_count\": 2}\ndatetime,src,dst,channel,mean_rssi,pdr,tx_count\n"
        "a,0,1,11,-70,1.0,100\na,1,0,11,-70,1.0,100\nb,0,1,12,-70,0.5,100\nb,1,0,12,-70,1.0,100\n"
        "c,1,0,13,-70,1.0,100\nd,1,0,14,-70,0.2,100\n");
    CHECK(k7.delivered(0, 1) == Approx(1.5 / 4));
    CHECK(k7.delivered(1, 0) == Approx(3.2 / 4));
    CHECK(parsed("src,dst,rows,mean_pdr_of_rows,pdr_absent_as_0\n0,1,33,0.9,0.1\n1,0,304,1,1\n").delivered(0, 1) ==
          0.1f);
}

TEST_CASE("speeds are read from a table, whatever else it says") {
    const NetworkTrace trace = parsed("model,cpu_float_score\n\"Phone, large\",2000\nOld,100\n");
    CHECK(trace.kind == Kind::speeds);
    CHECK(trace.speed == std::vector<float>{2000, 100});
    CHECK(parsed("speed\n1\n.5\n").speed == std::vector<float>{1, 0.5f});
}

TEST_CASE("what is wrong with a trace is said by line, with what was expected") {
    refuses("", Code::file_truncated, "no data; expected");
    refuses("# nothing\n", Code::file_truncated, "no data; expected");
    refuses("name,colour\nx,red\n", Code::column_missing, "line 1: no column 'pdr' among 'name', 'colour'");
    refuses("0 1\n1 x\n", Code::bad_number, "line 2: 'x' is number 2");
    refuses("0 1 2\n1 0\n", Code::column_count, "line 2: 2 numbers; the first line has 3");
    refuses("0 1\n", Code::file_truncated, "1 rows of a matrix of 2 columns");
    refuses("0 1\n1 0\n0 0\n", Code::graph_size, "line 3: one row more than the 2");
    refuses("0 -1\n1 0\n", Code::bad_number, "line 1: number 2 is -1.0");
    refuses("0 1\n1 0\n", Code::bad_number, "line 1: number 2 is 5000000.0", "x-5000s.txt");
    refuses("5\n", Code::graph_size, "line 1: 1 numbers; expected 2 to 1024");
    refuses("src,dst,pdr\n0,1\n", Code::column_count, "line 2: 2 fields; the header has 3");
    refuses("src,dst,pdr\n0,1,1.5\n", Code::bad_number, "line 2: '1.5' stands under 'pdr'");
    refuses("src,dst,pdr\n0,b,1\n", Code::bad_number, "line 2: 'b' stands under 'dst'");
    refuses("src,dst,pdr\n0,1024,1\n", Code::bad_number, "line 2: '1024' stands under 'dst'");
    refuses("src,dst,pdr\n\n3,3,1\n", Code::graph_loop, "line 3: node 3 is linked to itself");
    refuses("src,dst,pdr\n", Code::file_truncated, "no rows");
    refuses("{}\nsrc,to,pdr\n0,1,1\n", Code::column_missing, "line 2: no column 'dst'");
    refuses("speed\n1\nfast\n", Code::bad_number, "line 3: 'fast' stands under 'speed'");
    refuses("speed\n0\n", Code::bad_number, "line 2: '0'");
    refuses("speed,model\n1\n", Code::column_count, "line 2: 1 fields; the header has 2");
    refuses("speed\n", Code::file_truncated, "no rows");
    refuses("cpu_float_score,\"speed\n", Code::file_syntax, "line 1");
    refuses("src,dst,pdr\n0,\x1b[2J,1\n", Code::bad_number, "line 2: '\\x1b[2J'");
}

TEST_CASE("an IDX trace that is cut, too long, of another type or without a unit is refused") {
    const std::string whole = idx({2, 2}, {0, 1, 1, 0}, true);
    for (std::size_t length = 2; length < whole.size(); ++length) {
        CHECK(refused(std::string_view(whole).substr(0, length), "a-us").error.code == Code::file_truncated);
    }
    refuses(whole + "x", Code::file_rest, "29 bytes where the header promises 28", "a-us");
    refuses(whole, Code::file_magic, "integers without a unit", "rtt.idx");
    refuses(idx({2, 3}, {0, 1, 1, 0, 1, 1}, true), Code::graph_size, "a matrix of 2 x 3", "a-us");
    refuses(idx({0xffffffffu, 2, 2}, {}, true), Code::file_too_large, "-1 slices", "a-us");
    refuses(idx({0x7fffffffu, 1024, 1024}, {}, true), Code::file_too_large, "2147483647 slices", "a-us");
    refuses(idx({2, 2}, {0, -1, 1, 0}, false), Code::bad_number, "number 1 is -10", "a-10ms");
    std::string bytes = whole;
    bytes[2] = '\x08';
    refuses(bytes, Code::file_magic, "an IDX file of type 8", "a-us");
    CHECK(load_network_trace("/nonexistent/rtt-us.gz").error().error.code == Code::file_missing);
}

TEST_CASE(
    "a message takes half a round trip, rounded up to ticks, and pairs that were not measured are filled in") {
    const NetworkTrace trace = parsed(idx({2, 3, 3},
                                          {0, 100, 0, 200, 0, 0, 30, 0, 0,  //
                                           0, 150, 0, 200, 0, 0, 0, 0, 0},
                                          true),
                                      "a-ms");
    DataNotes notes;
    const auto network = laid(trace, {.nodes = 3, .tick_s = 0.01}, &notes);
    CHECK(times(*network, 0, 1) == std::vector<Time>{5, 8});
    CHECK(times(*network, 1, 0) == std::vector<Time>{10, 10});
    CHECK(times(*network, 2, 0) == std::vector<Time>{2});  // the other slice has none
    CHECK(times(*network, 0, 2) == std::vector<Time>{2});  // as back
    CHECK(times(*network, 1, 2) == std::vector<Time>{8});  // the median of 30, 150 and 200
    CHECK(network->longest() == 10);
    CHECK(counted(notes, "trace_turned_pairs") == 1);
    CHECK(counted(notes, "trace_missing_pairs") == 2);
    CHECK(counted(notes, "trace_nodes") == 3);
    simulation::LinkProfile usual;
    usual.latency = simulation::Latency::constant(100);
    usual.loss = 0.5f;
    const simulation::LinkProfile link = network->profile(2, 0, usual);
    Stream random(1, 0, Purpose::user);
    CHECK(link.latency.draw(random) == 102);
    CHECK(link.loss == 0.5f);
    CHECK(simulation::check(link));
}

TEST_CASE("between nodes that do not hear each other a message is relayed along the best way") {
    const NetworkTrace trace = parsed("src,dst,pdr\n0,1,.5\n1,2,.5\n0,3,.9\n3,2,.8\n2,0,1\n1,0,.25\n3,0,1\n");
    DataNotes notes;
    const auto network = laid(trace, {.nodes = 3}, &notes);
    CHECK(network->profile(0, 1, {}).loss == 0.5f);
    CHECK(network->profile(1, 0, {}).loss == 0.75f);             // its own link, though 1, 2, 0 were better
    CHECK(network->profile(0, 2, {}).loss == Approx(1 - 0.72));  // over node 3, which is not of the fleet
    CHECK(network->profile(2, 1, {}).loss == Approx(0.5));
    CHECK(network->largest_loss() == 0.75f);
    CHECK(counted(notes, "trace_relayed_pairs") == 2);
    CHECK(network->profile(0, 1, simulation::LinkProfile::rounds(1, 1, 0.1f)).loss_limit ==
          simulation::LinkProfile::unbounded);
    const auto apart = TracedNetwork::lay(parsed("src,dst,pdr\n0,1,1\n1,0,1\n2,0,1\n"), {.nodes = 3}, nullptr);
    REQUIRE_FALSE(apart);
    CHECK_THAT(apart.error().text, Catch::Contains("nothing that node 0 says ever reaches node 2"));
}

TEST_CASE("a fleet larger than a trace of links is refused with both numbers, and devices are taken again") {
    const NetworkTrace trace = parsed("0 1\n1 0\n");
    const auto alone = TracedNetwork::lay(trace, {.nodes = 3}, nullptr);
    REQUIRE_FALSE(alone);
    CHECK_THAT(alone.error().text, Catch::Contains("it has 2 nodes, and the fleet 3; use at most 2"));
    const auto served = TracedNetwork::lay(trace, {.nodes = 2, .server = true}, nullptr);
    REQUIRE_FALSE(served);
    CHECK_THAT(served.error().text, Catch::Contains("the fleet 3 with its server; use at most 1 and the server"));

    const NetworkTrace phones = parsed("speed\n8\n4\n2\n1\n");
    DataNotes notes;
    CHECK(laid(phones, {.nodes = 6}, &notes)->paces() == std::vector<float>{0.5, 1, 2, 4, 0.5, 1});
    CHECK(counted(notes, "trace_repeated_nodes") == 2);
    CHECK(laid(phones, {.nodes = 2})->paces() == std::vector<float>{0.5, 2});  // evenly over the file
    CHECK(laid(phones, {.nodes = 2, .fastest_is_one = true})->paces() == std::vector<float>{1, 4});
}

TEST_CASE("a listed latency is one of its list, each as often as the others, and an empty list is refused") {
    const Time list[] = {3, 5, 9};
    const simulation::Latency latency = simulation::Latency::listed(1, list);
    Stream random(7, 0, Purpose::user);
    int seen[3] = {};
    for (int k = 0; k < 3000; ++k) {
        const auto found = std::ranges::find(list, latency.draw(random) - 1);
        REQUIRE(found != std::end(list));
        ++seen[found - list];
    }
    for (const int count : seen) CHECK(count > 900);
    CHECK_FALSE(simulation::check({.latency = simulation::Latency::listed(0, {})}));
}

TEST_CASE("the measured traces are read as their authors describe them") {
    if (const std::string file = measured_file("rtt-planetlab-seattle/planetlab-rtt-us-idx3-int.gz");
        !file.empty()) {
        const auto trace = load_network_trace(file);
        REQUIRE(trace);
        CHECK(trace->nodes == 490);
        CHECK(trace->slices == 5);
        DataNotes notes;
        const auto network = laid(*trace, {.nodes = 490, .tick_s = 1e-3}, &notes);
        CHECK(counted(notes, "trace_missing_pairs") == -1);  // complete
        const float longest_ms = *std::ranges::max_element(trace->round_trip_ms);
        CHECK(longest_ms == Approx(2984).margin(1));
        CHECK(network->longest() == static_cast<Time>(std::ceil(longest_ms / 2)));
    }
    if (const std::string file = measured_file("rtt-planetlab-seattle/seattle-rtt-10ms-idx3-short.gz");
        !file.empty()) {
        const auto trace = load_network_trace(file);
        REQUIRE(trace);
        CHECK(trace->nodes == 99);
        CHECK(trace->slices == 172);
        CHECK(*std::ranges::max_element(trace->round_trip_ms) == Approx(90'500).margin(100));
    }
    if (const std::string file = measured_file("wsn-grenoble-k7/grenoble.k7.gz"); !file.empty()) {
        const auto k7 = load_network_trace(file),
                   links = load_network_trace(measured_file("wsn-grenoble-k7/links.csv.gz"));
        REQUIRE(k7);
        REQUIRE(links);
        CHECK(k7->nodes == 50);
        CHECK(links->nodes == 50);
        float apart = 0.0f;
        for (std::size_t k = 0; k < k7->delivery.size(); ++k)
            apart = std::max(apart, std::abs(k7->delivery[k] - links->delivery[k]));
        CHECK(apart < 1e-4f);
        CHECK(std::ranges::count_if(k7->delivery, [](float p) { return p > 0.9f; }) == 206);
        DataNotes notes;
        laid(*k7, {.nodes = 50}, &notes);
        CHECK(counted(notes, "trace_relayed_pairs") == 2450 - 477);
    }
    if (const std::string file = measured_file("phone-speeds/phones.csv"); !file.empty()) {
        const auto trace = load_network_trace(file);
        REQUIRE(trace);
        CHECK(trace->nodes == 333);
        CHECK(*std::ranges::min_element(trace->speed) == 105.0f);
        CHECK(*std::ranges::max_element(trace->speed) == 4310.0f);
    }
}
