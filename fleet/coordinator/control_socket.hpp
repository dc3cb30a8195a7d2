// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fleet/coordinator/desk.hpp"

#include <functional>
#include <memory>

namespace dunlin {

/// The socket file in a store through which the operator's commands reach the process that serves. Whoever may
/// enter the store's directory is the operator.
std::filesystem::path control_path(const std::filesystem::path& store);

/// The serving end.
class ControlSocket {
public:
    /// Errors: link_failed (first: errno).
    static Result<ControlSocket> open(const std::filesystem::path& store);

    /// Answers what has arrived; never waits.
    void serve(const std::function<Letter(const Letter&)>& answer);
    /// For zmq_poll.
    void* socket() const;

    ControlSocket(ControlSocket&&) noexcept;
    ControlSocket& operator=(ControlSocket&&) noexcept;
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
