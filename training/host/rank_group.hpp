// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <type_traits>
#include <vector>

namespace dunlin {

/// The processes that make one run together, each of them all but the work for nodes of others: what is cheap they all
/// do alike, and what a node's work comes to is told to the others. Every rank calls the same functions in the same
/// order, each as often; by one thread.
///
/// The nodes of a fleet belong to ranks by blocks, in their order.
class RankGroup {
public:
    using Bytes = std::vector<std::byte>;

    /// A process by itself.
    static RankGroup& alone();

    virtual ~RankGroup() = default;
    virtual int rank() const = 0;
    virtual int count() const = 0;
    /// Gives to[r] to rank r, and leaves in from[r] what rank r gave to this one: `count()` texts each, of which this
    /// rank's own stay empty. A rank that cannot go on ends all.
    virtual void exchange(const std::vector<Bytes>& to, std::vector<Bytes>& from) = 0;

    /// What is on this rank, as bits; asked with every exchange, whose answers `signals` joins for all ranks alike.
    std::function<std::uint32_t()> signal = [] { return 0u; };
    virtual std::uint32_t signals() const { return 0; }

    bool leads() const { return rank() == 0; }
    bool spread() const { return count() > 1; }

    struct Block {
        std::uint32_t first = 0, last = 0;  ///< without `last`
        bool holds(std::uint32_t node) const { return first <= node && node < last; }
        std::uint32_t size() const { return last - first; }
    };
    Block block(std::uint32_t nodes, int of) const {
        const auto begin = [&](int r) {
            return static_cast<std::uint32_t>(std::uint64_t{nodes} * static_cast<std::uint64_t>(r) /
                                              static_cast<std::uint64_t>(count()));
        };
        return {begin(of), begin(of + 1)};
    }
    Block block(std::uint32_t nodes) const { return block(nodes, rank()); }
    int owner(std::uint32_t node, std::uint32_t nodes) const {
        const auto ranks = static_cast<std::uint64_t>(count());
        return static_cast<int>(((std::uint64_t{node} + 1) * ranks - 1) / nodes);
    }

    /// Gives the same bytes to all.
    void tell(const Bytes& bytes, std::vector<Bytes>& from) {
        std::vector<Bytes> to(static_cast<std::size_t>(count()), bytes);
        to[static_cast<std::size_t>(rank())].clear();
        exchange(to, from);
    }

    /// `all` holds as many values for each of `nodes`, of which every rank has those of its block; then it has all.
    template <class T>
    void share(std::span<T> all, std::uint32_t nodes) {
        if (!spread() || nodes == 0) return;
        const std::size_t each = all.size() / nodes;
        const auto part = [&](int r) {
            const Block piece = block(nodes, r);
            return std::as_writable_bytes(all.subspan(piece.first * each, piece.size() * each));
        };
        static_assert(std::is_trivially_copyable_v<T>);
        const std::span<const std::byte> own = part(rank());
        std::vector<Bytes> from;
        tell({own.begin(), own.end()}, from);
        for (int r = 0; r < count(); ++r) {
            if (r != rank()) take(from[static_cast<std::size_t>(r)], part(r));
        }
    }

    /// The same with a vector for each node, whose length all ranks know.
    template <class T>
    void share(std::vector<std::vector<T>>& rows) {
        if (!spread()) return;
        const auto nodes = static_cast<std::uint32_t>(rows.size());
        Bytes own;
        for (std::uint32_t i = block(nodes).first; i < block(nodes).last; ++i) {
            const auto row = std::as_bytes(std::span(rows[i]));
            own.insert(own.end(), row.begin(), row.end());
        }
        std::vector<Bytes> from;
        tell(own, from);
        for (int r = 0; r < count(); ++r) {
            if (r == rank()) continue;
            std::span<const std::byte> rest = from[static_cast<std::size_t>(r)];
            for (std::uint32_t i = block(nodes, r).first; i < block(nodes, r).last; ++i) {
                const std::span<std::byte> row = std::as_writable_bytes(std::span(rows[i]));
                take(rest.first(std::min(rest.size(), row.size())), row);
                rest = rest.subspan(row.size());
            }
        }
    }

    /// Ranks call `add` one after the other, each on what the one before left in `values`; then all have the result.
    /// A sum over all nodes comes out as in one process, whose order this is.
    template <class T, class Add>
    void in_turn(std::span<T> values, const Add& add) {
        for (int r = 0; r < count(); ++r) {
            if (r == rank()) add();
            if (spread()) give(values, r);
        }
    }

    /// What `from` has in `values` all have then.
    template <class T>
    void give(std::span<T> values, int from) {
        static_assert(std::is_trivially_copyable_v<T>);
        const auto bytes = std::as_writable_bytes(values);
        std::vector<Bytes> received;
        tell(rank() == from ? Bytes(bytes.begin(), bytes.end()) : Bytes{}, received);
        if (rank() != from) take(received[static_cast<std::size_t>(from)], bytes);
    }

    /// Does any rank say so?
    bool any(bool here) {
        std::uint8_t found = 0;
        in_turn(std::span(&found, 1), [&] { found = found != 0 || here; });
        return found != 0;
    }
    /// What rank 0 says.
    bool first_says(bool here) {
        auto said = static_cast<std::uint8_t>(here);
        if (spread()) give(std::span(&said, 1), 0);
        return said != 0;
    }

private:
    /// All ranks make the same run, so sizes that differ are a mistake of this program.
    static void take(std::span<const std::byte> from, std::span<std::byte> to) {
        if (from.size() != to.size()) __builtin_trap();
        if (!to.empty()) std::memcpy(to.data(), from.data(), to.size());
    }
};

}  // namespace dunlin
