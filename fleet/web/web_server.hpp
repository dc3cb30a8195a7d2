// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fleet/coordinator/access.hpp"
#include "fleet/coordinator/letter.hpp"
#include "fleet/web/live_feed.hpp"
#include "training/host/failure.hpp"

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace dunlin {

/// A file of the page, compressed with gzip; the bytes live as long as the program.
struct WebFile {
    std::string_view path;  ///< "/app.js"
    std::string_view type;  ///< "text/javascript"
    std::string_view gzip;
    std::string_view etag;
};

/// What is there to be read besides the desk.
struct WebRead {
    bool found = true;
    std::string type, body;
    std::string etag = {};  ///< "": none
    std::string policy =
        {};  ///< Content-Security-Policy of a page that own pages may show in a frame; "": the usual one
};

struct WebSettings {
    std::string address;             ///< HOST:PORT; port 0 is any that is free
    std::vector<std::string> names;  ///< that a Host field may have besides the address's own
    std::string tls_cert, tls_key;   ///< PEM files; empty: no TLS, on loopback only
    std::vector<WebFile> files;      ///< none: the page was left out of this build
    std::string experiments;         ///< JSON of GET /api/v1/experiments
    std::shared_ptr<Access> access;
    /// Makes the desk's request of the JSON that POST /api/v1/jobs brought, and of the one that POST /api/v1/push brought.
    /// In the server's thread.
    std::function<Outcome<Letter>(const std::string& json)> run;
    std::function<Outcome<Letter>(const std::string& json)> push;
    /// Makes of what the desk says to "pull" what GET /api/v1/jobs/N/model answers. In the server's thread.
    std::function<Outcome<std::string>(const Letter& told)> pulled = {};
    /// Of a server without a desk: what there is in its place, by the paths of `read_paths`, for whoever has logged in.
    /// `target` is as it stands in the request line. In the server's thread.
    std::function<WebRead(std::string_view target)> read = {};
    std::vector<std::string> read_paths = {};
    std::string log_in = {};       ///< what a stranger is told to do; "": how a fleet's tokens are made
    std::string option = "--web";  ///< what a failure calls the address
};

/// The second door to the operator's desk, beside the control socket: HTTP, for browsers and for programs of other
/// machines. It runs in a thread of its own; who asks must show a token or a session, and have the role that the
/// desk's table asks for (roles.hpp) before the desk hears of it.
///
/// Bounds: 128 connections, 32 of one address; 8 kB of header; bodies of 1 MB, letters and models of what the control
/// socket takes; 32 requests that wait for the desk. Who guesses tokens is answered 429 after 20 wrong ones in a minute.
class WebServer {
public:
    /// Errors: an address that is none or not this machine's; one that others reach, without TLS; files of TLS.
    static Outcome<WebServer> open(WebSettings settings);

    /// "http://127.0.0.1:7710"
    const std::string& url() const;
    /// SHA-256 of the certificate, "sha256:..."; "" without TLS.
    const std::string& pin() const;

    /// Numbers of those who ask here are above this one, those of the control socket below.
    static constexpr std::uint64_t first_asker = std::uint64_t{1} << 63;
    /// Hands on the requests that have arrived; never waits.
    void serve(const std::function<void(std::uint64_t asker, const Letter&, const std::string& who)>& ask);
    /// Nothing happens where the asker is gone.
    void answer(std::uint64_t asker, Letter letter);

    /// What the pages that are open look at.
    LiveWish wish() const;
    /// What they are told.
    void publish(LiveNews news);

    WebServer(WebServer&&) noexcept;
    WebServer& operator=(WebServer&&) noexcept;
    /// Waits up to 200 ms for answers that are under way.
    ~WebServer();

private:
    struct Implementation;
    explicit WebServer(std::unique_ptr<Implementation> implementation);
    std::unique_ptr<Implementation> implementation_;
};

}  // namespace dunlin
