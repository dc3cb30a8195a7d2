// SPDX-License-Identifier: Apache-2.0
#include "transport/zeromq/gatekeeper.hpp"

#include "transport/zeromq/quiet_thread.hpp"

#include <algorithm>
#include <cstring>

namespace dunlin::zeromq {
namespace {

void reply(void* socket, std::string_view text, bool more = true) {
    zmq_send(socket, text.data(), text.size(), more ? ZMQ_SNDMORE : 0);
}

}  // namespace

Gatekeeper::Gatekeeper(LinkContext& context) : socket_(context, ZMQ_REP) {
    if (!socket_ || zmq_bind(socket_.native(), "inproc://zeromq.zap.01") != 0) return;
    thread_ = quiet_thread([this] { answer_all(); });
}

Gatekeeper::~Gatekeeper() {
    if (thread_.joinable()) thread_.join();
}

void Gatekeeper::admit(const PublicKey& key) {
    const std::lock_guard lock(mutex_);
    admitted_.insert(key);
    std::erase(revoked_, key);
}

void Gatekeeper::revoke(const PublicKey& key) {
    const std::lock_guard lock(mutex_);
    if (admitted_.erase(key) > 0) revoked_.push_back(key);
}

bool Gatekeeper::admits(const PublicKey& key) const {
    const std::lock_guard lock(mutex_);
    return admitted_.contains(key);
}

std::vector<PublicKey> Gatekeeper::take_revoked() {
    const std::lock_guard lock(mutex_);
    return std::exchange(revoked_, {});
}

/// A question has the parts version, request, domain, address, routing id, mechanism and credentials; an answer
/// version, request, status, its text, user id and metadata.
void Gatekeeper::answer_all() {
    void* socket = socket_.native();
    for (;;) {
        Part parts[7];
        std::size_t count = 0;
        bool more = true;
        while (more) {
            Part beyond;
            Part& part = count < std::size(parts) ? parts[count] : beyond;
            while (!part.wait(socket)) {
                if (errno != EINTR) return;
            }
            more = part.more();
            ++count;
        }
        PublicKey key{};
        const bool curve = count == 7 && parts[5].text() == "CURVE" && parts[6].bytes().size() == key.size();
        if (curve) std::copy(parts[6].bytes().begin(), parts[6].bytes().end(), key.begin());
        const bool admitted = curve && admits(key);
        if (!admitted) ++refused_;
        reply(socket, "1.0");
        reply(socket, parts[1].text());
        reply(socket, admitted ? "200" : "400");
        reply(socket, admitted ? "OK" : "not admitted");
        reply(socket, admitted ? to_hex(key) : "");
        reply(socket, "", false);
    }
}

}  // namespace dunlin::zeromq
