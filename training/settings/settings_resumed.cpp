// SPDX-License-Identifier: Apache-2.0
// What may be different in a run that goes on.
#include "training/settings/settings.hpp"

#include <fmt/format.h>

namespace dunlin {

std::map<std::string, std::string> Settings::values() const {
    std::map<std::string, std::string> all;
    for (const Entry& entry : entries_) all.emplace(entry.key, text(entry, Paths::absolute));
    return all;
}

Outcome<void> Settings::check_resumed(const std::map<std::string, std::string>& before,
                                      std::span<const std::string> assignments) const {
    const auto check = [&](const Entry& entry) -> Outcome<void> {
        const auto found = before.find(entry.key);
        const std::string now = text(entry, Paths::absolute);
        if (entry.may_change || found == before.end() || found->second == now) return {};
        return refuse(fmt::format(
            "{}: the run was made with {}, and what it did so far would be another run's with {}: leave it, "
            "or start a run of its own without --resume",
            entry.key, found->second, now));
    };
    for (const std::string& assignment : assignments) {
        const Entry* entry = find(std::string_view(assignment).substr(0, assignment.find('=')));
        if (entry == nullptr) continue;
        if (auto allowed = check(*entry); !allowed) return allowed;
    }
    for (const Entry& entry : entries_) {
        if (entry.is_preset()) continue;  // what it stands for says more
        if (auto allowed = check(entry); !allowed) return allowed;
    }
    return {};
}

}  // namespace dunlin
