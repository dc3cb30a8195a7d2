// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "transport/simulation/large_pages.hpp"
#include "transport/simulation/time.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace dunlin::simulation {

/// A priority queue for events that never lie in the past, in the total order of (time, order of insertion).
///
/// It is a radix heap: bucket k > 0 holds the items whose time first differs from the current time in bit k - 1,
/// bucket 0 those of the current time. When bucket 0 is used up, the lowest filled bucket is spread over the
/// (empty) ones below it. Every item only ever moves down, in contiguous memory, and keeps its place among equals:
/// ties need no counter, and all events of one tick lie side by side. Memory grows to the peak and is then kept.
///
/// Source: Ahuja, Mehlhorn, Orlin, Tarjan 1990, "Faster algorithms for the shortest path problem".
///
/// Item is trivially copyable with a member `Time time`.
template <class Item>
class EventQueue {
public:
    /// The time of the events handed out last; 0 at first.
    Time now() const { return now_; }
    std::size_t size() const { return size_; }

    /// Sets the clock of a queue that is empty.
    void start(Time now) { now_ = now; }

    /// item.time >= now().
    void push(const Item& item) {
        place(item);
        ++size_;
    }

    /// Makes sure that there is an event to `take`, moving the clock to the earliest one. False, with the clock
    /// where it was, when none is left that lies at `until` or before.
    bool advance(Time until) {
        if (more()) return now_ <= until;
        if (filled_ == 0) return false;
        const int lowest = std::countr_zero(filled_);
        LargeVector<Item>& bucket = buckets_[lowest];
        Time earliest = std::numeric_limits<Time>::max();
        for (const Item& item : bucket) earliest = std::min(earliest, item.time);
        if (earliest > until) return false;
        now_ = earliest;
        for (const Item& item : bucket) place(item);
        bucket.clear();
        filled_ &= ~(std::uint64_t{1} << lowest);
        return true;
    }

    /// The next event, after `advance` said yes.
    Item take() {
        const Item item = buckets_[0][taken_++];
        --size_;
        if (taken_ == buckets_[0].size()) {
            buckets_[0].clear();
            taken_ = 0;
            filled_ &= ~std::uint64_t{1};
        }
        return item;
    }
    /// Whether another event of the same time is there already.
    bool more() const { return !buckets_[0].empty(); }

    /// Calls `visit` with every item that was not taken: those of one time in their order, else in none. Pushed in
    /// that order into an empty queue with the same clock they come out as here.
    template <class Visit>
    void for_each(Visit visit) const {
        for (std::size_t k = 0; k < buckets_.size(); ++k) {
            for (std::size_t j = k == 0 ? taken_ : 0; j < buckets_[k].size(); ++j) visit(buckets_[k][j]);
        }
    }

private:
    void place(const Item& item) {
        const auto k = static_cast<std::size_t>(std::bit_width(static_cast<std::uint64_t>(item.time ^ now_)));
        buckets_[k].push_back(item);
        filled_ |= std::uint64_t{1} << k;
    }

    std::array<LargeVector<Item>, 64> buckets_;  // times are below 2^63
    std::uint64_t filled_ = 0;                   // bit k: bucket k may hold something
    std::size_t taken_ = 0;                      // of bucket 0
    std::size_t size_ = 0;
    Time now_ = 0;
};

}  // namespace dunlin::simulation
