// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "transport/messages.hpp"

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace dunlin {

struct PublicKeyHash {
    std::size_t operator()(const PublicKey& key) const {
        std::size_t word = 0;
        std::memcpy(&word, key.data(), sizeof word);  // any eight bytes of a curve point will do
        return word;
    }
};

/// A node that the operator admitted.
struct RosterNode {
    std::string name;
    PublicKey key{};
    std::vector<std::string> labels;
    bool admitted = true;           ///< and not revoked
    std::uint32_t incarnation = 0;  ///< the newest that it was told

    template <class Archive>
    void fields(Archive& archive) {
        archive(name, key, labels, admitted, incarnation);
    }
};

/// All nodes that ever were admitted; a node's number is its place, and is kept. Names and keys are those of one
/// node each; a revoked node's name can be admitted again, with any key, and is the same node then.
class Roster {
public:
    static constexpr std::size_t node_limit = 100'000;

    const std::vector<RosterNode>& nodes() const { return nodes_; }
    const RosterNode& operator[](std::uint32_t number) const { return nodes_[number]; }
    /// An admitted node's number.
    std::optional<std::uint32_t> find(const PublicKey& key) const;
    /// Any node's number.
    std::optional<std::uint32_t> find(std::string_view name) const;

    // What records do. A node's number, if it changed something.
    std::optional<std::uint32_t> admit(std::string name, const PublicKey& key, std::vector<std::string> labels);
    std::optional<std::uint32_t> revoke(std::uint32_t number);
    std::optional<std::uint32_t> rotate(std::uint32_t number, const PublicKey& key);
    std::optional<std::uint32_t> set_incarnation(std::uint32_t number, std::uint32_t incarnation);

    template <class Archive>
    void fields(Archive& archive) {
        archive(nodes_);
        index();
    }

private:
    void index();

    std::vector<RosterNode> nodes_;
    std::unordered_map<PublicKey, std::uint32_t, PublicKeyHash> by_key_;
    std::unordered_map<std::string, std::uint32_t> by_name_;
};

}  // namespace dunlin
