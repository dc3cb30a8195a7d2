// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fleet/coordinator/desk.hpp"

#include <functional>
#include <memory>

namespace dunlin {

/// The socket file in a store through which the operator's commands reach the process that serves. Whoever may
/// enter the store's directory is the operator.
std::filesystem::path control_path(const std::filesystem::path& store);

/// The serving end: a connection is one request and its answer. Where the process has no descriptor left, a spare
/// one is given to whoever asks next, so that an operator is heard then too.
class ControlSocket {
public:
    static constexpr std::size_t most_askers = 16;  ///< at a time; others wait
    static constexpr std::size_t request_bytes = std::size_t{8} << 20;
    static constexpr std::int64_t patience_ms = 10'000;  ///< for a request to arrive whole

    /// Errors: link_failed (first: errno).
    static Result<ControlSocket> open(const std::filesystem::path& store);

    /// Hands on the requests that have arrived, each to be answered now or later; never waits.
    void serve(const std::function<void(std::uint64_t asker, const Letter&)>& ask);
    /// Nothing happens where the asker is gone.
    void answer(std::uint64_t asker, const Letter& letter);

    ControlSocket(ControlSocket&&) noexcept;
    ControlSocket& operator=(ControlSocket&&) noexcept;
    /// Waits up to 200 ms for answers that are under way.
    ~ControlSocket();

private:
    struct Implementation;
    explicit ControlSocket(std::unique_ptr<Implementation> implementation);
    std::unique_ptr<Implementation> implementation_;
};

/// Does a process serve this store now?
bool is_served(const std::filesystem::path& store);

/// Asks the process that serves this store. Errors: not_connected (nobody answers in time), link_failed.
Result<Letter> ask_server(const std::filesystem::path& store, const Letter& request, int timeout_ms = 30'000);

}  // namespace dunlin
