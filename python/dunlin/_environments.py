# SPDX-License-Identifier: Apache-2.0
"""Dunlin's environments by Gymnasium's conventions, with or without Gymnasium."""
from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Optional

import numpy as np

from . import _native
from ._spaces import BaseEnv, BaseVectorEnv, Box, Discrete, MultiDiscrete, has_gymnasium

_DIRECTIONS = ("up", "down", "left", "right")
_MODES = {
    "next_step": _native.Autoreset.next_step,
    "same_step": _native.Autoreset.same_step,
    "disabled": _native.Autoreset.disabled,
}
_WALL, _FREE, _GOAL, _AGENT, _LINE = (60, 64, 72), (248, 248, 244), (52, 140, 84), (36, 92, 196), (222, 222, 216)


def _mode_name(mode: Any) -> str:
    """Of a name, or of Gymnasium's AutoresetMode."""
    name = str(getattr(mode, "value", mode)).lower().replace("nextstep", "next_step").replace("samestep", "same_step")
    if name not in _MODES:
        raise _native.Error(f"autoreset_mode: {mode!r}; expected one of {', '.join(_MODES)}")
    return name


class _Grid:
    """Tasks on one map."""

    def __init__(self, map: str, rows: Sequence[str], tasks: Sequence[Mapping[str, Any]], observe: str, horizon: int,
                 discount: float):
        if observe not in ("index", "coordinates"):
            raise _native.Error(f'observe: {observe!r}; expected "index" or "coordinates"')
        self.map, self.rows, self.observe = os.fspath(map), list(rows), observe
        self.horizon, self.discount = horizon, discount
        self.lines = _native.map_rows(self.map, self.rows)
        self.goals: list[tuple[int, int]] = []
        self.tasks = [self._task(task) for task in tasks]
        height, width = len(self.lines), len(self.lines[0])
        self.observation_space = Discrete(height * width) if observe == "index" else Box(-1.0, 1.0, (2,))
        self.action_space = Discrete(5)

    def _task(self, task: Mapping[str, Any]) -> _native.GridTask:
        known = {"goal", "start", "moves", "wind", "wind_direction", "slip", "reward"}
        if unknown := set(task) - known:
            raise _native.Error(f"task: no such key: {', '.join(sorted(unknown))}; expected some of "
                                f"{', '.join(sorted(known))}")
        goal = tuple(task.get("goal", (len(self.lines) - 1, len(self.lines[0]) - 1)))
        start, direction, reward = task.get("start"), task.get("wind_direction", "right"), task.get("reward", "sparse")
        if direction not in _DIRECTIONS:
            raise _native.Error(f"wind_direction: {direction!r}; expected one of {', '.join(_DIRECTIONS)}")
        if reward not in ("sparse", "dense"):
            raise _native.Error(f'reward: {reward!r}; expected "sparse" or "dense"')
        self.goals.append(goal)
        return _native.GridTask(goal, None if start is None else tuple(start), tuple(task.get("moves", range(5))),
                                task.get("wind", 0.0), _DIRECTIONS.index(direction), task.get("slip", 0.0),
                                reward == "dense")

    def native(self, count: int, mode: Any) -> _native.GridVector:
        return _native.make_grid(self.map, self.rows, self.tasks, self.horizon, self.discount, count, mode,
                                 self.observe == "index")

    def picture(self, observation: Any, number: int) -> np.ndarray:
        walls = np.array([[c != "." for c in line] for line in self.lines])
        height, width = walls.shape
        side = max(2, min(32, 512 // max(height, width)))
        cells = np.where(walls[..., None], np.uint8(_WALL), np.uint8(_FREE))
        cells[self.goals[number % len(self.goals)]] = _GOAL
        image = cells.repeat(side, axis=0).repeat(side, axis=1)
        if side >= 8:
            image[::side] = image[:, ::side] = _LINE
        if self.observe == "index":
            row, column = divmod(int(observation), width)
        else:
            scale = (np.array([height, width]) - 1) / 2
            row, column = np.rint((np.asarray(observation) + 1) * scale).astype(int)
        inset = side // 4
        image[row * side + inset:(row + 1) * side - inset, column * side + inset:(column + 1) * side - inset] = _AGENT
        return image


class _Point:
    """Goals in the plane, which the rewards alone reveal."""

    def __init__(self, goals: Sequence[Sequence[float]], reward: str, horizon: int, discount: float):
        if reward not in ("squared-distance", "distance"):
            raise _native.Error(f'reward: {reward!r}; expected "squared-distance" or "distance"')
        self.goals, self.reward, self.horizon, self.discount = [tuple(g) for g in goals], reward, horizon, discount
        reach = 0.1 * horizon
        self.observation_space = Box(-reach, reach, (2,))
        self.action_space = Box(-0.1, 0.1, (2,))

    def native(self, count: int, mode: Any) -> _native.PointVector:
        return _native.make_point(self.goals, self.reward == "distance", self.horizon, self.discount, count, mode)

    def picture(self, observation: Any, number: int) -> np.ndarray:
        side = 256
        image = np.full((side, side, 3), _FREE, np.uint8)
        image[side // 2] = image[:, side // 2] = _LINE
        for (x, y), colour in ((self.goals[number % len(self.goals)], _GOAL), (observation, _AGENT)):
            column, row = (np.clip([0.5 + x / 2, 0.5 - y / 2], 0, 1) * (side - 1)).astype(int)
            image[max(0, row - 5):row + 6, max(0, column - 5):column + 6] = colour
        return image


class Environment(BaseEnv):
    """One environment. `reset` and `step` are Gymnasium's; `render` gives an RGB array (height, width, 3) uint8."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 8}
    spec = None

    def __init__(self, world: Any, render_mode: Optional[str] = "rgb_array"):
        self._world = world
        self._native = world.native(1, _native.Autoreset.disabled)
        self.observation_space, self.action_space = world.observation_space, world.action_space
        self.render_mode = render_mode
        self._seeded = False
        self._counted = isinstance(self.action_space, Discrete)

    @property
    def unwrapped(self) -> Environment:
        return self

    def _observation(self) -> Any:
        rows = self._native.observations
        return rows[0] if rows.ndim == 1 else rows[0].copy()

    def reset(self, *, seed: Optional[int] = None, options: Optional[dict] = None) -> tuple[Any, dict[str, Any]]:
        if has_gymnasium:
            super().reset(seed=seed)
        _seed(self, seed)
        self._native.reset()
        return self._observation(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        native = self._native
        native.step(np.array([action], dtype=np.int64) if self._counted else np.asarray(action, np.float32)[None])
        terminated, truncated = bool(native.terminated[0]), bool(native.truncated[0])
        return self._observation(), float(native.rewards[0]), terminated, truncated, {}

    def render(self) -> np.ndarray:
        return self._world.picture(self._observation(), 0)

    def close(self) -> None:
        pass


class VectorEnvironment(BaseVectorEnv):
    """Many environments that step together, copy i in task i modulo their number.

    Observations are (num_envs,) int64 where states are indices, else (num_envs, 2) float32; rewards float32,
    terminated and truncated bool, each (num_envs,). With copy=False every step gives the same arrays, written anew.
    """

    spec = None
    closed = False

    def __init__(self, world: Any, num_envs: int, autoreset_mode: Any = "next_step", copy: bool = True):
        if not 1 <= num_envs < 1 << 24:
            raise _native.Error(f"num_envs: {num_envs}; expected 1 to {(1 << 24) - 1}")
        self._world, self._copy = world, copy
        self.num_envs = num_envs
        self.autoreset_mode = _mode_name(autoreset_mode)
        self.metadata = {"render_modes": ["rgb_array"], "autoreset_mode": self.autoreset_mode}
        if has_gymnasium:
            from gymnasium.vector import AutoresetMode

            self.metadata["autoreset_mode"] = AutoresetMode[self.autoreset_mode.upper()]
        self.render_mode = "rgb_array"
        native = self._native = world.native(num_envs, _MODES[self.autoreset_mode])
        self._seeded = False
        self._results = (native.observations, native.rewards, native.terminated, native.truncated)
        self._finals = native.final_observations if self.autoreset_mode == "same_step" else None
        self._step = native.step
        self.single_observation_space, self.single_action_space = world.observation_space, world.action_space
        self.observation_space = _many(world.observation_space, num_envs)
        self.action_space = _many(world.action_space, num_envs)

    @property
    def unwrapped(self) -> VectorEnvironment:
        return self

    def reset(self, *, seed: Optional[int] = None, options: Optional[dict] = None) -> tuple[np.ndarray, dict[str, Any]]:
        """All begin anew; with options={"reset_mask": mask} those that a bool array (num_envs,) names."""
        _seed(self, seed)
        self._native.reset((options or {}).get("reset_mask"))
        observations = self._results[0]
        return (observations.copy() if self._copy else observations), {}

    def step(self, actions: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        self._step(actions)
        observations, rewards, terminated, truncated = self._results
        info: dict[str, Any] = {}
        if self._finals is not None:
            done = terminated | truncated
            if done.any():
                info = {"final_obs": self._finals.copy(), "_final_obs": done}
        if self._copy:
            return observations.copy(), rewards.copy(), terminated.copy(), truncated.copy(), info
        return observations, rewards, terminated, truncated, info

    def render(self) -> tuple[np.ndarray, ...]:
        return tuple(self._world.picture(one, k) for k, one in enumerate(self._results[0]))

    def close(self, **_: Any) -> None:
        self.closed = True


def _seed(env: Any, seed: Optional[int]) -> None:
    if seed is None and not env._seeded:
        seed = int.from_bytes(os.urandom(8), "little")
    if seed is not None:
        env._native.seed(int(seed))
        env._seeded = True


def _many(space: Any, count: int) -> Any:
    if isinstance(space, Discrete):
        return MultiDiscrete([space.n] * count)
    shape = (count, *space.shape)
    return Box(float(space.low.min()), float(space.high.max()), shape, space.dtype)


def _world(name: str, tasks: Optional[Sequence[Mapping[str, Any]]], given: dict[str, Any]) -> Any:
    def take(**defaults: Any) -> dict[str, Any]:
        return {key: given.pop(key, value) for key, value in defaults.items()}

    if name == "grid":
        common = take(map="empty-7x7", rows=(), observe="index", horizon=30, discount=0.95)
        world = _Grid(tasks=[{**given, **task} for task in (tasks or [{}])], **common)
        return world
    if name == "point":
        common = take(reward="squared-distance", horizon=100, discount=0.99)
        goal = take(goal=(0.3, 0.2))["goal"]
        if given:
            raise _native.Error(f"point: no such option: {', '.join(sorted(given))}")
        return _Point([task["goal"] for task in tasks] if tasks else [goal], **common)
    raise _native.Error(f'no environment {name!r}; there are "grid" and "point"')


def make(name: str, *, render_mode: Optional[str] = "rgb_array", **options: Any) -> Environment:
    """One environment.

    "grid"   map: a built-in name or a file in MovingAI's format, or rows: lines of '.' and '#'; goal, start:
             (row, column); wind, wind_direction, slip; moves: what actions 0 to 4 do, a permutation; reward: "sparse"
             or "dense"; observe: "index" (a state's number) or "coordinates"; horizon, discount.
             Actions: 0 up, 1 down, 2 left, 3 right, 4 stay.
    "point"  goal: (x, y), reward: "squared-distance" or "distance"; horizon, discount. Actions: two velocities.
    """
    return Environment(_world(name, None, options), render_mode)


def make_vec(
    name: str,
    num_envs: int = 1,
    *,
    tasks: Optional[Sequence[Mapping[str, Any]]] = None,
    autoreset_mode: Any = "next_step",
    copy: bool = True,
    **options: Any,
) -> VectorEnvironment:
    """`num_envs` of them. `tasks`: what differs, a mapping of options each: [{"goal": (6, 0)}, {"goal": (0, 6)}].

    autoreset_mode  "next_step", "same_step" or "disabled", or Gymnasium's AutoresetMode
    """
    return VectorEnvironment(_world(name, tasks, options), num_envs, autoreset_mode, copy)


def native_of(env: Any) -> Any:
    """What C++ adapts to; None of anybody's environment."""
    env = getattr(env, "unwrapped", env)
    return env._native if isinstance(env, (Environment, VectorEnvironment)) else None
