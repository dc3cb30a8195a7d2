// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "transport/zeromq/link.hpp"

#include <memory>
#include <string>
#include <vector>

namespace dunlin::zeromq {

/// A question for the addresses of a host, under way in a thread of its own, which nobody ever waits for: a name
/// server may never answer.
class Inquiry {
public:
    virtual ~Inquiry() = default;
    virtual bool done() const = 0;
    /// Once it is done; none where the name has no address.
    virtual std::vector<std::string> addresses() const = 0;
};

/// Who asks for a host that is being asked for already waits for the same answer.
std::shared_ptr<Inquiry> inquire(const std::string& host, const LookUp& look_up);

/// Of this process: an address of the host at which somebody proved the key that was expected.
void remember(const std::string& host, const std::string& address);
std::vector<std::string> remembered(const std::string& host);

/// Is it an address, "10.0.0.1" or "[::1]", that needs no looking up?
bool in_digits(const std::string& host);

}  // namespace dunlin::zeromq
