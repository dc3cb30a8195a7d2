# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable, Sequence
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

version: str

class Error(RuntimeError): ...

class Ended:
    code: int
    interrupted: bool
    directory: str
    out: str
    notes: str

def train(
    experiment: str,
    document: Optional[str],
    assignments: list[str],
    method: str,
    seed: Optional[int],
    threads: int,
    directory: str,
    resume: bool,
) -> Ended: ...
def compare(
    command: str,
    experiment: str,
    document: Optional[str],
    assignments: list[str],
    seed: Optional[int],
    threads: int,
    axes: list[tuple[str, list[str]]],
    seeds: int,
    by_iterations: bool,
    tune: int,
    directory: str,
    resume: bool,
) -> Ended: ...
def command(words: list[str]) -> Ended: ...
def experiments() -> list[tuple[str, str]]: ...
def settings_help(experiment: str) -> str: ...

class Model:
    @staticmethod
    def open(path: str) -> Model: ...
    def act(self, observations: NDArray[Any], best: bool) -> NDArray[Any]: ...
    def outputs(self, observations: NDArray[Any], probabilities: bool) -> NDArray[np.float32]: ...
    def seed(self, seed: int) -> None: ...
    def with_parameters(self, parameters: NDArray[Any]) -> Model: ...
    def of_node(self, name: str) -> Model: ...
    def save(self, path: str) -> None: ...
    def adapt(
        self, environments: Any, number: int, steps: int, trajectories: Optional[int], seed: Optional[int]
    ) -> tuple[Model, list[float]]: ...
    @property
    def parameters(self) -> NDArray[np.float32]: ...
    @property
    def about(self) -> list[str]: ...
    @property
    def task(self) -> str: ...
    @property
    def head(self) -> str: ...
    @property
    def inputs(self) -> int: ...
    @property
    def outputs_count(self) -> int: ...
    @property
    def tokens(self) -> bool: ...
    @property
    def output_names(self) -> list[str]: ...
    @property
    def nodes(self) -> list[str]: ...
    @property
    def config(self) -> str: ...

class Autoreset:
    next_step: Autoreset
    same_step: Autoreset
    disabled: Autoreset

class GridTask:
    def __init__(
        self,
        goal: tuple[int, int],
        start: Optional[tuple[int, int]],
        moves: tuple[int, ...],
        wind: float,
        wind_direction: int,
        slip: float,
        dense: bool,
    ) -> None: ...

class _Vector:
    @property
    def count(self) -> int: ...
    @property
    def observations(self) -> NDArray[Any]: ...
    @property
    def final_observations(self) -> NDArray[Any]: ...
    @property
    def rewards(self) -> NDArray[np.float32]: ...
    @property
    def terminated(self) -> NDArray[np.bool_]: ...
    @property
    def truncated(self) -> NDArray[np.bool_]: ...
    def seed(self, seed: int) -> None: ...
    def reset(self, mask: Optional[NDArray[np.bool_]] = None) -> None: ...
    def step(self, actions: Any) -> None: ...

class GridVector(_Vector): ...
class PointVector(_Vector): ...

def make_grid(
    map: str,
    rows: Sequence[str],
    tasks: Sequence[GridTask],
    horizon: int,
    discount: float,
    count: int,
    mode: Autoreset,
    indices: bool,
) -> GridVector: ...
def make_point(
    goals: Sequence[tuple[float, ...]], distance: bool, horizon: int, discount: float, count: int, mode: Autoreset
) -> PointVector: ...
def map_rows(map: str, rows: Sequence[str]) -> list[str]: ...
def register_environment(
    name: str, make: Callable[..., Any], counted: bool, nodes: int, horizon: int, discount: float, own: dict[str, Any]
) -> None: ...
def register_dataset(name: str, make: Callable[[int], Any], nodes: int, features: int, classes: list[str]) -> None: ...
def registered() -> list[str]: ...
def adapt_counted(
    model: Model,
    make: Callable[[int], Any],
    observations: int,
    actions: int,
    horizon: int,
    steps: int,
    trajectories: Optional[int],
    seed: Optional[int],
) -> tuple[list[float], list[float]]: ...
def adapt_numbers(
    model: Model,
    make: Callable[[int], Any],
    observations: int,
    actions: int,
    horizon: int,
    steps: int,
    trajectories: Optional[int],
    seed: Optional[int],
) -> tuple[list[float], list[float]]: ...
