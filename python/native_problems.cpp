// SPDX-License-Identifier: Apache-2.0
#include "python/callback_environment.hpp"
#include "python/data_world.hpp"
#include "python/native.hpp"
#include "python/native_models.hpp"
#include "training/problems/policy_problem.hpp"

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>
#include <pybind11/stl.h>

namespace dunlin::python {
namespace {

constexpr int horizon_limit = 100000;

/// A setting of a Python problem's own: what it begins as.
using Own = std::variant<bool, int, float, std::string>;
using OwnSettings = std::map<std::string, Own>;

py::dict given(const OwnSettings& own) {
    py::dict values;
    for (const auto& [key, value] : own)
        values[py::str(key)] = std::visit([](const auto& one) -> py::object { return py::cast(one); }, value);
    return values;
}

void add_own(Settings& list, OwnSettings& own, const std::string& section) {
    for (auto& [key, value] : own) {
        std::visit(
            [&, name = section + key](auto& place) {
                using Value = std::decay_t<decltype(place)>;
                if constexpr (std::is_same_v<Value, int> || std::is_same_v<Value, float>)
                    list.add(name, place, "of this problem", {-1e9, 1e9});
                else
                    list.add(name, place, "of this problem");
            },
            value);
    }
}

/// What Python said of a problem; the newest of a name, so that a notebook's cell may run again.
struct Registered {
    py::object make;
    OwnSettings own{};
    int nodes = 8;
    int horizon = 0;
    float discount = 1.0f;
    std::optional<bool> counted{};  ///< are actions numbers of things? None: rows of data
};
std::map<std::string, Registered>& table() {
    static auto* all = new std::map<std::string, Registered>;  // outlives Python, which may be gone before statics
    return *all;
}

struct EnvironmentSettings : PolicySettings {
    OwnSettings own;
    int horizon_limit = 0;
    float discount = 0.99f;
};

/// Calls Python from C++ that knows no exceptions. The exception is raised when C++ has come to a halt.
template <class T>
Outcome<T> asked(const std::function<T()>& python) {
    const py::gil_scoped_acquire lock;
    try {
        return python();
    } catch (py::error_already_set& raised) {
        const std::string text = raised.what();
        keep_exception(raised);
        return refuse(text);
    } catch (const Raised& refused) {
        return tl::unexpected(refused.failure);
    } catch (const py::cast_error& wrong) {
        return refuse(wrong.what());
    }
}

/// What Python found out about node 0's environment.
struct Probed {
    CallbackSizes sizes;
    std::string task;
    std::vector<std::string> names;
};

template <bool counted>
Outcome<std::unique_ptr<FederatedProblem>> make_environments(const EnvironmentSettings& s, int threads) {
    using E = CallbackEnvironment<counted>;
    // Two threads that take turns in one node's copies would mix their trajectories.
    if (threads > 1) return refuse(s.kind + ": environments of Python run in one thread; leave `threads` out");
    std::vector<E> environments;
    EnvironmentTexts texts{.task = s.kind, .input = "what the environment observes", .output = "what is done"};
    const auto sizes = asked<CallbackSizes>([&] {
        const Registered& problem = table().at(s.kind);
        const py::dict about = problem.make(py::none(), 0, given(s.own));
        return CallbackSizes{.observations = about["observations"].cast<int>(),
                             .actions = about["actions"].cast<int>(),
                             .horizon = s.horizon_limit,
                             .discount = s.discount};
    });
    if (!sizes) return tl::unexpected(sizes.error());
    using Task = PolicyGradientTask<E, PolicyOf<E>>;
    if (sizes->observations > Task::observation_limit || (!counted && sizes->actions > Task::action_limit))
        return refuse(fmt::format("{}: at most {} numbers are observed, and {} done", s.kind,
                                  Task::observation_limit, Task::action_limit));
    for (int node = 0; node < s.nodes; ++node) {
        auto make = [name = s.kind, node, own = s.own](int count) {
            return py::object(table().at(name).make(node, count, given(own)));
        };
        environments.push_back({std::make_shared<CallbackBatch>(std::move(make), *sizes, counted)});
    }
    return make_policy_problem(s, std::move(environments), std::move(texts), threads);
}

void register_environment(const std::string& name, const py::object& make, bool counted, int nodes, int horizon,
                          float discount, const OwnSettings& own) {
    const Registered said{make, own, nodes, horizon, discount, counted};
    if (const auto before = table().find(name); before != table().end()) {
        if (before->second.counted != counted) {
            throw Raised(Failure{"the problem \"" + name +
                                 "\": it was registered with another kind of actions, or of data; give it another "
                                 "name"});
        }
        before->second = said;
        return;
    }
    const auto list = [name, counted](EnvironmentSettings& s) {
        if (s.own.empty()) s.own = table().at(name).own;
        Settings all = problem_settings(s);
        add_policy_settings(all, s, !counted);
        all.add("environment.horizon", s.horizon_limit, "steps of a trajectory at most", {1, horizon_limit});
        all.add("environment.discount", s.discount, "the reward of step l counts discount^l", {0, 1});
        add_own(all, s.own, "environment.");
        add_federated_settings(all, s.federated);
        return all;
    };
    table()[name] = said;
    RegisteredProblem problem =
        registered<EnvironmentSettings>({.name = name,
                                         .nodes_are = "environments",
                                         .settings = list,
                                         .make = counted ? make_environments<true> : make_environments<false>});
    problem.defaults = [name] {
        const Registered& now = table().at(name);
        auto settings = std::make_unique<EnvironmentSettings>();
        settings->kind = settings->experiment = name;
        settings->nodes = now.nodes;
        settings->horizon_limit = now.horizon;
        settings->discount = now.discount;
        settings->own = now.own;
        return settings;
    };
    if (auto done = register_problem(std::move(problem)); !done) {
        table().erase(name);
        throw Raised(done.error());
    }
}

Outcome<std::unique_ptr<FederatedProblem>> make_data(const DataSettings& s, int threads) {
    Outcome<DataWorld> world = DataWorld::make(s);
    if (!world) return tl::unexpected(world.error());
    const auto taken = asked<bool>([&] {
        const Registered& problem = table().at(s.kind);
        for (int node = 0; node < s.nodes; ++node) {
            const py::tuple rows = problem.make(node);
            const auto values = rows[0].cast<py::array_t<float, py::array::c_style | py::array::forcecast>>();
            const auto labels =
                rows[1].cast<py::array_t<std::int64_t, py::array::c_style | py::array::forcecast>>();
            value_of(world->take(node, {values.data(), static_cast<std::size_t>(values.size())},
                                 {labels.data(), static_cast<std::size_t>(labels.size())}));
        }
        return true;
    });
    if (!taken) return tl::unexpected(taken.error());
    return std::make_unique<WorldProblem<DataWorld>>(*std::move(world), s.federated, threads);
}

void register_dataset(const std::string& name, const py::object& make, int nodes, int features,
                      const std::vector<std::string>& classes) {
    const auto defaults = [name, nodes, features, classes] {
        auto settings = std::make_unique<DataSettings>();
        settings->kind = settings->experiment = name;
        settings->nodes = nodes;
        settings->features = features;
        settings->classes = classes;
        return settings;
    };
    value_of(DataWorld::make(*defaults()));  // says now what a run would
    if (const auto known = table().find(name); known != table().end()) {
        const auto before = find_problem(name)->defaults();
        const auto* same = dynamic_cast<const DataSettings*>(before.get());
        if (same == nullptr || same->nodes != nodes || same->features != features || same->classes != classes) {
            throw Raised(Failure{"the problem \"" + name +
                                 "\": its nodes, features or classes are others now; give it another name"});
        }
        known->second.make = make;
        return;
    }
    table()[name] = {.make = make, .nodes = nodes};
    RegisteredProblem problem = registered<DataSettings>(
        {.name = name, .nodes_are = "nodes", .settings = data_settings, .make = make_data});
    problem.defaults = defaults;
    if (auto done = register_problem(std::move(problem)); !done) {
        table().erase(name);
        throw Raised(done.error());
    }
}

template <bool counted>
std::pair<std::vector<float>, std::vector<double>> adapt(const Model& model, const py::object& make,
                                                         int observations, int actions, int horizon, int steps,
                                                         std::optional<int> trajectories,
                                                         std::optional<std::uint64_t> seed) {
    const InnerLoop how = inner_loop_of(model.saved, steps, trajectories, seed);
    if (horizon < 1 || horizon > horizon_limit)
        throw Raised(Failure{fmt::format("adapt: horizon = {}; expected 1 to {}", horizon, horizon_limit)});
    const CallbackSizes sizes{observations, actions, horizon, how.discount};
    const CallbackEnvironment<counted> environment{
        std::make_shared<CallbackBatch>([make](int count) { return py::object(make(count)); }, sizes, counted)};
    Outcome<Adapted> result = [&] {
        const py::gil_scoped_release release;
        return adapted(model, environment, how, steps);
    }();
    raise_kept_exception();
    Adapted made = value_of(std::move(result));
    return {std::move(made.parameters), std::move(made.returns)};
}

}  // namespace

void add_problems(py::module_& module) {
    module.def("register_environment", register_environment);
    module.def("register_dataset", register_dataset);
    module.def("adapt_counted", adapt<true>);
    module.def("adapt_numbers", adapt<false>);
    module.def("registered", [] {
        std::vector<std::string> names;
        for (const auto& [name, problem] : table()) names.push_back(name);
        return names;
    });
}

}  // namespace dunlin::python
