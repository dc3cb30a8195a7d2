# SPDX-License-Identifier: Apache-2.0
"""Trained models: what they do, and how they become a task's own."""
from __future__ import annotations

import os
from typing import Any, Optional, Union

import numpy as np

from . import _native

PathLike = Union[str, "os.PathLike[str]"]


class Policy:
    """A trained model: a policy, a classifier, a scorer.

    Observations are raw, as `about` describes them: a float32 array (N, inputs), or of a model that takes states or
    tokens whole numbers (N,) or (N, steps). A single one without N gives a single answer.
    """

    def __init__(self, model: _native.Model, returns: Optional[np.ndarray] = None):
        self._model = model
        #: Of an adapted policy: the mean discounted return after 0, 1, ... inner steps, (steps + 1,) float64.
        self.returns = returns

    def act(self, observations: Any, *, deterministic: bool = False) -> np.ndarray:
        """Actions, one for each of N observations.

        Of counted actions or classes: (N,) int64, drawn by their probabilities, or the most likely where
        `deterministic`. Of actions that are numbers: (N, outputs) float32, drawn, or the means. Other models give
        their outputs, (N, outputs).
        """
        batch, single = self._batch(observations)
        actions = self._model.act(batch, deterministic)
        return actions[0] if single else actions

    def outputs(self, observations: Any) -> np.ndarray:
        """The network's outputs, (N, outputs) float32: logits, means or scores."""
        batch, single = self._batch(observations)
        out = self._model.outputs(batch, False)
        return out[0] if single else out

    def probabilities(self, observations: Any) -> np.ndarray:
        """Of actions or classes, (N, outputs) float32."""
        batch, single = self._batch(observations)
        out = self._model.outputs(batch, True)
        return out[0] if single else out

    def _batch(self, observations: Any) -> tuple[np.ndarray, bool]:
        batch = np.asarray(observations)
        single = batch.ndim == 0 or (not self._model.tokens and batch.ndim == 1)
        return (batch[None] if single else batch), single

    def seed(self, seed: int) -> None:
        """From now on the same actions are drawn again."""
        self._model.seed(seed)

    def adapt(
        self,
        env: Any,
        steps: int = 3,
        *,
        trajectories: Optional[int] = None,
        seed: Optional[int] = None,
        task: int = 0,
        horizon: int = 200,
    ) -> Policy:
        """The policy after `steps` steps of its run's inner loop on an environment; its `returns` say what that gave.

        env           of `dunlin.make` or `make_vec` (whose number `task` is); anybody's single or vector environment by
                      Gymnasium's conventions; or a function of a number of copies that gives a vector environment
        trajectories  for each step; else as many as in training, or of a single environment of anybody's one
        horizon       of anybody's: steps of a trajectory at most
        This policy stays as it is.
        """
        from ._environments import native_of
        from ._problems import adapt_to_python

        environments = native_of(env)
        if environments is None:
            parameters, returns = adapt_to_python(self._model, env, steps, trajectories, seed, horizon)
            model = self._model.with_parameters(np.array(parameters, np.float32))
        else:
            model, returns = self._model.adapt(environments, task, steps, trajectories, seed)
        return Policy(model, np.array(returns))

    @property
    def parameters(self) -> np.ndarray:
        """All parameters, float32, flat: an array over the model's own memory, so that writing to it changes it."""
        return self._model.parameters

    def with_parameters(self, parameters: Any) -> Policy:
        """The same network with others."""
        return Policy(self._model.with_parameters(np.asarray(parameters)))

    @property
    def nodes(self) -> list[str]:
        """Who took part."""
        return self._model.nodes

    def of_node(self, name: Union[str, int]) -> Policy:
        """The own model of a node, by its name or number, where the file holds it."""
        return Policy(self._model.of_node(str(name)))

    def save(self, path: PathLike) -> None:
        """Writes a .dunlin file, which `dunlin.load` and the program read."""
        self._model.save(os.fspath(path))

    @property
    def task(self) -> str:
        """What it is for: "grid-navigation", "classification", ..."""
        return self._model.task

    @property
    def about(self) -> str:
        """What it is for, what goes in and what comes out."""
        return "\n".join(self._model.about)

    @property
    def output_names(self) -> list[str]:
        """Of each action or class."""
        return self._model.output_names

    @property
    def config(self) -> str:
        """The settings of the run that made it, as TOML."""
        return self._model.config

    def __repr__(self) -> str:
        model = self._model
        return f"<dunlin.Policy of {model.task}: {model.inputs} inputs, {model.outputs_count} outputs>"


def load(path: PathLike) -> Policy:
    """The model in a file (policy.dunlin, model.dunlin), or of a run's folder."""
    return Policy(_native.Model.open(os.fspath(path)))
