// SPDX-License-Identifier: Apache-2.0
#include "fleet/coordinator/roles.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace dunlin {
namespace {

constexpr std::array names{
    std::pair{Role::view, std::string_view("view")},
    std::pair{Role::operate, std::string_view("operate")},
    std::pair{Role::admin, std::string_view("admin")},
};

constexpr CommandRule looks{Role::view, false}, operates{Role::operate, true}, rules{Role::admin, true};

constexpr std::array commands{
    std::pair{std::string_view("status"), looks},
    std::pair{std::string_view("nodes"), looks},
    std::pair{std::string_view("jobs"), looks},
    std::pair{std::string_view("job"), looks},
    std::pair{std::string_view("logs"), looks},
    std::pair{std::string_view("ledger"), looks},
    std::pair{std::string_view("curves"), looks},
    std::pair{std::string_view("graph"), looks},
    std::pair{std::string_view("alerts"), looks},
    std::pair{std::string_view("models"), looks},
    std::pair{std::string_view("rollouts"), looks},
    std::pair{std::string_view("rollout"), looks},
    std::pair{std::string_view("rollout-history"), looks},
    std::pair{std::string_view("run"), operates},
    std::pair{std::string_view("pause"), operates},
    std::pair{std::string_view("resume"), operates},
    std::pair{std::string_view("stop"), operates},
    std::pair{std::string_view("add"), operates},
    std::pair{std::string_view("remove"), operates},
    std::pair{std::string_view("pull"), operates},  // what learned from private data leaves
    std::pair{std::string_view("model"), operates},
    std::pair{std::string_view("keep-model"), operates},
    std::pair{std::string_view("rollout-start"), operates},
    std::pair{std::string_view("rollout-pause"), operates},
    std::pair{std::string_view("rollout-resume"), operates},
    std::pair{std::string_view("rollout-abort"), operates},
    std::pair{std::string_view("rollout-rollback"), operates},
    std::pair{std::string_view("rollout-retry"), operates},
    std::pair{std::string_view("archive"), operates},
    std::pair{std::string_view("delete"), operates},
    std::pair{std::string_view("admit"), rules},
    std::pair{std::string_view("enrol"), rules},  // the web port asks for it by an enrolment token
    std::pair{std::string_view("revoke"), rules},
    std::pair{std::string_view("rotate"), rules},
    std::pair{std::string_view("backup"), rules},
    std::pair{std::string_view("restore"), rules},
    std::pair{std::string_view("token-create"), rules},
    std::pair{std::string_view("token-revoke"), rules},
    std::pair{std::string_view("token-link"), rules},
    std::pair{std::string_view("token-list"), CommandRule{Role::admin, false}},
    std::pair{std::string_view("audit"), CommandRule{Role::admin, false}},
};

}  // namespace

std::string_view name_of(Role role) {
    return std::ranges::find(names, role, &decltype(names)::value_type::first)->second;
}

std::optional<Role> role_named(std::string_view name) {
    const auto found = std::ranges::find(names, name, &decltype(names)::value_type::second);
    if (found == names.end()) return std::nullopt;
    return found->first;
}

CommandRule rule_of(std::string_view command) {
    const auto found = std::ranges::find(commands, command, &decltype(commands)::value_type::first);
    return found == commands.end() ? CommandRule{} : found->second;
}

}  // namespace dunlin
