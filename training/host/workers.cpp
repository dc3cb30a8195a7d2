// SPDX-License-Identifier: Apache-2.0
#include "training/host/workers.hpp"

namespace dunlin {

RankGroup& RankGroup::alone() {
    class Alone final : public RankGroup {
    public:
        int rank() const override { return 0; }
        int count() const override { return 1; }
        void exchange(const std::vector<Bytes>&, std::vector<Bytes>& from) override { from.assign(1, {}); }
    };
    static Alone group;
    return group;
}

Workers::Workers(int threads, RankGroup& ranks) : ranks_(ranks) {
    for (int worker = 1; worker < threads; ++worker) threads_.emplace_back([this, worker] { serve(worker); });
}

Workers::~Workers() {
    stopping_ = true;
    ++round_;
    round_.notify_all();
    for (std::thread& thread : threads_) thread.join();
}

void Workers::run(int pieces, const std::function<void(int, int)>& job) {
    job_ = &job;
    pieces_ = pieces;
    next_ = 0;
    busy_ = static_cast<int>(threads_.size());
    ++round_;
    round_.notify_all();
    take_pieces(0);
    for (int left = busy_; left != 0; left = busy_) busy_.wait(left);
}

void Workers::serve(int worker) {
    std::uint32_t seen = 0;
    while (true) {
        round_.wait(seen);
        ++seen;  // run() waits for every worker, so rounds are never skipped
        if (stopping_) return;
        take_pieces(worker);
        if (--busy_ == 0) busy_.notify_one();
    }
}

void Workers::take_pieces(int worker) {
    for (int piece = next_++; piece < pieces_; piece = next_++) (*job_)(piece, worker);
}

}  // namespace dunlin
