// SPDX-License-Identifier: Apache-2.0
#include "transport/zeromq/server_link.hpp"

#include "transport/zeromq/door.hpp"
#include "transport/zeromq/gatekeeper.hpp"
#include "transport/zeromq/routed_node.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include <fcntl.h>
#include <sys/socket.h>

namespace dunlin {

using zeromq::Connection;
using zeromq::Door;
using zeromq::Flight;
using zeromq::given_number;
using zeromq::key_from;
using zeromq::Node;
using zeromq::Parcel;
using zeromq::Part;
using zeromq::Relay;
using zeromq::Socket;
using zeromq::Wake;

namespace {

constexpr std::size_t insecure_id_bytes = 33;
constexpr int retry_ms = 10;

Error system_error() {
    return {Code::link_failed, errno, 0};
}

}  // namespace

struct ServerLink::Implementation {
    ServerLinkSettings settings;
    LinkContext context;
    std::unique_ptr<zeromq::Gatekeeper> gatekeeper;
    std::shared_ptr<Wake> wake = std::make_shared<Wake>();
    std::unique_ptr<Door> door;
    Socket router;  // after the door: see ~Socket
    std::string endpoint;
    std::map<PublicKey, Node> nodes;
    std::vector<PublicKey> ended;  ///< whose connection was over before it was noted
    LinkCounters before;           ///< of doors before this one
    std::size_t relay_bytes = 0;
    bool wants_room = false;  ///< a message was not sent: busy
    LinkCounters counters;

    explicit Implementation(ServerLinkSettings from)
        : settings(std::move(from)),
          context(settings.threads, 64),
          gatekeeper(std::make_unique<zeromq::Gatekeeper>(context)) {}

    ~Implementation() {
        close();
        context.shut_down();
        gatekeeper.reset();
    }

    Result<void> open();
    Result<void> listen(int descriptor);
    void close();
    Result<void> relisten(std::size_t message_bytes);
    std::optional<PublicKey> sender(Part& id, Part& body);
    bool accept(const PublicKey& key, Part& id, Part& body, bool& first);
    void cut_revoked();
    int send(Node& node, const Parcel& parcel);
    void flush(Node& node);
    bool any_relay() const;
};

Result<void> ServerLink::Implementation::open() {
    if (!is_endpoint(settings.endpoint)) return fail(Code::bad_endpoint);
    if (settings.insecure && !is_loopback(settings.endpoint)) return fail(Code::not_loopback);
    return listen(-1);
}

/// On a socket that listens already, which it takes over, or on a new one.
Result<void> ServerLink::Implementation::listen(int descriptor) {
    // Enough for a log, a snapshot and whatever else is opened now and then, and for those whom the system has
    // accepted before they are looked at.
    const std::size_t left = zeromq::Descriptors::now().left();
    const int backlog = std::clamp(static_cast<int>(left / 8), 4, settings.backlog);
    Door::Limits limits;
    limits.held_back = static_cast<std::size_t>(backlog) + 4;
    const std::size_t reserve = std::max<std::size_t>(left / 8, 16) + limits.held_back;
    limits.connections = std::max<std::size_t>(left - std::min(left, reserve), 4);
    limits.strangers = std::clamp<std::size_t>(limits.connections / 2, 4, 512);
    limits.stranger_bytes = std::max(std::size_t{64} << 20, 2 * settings.message_bytes);
    router = Socket(context, ZMQ_ROUTER);
    constexpr std::string_view domain = "dunlin";
    bool set = router &&
               zeromq::apply(router, settings.endpoint, settings.timing, settings.message_bytes, settings.queue) &&
               router.set(ZMQ_BACKLOG, backlog) && router.set(ZMQ_ROUTER_MANDATORY, 1) &&
               router.set(ZMQ_ROUTER_HANDOVER, settings.insecure ? 1 : 0);
    if (!settings.insecure) {
        set = set && router.set(ZMQ_CURVE_SERVER, 1) &&
              router.set(ZMQ_CURVE_SECRETKEY, settings.keys.secret_key()) &&
              router.set(ZMQ_ZAP_DOMAIN, std::as_bytes(std::span(domain)));
    }
    if (descriptor >= 0) set = set && router.set(ZMQ_USE_FD, descriptor);
    if (!set || !*gatekeeper) return tl::unexpected(system_error());
    door = std::make_unique<Door>(context, router, limits, wake);
    if (!*door) return tl::unexpected(system_error());
    if (zmq_bind(router.native(), settings.endpoint.c_str()) != 0) {
        return errno == EINVAL || errno == ENODEV ? fail(Code::bad_endpoint) : tl::unexpected(system_error());
    }
    endpoint = router.last_endpoint();
    return {};
}

void ServerLink::Implementation::close() {
    router = Socket();
    if (!door) return;
    const Door::Counters seen = door->counters();
    before.handshakes_failed += seen.handshakes_failed;
    before.ended += seen.ended;
    before.strangers_cut += seen.strangers_cut;
    before.pauses += seen.pauses;
    door.reset();
}

/// Libzmq's limits are those of when it began to listen. All connections end, and are made again by those who dial.
Result<void> ServerLink::Implementation::relisten(std::size_t message_bytes) {
    const int listener = fcntl(door->listener(), F_DUPFD_CLOEXEC, 0);  // so that nobody else takes the port
    if (listener < 0) return tl::unexpected(system_error());
    settings.message_bytes = message_bytes;
    settings.endpoint = endpoint;
    close();
    for (auto& [key, node] : nodes) {
        node.connection = {};
        node.heard = node.reachable = false;
    }
    return listen(listener);
}

/// Who says it: the key that the connection proved to own, or in plain text the one that it claims.
std::optional<PublicKey> ServerLink::Implementation::sender(Part& id, Part& body) {
    if (settings.insecure)
        return id.text().size() == insecure_id_bytes ? key_from(id.text().substr(1)) : std::nullopt;
    if (!given_number(id.text())) return std::nullopt;
    const auto key = parse_public_key(body.property("User-Id"));
    return key ? std::optional(*key) : std::nullopt;
}

/// Takes note of the connection; false for one that another took the place of.
bool ServerLink::Implementation::accept(const PublicKey& key, Part& id, Part& body, bool& first) {
    if (!gatekeeper->admits(key)) return false;
    Node& node = nodes[key];
    Connection& connection = node.connection;
    const int descriptor = body.descriptor();
    const bool same = connection.routing_id == id.text() && connection.descriptor == descriptor;
    if (same) return node.heard;
    // Libzmq counts connections: what comes on an older one than the newest is late.
    if (!settings.insecure && !connection.routing_id.empty()) {
        const std::uint32_t age = *given_number(id.text()) - *given_number(connection.routing_id);
        if (static_cast<std::int32_t>(age) < 0) return false;
        if (node.reachable) connection.cut();
    }
    connection = {std::string(id.text()), descriptor, zeromq::peer_of(descriptor)};
    // What was under way on the connection before may never be reported as arrived: nobody waits for it.
    for (auto& [members, relay] : node.relays) relay.flight = std::make_shared<Flight>(wake);
    node.heard = node.reachable = first = true;
    if (!door->know(descriptor, connection.peer, key)) ended.push_back(key);
    return true;
}

void ServerLink::Implementation::cut_revoked() {
    for (const PublicKey& key : gatekeeper->take_revoked()) {
        const auto found = nodes.find(key);
        if (found == nodes.end()) continue;
        found->second.connection.cut();
        for (const auto& [members, relay] : found->second.relays) relay_bytes -= relay.waiting.bytes().size();
        nodes.erase(found);
    }
}

/// 0 or an errno.
int ServerLink::Implementation::send(Node& node, const Parcel& parcel) {
    if (!node.reachable) return EHOSTUNREACH;
    if (const int problem = zeromq::send_part(router.native(), node.connection.routing_id); problem != 0) {
        if (problem == EHOSTUNREACH) node.reachable = false;
        return problem;
    }
    if (settings.observer) settings.observer(Direction::sent, parcel.bytes());
    ++counters.sent;
    counters.sent_bytes += parcel.bytes().size();
    return zeromq::send(router.native(), parcel);
}

void ServerLink::Implementation::flush(Node& node) {
    for (auto& [members, relay] : node.relays) {
        const std::size_t bytes = relay.waiting.bytes().size();
        if (bytes == 0 || relay.flight->busy) continue;
        relay.waiting.flight = relay.flight;
        const int problem = send(node, relay.waiting);
        if (problem == EAGAIN) return;
        relay.waiting = {};
        relay_bytes -= bytes;
    }
    std::erase_if(node.relays, [](const auto& entry) {
        return entry.second.waiting.bytes().empty() && !entry.second.flight->busy;
    });
}

bool ServerLink::Implementation::any_relay() const {
    return relay_bytes > 0;
}

ServerLink::ServerLink(std::unique_ptr<Implementation> implementation)
    : implementation_(std::move(implementation)) {}
ServerLink::ServerLink(ServerLink&&) noexcept = default;
ServerLink& ServerLink::operator=(ServerLink&&) noexcept = default;
ServerLink::~ServerLink() = default;

Result<ServerLink> ServerLink::open(ServerLinkSettings settings) {
    constexpr std::size_t own_descriptors = 40;  // libzmq ends the process where it needs one and there is none
    if (zeromq::Descriptors::now().left() < own_descriptors) return fail(Code::link_failed, EMFILE);
    auto implementation = std::make_unique<Implementation>(std::move(settings));
    if (auto opened = implementation->open(); !opened) return tl::unexpected(opened.error());
    return ServerLink(std::move(implementation));
}

const std::string& ServerLink::endpoint() const {
    return implementation_->endpoint;
}

void ServerLink::admit(const PublicKey& key) {
    implementation_->gatekeeper->admit(key);
}

void ServerLink::revoke(const PublicKey& key) {
    implementation_->gatekeeper->revoke(key);
    wake();
}

void ServerLink::disconnect(const PublicKey& key) {
    const auto found = implementation_->nodes.find(key);
    if (found == implementation_->nodes.end()) return;
    found->second.connection.cut();
    found->second.heard = found->second.reachable = false;
}

Result<void> ServerLink::allow(std::size_t message_bytes) {
    Implementation& link = *implementation_;
    return message_bytes <= link.settings.message_bytes ? Result<void>{} : link.relisten(message_bytes);
}

std::vector<PublicKey> ServerLink::take_broken() {
    Implementation& link = *implementation_;
    std::vector<PublicKey> broken = std::exchange(link.ended, {});
    for (const Door::Ended& over : link.door->take_ended()) {
        const auto found = link.nodes.find(over.key);
        if (found == link.nodes.end()) continue;
        const Connection& newest = found->second.connection;
        if (newest.descriptor == over.descriptor && newest.peer == over.peer) broken.push_back(over.key);
    }
    for (const PublicKey& key : broken) {
        const auto found = link.nodes.find(key);
        if (found != link.nodes.end()) found->second.heard = found->second.reachable = false;
    }
    return broken;
}

void ServerLink::poll(int timeout_ms) {
    Implementation& link = *implementation_;
    // Libzmq does not tell when there is room for one node of many.
    const bool soon = std::exchange(link.wants_room, false) || link.any_relay();
    if (soon && (timeout_ms < 0 || timeout_ms > retry_ms)) timeout_ms = retry_ms;
    zmq_pollitem_t items[] = {{link.router.native(), 0, ZMQ_POLLIN, 0},
                              {nullptr, link.wake->descriptor(), ZMQ_POLLIN, 0}};
    zmq_poll(items, std::size(items), timeout_ms);
    if (items[1].revents != 0) link.wake->lower();
    link.cut_revoked();
    if (!link.any_relay()) return;
    for (auto& [key, node] : link.nodes) link.flush(node);
}

void ServerLink::wake() const {
    implementation_->wake->raise();
}

bool ServerLink::receive(Incoming& incoming) {
    Implementation& link = *implementation_;
    link.cut_revoked();
    Part id;
    while (id.receive(link.router.native())) {
        auto body = std::make_unique<Part>();
        if (!id.more() || !body->receive(link.router.native())) continue;
        const bool single = !body->drop_rest(link.router.native());
        const auto key = link.sender(id, *body);
        incoming.first = false;
        if (!key || !link.accept(*key, id, *body, incoming.first)) continue;
        incoming.from = *key;
        ++link.counters.received;
        link.counters.received_bytes += body->bytes().size();
        if (link.settings.observer) link.settings.observer(Direction::received, body->bytes());
        if (single) {
            incoming.message = decode_frame(Part::frame(std::move(body)));
        } else {
            incoming.message = fail(Code::message_malformed, static_cast<std::int64_t>(body->bytes().size()));
        }
        if (!incoming.message) ++link.counters.malformed;
        return true;
    }
    return false;
}

Result<void> ServerLink::send(const PublicKey& to, const Message& message) {
    auto frame = encode_frame(message);
    if (!frame) return tl::unexpected(frame.error());
    return send_frame(to, std::make_shared<const Frame>(std::move(*frame)));
}

Result<void> ServerLink::send_frame(const PublicKey& to, const std::shared_ptr<const Frame>& frame) {
    Implementation& link = *implementation_;
    const auto found = link.nodes.find(to);
    if (found == link.nodes.end()) return fail(Code::not_connected);
    const int problem = link.send(found->second, {frame, {}});
    if (problem == 0) return {};
    if (problem != EAGAIN) return fail(Code::not_connected);
    ++link.counters.busy;
    link.wants_room = true;
    return fail(Code::busy, link.settings.queue, link.settings.queue);
}

Result<void> ServerLink::relay(const PublicKey& to, DecodedMessage share) {
    Implementation& link = *implementation_;
    const auto* values = std::get_if<ShareMessage>(&share.message().body);
    const auto found = link.nodes.find(to);
    if (values == nullptr || found == link.nodes.end() || !found->second.reachable)
        return fail(Code::not_connected);
    const std::pair members{values->from, values->to};
    Node& node = found->second;
    Relay& relay = node.relays[members];
    if (!relay.flight) relay.flight = std::make_shared<Flight>(link.wake);
    const std::size_t before = relay.waiting.bytes().size(), after = share.bytes().size();
    if (link.relay_bytes - before + after > link.settings.relay_bytes) {
        ++link.counters.busy;
        return fail(Code::busy, static_cast<std::int64_t>(link.relay_bytes),
                    static_cast<std::int64_t>(link.settings.relay_bytes));
    }
    if (before > 0) ++link.counters.replaced;
    relay.waiting.frame = std::make_shared<const Frame>(std::move(share).release());
    link.relay_bytes += after - before;
    link.flush(node);
    return {};
}

bool ServerLink::connected(const PublicKey& key) const {
    const auto found = implementation_->nodes.find(key);
    return found != implementation_->nodes.end() && found->second.reachable;
}

LinkCounters ServerLink::counters() const {
    LinkCounters counters = implementation_->counters;
    counters.keys_refused = implementation_->gatekeeper->refused();
    const Door::Counters seen = implementation_->door->counters();
    counters.handshakes_failed = implementation_->before.handshakes_failed + seen.handshakes_failed;
    counters.ended = implementation_->before.ended + seen.ended;
    counters.strangers_cut = implementation_->before.strangers_cut + seen.strangers_cut;
    counters.pauses = implementation_->before.pauses + seen.pauses;
    return counters;
}

void* ServerLink::socket() const {
    return implementation_->router.native();
}

}  // namespace dunlin
