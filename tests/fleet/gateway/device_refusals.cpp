// SPDX-License-Identifier: Apache-2.0
// What a board's node is told that is no use to it: each is refused with a code over the wire, and it goes on.
#include "host_device.hpp"
#include "transport/encoding.hpp"

#include <deque>

#include <catch2/catch.hpp>

using namespace dunlin;
using namespace dunlin::test;

namespace {

using Bytes = std::vector<std::byte>;

/// The gateway's end of the line; every fragment that leaves it arrives twice.
struct Leader {
    std::vector<std::uint64_t> memory = std::vector<std::uint64_t>(512);
    SerialLine line{{.role = SerialRole::leader, .inbox = std::as_writable_bytes(std::span(memory))}};
    std::deque<std::uint8_t> on_the_way;
    std::deque<std::vector<std::uint64_t>> heard;

    bool read(std::uint8_t& byte) {
        if (const auto message = line.received(); !message.empty()) {
            heard.emplace_back((message.size() + 7) / 8);
            std::memcpy(heard.back().data(), message.data(), message.size());
            line.release();
        }
        if (on_the_way.empty()) {
            const auto fragment = line.next(dunlin_clock_ms());
            for (int copy = 0; copy < 2; ++copy)
                on_the_way.insert(on_the_way.end(), fragment.begin(), fragment.end());
        }
        if (on_the_way.empty()) return false;
        byte = on_the_way.front();
        on_the_way.pop_front();
        return true;
    }
};
Leader* leader = nullptr;

struct Port {
    static bool stopped() { return false; }
    static bool read(std::uint8_t& byte) { return leader->read(byte); }
    template <class Meanwhile>
    static void write(std::uint8_t byte, Meanwhile&&) {
        leader->line.take(byte, dunlin_clock_ms());
    }
    static std::uint32_t deepest_stack() { return 0; }
};
using Node = device::SerialNode<PullLearner, Port, device::NodeLimits{.neighbours = 3, .audit = false}>;

struct Line {
    Leader end;
    PullLearner learner;
    std::unique_ptr<Node> node;

    Line() {
        leader = &end;
        node = std::make_unique<Node>(learner, "device");
        until([&] { return end.line.up(); });
    }
    template <class Done>
    void until(Done&& done) {
        for (int turns = 0; turns < 2'000'000; ++turns) {
            if (done()) return;
            node->turn();
        }
        FAIL("the node does not go on");
    }
    Code say(std::span<const std::byte> head, const Bytes& body) {
        REQUIRE(end.line.send(head, body));
        until([&] { return !end.line.sending(); });
        return end.line.refusal();
    }
    Code say(SerialKind kind, const Bytes& body = {}) { return say(SerialHead::of(kind), body); }
    Code say(const MessageBody& body) { return say(SerialKind::fleet, encoded(body)); }
    static Bytes encoded(const MessageBody& body) {
        const Message message{{7, coordinator_number, 1, 0}, body};
        std::vector<std::uint64_t> words(flat_bytes(message) / 8 + 2);
        const auto flat = encode_flat(message, std::as_writable_bytes(std::span(words)));
        return {flat.value().begin(), flat.value().end()};
    }
    /// The next message of this kind that the node says.
    template <class Body>
    Body told() {
        for (;;) {
            until([&] { return !end.heard.empty(); });
            last_ = std::move(end.heard.front());
            end.heard.pop_front();
            const auto bytes = std::as_bytes(std::span(last_));
            if (SerialHead::kind(bytes) != SerialKind::fleet) continue;
            const auto message = decode_flat(bytes.subspan(SerialHead::bytes));
            if (message && std::holds_alternative<Body>(message->body)) return std::get<Body>(message->body);
        }
    }

private:
    std::vector<std::uint64_t> last_;
};

JobOffer offer(std::uint32_t dimension) {
    JobOffer offer;
    offer.terms.dimension = dimension;
    offer.terms.aggregation = Aggregation::federated;
    offer.terms.members = 2;
    return offer;
}

}  // namespace

TEST_CASE("a device refuses what is of no use to it with a code over the wire, and goes on") {
    Line line;
    CHECK(line.say(Welcome{}) == Code::not_connected);  // before it was told what was kept
    CHECK(line.say(SerialKind::restore, Bytes(100)) == Code::state_size);
    CHECK(line.say(SerialKind::restore, Bytes(1000, std::byte{7})) == Code::state_mismatch);
    CHECK(line.say(SerialKind::restore, Bytes(100'000)) == Code::message_too_long);
    CHECK(line.say(SerialKind::nothing_kept) == Code{});
    CHECK(line.say(SerialKind::online) == Code{});
    CHECK(line.told<Join>().software == "device");

    CHECK(line.say(offer(48)) == Code::not_joined);
    CHECK(line.say(Welcome{}) == Code{});
    CHECK(line.say(SerialKind{99}) == Code::message_unknown);
    CHECK(line.say(Bytes(3, std::byte{1}), {}) == Code::message_unknown);
    CHECK(line.say(SerialKind::fleet) == Code::message_malformed);
    CHECK(line.say(SerialKind::fleet, Bytes(200, std::byte{0x5a})) == Code::message_malformed);
    CHECK(line.say(SerialKind::fleet, Bytes(5000)) == Code::message_too_long);
    const Bytes whole = Line::encoded(offer(48));
    for (std::size_t size = 0; size < whole.size(); size += 24) {
        const Bytes cut_short(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
        CHECK(line.say(SerialKind::fleet, cut_short) == Code::message_malformed);
    }

    CHECK(line.say(offer(4800)) == Code::job_too_large);
    const JobAnswer too_large = line.told<JobAnswer>();
    CHECK_FALSE(too_large.accepted);
    CHECK(too_large.refusal.code == Code::job_too_large);
    CHECK(line.say(offer(40)) == Code{});
    const JobAnswer other_shape = line.told<JobAnswer>();
    CHECK(other_shape.refusal == Error{Code::shape_mismatch, 40, 48});
    JobOffer strange = offer(48);
    strange.terms.objective = Objective::maml;
    line.until([&] { return line.node->session().job() == 0; });
    CHECK(line.say(strange) == Code{});
    CHECK(line.told<JobAnswer>().refusal.code == Code::job_not_understood);

    line.until([&] { return line.node->session().job() == 0; });
    CHECK(line.say(offer(48)) == Code{});
    CHECK(line.told<JobAnswer>().accepted);
    line.told<ModelRequest>();
    const std::vector<float> model(48), longer(50), wrong(48, std::numeric_limits<float>::quiet_NaN());
    CHECK(line.say(Model{1, view_values(longer)}) == Code::shape_mismatch);
    CHECK(line.say(Model{1, view_values(wrong)}) == Code::not_finite);
    CHECK(line.say(Model{1, view_values(model)}) == Code{});
    CHECK(line.told<ModelUpdate>().values.count == 48);
}
