// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "transport/zeromq/keys.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include <zmq.h>

namespace dunlin::bench {

using Clock = std::chrono::steady_clock;

inline double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

[[noreturn]] inline void give_up(const char* what) {
    std::fprintf(stderr, "%s failed\n", what);
    std::exit(1);
}

/// Two raw sockets with CURVE, each with a context of its own as in two programs.
struct Raw {
    void *server_context = zmq_ctx_new(), *client_context = zmq_ctx_new();
    void *server, *client;

    Raw(int server_type, int client_type)
        : server(zmq_socket(server_context, server_type)), client(zmq_socket(client_context, client_type)) {
        const KeyPair server_keys = KeyPair::make().value(), keys = KeyPair::make().value();
        const int one = 1;
        char endpoint[256];
        std::size_t size = sizeof endpoint;
        zmq_setsockopt(server, ZMQ_CURVE_SERVER, &one, sizeof one);
        zmq_setsockopt(server, ZMQ_CURVE_SECRETKEY, server_keys.secret_key().data(), 32);
        zmq_setsockopt(client, ZMQ_CURVE_SERVERKEY, server_keys.public_key().data(), 32);
        zmq_setsockopt(client, ZMQ_CURVE_PUBLICKEY, keys.public_key().data(), 32);
        zmq_setsockopt(client, ZMQ_CURVE_SECRETKEY, keys.secret_key().data(), 32);
        if (zmq_bind(server, "tcp://127.0.0.1:*") != 0) give_up("bind");
        zmq_getsockopt(server, ZMQ_LAST_ENDPOINT, endpoint, &size);
        if (zmq_connect(client, endpoint) != 0) give_up("connect");
    }
    ~Raw() {
        zmq_close(server);
        zmq_close(client);
        zmq_ctx_term(client_context);
        zmq_ctx_term(server_context);
    }
};

/// Seconds that `count` messages of so many bytes take in one direction.
inline double stream_raw(int count, std::size_t bytes) {
    Raw raw(ZMQ_PULL, ZMQ_PUSH);
    const auto pass = [&](int messages) {
        std::thread receiver([&] {
            zmq_msg_t message;
            for (int k = 0; k < messages; ++k) {
                zmq_msg_init(&message);
                zmq_msg_recv(&message, raw.server, 0);
                zmq_msg_close(&message);
            }
        });
        for (int k = 0; k < messages; ++k) {
            zmq_msg_t message;
            zmq_msg_init_size(&message, bytes);
            zmq_msg_send(&message, raw.client, 0);
        }
        receiver.join();
    };
    pass(1);  // the handshake
    const auto start = Clock::now();
    pass(count);
    return seconds_since(start);
}

}  // namespace dunlin::bench
