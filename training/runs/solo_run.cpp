// SPDX-License-Identifier: Apache-2.0
#include "training/runs/training_loop.hpp"

#include <cmath>
#include <limits>

namespace dunlin {
namespace {

class SoloRun final : public TrainingLoop {
public:
    explicit SoloRun(SoloCourse& course) : course_(course) {}
    const DataNotes& notes() const override { return notes_; }

private:
    void begin(FederatedResult& result) override { describe(result); }

    bool over(const FederatedResult& result) const override {
        return course_.finished() && !result.history.empty() && result.history.back().round == course_.iteration();
    }
    bool there(const FederatedResult& result) const override {
        if (result.history.empty()) return true;
        return result.history.back().round < course_.iteration() &&
               (course_.iteration() % course_.evaluate_every() == 0 || course_.finished());
    }
    Outcome<void> live(const Way& way, const std::function<bool()>& stop) override {
        course_.stop_when(way.pauses.give_up);
        while (!there(way.result)) {
            if (stop()) return {};
            const std::int64_t before = course_.iteration();
            const Clock::time_point start = Clock::now();
            const Outcome<void> done = course_.iterate();
            spent_s_ += since(start);
            if (!done) {
                // What it has learned is that of before.
                if (auto kept = way.pauses.checkpoint(way.save, true); !kept) return kept;
                return done;
            }
            if (course_.iteration() == before) return {};  // it was left off
            describe(way.result);
            way.pauses.progress();
        }
        return {};
    }
    bool judge(FederatedResult& result) override {
        std::vector<double> numbers = course_.judge();
        result.complete = course_.finished();
        if (course_.stopped()) return false;
        result.history.push_back(result.last);
        result.history.back().by_node = std::move(numbers);
        return true;
    }
    Outcome<void> end(const Way& way) override {
        describe(way.result);
        way.result.complete = course_.finished();
        course_.judge_the_end(way.result);
        return {};
    }
    void keep_models(FederatedResult& result) override {
        result.shared_model.assign(course_.parameters().begin(), course_.parameters().end());
    }
    /// Training's alone.
    double seconds() const override { return earlier_s_ + spent_s_; }

    void describe(FederatedResult& result) const {
        result.seconds = seconds();
        result.last.time_s = seconds();
        result.last.round = course_.iteration();
        result.last.environment_steps = course_.environment_steps();
        result.last.gradients = course_.gradients();
    }

    void save(Saver& saver, const FederatedResult& result) override {
        course_.save(saver);
        saver(seconds(), result.history);
    }
    Outcome<void> go_on(const Way& way) override {
        std::vector<FederatedRow> rows;
        const std::size_t columns = course_.columns().size() - 4;
        auto gone_on = way.pauses.go_on([&](Loader& loader) -> Result<void> {
            if (auto restored = course_.restore(loader); !restored) return restored;
            loader(earlier_s_, rows);
            for (FederatedRow& row : rows) {
                if (row.by_node.size() > columns) return fail(Code::shape_mismatch, std::ssize(row.by_node));
                // Those of an older program say less.
                row.by_node.resize(columns, std::numeric_limits<double>::quiet_NaN());
            }
            return {};
        });
        if (!gone_on) return gone_on;
        if (auto fits = course_.check_length(); !fits) return fits;
        describe(way.result);
        for (FederatedRow& row : rows) {
            way.result.history.push_back(std::move(row));
            if (auto kept = way.keep(way.result); !kept) return kept;
        }
        return {};
    }

    SoloCourse& course_;
    DataNotes notes_;
    double spent_s_ = 0;
};

}  // namespace

std::unique_ptr<FederatedRun> FederatedRun::alone(SoloCourse& course) {
    return std::make_unique<SoloRun>(course);
}

}  // namespace dunlin
