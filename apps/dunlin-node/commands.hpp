// SPDX-License-Identifier: Apache-2.0
#pragma once

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

// Each returns the exit code and says what went wrong on stderr.
int make_keys(const std::string& directory, bool json);
int run_node(const std::string& directory, const RunOptions& options);
int leave_fleet(const std::string& directory, bool json);

}  // namespace dunlin::node_app
