// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fleet/coordinator/letter.hpp"
#include "training/host/failure.hpp"

#include <string>

namespace dunlin {

/// A fleet's web port, as somebody elsewhere reaches it.
struct WebTarget {
    std::string url;  ///< https://HOST[:PORT]; http:// to this machine alone
    std::string token;
    std::string ca;  ///< PEM file of who may have issued the certificate; "": whom the system trusts
    std::string
        pin;  ///< "sha256:" and 64 digits: the certificate itself, whoever issued it and whatever it is called
};

/// The host that a URL names, without brackets. Error: what is wrong with the URL, or http:// to another machine.
Outcome<std::string> host_of(const std::string& url);

/// Asks the desk there. The certificate is verified, or is the pinned one, before anything is said; nothing switches that
/// off. Errors: nobody answers, another certificate, a token that is refused; not what the desk refuses.
Outcome<Letter> ask_web(const WebTarget& target, const Letter& request, int timeout_ms);

}  // namespace dunlin
