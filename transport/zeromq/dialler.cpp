// SPDX-License-Identifier: Apache-2.0
#include "transport/zeromq/dialler.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace dunlin::zeromq {
namespace {

constexpr int watched = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                        ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
                        ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CLOSED;
constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();

Code reason_of(int event, bool up) {
    switch (event) {
        case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
            return Code::not_admitted;
        case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
        case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
            return Code::handshake_failed;
        default:
            return up ? Code::connection_lost : Code::unreachable;
    }
}

}  // namespace

Dialler::Dialler(LinkContext& context, DialSettings settings, const KeyPair& keys)
    : context_(&context), settings_(std::move(settings)), keys_(&keys) {}

bool Dialler::configure() {
    if (!socket_ || !apply(socket_, dialled_, settings_.timing, settings_.message_bytes, settings_.queue))
        return false;
    // Nothing waits for a connection that is not there, and no connection is made behind our back.
    if (!socket_.set(ZMQ_IMMEDIATE, 1) || !socket_.set(ZMQ_RECONNECT_IVL, -1)) return false;
    if (settings_.insecure) {
        std::array<std::byte, 33> claim{std::byte{'k'}};
        std::copy(keys_->public_key().begin(), keys_->public_key().end(), claim.begin() + 1);
        return socket_.set(ZMQ_ROUTING_ID, claim);
    }
    return socket_.set(ZMQ_CURVE_SERVERKEY, settings_.server_key) &&
           socket_.set(ZMQ_CURVE_PUBLICKEY, keys_->public_key()) &&
           socket_.set(ZMQ_CURVE_SECRETKEY, keys_->secret_key());
}

/// Libzmq would look a host up in the thread that moves the bytes of all connections, however long it takes.
void Dialler::begin(std::int64_t now_ms) {
    const std::string host = host_of(settings_.endpoint);
    if (in_digits(host)) {
        dialled_ = settings_.endpoint;
        return dial(now_ms);
    }
    inquiry_ = inquire(host, settings_.look_up);
    look_until_ms_ = now_ms + settings_.timing.look_up_ms;
    state_ = State::looking_up;
}

/// Where no name server answers, an address that worked before is tried.
std::optional<Dialler::Change> Dialler::look(std::int64_t now_ms) {
    constexpr std::int64_t look_again_ms = 20;
    const std::string host = host_of(settings_.endpoint);
    const bool answered = inquiry_->done();
    if (!answered && now_ms < look_until_ms_) {
        due_ms_ = std::min(look_until_ms_, now_ms + look_again_ms);
        return std::nullopt;
    }
    std::vector<std::string> addresses = answered ? inquiry_->addresses() : std::vector<std::string>();
    inquiry_.reset();
    if (addresses.empty()) addresses = remembered(host);
    if (addresses.empty()) return lose(now_ms, {Code::unreachable, 1, 0});
    const std::string& address = addresses[dialled_count_++ % addresses.size()];
    const bool six = address.find(':') != std::string::npos;
    dialled_ = (six ? "tcp://[" + address + "]" : "tcp://" + address) +
               settings_.endpoint.substr(settings_.endpoint.rfind(':'));
    dial(now_ms);
    return std::nullopt;
}

void Dialler::dial(std::int64_t now_ms) {
    socket_ = Socket(*context_, ZMQ_DEALER);
    const bool configured = configure();
    if (configured) monitor_ = watch(*context_, socket_, watched);
    if (!configured || !monitor_ || zmq_connect(socket_.native(), dialled_.c_str()) != 0)
        dropped_ = Error{Code::link_failed, zmq_errno(), 0};
    state_ = State::dialling;
    due_ms_ = now_ms + 2 * settings_.timing.handshake_ms;
}

Dialler::Change Dialler::lose(std::int64_t now_ms, const Error& reason) {
    const bool lasted = state_ == State::up && now_ms - up_since_ms_ > backoff_ms_;
    // One that could not be reached, or lets nobody in, is tried again after the others.
    if (!lasted && !settings_.others.empty()) {
        settings_.others.push_back(std::exchange(settings_.endpoint, settings_.others.front()));
        settings_.others.erase(settings_.others.begin());
        dialled_count_ = 0;
    }
    backoff_ms_ = lasted || backoff_ms_ == 0
                      ? settings_.first_backoff_ms
                      : std::min<std::int64_t>(2 * backoff_ms_, settings_.longest_backoff_ms);
    std::uniform_int_distribution<std::int64_t> wait(backoff_ms_ / 2, backoff_ms_);
    due_ms_ = now_ms + wait(random_);
    state_ = State::waiting;
    socket_ = Socket();
    monitor_ = Socket();
    dropped_.reset();
    return {false, reason};
}

std::optional<Dialler::Change> Dialler::step(std::int64_t now_ms) {
    if (state_ == State::waiting) {
        if (now_ms < due_ms_) return std::nullopt;
        begin(now_ms);
    }
    if (dropped_) return lose(now_ms, *dropped_);
    if (state_ == State::looking_up) {
        const auto change = look(now_ms);
        if (change || state_ == State::looking_up) return change;
        if (dropped_) return lose(now_ms, *dropped_);
    }
    MonitorEvent event;
    if (next_event(monitor_.native(), event)) {
        if (event.what != ZMQ_EVENT_HANDSHAKE_SUCCEEDED)
            return lose(now_ms, {reason_of(event.what, state_ == State::up), 0, 0});
        state_ = State::up;
        up_since_ms_ = now_ms;
        if (dialled_ != settings_.endpoint) {
            dialled_count_ = 0;
            remember(host_of(settings_.endpoint), host_of(dialled_));
        }
        due_ms_ = never;
        return Change{true, {}};
    }
    if (state_ == State::dialling && now_ms >= due_ms_) return lose(now_ms, {Code::unreachable, 0, 0});
    return std::nullopt;
}

void Dialler::drop(const Error& reason) {
    if (state_ != State::waiting) dropped_ = reason;
}

}  // namespace dunlin::zeromq
