// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "envs/data_file.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dunlin {

/// What somebody measured of a network: one of three kinds of file, told by its content.
///
/// - Round trips between all nodes, in slices of time: an IDX file of 16- or 32-bit integers in 2 dimensions (from,
///   to) or 3 (slice, from, to), whose name says the unit ("rtt-us-idx3-int", "rtt-10ms.idx"); or a text of n lines
///   with n numbers each, in milliseconds unless its name says otherwise. 0 off the diagonal: not measured.
/// - Radio links: a table with the columns src, dst and pdr (packets received over packets sent, in [0, 1]), also
///   behind a first line of JSON (the k7 format). Of a pair with several rows the mean counts, where rows that other
///   pairs have and it lacks are 0: a row is written only where something was received. A column pdr_absent_as_0
///   says that already.
/// - Speeds: a table with a column cpu_float_score or speed, larger is faster; a row is a device.
struct NetworkTrace {
    enum class Kind : std::uint8_t { latency, radio, speeds };

    static constexpr std::size_t node_limit = 1024;     ///< of round trips and of radio links
    static constexpr std::size_t cell_limit = 1 << 25;  ///< of round trips in all slices
    static constexpr std::size_t speed_limit = 1 << 20;
    static constexpr double longest_ms = 3.6e6;  ///< of a round trip

    Kind kind = Kind::speeds;
    std::string path = {};
    std::uint32_t nodes = 0;
    std::uint32_t slices = 0;               ///< of round trips
    std::vector<float> round_trip_ms = {};  ///< slices x nodes x nodes; 0: not measured
    std::vector<float> delivery = {};       ///< nodes x nodes: chance that a message arrives; 0: none ever did
    std::vector<float> speed = {};          ///< by node, above 0

    float& delivered(std::size_t from, std::size_t to) { return delivery[from * nodes + to]; }
    float delivered(std::size_t from, std::size_t to) const { return delivery[from * nodes + to]; }
};

/// Reads a trace; `name` is the file's, where units are looked for. Errors: file_magic (none of the three kinds, or
/// no unit); file_truncated, file_rest, file_too_large; column_count, column_missing, bad_number, graph_size, with the line.
FileResult<NetworkTrace> parse_network_trace(std::string_view bytes, std::string_view name);
/// The same of a file, which may be packed by gzip. Errors also: those of read_data_file.
FileResult<NetworkTrace> load_network_trace(const std::string& path);

/// The unit of time that a file's name says between dashes, underscores or dots ("us", "ms", "10ms", "s"), in
/// milliseconds; 0 where it says none.
double unit_ms_of(std::string_view name);

}  // namespace dunlin
