// SPDX-License-Identifier: Apache-2.0
// Any bytes on a serial line, bare or as fragments with the right checksum: both roles stay within their memory,
// say nothing longer than a fragment, and take a message afterwards.
#include "fuzz.hpp"
#include "transport/serial/serial_line.hpp"

#include <algorithm>
#include <array>

using namespace dunlin;

namespace {

void turn(SerialLine& line, std::int64_t now, std::vector<std::uint8_t>& said) {
    for (auto bytes = line.next(now); !bytes.empty(); bytes = line.next(now)) {
        fuzz::require(bytes.size() <= Fragment::line_bytes);
        said.insert(said.end(), bytes.begin(), bytes.end());
        fuzz::require(said.size() < 1'000'000);
    }
}

using Line = std::array<std::uint8_t, Fragment::line_bytes>;

std::size_t write(const Fragment& fragment, std::uint32_t session, Line& line) {
    PlainGuard guard;
    guard.begin(session, false, {});
    std::array<std::uint8_t, Fragment::raw_bytes> room;
    const auto raw = write_head(fragment, room);
    return write_line(raw, guard.tag(raw, true, fragment.bound(), 0), line);
}

std::span<const std::byte> bytes_of(const std::uint32_t& session) {
    return std::as_bytes(std::span(&session, 1));
}

/// Up to 14 bytes of input as a fragment of the session that `line` is in.
std::size_t make_fragment(std::span<const std::uint8_t> input, std::uint32_t session, Line& line,
                          std::size_t& size) {
    const auto byte = [&](std::size_t k) { return k < input.size() ? input[k] : std::uint8_t{0}; };
    std::array<std::byte, Fragment::payload_bytes> payload{};
    for (std::size_t k = 0; k < 9; ++k) payload[k] = std::byte{byte(5 + k)};
    Fragment fragment;
    fragment.kind = static_cast<FragmentKind>(1 + byte(0) % 7);
    const std::uint32_t of = byte(1) < 200 ? session : byte(1);
    fragment.message = byte(2) % 16;
    fragment.index = static_cast<std::uint16_t>(byte(3) % 64 | (byte(4) % 2) << 8);
    fragment.last = byte(4) % 4 < 2;
    fragment.ask = byte(5) % 2 == 0;
    fragment.number = byte(5) / 2 % 8;
    if (fragment.kind == FragmentKind::data) fragment.payload = std::span(payload).first(byte(6) % payload.size());
    if (fragment.kind == FragmentKind::answer) fragment.payload = std::span(payload).first(byte(7) % 12);
    if (!fragment.bound()) fragment.payload = bytes_of(of);
    size = write(fragment, of, line);
    return std::min<std::size_t>(14, input.size());
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::span<const std::uint8_t> input(data, size);
    for (const SerialRole role : {SerialRole::leader, SerialRole::follower}) {
        std::vector<std::byte> inbox(600);
        const std::vector<std::byte> message(400);
        SerialLine line({.role = role, .inbox = inbox});
        std::vector<std::uint8_t> said;
        std::int64_t now = 0;
        std::size_t at = 0;
        Line fragment;
        // In a session, or the rest would not be looked at.
        const std::uint32_t session = 1;
        Fragment first;
        first.kind = role == SerialRole::leader ? FragmentKind::ready : FragmentKind::start;
        first.payload = bytes_of(session);
        const std::size_t length = write(first, session, fragment);
        for (std::size_t k = 0; k < length; ++k) line.take(fragment[k], now);
        while (at < size) {
            const std::uint8_t choice = input[at++];
            if (choice < 128) {
                std::size_t written = 0;
                at += make_fragment(input.subspan(at), 1, fragment, written);
                for (std::size_t k = 0; k < written; ++k) line.take(fragment[k], now);
            } else {
                const std::size_t count = std::min<std::size_t>(choice - 127u, size - at);
                for (std::size_t k = 0; k < count; ++k) line.take(input[at++], now);
            }
            if (choice % 3 == 0) turn(line, now, said);
            if (choice % 5 == 0 && line.up() && !line.sending()) (void)line.send(message);
            if (choice % 7 == 0) line.release(choice % 2 == 0 ? Code{} : Code::not_durable);
            fuzz::require(line.received().size() <= inbox.size());
            now += choice % 64;
        }
    }
    return 0;
}
