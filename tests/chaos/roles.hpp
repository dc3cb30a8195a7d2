// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "transport/messages.hpp"

#include <cstdint>
#include <filesystem>
#include <string>

namespace dunlin::chaos {

/// The processes that the driver starts, each this program again, and what they have in common. Each says what it
/// does on descriptor 3, a pipe to the driver that survives its end, one line a time (books.hpp):
///
///     O index              the coordinator opened its store, whose newest record is this
///     X index hash         its state after a record, or as a snapshot had it
///     U index j m i s      that record was update s of life i of member m in job j, and was taken
///     A j m i s            a node was told that this update is applied
///     L j epoch weight n g a job's epoch was balanced: lost weight, values that are not zero, members gone
///     R j m value final    a member measured its distance
///     C j                  a job was made
///     B j                  all members have accepted it
///     J j reason           and ended
///     M j value...         its model, at a clean end
inline constexpr int report_descriptor = 3;
inline constexpr std::uint32_t dimension = 48;

/// Member m's loss is half the squared distance to this.
float target(std::uint32_t member, std::uint32_t component);

struct Place {
    std::filesystem::path directory;  ///< keys, stores
    int nodes = 0;

    std::string key_file(const std::string& name) const { return (directory / (name + ".key")).string(); }
    static std::string name(int node) { return "node-" + std::to_string(node); }
};
inline const std::string hostile_name = "mallory";

/// Serves until SIGTERM; SIGUSR1 stops the job that runs. First a federated job of all nodes and the hostile one,
/// then, when all have reported, one without a server of all nodes. Exit code 3: the store is broken.
int run_coordinator(const Place& place, const std::string& endpoint);
/// Lives until SIGTERM.
int run_node(const Place& place, int node, const std::string& endpoint);

}  // namespace dunlin::chaos
