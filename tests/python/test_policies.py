# SPDX-License-Identifier: Apache-2.0
"""Trained models in Python's hands."""
import csv
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

import numpy as np

import dunlin

PROGRAM = os.environ["DUNLIN_PROGRAM"]


def exported(run):
    """The layers' weights and biases, as `dunlin export --format csv` writes them."""
    subprocess.run([PROGRAM, "export", run.directory, "--format", "csv", "--out", run.directory, "--quiet"], check=True)
    arrays = {}
    with open(run.directory / "model.csv", newline="") as file:
        for row in csv.DictReader(file):
            arrays.setdefault(row["array"], {})[int(row["row"]), int(row["column"])] = float(row["value"])
    return {name: np.array([[cells[r, c] for c in range(1 + max(k[1] for k in cells))]
                            for r in range(1 + max(k[0] for k in cells))]) for name, cells in arrays.items()}


def by_hand(layers, inputs):
    out = inputs
    count = sum(name.startswith("weights_") for name in layers)
    for k in range(count):
        out = out @ layers[f"weights_{k}"] + layers[f"bias_{k}"][0]
        out = np.tanh(out) if k + 1 < count else out
    return out


class Policies(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.grid = dunlin.train("navigation", seed=7)
        cls.point = dunlin.train("point-navigation", seed=1, overrides={"rl.iterations": 2})

    def test_outputs_are_those_of_the_network(self):
        policy = self.grid.policy
        states = np.arange(49)
        logits = policy.outputs(states)
        np.testing.assert_allclose(logits, by_hand(exported(self.grid), np.eye(49)), rtol=1e-4, atol=1e-5)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        np.testing.assert_allclose(policy.probabilities(states), odds / odds.sum(axis=1, keepdims=True), atol=1e-5)
        places = np.random.default_rng(1).normal(size=(700, 2)).astype(np.float32)
        np.testing.assert_allclose(self.point.policy.outputs(places), by_hand(exported(self.point), places),
                                   rtol=1e-3, atol=1e-5)

    def test_actions_follow_the_probabilities(self):
        policy = self.grid.policy
        drawn = policy.act(np.full(20000, 24))
        self.assertEqual((drawn.shape, drawn.dtype), ((20000,), np.int64))
        np.testing.assert_allclose(np.bincount(drawn, minlength=5) / 20000, policy.probabilities(24), atol=0.02)
        self.assertEqual(policy.act(24, deterministic=True), policy.probabilities(24).argmax())

    def test_the_same_seed_draws_the_same_actions(self):
        policy = self.grid.policy
        states = np.arange(49)
        drawn = []
        for seed in (1, 2, 1):
            policy.seed(seed)
            drawn.append(policy.act(states).tolist())
        self.assertEqual(drawn[0], drawn[2])
        self.assertNotEqual(drawn[0], drawn[1])

    def test_a_gaussian_policy_gives_numbers(self):
        policy = self.point.policy
        places = np.zeros((20000, 2), np.float32)
        actions = policy.act(places)
        self.assertEqual((actions.shape, actions.dtype), ((20000, 2), np.float32))
        np.testing.assert_allclose(actions.mean(axis=0), policy.act(places[0], deterministic=True), atol=0.05)
        np.testing.assert_allclose(actions.std(axis=0), np.exp(policy.parameters[-2:]), rtol=0.05)

    def test_parameters_share_memory(self):
        policy = self.grid.policy.with_parameters(self.grid.policy.parameters)
        before = policy.outputs(3)
        parameters = policy.parameters
        parameters[:] = 0.0
        np.testing.assert_array_equal(policy.outputs(3), np.zeros_like(before))
        np.testing.assert_array_equal(self.grid.policy.outputs(3), before)
        del policy
        self.assertEqual(float(parameters.sum()), 0.0)  # the array keeps the model alive

    def test_files_hold_the_same_policy(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "policy.dunlin"
            self.grid.policy.save(path)
            self.assertEqual(path.read_bytes(), (self.grid.directory / "policy.dunlin").read_bytes())
            np.testing.assert_array_equal(dunlin.load(path).parameters, self.grid.policy.parameters)
        with self.assertRaisesRegex(dunlin.Error, "no such run directory"):
            dunlin.load("/nowhere")

    def test_it_adapts_to_a_task(self):
        env = dunlin.make("grid", goal=(6, 0), horizon=30, discount=0.95)
        policy = self.grid.policy
        before = policy.parameters.copy()
        adapted = policy.adapt(env, steps=3)
        self.assertEqual(adapted.returns.shape, (4,))
        self.assertGreater(adapted.returns[-1], 1.1 * adapted.returns[0])
        np.testing.assert_array_equal(policy.parameters, before)
        np.testing.assert_array_equal(policy.adapt(env, steps=3).parameters, adapted.parameters)
        self.assertEqual(self.point.policy.adapt(dunlin.make("point"), steps=1).returns.shape, (2,))
        with self.assertRaisesRegex(dunlin.Error, "49 inputs"):
            policy.adapt(dunlin.make("grid", map="empty-5x5", goal=(1, 1)))
        with self.assertRaisesRegex(dunlin.Error, "no policy for such actions"):
            policy.adapt(dunlin.make("point"))

    def test_wrong_observations_are_refused(self):
        policy = self.grid.policy
        for wrong in (49, -1):
            with self.assertRaisesRegex(dunlin.Error, "expected 0 to 48"):
                policy.act(wrong)
        with self.assertRaisesRegex(dunlin.Error, "whole numbers"):
            policy.act(np.zeros(3))
        with self.assertRaisesRegex(dunlin.Error, "whole numbers"):
            policy.act(np.array(["a", "b"]))
        with self.assertRaisesRegex(dunlin.Error, "expected numbers"):
            self.point.policy.act(np.array([["a", "b"]]))
        with self.assertRaisesRegex(dunlin.Error, "a multiple of 2"):
            self.point.policy.act(np.zeros((1, 3)))
        with self.assertRaisesRegex(dunlin.Error, "this model gives numbers"):
            self.point.policy.probabilities(np.zeros((1, 2)))

    def test_memory_is_given_back(self):
        policy = self.grid.policy
        states = np.arange(49)
        env = dunlin.make_vec("grid", 64)
        env.reset(seed=1)
        actions = np.zeros(64, np.int64)

        def pages():
            with open("/proc/self/statm") as file:
                return int(file.read().split()[1])

        def work(times):
            for _ in range(times):
                policy.act(states)
                env.step(actions)

        work(2000)
        before = pages()
        work(20000)
        self.assertLess(pages() - before, 64)  # of 4 kB; a leak of 16 bytes a call would be 80


if __name__ == "__main__":
    unittest.main()
