# SPDX-License-Identifier: Apache-2.0
"""Anybody's environments and data as problems of Dunlin."""
import tempfile
import unittest

import numpy as np

import dunlin
from dunlin import _problems
from dunlin._spaces import Box, Discrete


class Line:
    """A walk on a line: one of two ways is up, and each node has its own."""

    observation_space = Box(-1.0, 1.0, (1,))
    action_space = Discrete(2)

    def __init__(self, upwards):
        self.upwards = upwards

    def reset(self, *, seed=None, options=None):
        self.random = np.random.default_rng(seed)
        self.place = self.random.uniform(-0.2, 0.2)
        return np.array([self.place], np.float32), {}

    def step(self, action):
        self.place += 0.1 if (action == 1) == self.upwards else -0.1
        ended = abs(self.place) >= 1.0
        return np.array([self.place], np.float32), float(self.place), ended, False, {}


class Lines:
    """The same, many at once."""

    single_observation_space, single_action_space = Line.observation_space, Line.action_space
    calls = 0

    def __init__(self, upwards, count):
        self.sign, self.num_envs = (1.0 if upwards else -1.0), count

    def reset(self, *, seed=None, options=None):
        places = [np.random.default_rng(seed + k).uniform(-0.2, 0.2) for k in range(self.num_envs)]
        self.place = np.array(places, np.float32)
        return self.place[:, None].copy(), {}

    def step(self, actions):
        type(self).calls += 1
        self.place += np.float32(0.1) * np.where(actions == 1, self.sign, -self.sign).astype(np.float32)
        ended = np.abs(self.place) >= 1.0
        return self.place[:, None].copy(), self.place.copy(), ended, np.zeros(self.num_envs, bool), {}


class Push:
    """Actions are numbers: the nearer to a node's own number the better."""

    observation_space = Box(-1.0, 1.0, (1,))
    action_space = Box(-2.0, 2.0, (1,))

    def __init__(self, wanted):
        self.wanted = wanted

    def reset(self, *, seed=None, options=None):
        return np.zeros(1, np.float32), {}

    def step(self, action):
        assert -2.0 <= action[0] <= 2.0
        return np.zeros(1, np.float32), -float((action[0] - self.wanted) ** 2), False, False, {}


SHORT = {"federated.batch": 10, "clock.budget_s": 60, "report.trajectories": 20, "report.evaluations": 2}


class Environments(unittest.TestCase):
    def test_many_at_once_give_what_one_by_one_gives(self):
        dunlin.register_environment("line", lambda node: Line(node % 2 == 0), nodes=4, horizon=12)
        dunlin.register_environment("lines", lambda node, count: Lines(node % 2 == 0, count), nodes=4, horizon=12)
        Lines.calls = 0
        one, many = (dunlin.train(name, method="persafl-me", seed=3, overrides=SHORT) for name in ("line", "lines"))
        np.testing.assert_allclose(one.metrics["personal_return"], many.metrics["personal_return"], rtol=1e-3)
        self.assertGreater(Lines.calls, 100)
        self.assertEqual(one.policy.nodes, ["node 0", "node 1", "node 2", "node 3"])

    def test_memrl_learns_to_adapt_to_it(self):
        dunlin.register_environment("learned", lambda node, count: Lines(node % 2 == 0, count), nodes=4, horizon=12)
        run = dunlin.train("learned", method="persafl-me", overrides={**SHORT, "federated.batch": 40,
                                                                      "clock.budget_s": 600, "personal.steps": 5,
                                                                      "personal.rate": 0.5, "adaptation.step_clip": 0})
        last = run.metrics[-1]
        self.assertGreater(last["personal_return"], last["shared_return"] + 1.0)
        adapted = run.policy.adapt(lambda count: Lines(False, count), steps=5, trajectories=40, horizon=12)
        self.assertGreater(adapted.returns[-1], adapted.returns[0])

    def test_actions_may_be_numbers(self):
        dunlin.register_environment("push", lambda node: Push(0.5), nodes=2, horizon=3)
        run = dunlin.train("push", method="persafl-me", overrides=SHORT)
        self.assertEqual(run.policy.act(np.zeros((5, 1))).shape, (5, 1))

    def test_what_python_raises_comes_out(self):
        class Broken(Lines):
            def step(self, actions):
                raise ZeroDivisionError("in the middle")

        class Short(Lines):
            def step(self, actions):
                observations, *rest = super().step(actions)
                return (observations[:1], *rest)

        for name, kind, error, text in (("broken", Broken, ZeroDivisionError, "in the middle"),
                                        ("short", Short, dunlin.Error, "observations are 1 numbers for 10 copies")):
            dunlin.register_environment(name, lambda node, count, kind=kind: kind(True, count), nodes=2)
            with self.assertRaisesRegex(error, text):
                dunlin.train(name, overrides=SHORT)
        dunlin.train("navigation", overrides={"rl.iterations": 1})  # and nothing is left of it

    def test_copies_that_cannot_be_made_end_the_run(self):
        def make(node, count):
            if count > 1 and node == failing:  # one is made to look at its spaces
                raise ZeroDivisionError("no copies")
            return Lines(True, count)

        for failing in (0, 1):
            dunlin.register_environment("unmade", make, nodes=2, horizon=5)
            with self.assertRaisesRegex(ZeroDivisionError, "no copies"):
                dunlin.train("unmade", overrides=SHORT)
        failing = None
        dunlin.train("unmade", overrides=SHORT)

    def test_observations_that_are_no_numbers_are_refused(self):
        class Words(Lines):
            def __init__(self, count):
                super().__init__(True, count)

            def step(self, actions):
                observations, rewards, *rest = super().step(actions)
                return (observations, ["much"] * len(rewards), *rest)

        dunlin.register_environment("words", lambda node, count: Words(count), nodes=2)
        with self.assertRaisesRegex(dunlin.Error, "the environment's rewards are no array of numbers"):
            dunlin.train("words", overrides=SHORT)

    def test_states_are_counted_from_their_first_one(self):
        class Rooms:
            observation_space, action_space = Discrete(3), Discrete(2)
            observation_space.start, action_space.start = 5, 7  # as Gymnasium's have it

            def reset(self, *, seed=None, options=None):
                return 5 + seed % 3, {}

            def step(self, action):
                assert action in (7, 8)
                return 7, 1.0, False, False, {}

        adapter = _problems._Adapter(_problems.batched(Rooms, 4))
        np.testing.assert_array_equal(adapter.reset(seed=0)[0].argmax(axis=1), [0, 1, 2, 0])
        seen, *_ = adapter.step(np.array([0, 1, 0, 1]))
        np.testing.assert_array_equal(seen, np.eye(3, dtype=np.float32)[[2, 2, 2, 2]])

    def test_it_is_compared_and_gone_on_with(self):
        dunlin.register_environment("compared", lambda node, count: Lines(node % 2 == 0, count), nodes=2, horizon=12)
        both = dunlin.compare("compared", ["persafl-me", "fedavg"], seeds=2, overrides=SHORT)
        self.assertEqual({one["name"] for one in both.methods}, {"persafl-me", "fedavg"})
        with tempfile.TemporaryDirectory() as folder:
            run = dunlin.train("compared", overrides=SHORT, out=f"{folder}/run")
            longer = dunlin.train(resume=run.directory, overrides={"clock.budget_s": 90})
            self.assertEqual(longer.metrics["time_s"][-1], 90)
        with self.assertRaisesRegex(dunlin.Error, "in one thread"):
            dunlin.train("compared", threads=2)

    def test_settings_of_its_own_are_settings(self):
        seen = []

        def make(node, count, *, slope):
            seen.append(slope)
            return Lines(slope > 0, count)

        dunlin.register_environment("sloped", make, nodes=2, horizon=5, settings={"slope": 0.5})
        run = dunlin.train("sloped", overrides={**SHORT, "environment.slope": -1.5})
        self.assertEqual(seen[-1], -1.5)
        self.assertIn("slope = -1.5", run.config)

    def test_a_name_may_be_registered_again_but_not_be_taken(self):
        for _ in range(2):
            dunlin.register_environment("again", lambda node: Line(True), nodes=2)
        with self.assertRaisesRegex(dunlin.Error, "the name is taken"):
            dunlin.register_environment("ranking", lambda node: Line(True))

    def test_the_newest_of_a_name_counts(self):
        for nodes, horizon, discount in ((2, 4, 0.5), (3, 6, 0.75)):
            dunlin.register_environment("newest", lambda node: Line(True), nodes=nodes, horizon=horizon,
                                        discount=discount)
            config = dunlin.train("newest", overrides=SHORT).config
            for line in (f"horizon = {horizon}", f"discount = {discount}", f"nodes = {nodes}"):
                self.assertIn(line, config)
        for other in (lambda: dunlin.register_environment("newest", lambda node: Push(0.5)),
                      lambda: dunlin.register_dataset("newest", [Data.rows(0)])):
            with self.assertRaisesRegex(dunlin.Error, "give it another name"):
                other()
        self.assertIn("nodes = 3", dunlin.train("newest", overrides=SHORT).config)  # as it was

    def test_a_policy_adapts_by_its_run_s_discount_and_to_what_may_be(self):
        class Ones(Lines):
            def step(self, actions):
                observations, rewards, *rest = super().step(actions)
                return (observations, np.ones_like(rewards), np.zeros(self.num_envs, bool), *rest[1:])

        def ones(count):
            return Ones(True, count)

        dunlin.register_environment("halved", lambda node, count: ones(count), nodes=2, horizon=3, discount=0.5)
        policy = dunlin.train("halved", overrides=SHORT).policy
        self.assertAlmostEqual(policy.adapt(ones, steps=0, trajectories=4, horizon=3).returns[0], 1.75, places=5)
        for wrong in ({"trajectories": 0}, {"trajectories": 16385}, {"horizon": 0}, {"horizon": 100001}, {"steps": -1}):
            with self.assertRaisesRegex(dunlin.Error, f"adapt: {next(iter(wrong))} = "):
                policy.adapt(ones, **{"steps": 1, "trajectories": 2, **wrong})
        for wrong in ({"trajectories": 0}, {"steps": -1}):  # to Dunlin's own as well
            with self.assertRaisesRegex(dunlin.Error, f"adapt: {next(iter(wrong))} = "):
                policy.adapt(dunlin.make("grid", goal=(5, 1)), **{"steps": 1, **wrong})

    def test_a_config_file_and_a_name_are_one_too_many(self):
        dunlin.register_environment("filed", lambda node: Line(True), nodes=2, horizon=4)
        with tempfile.TemporaryDirectory() as folder:
            file = f"{folder}/filed.toml"
            with open(file, "w", encoding="utf-8") as to:
                to.write(dunlin.train("filed", overrides=SHORT).config.replace("horizon = 4", "horizon = 5"))
            self.assertIn("horizon = 5", dunlin.train(config=file).config)
            for call in (dunlin.train, dunlin.compare, lambda *a, **k: dunlin.sweep(*a, {"federated.batch": [1]}, **k)):
                with self.assertRaisesRegex(dunlin.Error, 'leave out "filed"'):
                    call("filed", config=file)


class Data(unittest.TestCase):
    @staticmethod
    def rows(node, count=80):
        random = np.random.default_rng(node)
        y = random.integers(0, 3, count)
        x = random.normal(size=(count, 2, 2)) * 0.3
        x[np.arange(count), 0, 0] += y
        return x, y

    def test_nodes_learn_from_arrays(self):
        dunlin.register_dataset("arrays", [self.rows(node) for node in range(4)], classes=["a", "b", "c"])
        run = dunlin.train("arrays", method="fedavg", overrides={"clock.budget_s": 3000, "report.evaluations": 3})
        accuracy = run.metrics["personal_accuracy"]
        self.assertGreater(accuracy[-1], 0.8)
        self.assertEqual(run.policy.output_names, ["a", "b", "c"])
        x, y = self.rows(9)
        self.assertGreater((run.policy.act(x.reshape(len(x), -1), deterministic=True) == y).mean(), 0.8)

    def test_a_data_set_of_rows_is_one_of_arrays(self):
        class Rows:  # as PyTorch's are
            def __init__(self, node):
                self.x, self.y = Data.rows(node, 20)

            def __len__(self):
                return len(self.x)

            def __getitem__(self, k):
                return self.x[k], self.y[k]

        dunlin.register_dataset("pairs", lambda node: Data.rows(node, 20), nodes=2)
        dunlin.register_dataset("rows", Rows, nodes=2)
        short = {"clock.budget_s": 200, "report.evaluations": 2}
        pairs, rows = (dunlin.train(name, overrides=short) for name in ("pairs", "rows"))
        self.assertEqual(pairs.metrics["personal_loss"].tolist(), rows.metrics["personal_loss"].tolist())

    def test_more_classes_than_a_label_can_say_are_refused(self):
        rows = np.zeros((9, 1))
        for most, classes in ((256, None), (10**12, None), (1, [str(k) for k in range(257)])):
            with self.assertRaisesRegex(dunlin.Error, "257 classes or more; expected at most 256"):
                dunlin.register_dataset("many", [(rows, np.full(9, most))], classes=classes)
        dunlin.register_dataset("many", [(rows, np.full(9, 255))])  # nothing is left of it

    def test_wrong_rows_are_refused(self):
        for x, y, text in ((np.zeros((3, 2)), np.zeros(2, int), "a node's rows"),
                           (np.zeros((3, 2)), np.zeros(3), "a node's rows")):
            with self.assertRaisesRegex(dunlin.Error, text):
                dunlin.register_dataset("wrong", [(x, y)])
        dunlin.register_dataset("nan", [(np.full((9, 1), np.nan), np.zeros(9, int))], classes=["a", "b"])
        with self.assertRaisesRegex(dunlin.Error, "node 0: a feature is not finite"):
            dunlin.train("nan")


if __name__ == "__main__":
    unittest.main()
