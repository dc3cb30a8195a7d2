// SPDX-License-Identifier: Apache-2.0
#include "transport/zeromq/server_link.hpp"

#include "transport/zeromq/gatekeeper.hpp"

#include <cerrno>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include <sys/socket.h>

namespace dunlin {

using zeromq::Flight;
using zeromq::Parcel;
using zeromq::Part;
using zeromq::Socket;
using zeromq::Wake;

namespace {

constexpr std::size_t insecure_id_bytes = 33;
constexpr int retry_ms = 10;

Error system_error() {
    return {Code::link_failed, errno, 0};
}

/// The other end of a TCP connection, to tell whether a descriptor still means the same one.
std::string peer_of(int descriptor) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    if (getpeername(descriptor, reinterpret_cast<sockaddr*>(&address), &size) != 0) return {};
    return {reinterpret_cast<const char*>(&address), size};
}

/// One connection of a node.
struct Connection {
    std::string routing_id;
    int descriptor = -1;
    std::string peer;

    /// Libzmq has no call that ends one connection of many; the system does.
    void cut() const {
        if (descriptor >= 0 && !peer.empty() && peer_of(descriptor) == peer) shutdown(descriptor, SHUT_RDWR);
    }
};

/// A share that waits for a node, or one under way that the next must not overtake.
struct Relay {
    Parcel waiting = {};
    std::shared_ptr<Flight> flight;
};

struct Node {
    Connection connection;
    bool heard = false;      ///< what the connection brings is taken
    bool reachable = false;  ///< as far as is known, something can be sent on it
    std::map<std::pair<std::uint32_t, std::uint32_t>, Relay> relays;  ///< by members: from, to
};

/// The number in a routing id that libzmq gave; none where the peer named itself.
std::optional<std::uint32_t> given_number(std::string_view id) {
    if (id.size() != 5 || id[0] != 0) return std::nullopt;
    std::uint32_t number = 0;
    for (const char c : id.substr(1)) number = number << 8 | static_cast<unsigned char>(c);
    return number;
}

std::optional<PublicKey> key_from(std::string_view bytes) {
    PublicKey key{};
    if (bytes.size() != key.size()) return std::nullopt;
    std::memcpy(key.data(), bytes.data(), key.size());
    return key;
}

}  // namespace

struct ServerLink::Implementation {
    ServerLinkSettings settings;
    LinkContext context;
    std::unique_ptr<zeromq::Gatekeeper> gatekeeper;
    Socket monitor, router;  // in this order: see ~Socket
    std::shared_ptr<Wake> wake = std::make_shared<Wake>();
    std::string endpoint;
    std::map<PublicKey, Node> nodes;
    std::size_t relay_bytes = 0;
    bool wants_room = false;  ///< a message was not sent: busy
    LinkCounters counters;

    explicit Implementation(ServerLinkSettings from)
        : settings(std::move(from)),
          context(settings.threads, 64),
          gatekeeper(std::make_unique<zeromq::Gatekeeper>(context)) {}

    ~Implementation() {
        router = Socket();
        monitor = Socket();
        context.shut_down();
        gatekeeper.reset();
    }

    Result<void> open();
    std::optional<PublicKey> sender(Part& id, Part& body);
    bool accept(const PublicKey& key, Part& id, Part& body, bool& first);
    void cut_revoked();
    void read_monitor();
    int send(Node& node, const Parcel& parcel);
    void flush(Node& node);
    bool any_relay() const;
};

Result<void> ServerLink::Implementation::open() {
    if (!is_endpoint(settings.endpoint)) return fail(Code::bad_endpoint);
    if (settings.insecure && !is_loopback(settings.endpoint)) return fail(Code::not_loopback);
    router = Socket(context, ZMQ_ROUTER);
    constexpr std::string_view domain = "dunlin";
    bool set = router &&
               zeromq::apply(router, settings.endpoint, settings.timing, settings.message_bytes, settings.queue) &&
               router.set(ZMQ_BACKLOG, settings.backlog) && router.set(ZMQ_ROUTER_MANDATORY, 1) &&
               router.set(ZMQ_ROUTER_HANDOVER, settings.insecure ? 1 : 0);
    if (!settings.insecure) {
        set = set && router.set(ZMQ_CURVE_SERVER, 1) &&
              router.set(ZMQ_CURVE_SECRETKEY, settings.keys.secret_key()) &&
              router.set(ZMQ_ZAP_DOMAIN, std::as_bytes(std::span(domain)));
    }
    if (!set) return tl::unexpected(system_error());
    monitor = zeromq::watch(
        context, router,
        ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_DISCONNECTED);
    if (!monitor) return tl::unexpected(system_error());
    if (zmq_bind(router.native(), settings.endpoint.c_str()) != 0) {
        return errno == EINVAL || errno == ENODEV ? fail(Code::bad_endpoint) : tl::unexpected(system_error());
    }
    endpoint = router.last_endpoint();
    return {};
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
    connection = {std::string(id.text()), descriptor, peer_of(descriptor)};
    node.heard = node.reachable = first = true;
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

void ServerLink::Implementation::read_monitor() {
    zeromq::MonitorEvent event;
    while (zeromq::next_event(monitor.native(), event))
        ++(event.what == ZMQ_EVENT_DISCONNECTED ? counters.ended : counters.handshakes_failed);
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

void ServerLink::poll(int timeout_ms) {
    Implementation& link = *implementation_;
    // Libzmq does not tell when there is room for one node of many.
    const bool soon = std::exchange(link.wants_room, false) || link.any_relay();
    if (soon && (timeout_ms < 0 || timeout_ms > retry_ms)) timeout_ms = retry_ms;
    zmq_pollitem_t items[] = {{link.router.native(), 0, ZMQ_POLLIN, 0},
                              {link.monitor.native(), 0, ZMQ_POLLIN, 0},
                              {nullptr, link.wake->descriptor(), ZMQ_POLLIN, 0}};
    zmq_poll(items, std::size(items), timeout_ms);
    if (items[1].revents != 0) link.read_monitor();
    if (items[2].revents != 0) link.wake->lower();
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
    return counters;
}

void* ServerLink::socket() const {
    return implementation_->router.native();
}

}  // namespace dunlin
