// SPDX-License-Identifier: Apache-2.0
#include "python/native_models.hpp"

#include "apps/report/run_files.hpp"
#include "core/math.hpp"
#include "python/model_values.hpp"
#include "python/native_environments.hpp"
#include "training/models/model_export.hpp"
#include "training/navigation/navigation_model.hpp"
#include "training/problems/problem_kinds.hpp"

#include <charconv>
#include <cmath>
#include <optional>

#include <pybind11/numpy.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

namespace dunlin::python {

Model::Model(app::SavedModel opened)
    : saved(std::move(opened)), kernels(*available_kernels()), random(1, 0, Purpose::user) {}

namespace {

InnerLoop loop_of_run(const app::SavedModel& saved) {
    if (saved.kind == nullptr) {
        const NavigationSettings usual;
        return {usual.meta.adaptation(), usual.rollout, usual.seed, usual.discount};
    }
    if (saved.kind->name == "navigation" || saved.kind->name == "fleet-navigation") {
        const NavigationSettings settings = value_of(app::navigation_settings_of(saved));
        if (const std::string more = beyond_plain_steps(settings); !more.empty())
            throw Raised(Failure{fmt::format("adapt: this policy adapts by {}, which `dunlin adapt` does", more)});
        return {settings.meta.adaptation(), settings.rollout, settings.seed, settings.discount};
    }
    const RegisteredProblem* kind = find_problem(saved.kind->name);
    if (kind == nullptr) throw Raised(Failure{"adapt: a model of kind " + std::string(saved.kind->name)});
    ProblemExperiment experiment(*kind);
    Settings list = experiment.list();
    value_of(list.read(saved.config, saved.file.string()));
    InnerLoop usual;
    const std::string discount = list.value("environment.discount");
    std::from_chars(discount.data(), discount.data() + discount.size(), usual.discount);
    const FederatedSettings learning = experiment.learning();
    const auto* policies = experiment.as<PolicySettings>();
    return {.inner = {.prox_weight = learning.personal.prox_weight,
                      .inner_rate = learning.personal.rate,
                      .accuracy = learning.personal.accuracy,
                      .step_clip = policies != nullptr ? policies->step_clip : learning.moreau.step_clip},
            .rollout = {.trajectories = learning.batch,
                        .baseline = policies != nullptr ? policies->baseline : Baseline::leave_one_out},
            .seed = experiment.settings().seed,
            .discount = usual.discount};
}

}  // namespace

InnerLoop inner_loop_of(const app::SavedModel& saved, int steps, std::optional<int> trajectories,
                        std::optional<std::uint64_t> seed) {
    constexpr int most = 16384;
    if (steps < 0) throw Raised(Failure{fmt::format("adapt: steps = {}; expected 0 or more", steps)});
    if (trajectories && (*trajectories < 1 || *trajectories > most))
        throw Raised(Failure{fmt::format("adapt: trajectories = {}; expected 1 to {}", *trajectories, most)});
    InnerLoop how = loop_of_run(saved);
    how.rollout.trajectories = trajectories.value_or(how.rollout.trajectories);
    how.seed = seed.value_or(how.seed);
    return how;
}

namespace {

using Numbers = py::array_t<float, py::array::c_style | py::array::forcecast>;
using Tokens = py::array_t<std::int64_t, py::array::c_style | py::array::forcecast>;

/// Samples as the model takes them; the arrays hold them.
struct Batch {
    Samples samples;
    Numbers numbers{};
    Tokens tokens{};
};

Batch batch_of(const TrainedModel& model, const py::array& observations) {
    value_of(check_memoryless(model));
    Batch batch;
    const py::ssize_t each = model.tokens() ? model.steps() : model.inputs();
    if (observations.size() % each != 0) {
        throw Raised(Failure{fmt::format("observations: {} numbers; expected a multiple of {}, which a sample has",
                                         observations.size(), each)});
    }
    batch.samples.count = static_cast<int>(observations.size() / each);
    if (!model.tokens()) {
        batch.numbers = Numbers::ensure(observations);
        if (!batch.numbers) throw Raised(Failure{"observations: expected numbers"});
        batch.samples.numbers = batch.numbers.data();
        return batch;
    }
    const bool whole = observations.dtype().kind() != 'f';
    if (whole) batch.tokens = Tokens::ensure(observations);
    if (!whole || !batch.tokens) throw Raised(Failure{"observations: expected whole numbers, of states or tokens"});
    batch.samples.tokens = batch.tokens.data();
    for (py::ssize_t k = 0; k < batch.tokens.size(); ++k) {
        const std::int64_t token = batch.samples.tokens[k];
        if (token < 0 || token >= model.inputs())
            throw Raised(Failure{fmt::format("observations: {}; expected 0 to {}", token, model.inputs() - 1)});
    }
    return batch;
}

bool chooses(const TrainedModel& model) {
    return model.head == ModelHead::actions || model.head == ModelHead::classes || model.head == ModelHead::mixture;
}

py::array_t<float> outputs(const Model& model, const py::array& observations, bool probabilities) {
    const TrainedModel& trained = model.trained();
    if (probabilities && !chooses(trained)) throw Raised(Failure{"probabilities: this model gives numbers"});
    const Batch batch = batch_of(trained, observations);
    py::array_t<float> out(
        {static_cast<py::ssize_t>(batch.samples.count), static_cast<py::ssize_t>(trained.outputs())});
    float* to = out.mutable_data();
    {
        const py::gil_scoped_release release;
        model_outputs(trained, *model.kernels, trained.parameters, batch.samples, probabilities, to);
    }
    return out;
}

void choose(Stream& random, const float* rows, int count, int outputs, bool best, std::int64_t* chosen) {
    for (int c = 0; c < count; ++c) {
        const float* row = rows + static_cast<std::ptrdiff_t>(c) * outputs;
        std::int64_t k = 0;
        if (best) {
            k = std::max_element(row, row + outputs) - row;
        } else {
            const float u = random.uniform();
            float sum = 0.0f;
            for (int a = 0; a + 1 < outputs; ++a) k += u >= (sum += row[a]);
        }
        chosen[c] = k;
    }
}

void draw_normal(Model& model, int count, float* to) {
    const TrainedModel& trained = model.trained();
    const int each = trained.outputs();
    for (int k = 0; k < each; ++k) {
        const float sigma =
            portable::exp(trained.parameters[trained.network_parameters() + static_cast<std::size_t>(k)]);
        for (int c = 0; c < count; ++c) to[c * each + k] += sigma * model.random.normal();
    }
}

/// Actions, drawn or the best; of other models their outputs.
py::array act(Model& model, const py::array& observations, bool best) {
    const TrainedModel& trained = model.trained();
    const Batch batch = batch_of(trained, observations);
    const int count = batch.samples.count, each = trained.outputs();
    if (chooses(trained)) {
        py::array_t<std::int64_t> actions(count);
        std::int64_t* to = actions.mutable_data();
        {
            const py::gil_scoped_release release;
            thread_local std::vector<float> rows;
            rows.resize(static_cast<std::size_t>(count) * static_cast<std::size_t>(each));
            model_outputs(trained, *model.kernels, trained.parameters, batch.samples, !best, rows.data());
            choose(model.random, rows.data(), count, each, best, to);
        }
        return actions;
    }
    py::array_t<float> actions({static_cast<py::ssize_t>(count), static_cast<py::ssize_t>(each)});
    float* to = actions.mutable_data();
    {
        const py::gil_scoped_release release;
        model_outputs(trained, *model.kernels, trained.parameters, batch.samples, false, to);
        if (!best && trained.gaussian()) draw_normal(model, count, to);
    }
    return actions;
}

std::shared_ptr<Model> with_parameters(const Model& model, const Numbers& parameters) {
    if (static_cast<std::size_t>(parameters.size()) != model.trained().count()) {
        throw Raised(Failure{
            fmt::format("parameters: {} numbers; the model has {}", parameters.size(), model.trained().count())});
    }
    auto copy = std::make_shared<Model>(model);
    copy->saved.model.parameters.assign(parameters.data(), parameters.data() + parameters.size());
    copy->saved.model.personal.clear();
    return copy;
}

template <class E>
py::tuple adapt(const Model& model, const VectorEnvironment<E>& environments, int number, int steps,
                std::optional<int> trajectories, std::optional<std::uint64_t> seed) {
    const InnerLoop how = inner_loop_of(model.saved, steps, trajectories, seed);
    Outcome<Adapted> result = [&] {
        const py::gil_scoped_release release;
        return adapted(model, environments.environment(number), how, steps);
    }();
    Adapted made = value_of(std::move(result));
    auto copy = std::make_shared<Model>(model);
    copy->saved.model.parameters = std::move(made.parameters);
    copy->saved.model.personal.clear();
    return py::make_tuple(copy, made.returns);
}

}  // namespace

void add_models(py::module_& module) {
    py::class_<Model, std::shared_ptr<Model>>(module, "Model")
        .def_static(
            "open",
            [](const std::string& path) {
                app::SavedModel saved = value_of(app::open_model(path));
                if (!saved.model.described())
                    throw Raised(Failure{path + ": written by an older Dunlin, it does not say its network"});
                return std::make_shared<Model>(std::move(saved));
            })
        .def("act", act, py::arg("observations"), py::arg("best"))
        .def("outputs", outputs, py::arg("observations"), py::arg("probabilities"))
        .def("seed", [](Model& model, std::uint64_t seed) { model.random = Stream(seed, 0, Purpose::user); })
        .def_property_readonly("parameters",
                               [](const py::object& self) {
                                   auto& parameters = self.cast<Model&>().saved.model.parameters;
                                   return py::array_t<float>(static_cast<py::ssize_t>(parameters.size()),
                                                             parameters.data(), self);
                               })
        .def("with_parameters", with_parameters)
        .def("of_node",
             [](const Model& model, const std::string& name) {
                 const std::size_t number = value_of(app::node_of(model.trained(), name));
                 std::optional<TrainedModel> own = model.trained().of_node(number);
                 if (!own) throw Raised(Failure{"no node's own model is in this file"});
                 auto copy = std::make_shared<Model>(model);
                 copy->saved.model = *std::move(own);
                 return copy;
             })
        .def("save",
             [](const Model& model, const std::string& path) {
                 value_of(report::write_file(path, model.trained().bytes()), path);
             })
        .def("adapt", adapt<GridNavigation>, py::arg("environments"), py::arg("number"), py::arg("steps"),
             py::arg("trajectories"), py::arg("seed"))
        .def("adapt", adapt<PointNavigation>, py::arg("environments"), py::arg("number"), py::arg("steps"),
             py::arg("trajectories"), py::arg("seed"))
        .def_property_readonly("about", [](const Model& model) { return about(model.trained()); })
        .def_property_readonly("task", [](const Model& model) { return model.trained().task; })
        .def_property_readonly("head",
                               [](const Model& model) { return std::string(name_of(model.trained().head)); })
        .def_property_readonly("inputs", [](const Model& model) { return model.trained().inputs(); })
        .def_property_readonly("outputs_count", [](const Model& model) { return model.trained().outputs(); })
        .def_property_readonly("tokens", [](const Model& model) { return model.trained().tokens(); })
        .def_property_readonly("output_names", [](const Model& model) { return model.trained().output_names; })
        .def_property_readonly("nodes", [](const Model& model) { return model.trained().nodes; })
        .def_property_readonly("config", [](const Model& model) { return model.saved.config; });
}

}  // namespace dunlin::python
