// SPDX-License-Identifier: Apache-2.0
#include "envs/grid_planning.hpp"

#include "envs/navigation_tasks.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

using namespace dunlin;

namespace {

GridTask make(const StoredMap& map, const GridTaskSettings& settings) {
    auto task = GridTask::make(map, settings);
    REQUIRE(task);
    return *std::move(task);
}

std::vector<double> softmax(const std::vector<double>& logits, const GridNavigation& task) {
    const auto actions = static_cast<std::size_t>(task.action_count());
    std::vector<double> policy(logits.size());
    for (std::size_t s = 0; s < logits.size(); s += actions) {
        double sum = 0.0;
        for (std::size_t a = 0; a < actions; ++a) sum += policy[s + a] = std::exp(logits[s + a]);
        for (std::size_t a = 0; a < actions; ++a) policy[s + a] /= sum;
    }
    return policy;
}

std::vector<double> random_logits(const GridNavigation& task, std::uint64_t seed) {
    Stream random(seed, 0, Purpose::initialise);
    std::vector<double> logits(static_cast<std::size_t>(task.state_count() * task.action_count()));
    for (double& logit : logits) logit = random.normal();
    return logits;
}

/// Follows every possible trajectory of a task, from its settings alone: nothing of the tables under test is used
/// but the rewards, whose own test is elsewhere.
class Tree {
public:
    explicit Tree(const GridTask& task) : task_(task), map_(task.map()), settings_(task.settings()) {}

    /// What `choose` makes of the values of a state's actions, from the starts on.
    using Choose = std::function<double(int state, const std::vector<double>&)>;
    double expected_return(const Choose& choose) const {
        return over_starts([&](int start) { return value(start, 0, choose); });
    }
    double success(const std::vector<double>& policy) const {
        return over_starts([&](int start) { return reaches(start, 0, policy); });
    }

private:
    double over_starts(const std::function<double(int)>& f) const {
        if (settings_.start) return f(map_.index(*settings_.start));
        double sum = 0.0;
        int count = 0;
        for (int cell = 0; cell < map_.cells(); ++cell) {
            if (!map_.free(cell) || map_.cell(cell) == *settings_.goal) continue;
            sum += f(cell);
            ++count;
        }
        return sum / count;
    }

    int moved(int cell, Move move) const {
        GridCell at = map_.cell(cell);
        for (const Move up : {Move::up, Move::up_left, Move::up_right}) at.row -= move == up;
        for (const Move down : {Move::down, Move::down_left, Move::down_right}) at.row += move == down;
        for (const Move left : {Move::left, Move::up_left, Move::down_left}) at.column -= move == left;
        for (const Move right : {Move::right, Move::up_right, Move::down_right}) at.column += move == right;
        const GridCell from = map_.cell(cell);
        const bool cuts_no_corner = map_.free({from.row, at.column}) && map_.free({at.row, from.column});
        return map_.free(at) && cuts_no_corner ? map_.index(at) : cell;
    }

    /// Calls visit(cell, probability) for each end of a step.
    template <class Visit>
    void outcomes(int cell, std::size_t action, Visit visit) const {
        for (std::size_t done = 0; done < actions_; ++done) {
            const double taken =
                (done == action ? 1.0 - settings_.slip : 0.0) + settings_.slip / static_cast<double>(actions_);
            const int middle = moved(cell, static_cast<Move>(settings_.moves[done]));
            visit(middle, taken * (1.0 - settings_.wind));
            visit(moved(middle, settings_.wind_direction), taken * settings_.wind);
        }
    }

    bool at_goal(int cell) const { return map_.cell(cell) == *settings_.goal; }

    double value(int cell, int depth, const Choose& choose) const {
        if (depth == settings_.horizon) return 0.0;
        std::vector<double> values(actions_);
        for (std::size_t action = 0; action < actions_; ++action) {
            outcomes(cell, action, [&](int next, double probability) {
                if (probability == 0.0) return;
                const bool over = settings_.reward == GridReward::sparse && at_goal(next);
                values[action] +=
                    probability * (std::pow(settings_.discount, depth) * task_.environment().reward_at(next) +
                                   (over ? 0.0 : value(next, depth + 1, choose)));
            });
        }
        return choose(cell, values);
    }

    double reaches(int cell, int depth, const std::vector<double>& policy) const {
        if (depth == settings_.horizon) return 0.0;
        double sum = 0.0;
        for (std::size_t action = 0; action < actions_; ++action) {
            const double chosen = policy[static_cast<std::size_t>(cell) * actions_ + action];
            outcomes(cell, action, [&](int next, double probability) {
                if (probability == 0.0) return;
                sum += chosen * probability * (at_goal(next) ? 1.0 : reaches(next, depth + 1, policy));
            });
        }
        return sum;
    }

    const GridTask& task_;
    GridMap map_;
    const GridTaskSettings& settings_;
    std::size_t actions_ = static_cast<std::size_t>(settings_.action_count());
};

/// Small enough to follow every trajectory, and with all that a task can have.
std::vector<GridTask> tiny_tasks() {
    const StoredMap map = parse_rows(std::vector<std::string_view>{"..#", "..."}).value();
    std::vector<GridTask> tasks;
    for (const int kind : {0, 1, 2, 3, 4, 5, 6, 7}) {
        const GridReward reward = kind % 2 == 0 ? GridReward::sparse : GridReward::dense;
        const bool random_start = kind / 2 % 2 == 0, diagonal = kind / 4 == 1;
        for (const float disturbance : {0.0f, 0.3f}) {
            GridTaskSettings settings;
            settings.goal = GridCell{1, 1};
            if (!random_start) settings.start = GridCell{0, 0};
            settings.moves = {2, 0, 1, 4, 3};
            settings.diagonal = diagonal;
            if (diagonal) settings.moves = {8, 2, 0, 1, 6, 4, 3, 7, 5};
            settings.wind = disturbance;
            settings.wind_direction = Move::left;
            settings.slip = disturbance / 2.0f;
            settings.reward = reward;
            settings.horizon = diagonal ? 2 : 3;
            settings.discount = 0.9f;
            tasks.push_back(make(map, settings));
        }
    }
    return tasks;
}

}  // namespace

TEST_CASE("a corridor's return, success and optimum are those computed by hand") {
    GridTaskSettings settings;
    settings.goal = GridCell{0, 2};
    settings.start = GridCell{0, 0};
    settings.horizon = 2;
    settings.discount = 0.5f;
    const StoredMap map = find_map("empty-1x3").value();
    const std::vector<double> uniform(15, 0.2);
    {
        const GridTask task = make(map, settings);  // only right, right arrives: the second reward counts gamma
        const GridEvaluation found = evaluate_policy(task.environment(), uniform);
        CHECK(found.success == Approx(0.04));
        CHECK(found.expected_return == Approx(0.02));
        CHECK(optimal_return(task.environment()) == Approx(0.5));
    }
    settings.reward =
        GridReward::dense;  // rewards 0, 1/2, 1 by cell; after one step right has .2, after two: .04, .32
    const GridTask task = make(map, settings);
    const GridEvaluation found = evaluate_policy(task.environment(), uniform);
    CHECK(found.success == Approx(0.04));
    CHECK(found.expected_return == Approx(0.5 * 0.2 + 0.5 * (0.04 * 1.0 + (0.8 * 0.2 + 0.2 * 0.6) * 0.5)));
    CHECK(optimal_return(task.environment()) == Approx(0.5 + 0.5 * 1.0));
}

TEST_CASE("planning agrees with following every trajectory of small tasks") {
    for (const GridTask& task : tiny_tasks()) {
        const Tree tree(task);
        const std::vector<double> policy = softmax(random_logits(task.environment(), 7), task.environment());
        const auto follow = [&](int state, const std::vector<double>& values) {
            double sum = 0.0;
            for (std::size_t a = 0; a < values.size(); ++a)
                sum += policy[static_cast<std::size_t>(state) * values.size() + a] * values[a];
            return sum;
        };
        const auto best = [](int, const std::vector<double>& values) {
            return *std::max_element(values.begin(), values.end());
        };
        const GridEvaluation found = evaluate_policy(task.environment(), policy);
        CHECK(found.expected_return == Approx(tree.expected_return(follow)).epsilon(1e-12));
        CHECK(found.success == Approx(tree.success(policy)).epsilon(1e-12));
        CHECK(optimal_return(task.environment()) == Approx(tree.expected_return(best)).epsilon(1e-12));
    }
}

TEST_CASE("the policy gradient is the finite difference of the return") {
    std::vector<GridTask> tasks = tiny_tasks();
    GridTaskSettings settings;
    settings.goal = GridCell{3, 1};
    settings.wind = 0.1f;
    settings.slip = 0.05f;
    settings.horizon = 12;
    tasks.push_back(make(find_map("empty-4x4").value(), settings));
    for (const GridTask& task : tasks) {
        const GridNavigation& grid = task.environment();
        std::vector<double> logits = random_logits(grid, 11);
        const std::vector<double> gradient = policy_gradient(grid, softmax(logits, grid));
        double largest = 0.0;
        for (const double g : gradient) largest = std::max(largest, std::abs(g));
        REQUIRE(largest > 1e-3);
        constexpr double width = 1e-5;
        for (std::size_t k = 0; k < logits.size(); ++k) {
            const double middle = logits[k];
            logits[k] = middle + width;
            const double above = evaluate_policy(grid, softmax(logits, grid)).expected_return;
            logits[k] = middle - width;
            const double below = evaluate_policy(grid, softmax(logits, grid)).expected_return;
            logits[k] = middle;
            CHECK(std::abs(gradient[k] - (above - below) / (2 * width)) < 1e-6 * largest);
        }
    }
}

TEST_CASE("planning agrees with trajectories of the environment within their confidence interval") {
    GridTaskSettings settings;
    settings.goal = GridCell{1, 5};
    settings.wind = 0.2f;
    settings.wind_direction = Move::up;
    settings.slip = 0.1f;
    settings.horizon = 15;
    settings.discount = 0.95f;
    for (const GridReward reward : {GridReward::sparse, GridReward::dense}) {
        settings.reward = reward;
        const GridTask task = make(find_map("two-rooms").value(), settings);
        const GridNavigation& grid = task.environment();
        const std::vector<double> policy = softmax(random_logits(grid, 2), grid);
        Stream random(8, 0, Purpose::rollout);
        constexpr int trajectories = 40'000;
        double sum = 0.0, squares = 0.0;
        int successes = 0;
        for (int k = 0; k < trajectories; ++k) {
            GridNavigation::State state = grid.reset(random);
            double total = 0.0, weight = 1.0;
            bool reached = false;
            for (int l = 0; l < grid.horizon(); ++l) {
                const double* row = &policy[static_cast<std::size_t>(state) * move_count];
                double u = random.uniform_double();
                int action = 0;
                while (action < move_count - 1 && u >= row[action]) u -= row[action++];
                const auto step = grid.step(state, action, random);
                total += weight * step.reward;
                weight *= grid.discount();
                reached = reached || state == grid.goal();
                if (step.ended) break;
            }
            sum += total;
            squares += total * total;
            successes += reached;
        }
        const GridEvaluation exact = evaluate_policy(grid, policy);
        const double mean = sum / trajectories;
        const double error = std::sqrt((squares / trajectories - mean * mean) / trajectories);
        REQUIRE(error > 0.0);
        CHECK(std::abs(mean - exact.expected_return) < 4.5 * error);
        const double share = static_cast<double>(successes) / trajectories;
        CHECK(std::abs(share - exact.success) <
              4.5 * std::sqrt(exact.success * (1 - exact.success) / trajectories));
    }
}

TEST_CASE("no policy returns more than the optimum, and none succeeds with a probability outside [0, 1]") {
    for (const GridReward reward : {GridReward::sparse, GridReward::dense}) {
        GridTaskSettings settings;
        settings.goal = GridCell{2, 8};
        settings.wind = 0.1f;
        settings.slip = 0.2f;
        settings.reward = reward;
        settings.horizon = 30;
        const GridTask task = make(find_map("four-rooms").value(), settings);
        const double best = optimal_return(task.environment());
        for (std::uint64_t seed = 0; seed < 20; ++seed) {
            std::vector<double> logits = random_logits(task.environment(), seed);
            for (double& logit : logits) logit *= 5.0;
            const GridEvaluation found = evaluate_policy(task.environment(), softmax(logits, task.environment()));
            CHECK(found.expected_return <= best);
            CHECK(found.expected_return >= 0.0);
            CHECK((found.success >= 0.0 && found.success <= 1.0));
        }
    }
}

TEST_CASE("without disturbance the optimum is the mean of gamma to the shortest path less one") {
    GridTaskSettings settings;
    settings.goal = GridCell{0, 0};
    settings.horizon = 20;
    settings.discount = 0.9f;
    const GridTask task = make(find_map("empty-5x5").value(), settings);
    double expected = 0.0;
    for (int cell = 1; cell < 25; ++cell) expected += std::pow(0.9f, cell / 5 + cell % 5 - 1) / 24.0;
    CHECK(optimal_return(task.environment()) == Approx(expected).epsilon(1e-12));
    settings.discount = 1.0f;
    settings.horizon = 3;  // 9 of 24 cells are within three steps
    CHECK(optimal_return(make(find_map("empty-5x5").value(), settings).environment()) == Approx(9.0 / 24.0));
}
