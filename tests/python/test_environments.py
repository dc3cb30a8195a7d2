# SPDX-License-Identifier: Apache-2.0
"""Dunlin's environments by Gymnasium's conventions."""
import time
import unittest
import warnings

import numpy as np

import dunlin

UP, DOWN, LEFT, RIGHT, STAY = range(5)


try:
    from gymnasium.utils.env_checker import check_env
except ImportError:
    check_env = None


@unittest.skipUnless(check_env, "Gymnasium is not installed")
class Checked(unittest.TestCase):
    """By Gymnasium's own checker."""

    def test_environments_are_gymnasium_s(self):
        for env in (dunlin.make("grid"), dunlin.make("grid", observe="coordinates"), dunlin.make("point")):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it warns of what is a matter of taste
                check_env(env, skip_render_check=True)


class One(unittest.TestCase):
    def test_an_episode_ends_at_the_goal(self):
        env = dunlin.make("grid", rows=["....", "...."], start=(0, 0), goal=(1, 1))
        observation, info = env.reset(seed=1)
        self.assertEqual((observation, info), (0, {}))
        self.assertEqual(env.step(RIGHT), (1, 0.0, False, False, {}))
        self.assertEqual(env.step(DOWN), (5, 1.0, True, False, {}))
        with self.assertRaisesRegex(dunlin.Error, "reset it"):
            env.step(STAY)

    def test_an_episode_is_cut_off_at_the_horizon(self):
        env = dunlin.make("grid", goal=(6, 6), start=(0, 0), horizon=2)
        env.reset()
        self.assertEqual(env.step(STAY)[2:4], (False, False))
        self.assertEqual(env.step(STAY)[2:4], (False, True))

    def test_the_seed_says_where_it_starts(self):
        env = dunlin.make("grid")
        starts = [env.reset(seed=seed)[0] for seed in (3, 4, 5, 3)]
        self.assertEqual(starts[0], starts[3])
        self.assertGreater(len(set(starts)), 1)

    def test_spaces_hold_what_comes(self):
        for env in (dunlin.make("grid"), dunlin.make("grid", observe="coordinates"), dunlin.make("point")):
            observation, _ = env.reset(seed=2)
            self.assertTrue(env.observation_space.contains(observation))
            for _ in range(5):
                observation, reward, *_ = env.step(env.action_space.sample())
                self.assertTrue(env.observation_space.contains(observation))
                self.assertIsInstance(reward, float)

    def test_a_picture_is_rgb(self):
        env = dunlin.make("grid", rows=["..#", "..."], goal=(1, 2), start=(0, 0))
        env.reset()
        image = env.render()
        self.assertEqual((image.dtype, image.ndim, image.shape[2]), (np.uint8, 3, 3))
        side = image.shape[0] // 2
        middles = {cell: tuple(image[cell[0] * side + side // 2, cell[1] * side + side // 2])
                   for cell in ((0, 0), (0, 1), (0, 2), (1, 2))}
        self.assertEqual(len(set(middles.values())), 4)  # agent, free, wall, goal
        point = dunlin.make("point")
        point.reset()
        self.assertEqual(point.render().shape, (256, 256, 3))

    def test_wrong_words_are_refused(self):
        for wrong in (dict(observe="all"), dict(goal=(9, 9)), dict(moves=(0, 0, 1, 2, 3)), dict(colour="red"),
                      dict(map="nowhere")):
            with self.assertRaises(dunlin.Error, msg=str(wrong)):
                dunlin.make("grid", **wrong)
        env = dunlin.make("grid")
        env.reset()
        for wrong in (-1, 5):
            with self.assertRaisesRegex(dunlin.Error, "no such action"):
                env.step(wrong)
        with self.assertRaisesRegex(dunlin.Error, 'there are "grid" and "point"'):
            dunlin.make("maze")


class Many(unittest.TestCase):
    def make(self, mode, **options):
        env = dunlin.make_vec("grid", 3, rows=["...."], start=(0, 0), tasks=[{"goal": (0, 1)}, {"goal": (0, 3)}],
                              autoreset_mode=mode, **options)
        env.reset(seed=1)
        return env

    def step(self, env):
        return env.step(np.full(3, RIGHT))

    def test_next_step_begins_anew_by_the_step_after(self):
        env = self.make("next_step")
        observations, rewards, terminated, _, _ = self.step(env)
        self.assertEqual((observations.tolist(), terminated.tolist()), ([1, 1, 1], [True, False, True]))
        self.assertEqual(rewards.tolist(), [1.0, 0.0, 1.0])
        observations, rewards, terminated, _, _ = self.step(env)
        self.assertEqual((observations.tolist(), terminated.tolist()), ([0, 2, 0], [False] * 3))
        self.assertEqual(rewards.tolist(), [0.0] * 3)

    def test_same_step_begins_anew_at_once_and_says_where_it_ended(self):
        env = self.make("same_step")
        observations, _, terminated, _, info = self.step(env)
        self.assertEqual((observations.tolist(), terminated.tolist()), ([0, 1, 0], [True, False, True]))
        self.assertEqual(info["_final_obs"].tolist(), [True, False, True])
        self.assertEqual(info["final_obs"][info["_final_obs"]].tolist(), [1, 1])
        self.assertEqual(self.step(env)[0].tolist(), [0, 2, 0])

    def test_disabled_begins_anew_when_it_is_asked_to(self):
        env = self.make("disabled")
        _, _, terminated, _, _ = self.step(env)
        with self.assertRaisesRegex(dunlin.Error, "environment 0 has ended"):
            self.step(env)
        observations, _ = env.reset(options={"reset_mask": terminated})
        self.assertEqual(observations.tolist(), [0, 1, 0])
        self.assertEqual(self.step(env)[0].tolist(), [1, 2, 1])

    def test_results_are_copies_unless_they_are_not_to_be(self):
        env = self.make("next_step")
        first = self.step(env)[0]
        before = first.copy()
        self.step(env)
        self.assertTrue(np.array_equal(first, before))
        env = self.make("next_step", copy=False)
        first = self.step(env)[0]
        self.assertIs(self.step(env)[0], first)

    def test_points_move_by_their_actions(self):
        env = dunlin.make_vec("point", 2, tasks=[{"goal": (0.1, 0.0)}, {"goal": (0.0, 0.5)}], horizon=2)
        env.reset()
        observations, rewards, *_ = env.step(np.array([[0.1, 0.0], [0.0, 9.0]], np.float32))
        np.testing.assert_allclose(observations, [[0.1, 0.0], [0.0, 0.1]], atol=1e-6)
        np.testing.assert_allclose(rewards, [0.0, -0.16], atol=1e-6)
        self.assertEqual(env.step(np.zeros((2, 2)))[3].tolist(), [True, True])

    def test_wrong_shapes_are_refused(self):
        env = self.make("next_step")
        with self.assertRaisesRegex(dunlin.Error, "2 numbers of actions for 3"):
            env.step(np.zeros(2, np.int64))
        with self.assertRaisesRegex(dunlin.Error, "reset_mask"):
            env.reset(options={"reset_mask": np.array([True])})
        with self.assertRaisesRegex(dunlin.Error, "autoreset_mode"):
            self.make("sometimes")

    def test_steps_are_fast(self):
        count, steps = 4096, 100
        env = dunlin.make_vec("grid", count, copy=False)
        env.reset(seed=1)
        actions = np.random.default_rng(1).integers(0, 5, (steps, count))
        best = 0.0
        for _ in range(3):
            begin = time.process_time()
            for row in actions:
                env.step(row)
            best = max(best, steps * count / (time.process_time() - begin))
        print(f"grid: {best / 1e6:.1f} million steps a second")
        self.assertGreater(best, 5e6)


if __name__ == "__main__":
    unittest.main()
