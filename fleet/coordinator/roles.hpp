// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>

namespace dunlin {

/// What somebody may do who does not own the store; each may what the ones before it may.
enum class Role : unsigned char { view, operate, admin };

std::string_view name_of(Role role);
std::optional<Role> role_named(std::string_view name);

/// A command of the desk: who may give it, and whether it is an action, which the audit log has a line of.
struct CommandRule {
    Role role = Role::admin;
    bool action = true;
};
/// The one table. A command that is not in it is an action of an admin.
CommandRule rule_of(std::string_view command);

}  // namespace dunlin
