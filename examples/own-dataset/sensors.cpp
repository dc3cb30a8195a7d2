// SPDX-License-Identifier: Apache-2.0
#include "sensors.hpp"

#include "envs/classification.hpp"
#include "envs/data_table.hpp"
#include "training/problems/problem_kinds.hpp"
#include "training/settings/reading.hpp"

#include <cmath>
#include <numbers>

using namespace dunlin;

namespace {

constexpr int window = 16;  ///< samples of a vibration sensor
enum State : std::uint8_t { sound, unbalanced, worn, states };

/// The settings of this problem; those that all problems have are in the base.
struct SensorSettings : ProblemSettings {
    int machines = 8;
    int windows = 300;    ///< of each machine
    float offset = 1.0f;  ///< how differently the machines' sensors are mounted
    std::vector<int> hidden{16};
};

Settings sensor_settings(SensorSettings& s) {
    Settings list = problem_settings(s);
    list.add("data.machines", s.machines, "each is a node", {1, 10000});
    list.add("data.windows", s.windows, "windows that a machine recorded; the last fifth is held out", {5, 1e6});
    list.add("data.offset", s.offset, "standard deviation of the sensors' own offsets", {0, 100});
    list.add("model.hidden", s.hidden, "widths of the hidden layers", {1, 4096});
    add_federated_settings(list, s.federated);
    return list;
}

/// All that Dunlin asks of a problem; see WorldProblem in training/problems/federated_problem.hpp.
struct SensorWorld {
    using Task = Classification<float>;

    SensorSettings settings;
    MlpShape shape;
    const Kernels<float>* kernels;
    std::vector<float> values{};                              ///< window after window
    std::vector<std::uint8_t> labels{};                       ///< a State each
    std::vector<std::vector<std::uint32_t>> train{}, test{};  ///< windows of each machine
    std::vector<std::uint32_t> all{};                         ///< that anybody trains on

    std::uint32_t nodes() const { return static_cast<std::uint32_t>(train.size()); }
    void initialise(Vector<float> w) const {
        Stream random(settings.seed, 0, Purpose::initialise);
        dunlin::initialise(shape, random, w);
    }
    std::vector<float> samples() const {
        std::vector<float> counts;
        for (const auto& windows : train) counts.push_back(static_cast<float>(windows.size()));
        return counts;
    }
    std::size_t bytes() const { return Task::bytes(shape, settings.federated.batch, settings.federated.slots()); }
    Task make_task(Arena& arena) const {
        return *Task::make(shape, *kernels, settings.federated.batch, settings.federated.slots(), arena);
    }
    LabelledRows rows(const std::vector<std::uint32_t>& which) const {
        return {values.data(), labels.data(), window, which};
    }
    void assign(Task& task, std::uint32_t node) const {
        task.node = rows(node == FederatedProblem::everybody ? all : train[node]);
    }
    FleetScore judge(Task& task, std::uint32_t node, ConstVector<float> w) const {
        const ClassificationScore score = task.evaluate(rows(test[node]), w);
        return {score.rows, {static_cast<double>(score.correct), score.loss_sum, 0.0}};
    }
    std::vector<FleetMetric> metrics(const FleetScore& score) const {
        const auto count = static_cast<double>(score.count);
        return {{"accuracy", "accuracy", score.sums[0] / count}, {"loss", "cross-entropy", score.sums[1] / count}};
    }
    void describe(TrainedModel& model) const {
        model.task = "my-sensors";
        model.head = ModelHead::classes;
        model.shape = shape;
        model.input = "16 samples of the vibration, a window";
        model.output = "logits of the machine's state";
        model.output_names = {"sound", "unbalanced", "worn"};
        for (std::uint32_t i = 0; i < nodes(); ++i) model.nodes.push_back("machine-" + std::to_string(i));
    }

    /// Read your own file here. What machine i recorded: a wave, with a second one when it is out of balance and
    /// with noise when it is worn; its sensor adds an offset and may be mounted upside down.
    void record(std::uint32_t machine) {
        Stream random(settings.seed, machine, Purpose::user);
        const float offset = settings.offset * random.normal(), sign = random.uniform() < 0.5f ? -1.0f : 1.0f;
        train.emplace_back();
        test.emplace_back();
        for (int k = 0; k < settings.windows; ++k) {
            const auto state = static_cast<State>(random.below(states));
            for (int t = 0; t < window; ++t) {
                const float angle = 2.0f * std::numbers::pi_v<float> * static_cast<float>(t) / window;
                const float second = state == unbalanced ? 0.5f * std::cos(2.0f * angle) : 0.0f;
                const float noise = (state == worn ? 0.6f : 0.2f) * random.normal();
                values.push_back(offset + sign * (std::sin(angle) + second + noise));
            }
            labels.push_back(state);
        }
        take_in(settings.windows);
    }

    /// The newest windows are one machine's; the last fifth of them is held out.
    void take_in(int count) {
        const auto first = static_cast<std::uint32_t>(labels.size()) - static_cast<std::uint32_t>(count);
        for (int k = 0; k < count; ++k)
            (5 * k < 4 * count ? train : test).back().push_back(first + static_cast<std::uint32_t>(k));
        all.insert(all.end(), train.back().begin(), train.back().end());
    }

    /// What a machine brings along itself (dunlin-node run --data FILE): a table of 16 numbers and a state a line.
    Outcome<void> read_own(const std::string& path) {
        const auto file = load_csv(path, {.label = "state", .classes = {"sound", "unbalanced", "worn"}});
        // The second text is what the fleet's operator hears: nothing of what is in the file.
        if (!file)
            return tl::unexpected(Failure{refuse(file.error()).value().text, false, "its windows cannot be read"});
        if (file->features != window || file->rows() < 5)
            return refuse("its file has not 16 numbers and a state a line, five lines or more");
        values = file->values;
        labels = file->labels;
        train.emplace_back();
        test.emplace_back();
        take_in(static_cast<int>(file->rows()));
        return {};
    }
};

Outcome<SensorWorld> empty_world(const SensorSettings& s) {
    const auto kernels = find_kernels(s.kernels);
    if (!kernels) return refuse(kernels.error(), "kernels");
    const auto shape = MlpShape::make(window, s.hidden, states);
    if (!shape) return refuse(shape.error(), "model.hidden");
    return SensorWorld{.settings = s, .shape = *shape, .kernels = *kernels};
}

Outcome<std::unique_ptr<FederatedProblem>> make_sensors(const SensorSettings& s, int threads) {
    auto world = empty_world(s);
    if (!world) return tl::unexpected(world.error());
    for (int i = 0; i < s.machines; ++i) world->record(static_cast<std::uint32_t>(i));
    return std::make_unique<WorldProblem<SensorWorld>>(*std::move(world), s.federated, threads);
}

/// Of one machine's own file; of none for the coordinator.
Outcome<std::unique_ptr<FederatedProblem>> make_own_sensors(const SensorSettings& s, const std::string& path) {
    auto world = empty_world(s);
    if (!world) return tl::unexpected(world.error());
    if (!path.empty()) {
        if (auto read = world->read_own(path); !read) return tl::unexpected(read.error());
    }
    return std::make_unique<WorldProblem<SensorWorld>>(*std::move(world), s.federated, 1);
}

}  // namespace

Outcome<void> register_sensors() {
    return register_problem<SensorSettings>({.name = "my-sensors",
                                             .nodes_are = "machines",
                                             .settings = sensor_settings,
                                             .make = make_sensors,
                                             .make_own = make_own_sensors});
}
