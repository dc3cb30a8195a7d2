// SPDX-License-Identifier: Apache-2.0
#include "training/host/failure.hpp"

#include "training/host/plain_text.hpp"

#include <cerrno>
#include <cstring>

#include <fmt/format.h>

namespace dunlin {
namespace {

/// What is wrong and what to do; {0} and {1} are the error's two numbers. No default: the compiler names the code
/// that has no sentence.
std::string_view sentence(Code code) {
    switch (code) {
        case Code::no_layers:
            return "a network without a layer; give it an output";
        case Code::too_many_layers:
            return "{0} layers, of at most {1}; remove hidden layers";
        case Code::bad_width:
            return "layer {1} has {0} units; give it between 1 and 65536";
        case Code::shape_mismatch:
            return "{0} numbers where {1} are expected; it belongs to another model or setting";
        case Code::no_such_layer:
            return "no layer {0} among {1}; layers count from 0, and backwards from -1";
        case Code::nothing_shared:
            return "all {0} layers are personal, so nothing is left to learn together; leave one out";
        case Code::bad_layer:
            return "layer {0} cannot stand where it stands (fault {1})";
        case Code::out_of_range:
            return "{0} is out of range (limit {1})";
        case Code::too_little_memory:
            return "{0} bytes of memory where {1} are needed";
        case Code::not_finite:
            return "NaN or infinity at parameter {0}; use smaller steps";
        case Code::unknown_kernels:
            return "no such kernels; use fast, reference, baseline, avx2, avx512 or neon";
        case Code::unsupported_kernels:
            return "this processor cannot run these kernels; use fast, or see `dunlin --version`";
        case Code::map_header:
            return "line {0}: expected the header lines 'type octile', 'height N' and 'width N', then 'map'";
        case Code::map_size:
            return "a map of {0} x {1} cells; a side is at most 2048 (and at least 1), so cut the map to a part or "
                   "scale it down";
        case Code::map_row_length:
            return "line {0} has {1} characters, unlike the map's width; expected as many in each row";
        case Code::map_truncated:
            return "the file ends after {0} of {1} rows; get a whole copy";
        case Code::map_character:
            return "line {0}, column {1}: not a map character; expected '.', 'G' or 'S' (free) or '@', 'O', 'T', "
                   "'W' or '#' (walls)";
        case Code::map_no_free_cell:
            return "no free cell with a free neighbour; a goal needs one";
        case Code::goal_outside:
            return "the goal (row {0}, column {1}) is not on the map; rows and columns count from 0";
        case Code::goal_in_wall:
            return "the goal (row {0}, column {1}) is inside a wall; choose a free cell";
        case Code::start_in_wall:
            return "the start (row {0}, column {1}) is inside a wall or off the map; choose a free cell";
        case Code::goal_unreachable:
            return "no start leads to the goal (row {0}, column {1}); choose another goal or open a wall";
        case Code::not_a_permutation:
            return "entry {0} repeats or is out of range; list each action 0 to 4 once";
        case Code::start_is_goal:
            return "the start (row {0}, column {1}) is the goal; choose another cell";
        case Code::wall_outside:
            return "the wall (row {0}, column {1}) is not on the map";
        case Code::map_rest:
            return "line {0}: text after the last row; remove it or correct the height";
        case Code::mass_too_large:
            return "the fleet's total mass {0} exceeds {1}; use fewer fraction bits";
        case Code::mass_overflow:
            return "component {0} leaves the fixed-point range; use smaller steps or fewer fraction bits";
        case Code::bad_setting:
            return "setting {0} is out of its range";
        case Code::bad_neighbours:
            return "entry {0} of the neighbours is not ascending, no node, or the node itself";
        case Code::no_neighbours:
            return "a node that hears nobody or that nobody hears; add edges";
        case Code::tick_not_newer:
            return "tick {0} is not after tick {1}";
        case Code::unknown_sender:
            return "node {0} is not a neighbour";
        case Code::impossible_weight:
            return "node {0} sent an impossible push-sum weight";
        case Code::state_mismatch:
            return "saved state of another machine (word {0})";
        case Code::state_size:
            return "{0} bytes of saved state where {1} are expected";
        case Code::buffer_exceeds_fleet:
            return "a buffer of {0} updates for {1} nodes never fills; use at most the number of nodes";
        case Code::update_duplicate:
            return "update {0} was applied already (newest: {1})";
        case Code::update_too_stale:
            return "an update {0} versions old, of at most {1}";
        case Code::update_from_future:
            return "an update from version {0}, newer than the server's {1}";
        case Code::update_too_large:
            return "component {0} of the update exceeds the limit";
        case Code::not_a_participant:
            return "node {0} has no part in this round, or has delivered";
        case Code::round_open:
            return "the round still waits for {0} updates";
        case Code::round_closed:
            return "no round is running";
        case Code::bad_participants:
            return "entry {0} of the participants is not ascending or no node";
        case Code::round_ahead:
            return "node {0} is at round {1}, more than one ahead";
        case Code::never_sent:
            return "the neighbour on edge {0} confirms what it was never sent (counter {1})";
        case Code::no_model:
            return "no model was downloaded yet";
        case Code::local_steps:
            return "{0} local steps were taken of {1}";
        case Code::file_missing:
            return "cannot be opened; check the path and the permissions";
        case Code::file_truncated:
            return "{0} bytes where {1} are expected; the file is cut off, get a whole copy";
        case Code::file_magic:
            return "not a file of this kind";
        case Code::file_version:
            return "version {0}, but this program understands versions up to {1}; update Dunlin";
        case Code::file_checksum:
            return "the checksum is {0:#x} and should be {1:#x}; the file is damaged, get another copy";
        case Code::file_too_large:
            return "{0} bytes, of at most {1}";
        case Code::file_unwritable:
            return "cannot be written ({2}); check the path, the permissions and the space left";
        case Code::file_syntax:
            return "line {0}, column {1}: wrong syntax";
        case Code::file_rest:
            return "{0} bytes where the header promises {1}";
        case Code::file_counts:
            return "{0} rows, but the file that belongs to it has {1}";
        case Code::column_missing:
            return "column {0} of those that are needed is missing";
        case Code::column_count:
            return "line {0} has {1} fields, unlike the header";
        case Code::bad_number:
            return "line {0}, field {1}: not a number";
        case Code::label_out_of_range:
            return "row or line {0}: label {1} is out of range";
        case Code::candidate_count:
            return "line {0}: {1} candidates; expected 2 to 64, as many as the line says";
        case Code::chosen_outside:
            return "line {0}: the choice {1} is none of the candidates";
        case Code::unknown_item:
            return "line {0}: item {1} is not in the table of items";
        case Code::unknown_context:
            return "line {0}: a genre that the table of items lacks";
        case Code::repeated_item:
            return "line {0}: item {1} stands there again";
        case Code::no_queries:
            return "user {0} has no queries to train on";
        case Code::too_few_rows:
            return "node {0} would have only {1} rows; use fewer nodes or another split";
        case Code::too_few_speakers:
            return "{0} speakers, of {1} that are asked for; ask for fewer agents";
        case Code::graph_size:
            return "{0} nodes; expected 1 to {1}";
        case Code::graph_too_dense:
            return "{0} edges, of at most {1}";
        case Code::graph_node:
            return "line {0}: node {1} is too large";
        case Code::graph_loop:
            return "line {0}: node {1} is linked to itself";
        case Code::graph_repeated_edge:
            return "line {0}: this edge stands there twice";
        case Code::graph_not_connected:
            return "not strongly connected at node {0}; add edges so that every node reaches every other";
        case Code::graph_not_undirected:
            return "the edge from {0} to {1} has no edge back, which this method needs";
        case Code::graph_attempts:
            return "none of {0} random graphs was strongly connected; raise the probability of an edge";
        case Code::graph_mismatch:
            return "the graph has {0} nodes where {1} are expected";
        case Code::unknown_graph:
            return "no such kind of graph; see `dunlin list`";
        case Code::bad_probability:
            return "a probability outside [0, 1]";
        case Code::unknown_link:
            return "no link from node {0} to node {1}";
        case Code::bad_link_setting:
            return "setting {0} of a link is out of its range";
        case Code::network_full:
            return "{0} messages under way, of at most {1}; raise the limit or send less";
        case Code::payload_too_large:
            return "a message of {0} bytes, of at most {1}";
        case Code::payloads_full:
            return "all {0} message buffers are in use; raise the limit or send less";
        case Code::bad_time:
            return "time {0} lies before {1}";
        case Code::message_malformed:
            return "{0} bytes that are no message";
        case Code::message_too_long:
            return "a message with {0}, of at most {1}";
        case Code::message_unknown:
            return "a message of unknown kind {0}; update Dunlin";
        case Code::wire_version_unknown:
            return "the other side speaks wire versions up to {0}, this one from {1} on; update the older";
        case Code::not_admitted:
            return "this key is not on the roster; on the coordinator: dunlin fleet admit NAME PUBLIC_KEY";
        case Code::name_taken:
            return "the name belongs to another key, or the key to another name";
        case Code::not_joined:
            return "a message before the node joined";
        case Code::unknown_job:
            return "there is no job {0}";
        case Code::wrong_epoch:
            return "a message of epoch {0} in epoch {1}";
        case Code::job_too_large:
            return "the job needs {0} bytes of memory, and {1} are there";
        case Code::job_not_understood:
            return "this node does not know the job's experiment; update Dunlin on it";
        case Code::busy:
            return "{0} messages wait already, of at most {1}; send again later";
        case Code::not_durable:
            return "could not be stored ({2}); check the disk";
        case Code::job_over:
            return "job {0} is over";
        case Code::store_damaged:
            return "record {0} at byte {1} is damaged, or of a newer Dunlin; restore a backup with "
                   "`dunlin fleet restore`, or update Dunlin";
        case Code::store_in_use:
            return "another process uses this store";
        case Code::store_version:
            return "the store has version {0}, but this program understands versions up to {1}; update Dunlin";
        case Code::bad_key:
            return "{0} characters that are no key; give the 64 digits that `init` printed";
        case Code::key_exposed:
            return "others may read this secret key (mode {0:o}); chmod 600 it, or make a new key";
        case Code::bad_endpoint:
            return "not an address; give one such as tcp://192.168.1.10:7700";
        case Code::not_loopback:
            return "other machines reach this address, so it needs keys; leave --insecure out, or use "
                   "tcp://127.0.0.1";
        case Code::link_failed:
            return "the connection failed ({2}); check the address, the port and the network";
        case Code::not_connected:
            return "not connected";
        case Code::handshake_failed:
            return "the other side could not prove the key that was expected; check the server key and the address";
        case Code::unreachable:
            return "nobody answers at this address; is it right, is the other side running, is a firewall between?";
        case Code::connection_lost:
            return "the connection was lost; it is tried again";
    }
    return "unknown error";
}

/// Of a path that could never be written to, by what it names.
bool is_wrong_path(std::int64_t number) {
    return number == ENOTDIR || number == EISDIR || number == EEXIST || number == ENAMETOOLONG || number == ELOOP;
}

/// Nothing that the person gave was wrong: the same again may work.
bool is_unable(const Error& error) {
    switch (error.code) {
        case Code::file_unwritable:
            return !is_wrong_path(error.first);
        case Code::busy:
        case Code::not_durable:
        case Code::store_damaged:
        case Code::store_in_use:
        case Code::link_failed:
        case Code::not_connected:
        case Code::unreachable:
        case Code::connection_lost:
            return true;
        default:
            return false;
    }
}

}  // namespace

Failure describe(const Error& error, std::string_view place) {
    const std::string where = shown(place, false);
    const bool system =
        error.code == Code::file_unwritable || error.code == Code::not_durable || error.code == Code::link_failed;
    // Of codes that stand for several causes the number tells which.
    if (error.code == Code::link_failed && (error.first == EMFILE || error.first == ENFILE))
        return {fmt::format("{}: too few open files are allowed; raise the limit (ulimit -n, LimitNOFILE=)", where),
                true};
    if (error.code == Code::unreachable && error.first != 0)
        return {
            fmt::format("{}: no address is known for this name; is it right, does the name server answer? digits "
                        "need none",
                        where),
            true};
    const std::string cause = system ? std::strerror(static_cast<int>(error.first)) : "";
    return {fmt::format("{}: {}", where,
                        fmt::format(fmt::runtime(sentence(error.code)), error.first, error.second, cause)),
            is_unable(error)};
}

}  // namespace dunlin
