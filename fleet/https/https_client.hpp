// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/host/failure.hpp"

#include <string>

namespace dunlin {

/// Where a request goes, and whom to believe there.
struct WebTarget {
    std::string url;    ///< https://HOST[:PORT]; http:// to this machine alone
    std::string token;  ///< of "Authorization: Bearer"; "": none
    std::string ca;     ///< PEM file of who may have issued the certificate; "": whom the system trusts
    std::string
        pin;  ///< "sha256:" and 64 digits: the certificate itself, whoever issued it and whatever it is called
    std::string option = "--at";  ///< what a failure calls the URL
    bool path = false;            ///< the URL may have a path
};

/// The host that a URL names, without brackets. Error: what is wrong with the URL, or http:// to another machine.
Outcome<std::string> host_of(const WebTarget& target);

struct WebCall {
    std::string path;  ///< "/api/v1/desk"; "": the URL's
    std::string type;  ///< of the body, and wanted of the answer
    std::string body;
};
struct WebReply {
    unsigned int status = 0;
    std::string type, body;
};
/// POST, and what comes back. The certificate is verified, or is the pinned one, before anything is said; nothing
/// switches that off. Answers of more than 1 GB are none. May be called by any thread. Errors: nobody answers, or not in
/// time; another certificate.
Outcome<WebReply> post_web(const WebTarget& target, const WebCall& call, int timeout_ms);

/// What a server says that refuses a request of Dunlin's API: its own words, where it has some.
Failure refusal_of(const WebTarget& target, const WebReply& reply);

}  // namespace dunlin
