# SPDX-License-Identifier: Apache-2.0
"""Meta-reinforcement learning and personalised federated learning, from Python.

    >>> import dunlin
    >>> run = dunlin.train("navigation", seed=7)
    >>> run.summary["tasks"][0]["return_ratio"]
    >>> run.metrics["env_steps"]

Training runs in this process, through the same functions as the program `dunlin`; Python's lock is released meanwhile.
Errors are `dunlin.Error`, with the sentence that the program would print.
"""
from ._environments import Environment, VectorEnvironment, make, make_vec
from ._fleet import Fleet
from ._native import Error
from ._native import version as __version__
from ._policies import Policy, load
from ._problems import batched, register_dataset, register_environment
from ._runs import Comparison, Interrupted, Run, compare, experiments, open_run, settings, sweep, train

__all__ = [
    "Comparison",
    "Environment",
    "Error",
    "Fleet",
    "Interrupted",
    "Policy",
    "Run",
    "VectorEnvironment",
    "__version__",
    "batched",
    "compare",
    "experiments",
    "load",
    "make",
    "make_vec",
    "open_run",
    "register_dataset",
    "register_environment",
    "settings",
    "sweep",
    "train",
]
