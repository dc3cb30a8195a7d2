// SPDX-License-Identifier: Apache-2.0
#include "transport/zeromq/node_link.hpp"

#include "transport/zeromq/dialler.hpp"
#include "transport/zeromq/door.hpp"
#include "transport/zeromq/server_link.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <map>
#include <utility>
#include <vector>

namespace dunlin {

using zeromq::Dialler;
using zeromq::Flight;
using zeromq::Parcel;
using zeromq::Part;
using zeromq::Wake;

namespace {

std::int64_t now_ms() {
    using namespace std::chrono;
    return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
}

/// Another member of the job.
struct Peer {
    std::string endpoint;
    PublicKey key = {};
    std::optional<Dialler> dialler;
    Parcel waiting = {};             ///< the newest share for it
    std::shared_ptr<Flight> flight;  ///< the one before
};

}  // namespace

struct NodeLink::Implementation {
    NodeLinkSettings settings;
    std::shared_ptr<LinkContext> context;
    std::shared_ptr<Wake> wake = std::make_shared<Wake>();
    Dialler coordinator;
    bool announced = false;   ///< `up` of the present connection was received by the caller
    bool wants_room = false;  ///< the last message was not sent: busy
    std::optional<ServerLink> listener;
    std::string listening;
    std::map<std::uint32_t, Peer> peers;
    std::map<PublicKey, std::uint32_t> members;
    LinkCounters counters;

    explicit Implementation(NodeLinkSettings from)
        : settings(std::move(from)),
          context(settings.context ? settings.context : make_link_context(256)),
          coordinator(*context, to_coordinator(), settings.keys) {}

    zeromq::DialSettings to_coordinator() const {
        zeromq::DialSettings dial = dial_settings(settings.endpoint, settings.server_key, settings.queue);
        dial.others = settings.others;
        return dial;
    }

    zeromq::DialSettings dial_settings(const std::string& endpoint, const PublicKey& key, int queue) const {
        return {endpoint,
                key,
                settings.insecure,
                settings.message_bytes,
                queue,
                settings.first_backoff_ms,
                settings.longest_backoff_ms,
                settings.timing,
                settings.look_up,
                {}};
    }

    Result<void> open();
    int send(const Dialler& to, const Parcel& parcel);
    bool relays(const Peer& peer) const;
    void flush(Peer& peer);
    bool receive_from_coordinator(Arrival& arrival);
    bool receive_from_peers(Arrival& arrival);
    bool receive_receipts(Arrival& arrival);
    void step_peers();
};

Result<void> NodeLink::Implementation::open() {
    std::vector<std::string> dialled = settings.others;
    dialled.push_back(settings.endpoint);
    for (const std::string& endpoint : dialled) {
        if (!is_dialled_endpoint(endpoint)) return fail(Code::bad_endpoint);
        if (settings.insecure && !is_loopback(endpoint)) return fail(Code::not_loopback);
    }
    if (settings.listen.empty()) return {};
    ServerLinkSettings listening_settings{.endpoint = settings.listen, .keys = settings.keys};
    listening_settings.insecure = settings.insecure;
    listening_settings.message_bytes = settings.share_bytes;
    listening_settings.queue = 2;
    listening_settings.timing = settings.timing;
    listening_settings.observer = settings.observer;
    auto opened = ServerLink::open(std::move(listening_settings));
    if (!opened) return tl::unexpected(opened.error());
    listener = std::move(*opened);
    listening = listener->endpoint();
    return {};
}

/// 0 or an errno.
int NodeLink::Implementation::send(const Dialler& to, const Parcel& parcel) {
    if (const int problem = zeromq::send(to.socket().native(), parcel); problem != 0) return problem;
    if (settings.observer) settings.observer(Direction::sent, parcel.bytes());
    ++counters.sent;
    counters.sent_bytes += parcel.bytes().size();
    return 0;
}

/// Does a share for it wait for the way through the coordinator?
bool NodeLink::Implementation::relays(const Peer& peer) const {
    const bool direct = peer.dialler && peer.dialler->state() == Dialler::State::up;
    return !peer.waiting.bytes().empty() && !peer.flight->busy && !direct && announced &&
           coordinator.state() == Dialler::State::up;
}

void NodeLink::Implementation::flush(Peer& peer) {
    if (peer.waiting.bytes().empty() || peer.flight->busy) return;
    peer.waiting.flight = peer.flight;
    if (relays(peer)) {
        if (send(coordinator, peer.waiting) == 0) peer.waiting = {};
    } else if (peer.dialler && peer.dialler->state() == Dialler::State::up) {
        if (send(*peer.dialler, peer.waiting) == 0) peer.waiting = {};
    }
}

bool NodeLink::Implementation::receive_from_coordinator(Arrival& arrival) {
    // What arrived before a connection was lost comes first.
    while (announced) {
        auto part = std::make_unique<Part>();
        if (!part->receive(coordinator.socket().native())) break;
        const bool single = !part->drop_rest(coordinator.socket().native());
        ++counters.received;
        counters.received_bytes += part->bytes().size();
        if (settings.observer) settings.observer(Direction::received, part->bytes());
        auto decoded = decode_frame(Part::frame(std::move(part)));
        if (single && decoded) {
            arrival = {Arrival::Kind::message, std::move(*decoded), {}};
            return true;
        }
        ++counters.malformed;
    }
    const auto change = coordinator.step(now_ms());
    if (!change) return false;
    announced = change->up;
    // What was under way on the connection before may never be reported as arrived: nobody waits for it.
    for (auto& [member, peer] : peers) {
        if (peer.flight) peer.flight = std::make_shared<Flight>(wake);
    }
    arrival = {change->up ? Arrival::Kind::up : Arrival::Kind::down, {}, change->reason};
    return true;
}

/// Shares of members, from the member that they are of.
bool NodeLink::Implementation::receive_from_peers(Arrival& arrival) {
    Incoming incoming;
    while (listener && listener->receive(incoming)) {
        if (!incoming.message) continue;
        const auto* share = std::get_if<ShareMessage>(&incoming.message->message().body);
        const auto member = members.find(incoming.from);
        if (share != nullptr && member != members.end() && member->second == share->from) {
            arrival = {Arrival::Kind::message, std::move(*incoming.message), {}};
            return true;
        }
        ++counters.malformed;
    }
    return false;
}

/// What comes back on connections that shares go out on.
bool NodeLink::Implementation::receive_receipts(Arrival& arrival) {
    for (auto& [member, peer] : peers) {
        if (!peer.dialler || peer.dialler->state() != Dialler::State::up) continue;
        void* const socket = peer.dialler->socket().native();
        for (auto part = std::make_unique<Part>(); part->receive(socket); part = std::make_unique<Part>()) {
            const bool single = !part->drop_rest(socket);
            ++counters.received;
            counters.received_bytes += part->bytes().size();
            if (settings.observer) settings.observer(Direction::received, part->bytes());
            auto decoded = decode_frame(Part::frame(std::move(part)));
            const auto* receipt = single && decoded ? std::get_if<ShareReceipt>(&decoded->message().body) : nullptr;
            if (receipt != nullptr && receipt->to == member) {
                arrival = {Arrival::Kind::message, std::move(*decoded), {}};
                return true;
            }
            ++counters.malformed;
        }
    }
    return false;
}

void NodeLink::Implementation::step_peers() {
    const std::int64_t now = now_ms();
    for (auto& [member, peer] : peers) {
        while (peer.dialler && peer.dialler->step(now)) peer.flight = std::make_shared<Flight>(wake);
        flush(peer);
    }
}

NodeLink::NodeLink(std::unique_ptr<Implementation> implementation) : implementation_(std::move(implementation)) {}
NodeLink::NodeLink(NodeLink&&) noexcept = default;
NodeLink& NodeLink::operator=(NodeLink&&) noexcept = default;
NodeLink::~NodeLink() = default;

Result<NodeLink> NodeLink::open(NodeLinkSettings settings) {
    constexpr std::size_t own_descriptors = 24;  // libzmq ends the process where it needs one and there is none
    if (zeromq::Descriptors::now().left() < own_descriptors) return fail(Code::link_failed, EMFILE);
    auto implementation = std::make_unique<Implementation>(std::move(settings));
    if (auto opened = implementation->open(); !opened) return tl::unexpected(opened.error());
    return NodeLink(std::move(implementation));
}

void NodeLink::poll(int timeout_ms) {
    Implementation& link = *implementation_;
    std::vector<zmq_pollitem_t> items = {{nullptr, link.wake->descriptor(), ZMQ_POLLIN, 0}};
    std::int64_t due = link.coordinator.due_ms();
    const auto watch = [&](const Dialler& dialler) {
        if (dialler.monitor()) items.push_back({dialler.monitor().native(), 0, ZMQ_POLLIN, 0});
        due = std::min(due, dialler.due_ms());
    };
    watch(link.coordinator);
    bool room = std::exchange(link.wants_room, false);
    for (const auto& [member, peer] : link.peers) {
        if (peer.dialler) watch(*peer.dialler);
        if (peer.dialler && peer.dialler->state() == Dialler::State::up)
            items.push_back({peer.dialler->socket().native(), 0, ZMQ_POLLIN, 0});
        room = room || link.relays(peer);
    }
    if (link.announced) {
        const int wanted = room ? ZMQ_POLLIN | ZMQ_POLLOUT : ZMQ_POLLIN;
        items.push_back({link.coordinator.socket().native(), 0, static_cast<short>(wanted), 0});
    }
    if (link.listener) items.push_back({link.listener->socket(), 0, ZMQ_POLLIN, 0});
    const std::int64_t left = std::clamp<std::int64_t>(due - now_ms(), 0, 1 << 30);
    const long timeout =
        timeout_ms < 0 ? static_cast<long>(left) : std::min<long>(timeout_ms, static_cast<long>(left));
    zmq_poll(items.data(), static_cast<int>(items.size()), timeout);
    if (items[0].revents != 0) link.wake->lower();
    if (link.listener) {
        (void)link.listener->take_broken();  // running sums make up for what is lost with a connection
        link.listener->poll(0);
    }
    link.step_peers();
}

void NodeLink::wake() const {
    implementation_->wake->raise();
}

bool NodeLink::receive(Arrival& arrival) {
    return implementation_->receive_from_coordinator(arrival) || implementation_->receive_from_peers(arrival) ||
           implementation_->receive_receipts(arrival);
}

Result<void> NodeLink::send(const Message& message) {
    Implementation& link = *implementation_;
    if (!up()) return fail(Code::not_connected);
    auto frame = encode_frame(message);
    if (!frame) return tl::unexpected(frame.error());
    const int problem = link.send(link.coordinator, {std::make_shared<const Frame>(std::move(*frame)), {}});
    if (problem == 0) return {};
    if (problem != EAGAIN) return fail(Code::not_connected);
    ++link.counters.busy;
    link.wants_room = true;
    return fail(Code::busy, link.settings.queue, link.settings.queue);
}

Result<void> NodeLink::send_to_peer(const Message& share) {
    Implementation& link = *implementation_;
    if (const auto* receipt = std::get_if<ShareReceipt>(&share.body)) {
        const auto peer = link.peers.find(receipt->from);
        const bool direct = link.listener && peer != link.peers.end() && link.listener->connected(peer->second.key);
        return direct ? link.listener->send(peer->second.key, share) : send(share);
    }
    const auto* values = std::get_if<ShareMessage>(&share.body);
    if (values == nullptr) return fail(Code::message_unknown, static_cast<std::int64_t>(share.body.index()));
    auto frame = encode_frame(share);
    if (!frame) return tl::unexpected(frame.error());
    Peer& peer = link.peers[values->to];
    if (!peer.flight) peer.flight = std::make_shared<Flight>(link.wake);
    if (!peer.waiting.bytes().empty()) ++link.counters.replaced;
    peer.waiting = {std::make_shared<const Frame>(std::move(*frame)), {}};
    if (!peer.dialler && is_endpoint(peer.endpoint) && (!link.settings.insecure || is_loopback(peer.endpoint)))
        peer.dialler.emplace(*link.context, link.dial_settings(peer.endpoint, peer.key, 2), link.settings.keys);
    link.flush(peer);
    return {};
}

void NodeLink::set_peers(std::span<const PeerAddress> peers) {
    Implementation& link = *implementation_;
    std::map<std::uint32_t, Peer> kept;
    std::map<PublicKey, std::uint32_t> members;
    for (const PeerAddress& address : peers) {
        PublicKey key{};
        if (address.key.size() != key.size()) continue;
        std::copy(address.key.begin(), address.key.end(), key.begin());
        members[key] = address.member;
        Peer& peer = kept[address.member];
        const auto before = link.peers.find(address.member);
        if (before != link.peers.end()) peer = std::move(before->second);
        if (peer.endpoint != address.endpoint || peer.key != key) peer.dialler.reset();
        peer.endpoint = address.endpoint;
        peer.key = key;
    }
    if (link.listener) {
        for (const auto& [key, member] : link.members) {
            if (!members.contains(key)) link.listener->revoke(key);
        }
        for (const auto& [key, member] : members) link.listener->admit(key);
    }
    link.peers = std::move(kept);
    link.members = std::move(members);
}

Result<void> NodeLink::expect_shares(std::size_t values) {
    Implementation& link = *implementation_;
    constexpr std::size_t around = 4096;
    return link.listener ? link.listener->allow(values * sizeof(Mass) + around) : Result<void>{};
}

void NodeLink::redial() {
    implementation_->coordinator.drop({Code::connection_lost, 0, 0});
    wake();
}

bool NodeLink::up() const {
    return implementation_->announced && implementation_->coordinator.state() == Dialler::State::up;
}

bool NodeLink::reaches(std::uint32_t member) const {
    const auto found = implementation_->peers.find(member);
    return found != implementation_->peers.end() && found->second.dialler &&
           found->second.dialler->state() == Dialler::State::up;
}

const std::string& NodeLink::listening() const {
    return implementation_->listening;
}

LinkCounters NodeLink::counters() const {
    LinkCounters all = implementation_->counters;
    if (!implementation_->listener) return all;
    const LinkCounters peers = implementation_->listener->counters();
    all.received += peers.received;
    all.received_bytes += peers.received_bytes;
    all.malformed += peers.malformed;
    all.keys_refused += peers.keys_refused;
    all.handshakes_failed += peers.handshakes_failed;
    return all;
}

}  // namespace dunlin
