// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include <tl/expected.hpp>

namespace dunlin {

/// What can be wrong with input. One line each; the host turns a code, its two integers and the place (file, key)
/// into a sentence that says what to do (`training/host/failure.hpp`). Their numbers go over the wire: they never change,
/// and a new code is the last one of its section.
enum class Code : std::uint16_t {
    // shapes and settings
    no_layers = 1,        ///< a perceptron without a layer
    too_many_layers,      ///< first: layers asked for; second: the limit
    bad_width,            ///< first: the width of layer `second`, not in [1, limit]
    shape_mismatch,       ///< first: parameters found; second: parameters expected
    out_of_range,         ///< first: the value (truncated); second: the limit
    too_little_memory,    ///< first: bytes given; second: bytes needed
    not_finite,           ///< first: index of the first NaN or infinity
    unknown_kernels,      ///< no such set of kernels
    unsupported_kernels,  ///< this processor cannot run the set asked for
    no_such_layer,        ///< first: the layer asked for, from 0, or from -1 backwards; second: layers
    nothing_shared,       ///< first: layers, all of them personal
    bad_layer,            ///< first: the layer, from 0; second: what is wrong with it (core/network/layer.hpp)
    // maps
    map_header = 100,   ///< first: line with a wrong or missing header field
    map_size,           ///< first: height; second: width; a side is not in [1, limit]
    map_row_length,     ///< first: line; second: characters found
    map_truncated,      ///< first: rows found; second: rows promised
    map_character,      ///< first: line; second: column
    map_no_free_cell,   ///< every cell is a wall
    goal_outside,       ///< first: row; second: column; not on the map
    goal_in_wall,       ///< first: row; second: column
    start_in_wall,      ///< first: row; second: column; or outside the map
    goal_unreachable,   ///< first: row; second: column; no free cell leads there
    not_a_permutation,  ///< first: index of the entry that repeats or is out of range
    start_is_goal,      ///< first: row; second: column
    wall_outside,       ///< first: row; second: column; not on the map
    map_rest,           ///< first: line; text after the last row
    // aggregation
    mass_too_large = 200,  ///< first: total mass of the fleet; second: what the fraction bits leave room for
    mass_overflow,         ///< first: component that would leave the fixed-point range; nothing was changed
    bad_setting,           ///< first: position of the setting in its struct, from 0
    bad_neighbours,        ///< first: position in the list; not ascending, this node itself, or no such node
    no_neighbours,         ///< a node that hears nobody or that nobody hears
    tick_not_newer,        ///< first: the tick; second: the last one
    unknown_sender,        ///< first: the sender's number
    impossible_weight,     ///< first: sender; its push-sum weight is negative or larger than the fleet's
    state_mismatch,        ///< first: word of the saved state that belongs to another machine
    state_size,            ///< first: bytes of saved state found; second: bytes expected
    buffer_exceeds_fleet,  ///< first: K; second: nodes
    update_duplicate,      ///< first: its sequence number; second: the newest one applied of that node
    update_too_stale,      ///< first: staleness in versions; second: the limit
    update_from_future,    ///< first: version that it claims to start from; second: the server's
    update_too_large,      ///< first: index of a component beyond the limit
    not_a_participant,     ///< first: node; it has no part in this round, or has delivered
    round_open,            ///< first: updates that the running round still waits for
    round_closed,          ///< no round is running
    bad_participants,      ///< first: position in the list; not ascending, or no such node; or an empty list
    no_model,              ///< a client that has not downloaded one yet
    local_steps,           ///< first: steps taken; second: steps that an update consists of
    round_ahead,           ///< first: the sender; second: its round, more than one ahead
    never_sent,  ///< first: out-edge; second: a counter that its receiver confirms with a weight it was never told
    // files
    file_missing = 300,  ///< cannot be opened
    file_truncated,      ///< first: bytes found; second: bytes expected
    file_magic,          ///< not a file of this kind
    file_version,        ///< first: version found; second: newest version understood
    file_checksum,       ///< first: checksum found; second: checksum expected
    file_too_large,      ///< first: bytes found; second: the limit
    file_unwritable,     ///< first: errno
    file_syntax,         ///< first: line; second: column
    file_rest,           ///< first: bytes found; second: bytes that the header promises
    file_counts,         ///< first: rows of this file; second: rows of the one that belongs to it
    column_missing,      ///< first: which of the columns that are needed, in the order that the loader states
    column_count,        ///< first: line; second: fields found
    bad_number,          ///< first: line; second: field, from 1
    label_out_of_range,  ///< first: row of the table, from 0, or line of the file; second: the label
    candidate_count,     ///< first: line; second: candidates found; not what it says, or not in [2, limit]
    chosen_outside,      ///< first: line; second: the choice, not one of the candidates
    unknown_item,        ///< first: line; second: an item that the table of items lacks
    unknown_context,     ///< first: line; a context that the table of items lacks
    repeated_item,       ///< first: line; second: the item that stands there again
    no_queries,          ///< first: the user's name in the file; there is none to train on
    too_few_rows,        ///< first: node; second: rows it would have
    too_few_speakers,    ///< first: speakers found; second: speakers asked for
    // graphs; a place is a line of the file or an index into the list
    graph_size = 400,      ///< first: nodes; second: the limit; not in [1, limit]
    graph_too_dense,       ///< first: edges; second: the limit
    graph_node,            ///< first: place; second: a node number that is too large
    graph_loop,            ///< first: place; second: the node that is linked to itself
    graph_repeated_edge,   ///< first: place where the edge stands again
    graph_not_connected,   ///< first: a node; second: 0 if node 0 does not reach it, 1 if it does not reach node 0
    graph_not_undirected,  ///< first: from; second: to; the edge back is missing
    graph_attempts,        ///< first: random graphs drawn, none of them strongly connected
    graph_mismatch,        ///< first: nodes found; second: nodes asked for
    unknown_graph,         ///< no such kind of graph
    bad_probability,       ///< not in (0, 1]
    // the simulated network
    unknown_link = 500,  ///< first: from (or the link's number); second: to (or -1)
    bad_link_setting,    ///< first: which (transport/simulation/link.hpp, LinkField)
    network_full,        ///< first: messages and timers pending; second: the limit
    payload_too_large,   ///< first: bytes asked for; second: the limit
    payloads_full,       ///< first: bytes in use; second: the limit
    bad_time,            ///< first: the time; second: the earliest (or latest) that is allowed
    // messages between nodes
    message_malformed = 600,  ///< first: bytes; not a message, or one that contradicts itself
    message_too_long,         ///< first: bytes, numbers or entries found; second: the limit
    message_unknown,          ///< first: its kind; of a newer version, or not meant for the receiver
    wire_version_unknown,     ///< first: newest version offered; second: oldest version understood here
    not_admitted,             ///< the key or the name is not on the roster
    name_taken,               ///< the name belongs to another key, or the key to another name
    not_joined,               ///< a message before Join
    unknown_job,              ///< first: the job
    wrong_epoch,              ///< first: epoch of the message; second: the receiver's
    job_too_large,            ///< first: bytes that it needs; second: bytes that there are
    job_not_understood,       ///< an experiment, a task or a method that this node does not know
    busy,                     ///< first: messages of this node that wait; second: its credit
    not_durable,              ///< first: errno; what was sent could not be stored
    job_over,                 ///< first: the job; it has ended, or ends
    // durable state
    store_damaged = 700,  ///< first: record; second: its place in bytes
    store_in_use,         ///< another process has it open
    store_version,        ///< first: version found; second: newest version understood
    // keys and links
    bad_key = 800,     ///< first: characters; neither 64 hexadecimal digits nor 40 of Z85, or halves of two pairs
    key_exposed,       ///< first: the file's mode; others may read the secret key
    bad_endpoint,      ///< not an address as tcp://host:7700
    not_loopback,      ///< plain text was asked for on an address that other machines reach
    link_failed,       ///< first: errno
    not_connected,     ///< no connection to the receiver now
    handshake_failed,  ///< the other side does not have the key that is expected of it, or is something else
    unreachable,       ///< nobody answers at the address
    connection_lost,   ///< the connection ended, or the other side was silent for too long
};

/// Wrong input, never a bug: 24 bytes, no text, so that it fits a microcontroller.
struct Error {
    Code code{};
    std::int64_t first = 0;
    std::int64_t second = 0;

    friend constexpr bool operator==(const Error&, const Error&) = default;
};

template <class T>
using Result = tl::expected<T, Error>;

inline tl::unexpected<Error> fail(Code code, std::int64_t first = 0, std::int64_t second = 0) {
    return tl::unexpected<Error>(Error{code, first, second});
}

}  // namespace dunlin
