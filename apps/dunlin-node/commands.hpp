// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/host/failure.hpp"
#include "transport/zeromq/keys.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace dunlin::node_app {

/// Half of this machine's memory, and no more than 1024.
std::size_t default_memory_mb();

struct RunOptions {
    std::vector<std::string> endpoints;  ///< of the coordinator, in the order in which they are tried
    std::string server_key, name, listen;
    std::string data;  ///< a file or folder of this node's own rows; empty: it has none
    bool insecure = false, with_parent = false;
    std::uint32_t store_every = 1;
    std::size_t memory_mb = default_memory_mb();
    std::string log_format = "text";
};

/// $XDG_STATE_HOME/dunlin-node, or ~/.local/state/dunlin-node; as root /var/lib/dunlin-node.
std::string default_directory();

struct EnrolOptions {
    std::string url, token_file, ca, pin, name;
    bool json = false;
};
/// Where a node that enrolled finds its coordinator: DIR/coordinator.json.
struct Enrolled {
    std::string endpoint, server_key, name;
};

// Each returns the exit code and says what went wrong on stderr.
int make_keys(const std::string& directory, bool json);
int enrol(const std::string& directory, const EnrolOptions& options);
/// Without addresses it goes where it enrolled.
int run_node(const std::string& directory, RunOptions options);
int leave_fleet(const std::string& directory, bool json);

/// What the last enrolment wrote. Error: there is none, or it is damaged.
Outcome<Enrolled> read_enrolled(const std::string& directory);
/// This machine's name.
std::string host_name();
/// Makes a node's key pair where there is none yet.
Outcome<KeyPair> need_keys(const std::string& directory, bool& made);

}  // namespace dunlin::node_app
