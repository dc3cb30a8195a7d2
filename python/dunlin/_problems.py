# SPDX-License-Identifier: Apache-2.0
"""Anybody's environments and data as problems of Dunlin."""
from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Optional, Union

import numpy as np

from . import _native
from ._spaces import Box, MultiDiscrete


class _Batched:
    """Single environments as a vector environment: those that have ended wait for the next reset."""

    def __init__(self, environments: Sequence[Any]):
        self._environments = list(environments)
        self.num_envs = len(self._environments)
        self.single_observation_space = self._environments[0].observation_space
        self.single_action_space = self._environments[0].action_space

    def reset(self, *, seed: Optional[int] = None, options: Optional[dict] = None) -> tuple[np.ndarray, dict[str, Any]]:
        seeds = [None if seed is None else seed + k for k in range(self.num_envs)]
        self._observations = np.array([
            np.ravel(env.reset(seed=one, options=options)[0]) for env, one in zip(self._environments, seeds)
        ], dtype=np.float32)
        self._rewards = np.zeros(self.num_envs, np.float32)
        self._terminated = np.zeros(self.num_envs, bool)
        self._truncated = np.zeros(self.num_envs, bool)
        return self._observations, {}

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        self._rewards[:] = 0.0
        for k in np.flatnonzero(~(self._terminated | self._truncated)):
            observation, self._rewards[k], self._terminated[k], self._truncated[k], _ = \
                self._environments[k].step(actions[k])
            self._observations[k] = np.ravel(observation)
        return self._observations, self._rewards, self._terminated, self._truncated, {}


def batched(make: Callable[[], Any], count: int) -> Any:
    """`count` single environments, which `make()` gives, as a vector environment that steps them one by one."""
    return _Batched([make() for _ in range(count)])


def _one_hot_size(space: Any) -> Optional[int]:
    """Of a space whose elements are numbers of things."""
    if isinstance(space, MultiDiscrete) or type(space).__name__ == "MultiDiscrete":
        raise _native.Error(f"observations of {space}: expected numbers (Box) or one number of a state (Discrete)")
    return int(space.n) if hasattr(space, "n") else None


class _Adapter:
    """A vector environment as C++ steps it: flat float32 observations, one-hot where states are counted, and actions in
    the space's own bounds."""

    def __init__(self, env: Any):
        self._env = env
        seen = _single(env, "observation_space")
        self._states, self._first = _one_hot_size(seen), int(getattr(seen, "start", 0))
        space = _single(env, "action_space")
        self._start = int(getattr(space, "start", 0)) if hasattr(space, "n") else None
        if self._start is None:
            self._low, self._high, self._shape = space.low, space.high, space.shape

    def _flat(self, observations: Any) -> np.ndarray:
        observations = np.asarray(observations)
        if self._states is not None:
            rows = np.zeros((len(observations), self._states), np.float32)
            rows[np.arange(len(observations)), observations.reshape(-1).astype(np.int64) - self._first] = 1.0
            return rows
        return observations.reshape(len(observations), -1).astype(np.float32, copy=False)

    def reset(self, seed: int) -> tuple[np.ndarray, Any]:
        observations, info = self._env.reset(seed=seed)
        return self._flat(observations), info

    def step(self, actions: np.ndarray) -> tuple[Any, ...]:
        if self._start is None:
            actions = np.clip(actions.reshape(len(actions), *self._shape), self._low, self._high)
        else:
            actions = actions + self._start
        observations, *rest = self._env.step(actions)
        return (self._flat(observations), *rest)


def _single(env: Any, what: str) -> Any:
    return getattr(env, f"single_{what}", None) or getattr(env, what)


def _sizes(env: Any) -> tuple[int, int, bool]:
    """Numbers that are observed, actions, and whether these are counted."""
    observation, action = _single(env, "observation_space"), _single(env, "action_space")
    observations = _one_hot_size(observation) or int(np.prod(observation.shape))
    if hasattr(action, "n"):
        return observations, int(action.n), True
    if isinstance(action, Box) or type(action).__name__ == "Box":
        return observations, int(np.prod(action.shape)), False
    raise _native.Error(f"actions of {action}: expected Discrete or Box")


def _vector(make: Callable[..., Any], node: int, count: int, given: Mapping[str, Any]) -> Any:
    """Of what `make` takes: (node, count), or (node) for a single one."""
    if _takes_count(make):
        env = make(node, count, **given)
        if getattr(env, "num_envs", count) != count:
            raise _native.Error(f"the environment of node {node} has {env.num_envs} copies; {count} were asked for")
        return env
    return batched(lambda: make(node, **given), count)


def _takes_count(make: Callable[..., Any]) -> bool:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    free = [p for p in inspect.signature(make).parameters.values() if p.kind in kinds and p.default is p.empty]
    return len(free) >= 2


def register_environment(
    name: str,
    make: Callable[..., Any],
    *,
    nodes: int = 8,
    horizon: int = 200,
    discount: float = 0.99,
    settings: Optional[Mapping[str, Union[bool, int, float, str]]] = None,
) -> None:
    """Makes environments a problem, which `train(name)`, `compare` and `sweep` then know by name.

    make      make(node) gives a single environment by Gymnasium's conventions, the same kind for each of `nodes` nodes
              but, say, with another goal; make(node, count) a vector environment of `count` copies, which is far
              faster: one call a step for a whole batch. Nothing need be inherited: reset(seed=), step(actions) and the
              two spaces (`single_observation_space`, or `observation_space`) are what is used.
              Observations: Box, or Discrete, which a policy sees one-hot. Actions: Discrete or Box.
    horizon   steps of a trajectory at most; what terminates or is truncated ends before
    settings  more that `make` is given by name, and that overrides may change as "environment.NAME"

    Each node owns one environment; what they share is a policy. Batches are `federated.batch` trajectories.
    """
    own = dict(settings or {})
    observations, actions, counted = _sizes(_vector(make, 0, 1, own))

    def made(node: Optional[int], count: int, given: dict[str, Any]) -> Any:
        if node is None:
            return {"observations": observations, "actions": actions}
        env = _vector(make, node, count, given)
        if _sizes(env) != (observations, actions, counted):
            raise _native.Error(f"{name}: the spaces of node {node} are not those of node 0")
        return _Adapter(env)

    _native.register_environment(name, made, counted, nodes, horizon, discount, own)


def register_dataset(
    name: str,
    data: Union[Sequence[Any], Callable[[int], Any]],
    *,
    nodes: Optional[int] = None,
    classes: Optional[Sequence[str]] = None,
) -> None:
    """Makes labelled rows a problem of classification: each node learns from rows of its own.

    data      for each node a pair (x, y), x: (N, ...) numbers, y: (N,) whole numbers from 0; or a data set with
              __len__ and __getitem__ that gives such rows one by one (PyTorch's); or a function of the node's
              number that gives either, with `nodes`
    classes   names, at most 256; default: as many as there are labels on any node

    Each node's last rows are held out (data.held_out). Rows are copied when a run begins.
    """
    if isinstance(data, type) or not hasattr(data, "__len__"):
        if nodes is None:
            raise _native.Error("register_dataset: say how many nodes the function knows, by nodes=")
        give = data
    else:
        give, nodes = data.__getitem__, len(data) if nodes is None else nodes

    def rows(node: int) -> tuple[np.ndarray, np.ndarray]:
        return _rows(give(node))

    first, _ = rows(0)
    if classes is None:
        most = max(int(rows(node)[1].max()) for node in range(nodes))
        classes = [str(k) for k in range(1 + min(most, 256))]  # more than 256 are refused
    _native.register_dataset(name, rows, nodes, first.shape[1], list(classes))


def _rows(one: Any) -> tuple[np.ndarray, np.ndarray]:
    if not (isinstance(one, (tuple, list)) and len(one) == 2):
        samples = [one[k] for k in range(len(one))]
        one = np.stack([np.asarray(x) for x, _ in samples]), np.array([int(y) for _, y in samples])
    x, y = np.asarray(one[0], np.float32), np.asarray(one[1])
    if y.dtype.kind not in "iu" or y.ndim != 1 or len(x) != len(y) or len(y) == 0:
        raise _native.Error(f"a node's rows: x {x.shape}, y {y.shape} of {y.dtype}; expected (N, ...) and (N,) whole "
                            "numbers")
    return x.reshape(len(x), -1), y


def adapt_to_python(model: Any, env: Any, steps: int, trajectories: Optional[int], seed: Optional[int],
                    horizon: int) -> Any:
    """A policy's parameters and returns after inner steps on an environment, or on what a function makes."""
    if callable(env) and not hasattr(env, "reset"):
        def make(count: int) -> Any:
            return _Adapter(_vector(lambda _, count: env(count), 0, count, {}))

        observations, actions, counted = _sizes(env(1))
    else:
        if getattr(env, "num_envs", 1) == 1 and trajectories is None:
            trajectories = 1

        def make(count: int) -> Any:
            have = getattr(env, "num_envs", None)
            if have is None and count == 1:
                return _Adapter(_Batched([env]))
            if have != count:
                raise _native.Error(f"adapt: the environment has {have or 1} copies, and a step takes {count} "
                                    "trajectories; say trajectories=, or give a function of their number")
            return _Adapter(env)

        observations, actions, counted = _sizes(env)
    call = _native.adapt_counted if counted else _native.adapt_numbers
    return call(model, make, observations, actions, horizon, steps, trajectories, seed)
