// SPDX-License-Identifier: Apache-2.0
#include "fleet/coordinator/roster.hpp"

namespace dunlin {

std::optional<std::uint32_t> Roster::find(const PublicKey& key) const {
    const auto found = by_key_.find(key);
    return found == by_key_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<std::uint32_t> Roster::find(std::string_view name) const {
    const auto found = by_name_.find(std::string(name));
    return found == by_name_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<std::uint32_t> Roster::admit(std::string name, const PublicKey& key,
                                           std::vector<std::string> labels) {
    const auto known = find(name), holder = find(key);
    if (holder && holder != known) return std::nullopt;
    if (known && nodes_[*known].admitted && nodes_[*known].key != key) return std::nullopt;
    if (!known && nodes_.size() >= node_limit) return std::nullopt;
    const auto number = known ? *known : static_cast<std::uint32_t>(nodes_.size());
    if (!known) nodes_.emplace_back();
    RosterNode& node = nodes_[number];
    node.name = std::move(name);
    node.key = key;
    node.labels = std::move(labels);
    node.admitted = true;
    by_key_[key] = number;
    by_name_[node.name] = number;
    return number;
}

std::optional<std::uint32_t> Roster::revoke(std::uint32_t number) {
    if (number >= nodes_.size() || !nodes_[number].admitted) return std::nullopt;
    nodes_[number].admitted = false;
    by_key_.erase(nodes_[number].key);
    return number;
}

std::optional<std::uint32_t> Roster::rotate(std::uint32_t number, const PublicKey& key) {
    if (number >= nodes_.size() || !nodes_[number].admitted || find(key)) return std::nullopt;
    by_key_.erase(nodes_[number].key);
    nodes_[number].key = key;
    by_key_[key] = number;
    return number;
}

std::optional<std::uint32_t> Roster::set_incarnation(std::uint32_t number, std::uint32_t incarnation) {
    if (number >= nodes_.size() || incarnation <= nodes_[number].incarnation) return std::nullopt;
    nodes_[number].incarnation = incarnation;
    return number;
}

void Roster::index() {
    by_key_.clear();
    by_name_.clear();
    for (std::uint32_t number = 0; number < nodes_.size(); ++number) {
        if (nodes_[number].admitted) by_key_[nodes_[number].key] = number;
        by_name_[nodes_[number].name] = number;
    }
}

}  // namespace dunlin
