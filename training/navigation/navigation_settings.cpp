// SPDX-License-Identifier: Apache-2.0
#include "envs/map_file.hpp"
#include "training/navigation/navigation.hpp"
#include "training/settings/run_settings.hpp"

namespace dunlin {

Settings navigation_settings(NavigationSettings& s) {
    Settings list;
    add_run_settings(list, s);
    add_navigation_settings(list, s);
    return list;
}

namespace {

bool is_map_path(std::string_view name) {
    return !is_built_in_map(name);
}

}  // namespace

void add_navigation_settings(Settings& list, NavigationSettings& s) {
    using Range = Settings::Range;
    list.add("environment.world", s.world, "grid of cells, points in the plane, or rule worlds that are generated",
             {{"grid", World::grid}, {"point", World::point}, {"rules", World::rules}});
    list.add("environment.seed", s.environment_seed, "which rule worlds are generated; 0: those of seed");
    list.add_path("environment.map", s.map, "built-in map (empty-RxC, four-rooms, ...) or a MovingAI .map file",
                  is_built_in_map);
    list.add("environment.rows", s.rows, "a map of its own: '.' is free, '#' a wall; instead of map");
    list.add("environment.maps", s.maps,
             "several maps to sample tasks from: names, files and folders of .map files; instead of map",
             is_map_path);
    list.add("environment.held_out_maps", s.held_out_maps,
             "maps of held-out tasks; empty: a quarter of environment.maps, drawn by the seed", is_map_path);
    list.add("environment.largest_side", s.largest_side,
             "maps of a folder with a longer side are left out; 0: none", Range{0, grid_side_limit});
    list.add("environment.tasks", s.tasks, "the paper's three, or tasks sampled from the map",
             {{"three", TaskSource::three}, {"sampled", TaskSource::sampled}});
    list.add("environment.goals", s.goals,
             "goals as \"row,column\", or one MovingAI .scen file of starts and goals; instead of tasks",
             [](std::string_view goal) { return goal.ends_with(".scen"); });
    list.add("environment.training_tasks", s.training_tasks, "sampled tasks to train on", Range{1, 10000});
    list.add("environment.held_out_tasks", s.held_out_tasks, "sampled tasks kept for evaluation", Range{0, 10000});
    list.add("environment.reward", s.reward, "sparse: 1 at the goal, which ends; dense: 1 - distance, no end",
             {{"sparse", Reward::sparse}, {"dense", Reward::dense}});
    list.add("environment.start", s.start, "[row, column]; [] for a random start", Range{0, 2047});
    list.add("environment.permute_actions", s.permute_actions, "sampled tasks permute the actions");
    list.add("environment.diagonal_moves", s.diagonal,
             "grid: nine actions, moves to all eight neighbours that cut no corner and to stay");
    list.add("environment.wind_limit", s.wind_limit, "sampled tasks have wind up to this probability", Range{0, 1});
    list.add("environment.slip_limit", s.slip_limit, "sampled tasks slip up to this probability", Range{0, 1});
    PointWorldSettings& point = s.point;
    list.add("environment.point_reward", point.reward,
             "point world: minus the squared distance to the goal, as MAML's paper says, or the distance, as its "
             "code does",
             {{"squared-distance", PointReward::squared_distance}, {"distance", PointReward::distance}});
    list.add("environment.goal_radius", point.goal_radius,
             "point world: a trajectory ends this near to its goal (MAML's paper: 0.01); 0: none does",
             Range{0, 0.5});
    list.add("environment.obstacles", point.obstacles,
             "point world: round obstacles, the same for all tasks, drawn by the seed",
             Range{0, PointNavigation::obstacle_limit});
    list.add("environment.obstacle_radius", point.obstacle_radius, "point world: of these", Range{0, 0.25, true});
    list.add("environment.drift_limit", point.drift_limit,
             "point world: each task adds a drift to every step, up to this in x and in y", Range{0, 0.1});
    RuleWorldSettings& rules = s.rules;
    list.add("environment.side", rules.side, "rule worlds: free cells of a side; more than one room need 7",
             Range{3, RuleWorld::side_limit});
    list.add("environment.rooms", rules.rooms, "rule worlds: 1, 2 or 4 rooms", Range{1, RuleWorld::room_limit});
    list.add("environment.locked_doors", rules.locked_doors, "rule worlds: of the doorways between rooms",
             Range{0, RuleWorld::door_limit});
    list.add("environment.things", rules.things, "rule worlds: kinds of objects, keys not counted", Range{2, 12});
    list.add("environment.rule_depth", rules.rule_depth, "rule worlds: rules one after the other to the goal",
             Range{0, 3});
    list.add("environment.distractors", rules.distractors, "rule worlds: objects that lead nowhere", Range{0, 6});
    list.add("environment.distractor_rules", rules.distractor_rules, "rule worlds: rules of two of these",
             Range{0, 3});
    list.add("environment.window", rules.window, "rule worlds: side of the square that the agent sees, odd",
             Range{3, RuleWorld::window_limit});
    list.add("environment.rule_reward", rules.rule_reward,
             "rule worlds, in training alone: for each rule on the way to the goal when it first fires",
             Range{0, 1});
    list.add("environment.held_out_part", s.held_out_part,
             "rule worlds: of which part of all rules held-out tasks are",
             {{"test", RuleSplit::test}, {"validation", RuleSplit::validation}});

    list.add("policy.hidden", s.hidden, "widths of the hidden layers; [] with one-hot input is a table",
             Range{1, 4096});
    list.add("policy.activation", s.activation, "of the hidden layers",
             {{"tanh", Activation::tanh}, {"relu", Activation::relu}});
    list.add("policy.value_hidden", s.value_hidden,
             "widths of the value network that rl.baseline = \"value\" trains", Range{1, 4096});
    list.add("policy.input", s.input, "what a grid policy sees",
             {{"one-hot", PolicyInput::one_hot}, {"coordinates", PolicyInput::coordinates}});
    list.add("policy.output_gain", s.output_gain, "scale of the last layer at the start", Range{0, 10});
    list.add("policy.first_log_sigma", s.first_log_sigma,
             "log standard deviation of a point policy's actions at the start", Range{-10, 3});

    MetaSettings& meta = s.meta;
    list.add("rl.method", meta.method, "how meta-parameters are learned",
             {{"memrl", MetaMethod::memrl},
              {"maml", MetaMethod::maml},
              {"fomaml", MetaMethod::fomaml},
              {"reptile", MetaMethod::reptile},
              {"anil", MetaMethod::anil},
              {"meta-sgd", MetaMethod::meta_sgd},
              {"imaml", MetaMethod::imaml},
              {"scratch", MetaMethod::scratch},
              {"rl2", MetaMethod::rl2},
              {"joint", MetaMethod::joint}});
    list.add("rl.iterations", s.iterations, "meta-iterations T", Range{0, 1e9}).may_change();
    list.add("rl.environment_steps", s.environment_steps,
             "environment steps of training, instead of rl.iterations; 0: not given", Range{0, 2e9})
        .may_change();
    list.add("rl.horizon", s.horizon,
             "steps of a trajectory H; 0: by the map, 2 (rows + columns) + 2, and 100 in the plane",
             Range{0, 10000});
    list.add("rl.discount", s.discount, "gamma", Range{0, 1, true});
    list.add("rl.task_batch", meta.task_batch, "tasks in an iteration B", Range{1, 10000});
    list.add("rl.trajectories", s.rollout.trajectories,
             "trajectories in a batch D; 0: by the map, three to five cells where rewards are sparse, 20 to 200",
             Range{0, 100000});
    list.add("rl.prox_weight", meta.inner.prox_weight, "lambda: pull of the inner loop towards the meta-parameters",
             Range{0, 1e6});
    list.add("rl.accuracy", meta.inner.accuracy,
             "nu: the inner loop stops at this gradient norm; 0: at its step limit", Range{0, 1e6});
    list.add("rl.interpolation", meta.interpolation, "alpha lambda: how far the outer step goes",
             Range{0, 1, true});
    list.add("rl.outer_decay", meta.outer_decay,
             "c: outer step t is 1 / (1 + c t) as long as the first; 0: all are as long", Range{0, 1e6});
    list.add("rl.outer_schedule", meta.outer_schedule, "that, or with its root: 1 / sqrt(1 + c t)",
             {{"inverse", OuterSchedule::inverse}, {"inverse-root", OuterSchedule::inverse_root}});
    list.add(
        "rl.outer_step", meta.outer_step,
        "how meta-parameters follow the outer gradient; own: interpolation, and Adam of the MAMLs; dog: distance "
        "over gradients, without a rate; trpo: within a trust region, of first-order MAMLs",
        {{"own", OuterStep::own},
         {"sgd", OuterStep::sgd},
         {"momentum", OuterStep::momentum},
         {"adam", OuterStep::adam},
         {"dog", OuterStep::dog},
         {"trpo", OuterStep::trpo}});
    list.add("trpo.radius", meta.trust.radius, "largest divergence of an outer step's policies",
             Range{0, 10, true});
    list.add("trpo.conjugate_steps", meta.trust.conjugate_steps, "towards the natural gradient; 0: the plain one",
             Range{0, 1000});
    list.add("trpo.damping", meta.trust.damping, "what is added to the Fisher information's diagonal",
             Range{0, 1e6});
    list.add("rl.meta_rate", s.meta_rate, "alpha, instead of interpolation; 0: not given", Range{0, 1e9});
    list.add("rl.inner_rate", meta.inner.inner_rate, "beta: step size of the inner loop", Range{0, 1e3, true});
    list.add("rl.inner_steps", meta.inner.step_limit, "most steps of the inner loop", Range{1, 1000});
    list.add("rl.adaptation_steps", meta.adaptation_steps,
             "inner steps that a trained policy is judged after; 0: as many as in training", Range{0, 1000});
    list.add("rl.step_clip", meta.inner.step_clip, "longest inner step, as a norm; 0: no limit", Range{0, 1e6});
    list.add("rl.baseline", s.rollout.baseline, "what rewards to go are centred by",
             {{"none", Baseline::none},
              {"leave-one-out", Baseline::leave_one_out},
              {"linear", Baseline::linear},
              {"value", Baseline::value}});
    RolloutSettings& rollout = s.rollout;
    list.add("rl.trace_decay", rollout.value.trace_decay,
             "lambda of generalised advantages, where a value network is the baseline", Range{0, 1});
    list.add("rl.value_weight", rollout.value.weight,
             "of the squared error of values in the loss, so that inner steps fit them", Range{0, 1e3});
    list.add("rl.bootstrap", rollout.value.bootstrap,
             "a trajectory that the horizon cuts is worth its last state's value; else nothing more");
    list.add("rl.entropy", rollout.entropy_weight, "weight of the policy's entropy in what is maximised",
             Range{0, 1e3});
    list.add(
        "rl.surrogate", rollout.surrogate.kind,
        "what trajectories say of later parameters: nothing (likelihood), or by ratios of probabilities, clipped "
        "(ppo) or with a penalty (spo)",
        {{"likelihood", Surrogate::likelihood}, {"ppo", Surrogate::ppo}, {"spo", Surrogate::spo}});
    list.add("rl.ratio_range", rollout.surrogate.range, "epsilon of ppo and spo", Range{0, 10, true});
    list.add("rl.batch_steps", meta.batch_steps, "inner steps on the same trajectories, by ratios", Range{1, 100});
    list.add("rl.outer_epochs", meta.outer_epochs, "outer steps on the same trajectories, by ratios; of the MAMLs",
             Range{1, 100});
    list.add("rl.evaluation", s.rollout.evaluation,
             "policy evaluated once per state where that is cheaper, or as told",
             {{"automatic", Evaluation::automatic},
              {"per-step", Evaluation::per_step},
              {"per-state", Evaluation::per_state}});

    list.add("maml.steps", meta.maml.steps, "inner steps u of the MAMLs; 0: as many as a trained policy is given",
             Range{0, Maml::step_limit});
    list.add("maml.inner_rate", meta.maml.inner_rate, "step size of the MAMLs' inner steps; 0: as rl.inner_rate",
             Range{0, 1e3});
    list.add("maml.step_clip", meta.maml.step_clip,
             "longest inner step of the MAMLs, as a norm; 0: no limit, -1: as rl.step_clip", Range{-1, 1e6});
    list.add("maml.score_term", meta.maml.score_term, "exact MAML: the score-function terms");
    list.add("maml.first_order", meta.first_order, "anil and meta-sgd: without second derivatives");
    list.add("maml.outer_rate", meta.outer.rate, "step size of Adam, or of what rl.outer_step names",
             Range{0, 10, true});
    RecurrentSettings& recurrent = s.recurrent;
    list.add("rl2.cell", recurrent.cell, "memory of rl2 and joint",
             {{"gru", LayerKind::gru}, {"lstm", LayerKind::lstm}});
    list.add("rl2.encoder", recurrent.encoder, "width of the layer in front of the memory", Range{1, 1024});
    list.add("rl2.units", recurrent.units, "numbers of the memory", Range{1, 1024});
    list.add("rl2.trials", recurrent.trials,
             "trials of an iteration, a multiple of 32; each is rl.inner_steps + 1 trajectories long",
             Range{32, 8192});
    list.add("rl2.epochs", recurrent.epochs, "gradient steps that an iteration's trials serve", Range{1, 100});
    list.add("rl2.rate", recurrent.outer.rate, "step size of Adam", Range{0, 1, true});
    list.add("rl2.gradient_clip", recurrent.gradient_clip, "longest gradient; 0: no limit", Range{0, 1e6});
    list.add("rl2.trace", recurrent.trial.trace, "lambda of the generalised advantage estimate", Range{0, 1});
    list.add("rl2.clip", recurrent.trial.clip, "how far from 1 a ratio of probabilities counts (PPO)",
             Range{0, 10, true});
    list.add("rl2.entropy", recurrent.trial.entropy, "weight of the policy's entropy", Range{0, 10});
    list.add("rl2.value_weight", recurrent.trial.value_weight, "weight of the squared error of the value",
             Range{0, 10});

    list.add("imaml.prox_weight", meta.implicit_weight, "lambda of implicit MAML's inner problem",
             Range{0, 1e6, true});
    list.add("imaml.conjugate_steps", meta.conjugate_steps,
             "conjugate-gradient steps of implicit MAML; 0: first-order", Range{0, 100});

    list.add("report.evaluate_every", s.evaluate_every, "iterations between evaluations, at least", Range{1, 1e6})
        .may_change();
    list.add("report.evaluation_share", s.evaluation_share,
             "most of the work that evaluations may be on a map of more than 1024 cells; else they come less often",
             Range{0, 1, true})
        .may_change();
    list.add("report.adaptation_steps", s.adaptation_steps, "inner steps on held-out tasks", Range{0, 1000})
        .may_change();
    list.add("report.trajectories", s.shown_trajectories, "trajectories drawn in pictures", Range{1, 100})
        .may_change();
}

}  // namespace dunlin
