// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/host/plain_text.hpp"
#include "transport/messages.hpp"
#include "transport/zeromq/link.hpp"

#include <string>

namespace dunlin::app {

// For CLI11's `check`: what is wrong with an argument; "" if nothing is.

/// Where to listen.
inline std::string check_listen(const std::string& endpoint) {
    return is_endpoint(endpoint) ? "" : "expected an address such as tcp://*:7700";
}

/// Whom to dial.
inline std::string check_join(const std::string& endpoint) {
    return is_dialled_endpoint(endpoint) ? "" : "expected the coordinator's address, such as tcp://laptop:7700";
}

/// A node, as every message may name it.
inline std::string check_node_name(const std::string& name) {
    const std::string wrong = name_fault(name, WireLimits::name_bytes);
    return wrong.empty() ? "" : "the name " + wrong;
}

}  // namespace dunlin::app
