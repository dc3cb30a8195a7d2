# SPDX-License-Identifier: Apache-2.0
"""Training, comparing, and what runs leave."""
from __future__ import annotations

import contextlib
import csv
import json
import os
import shutil
import tempfile
import warnings
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np

from . import _native
from ._policies import Policy, load
from ._settings import Config, Overrides, assignments, document, values

PathLike = Union[str, "os.PathLike[str]"]
_FAILED, _STOPPED = 1, 130


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, or SIGTERM, stopped a run; `run` (or a comparison's) holds what there is."""

    def __init__(self, run: Union[Run, Comparison]):
        super().__init__(f"stopped; what there is lies in {run.directory}")
        self.run = run


class _Directory:
    """A folder of results, or a temporary one that goes with its last user."""

    def __init__(self, directory: PathLike, temporary: Optional[str] = None):
        self.directory = Path(directory)
        if temporary is not None:
            weakref.finalize(self, shutil.rmtree, temporary, ignore_errors=True)
        self._summary: Optional[dict[str, Any]] = None
        self._policy: Optional[Policy] = None

    @property
    def summary(self) -> dict[str, Any]:
        """What summary.json says (docs/files.md)."""
        if self._summary is None:
            self._summary = json.loads((self.directory / "summary.json").read_text(encoding="utf-8"))
        return self._summary

    @property
    def report(self) -> Path:
        """The page with all plots."""
        return self.directory / "report.html"

    @property
    def config(self) -> str:
        """All settings, as TOML."""
        return (self.directory / "config.toml").read_text(encoding="utf-8")

    def save(self, directory: PathLike) -> Path:
        """Copies all files to a folder that does not exist yet, and returns it."""
        return Path(shutil.copytree(self.directory, directory))

    def __repr__(self) -> str:
        return f"<dunlin.{type(self).__name__} in {str(self.directory)!r}>"


def _column(texts: list[str]) -> np.ndarray:
    for kind in (np.int64, np.float64):
        try:
            return np.array([kind(text) if text else np.nan for text in texts], dtype=kind)
        except ValueError:
            continue
    return np.array(texts, dtype=np.str_)


def _table(path: Path) -> np.recarray:
    """A CSV file; columns are int64, float64 or text."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    if not rows:
        return np.recarray((0,), dtype=[])
    header, rows = rows[0], [row for row in rows[1:] if len(row) == len(rows[0])]
    columns = [_column([row[k] for row in rows]) for k in range(len(header))]
    return np.rec.fromarrays(columns, dtype=[(name, column.dtype) for name, column in zip(header, columns)])


class Run(_Directory):
    """A run: its numbers, its model and its folder."""

    @property
    def metrics(self) -> np.recarray:
        """metrics.csv: one record for each evaluation, by column, `run.metrics["env_steps"]`."""
        return _table(self.directory / "metrics.csv")

    def to_pandas(self) -> Any:
        """The same as a DataFrame of pandas, which must be installed."""
        import pandas

        return pandas.DataFrame.from_records(self.metrics)

    @property
    def policy(self) -> Policy:
        """The model that was trained, whatever its task."""
        if self._policy is None:
            self._policy = load(self.directory)
        return self._policy

    @property
    def complete(self) -> bool:
        """Has it come to its end?"""
        return bool(self.summary.get("complete", False))


class Comparison(_Directory):
    """What `compare` and `sweep` leave: a folder with all runs' numbers."""

    @property
    def runs(self) -> np.recarray:
        """comparison.csv: one record for each run that ended."""
        return _table(self.directory / "comparison.csv")

    @property
    def methods(self) -> list[dict[str, Any]]:
        """The combinations, best first, with intervals."""
        return self.summary.get("methods", [])

    @property
    def pairs(self) -> list[dict[str, Any]]:
        """Which of two is better, and whether significantly."""
        return self.summary.get("pairs", [])


def _sentences(notes: str) -> list[str]:
    marks = ("dunlin: ", "warning: ", "failed: ")
    sentences = []
    for line in notes.splitlines():
        for mark in marks:
            line = line[len(mark):] if line.startswith(mark) else line
        if line:
            sentences.append(line)
    return sentences


def _ended(kind: type, ended: _native.Ended, temporary: Optional[str]) -> Any:
    made = kind(ended.directory, temporary)
    told = _sentences(ended.notes)
    if ended.interrupted or ended.code == _STOPPED:
        raise Interrupted(made)
    if ended.code == _FAILED and not (made.directory / "summary.json").exists():
        raise _native.Error(told[-1] if told else "the run failed")
    for sentence in told:
        warnings.warn(sentence, stacklevel=3)
    return made


@contextlib.contextmanager
def _place(out: Optional[PathLike]) -> Iterator[tuple[str, Optional[str]]]:
    """A folder for a run, and what is to go with it; a temporary one goes at once where there is no run."""
    if out is not None:
        yield os.fspath(out), None
        return
    temporary = tempfile.mkdtemp(prefix="dunlin-")
    try:
        yield str(Path(temporary) / "run"), temporary
    except Interrupted:
        raise  # holds it
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _named(experiment: str, config: Optional[Config]) -> tuple[str, Optional[Config]]:
    """A problem that Python registered is named by a document."""
    if experiment in _native.registered() and experiment not in dict(_native.experiments()):
        if config is not None and not isinstance(config, Mapping):
            raise _native.Error(f'config: a file says by itself what to run; leave out "{experiment}" where it has '
                                f'kind = "{experiment}", or give the settings as a mapping')
        return "", {"kind": experiment, "experiment": experiment, **(config or {})}
    return experiment, config


def _resumed(command: str, resume: PathLike, given: Mapping[str, Any]) -> None:
    """What goes on goes on as it began."""
    settled = [name for name, value in given.items()
               if value is not None and value is not False and not (hasattr(value, "__len__") and len(value) == 0)]
    if settled:
        raise _native.Error(f"{command}: {os.fspath(resume)} goes on as it began; with resume= leave out "
                            f"{', '.join(settled)}")


def train(
    experiment: str = "",
    *,
    config: Optional[Config] = None,
    seed: Optional[int] = None,
    method: str = "",
    overrides: Optional[Overrides] = None,
    threads: int = 1,
    out: Optional[PathLike] = None,
    resume: Optional[PathLike] = None,
) -> Run:
    """Trains, as `dunlin train` does, and returns the run.

    experiment  a ready-made one (`dunlin.experiments()`), or a problem that was registered; may be left out with
                `config`
    config      a TOML file, or a mapping of settings, over it
    overrides   settings over both: {"rl.iterations": 30} or {"rl": {"iterations": 30}}
    threads     the numbers do not depend on it
    out         the run's folder; without it a temporary one, which goes with the run (`Run.save` keeps it)
    resume      the folder of a run to go on with, as it began: with `overrides` and `threads` alone

    The same seed gives the same numbers. Ctrl-C raises `Interrupted`, a KeyboardInterrupt, whose `run` has what there
    is; with `out` the run can be gone on with. Errors: `dunlin.Error`.
    """
    if resume is not None:
        _resumed("train", resume, dict(experiment=experiment, config=config, seed=seed, method=method, out=out))
    experiment, config = _named(experiment, config)
    with _place(out if resume is None else resume) as (directory, temporary):
        ended = _native.train(
            experiment=experiment,
            document=document(config),
            assignments=assignments(overrides),
            method=method,
            seed=seed,
            threads=threads,
            directory=directory,
            resume=resume is not None,
        )
        return _ended(Run, ended, temporary)


def open_run(directory: PathLike) -> Run:
    """A run that lies in a folder, of whoever made it."""
    if not (Path(directory) / "config.toml").exists():
        raise _native.Error(f"{os.fspath(directory)}: not a run directory (no config.toml)")
    return Run(directory)


def _compare(command: str, experiment: str, axes: list[tuple[str, list[str]]], usual: int, **how: Any) -> Comparison:
    resume = how["resume"]
    if resume is not None:
        varied = {"methods" if command == "compare" else "grid": [value for _, value in axes if value]}
        settled = {name: value for name, value in how.items() if name not in ("threads", "resume")}
        _resumed(command, resume, {"experiment": experiment, **varied, **settled})
    experiment, how["config"] = _named(experiment, how["config"])
    with _place(how["out"] if resume is None else resume) as (directory, temporary):
        ended = _native.compare(
            command=command,
            experiment=experiment,
            document=document(how["config"]),
            assignments=assignments(how["overrides"]),
            seed=how["seed"],
            threads=how["threads"] or os.cpu_count() or 1,
            axes=axes if resume is None else [],  # its plan says them
            seeds=usual if how["seeds"] is None else how["seeds"],
            by_iterations=how.get("by_iterations", False),
            tune=how.get("tune") or 0,
            directory=directory,
            resume=resume is not None,
        )
        return _ended(Comparison, ended, temporary)


def compare(
    experiment: str = "",
    methods: Sequence[str] = (),
    *,
    seeds: Optional[int] = None,
    seed: Optional[int] = None,
    config: Optional[Config] = None,
    overrides: Optional[Overrides] = None,
    threads: int = 0,
    by_iterations: bool = False,
    tune: int = 0,
    out: Optional[PathLike] = None,
    resume: Optional[PathLike] = None,
) -> Comparison:
    """Compares methods over seeds, as `dunlin compare` does: all of the experiment's kind where none are named.

    Of threads, 0 takes all cores. `tune` tries so many step sizes for each method, on seeds of their own. There are 10
    seeds where none are said. `resume` goes on in a folder, as it began: with `threads` alone.
    """
    return _compare("compare", experiment, [("", list(methods))], 10, seeds=seeds, seed=seed, config=config,
                    overrides=overrides, threads=threads, by_iterations=by_iterations, tune=tune or None, out=out,
                    resume=resume)


def sweep(
    experiment: str = "",
    grid: Optional[Mapping[str, Any]] = None,
    *,
    seeds: Optional[int] = None,
    seed: Optional[int] = None,
    config: Optional[Config] = None,
    overrides: Optional[Overrides] = None,
    threads: int = 0,
    out: Optional[PathLike] = None,
    resume: Optional[PathLike] = None,
) -> Comparison:
    """Runs every combination of settings: grid={"rl.prox_weight": [0.01, 0.03]}, as `dunlin sweep` does; for 5 seeds
    where none are said. `resume` is that of `compare`."""
    if not grid and resume is None:
        raise _native.Error('sweep: say what to vary, for example grid={"rl.prox_weight": [0.01, 0.03]}')
    axes = [(key, values(several)) for key, several in (grid or {}).items()]
    return _compare("sweep", experiment, axes, 5, seeds=seeds, seed=seed, config=config, overrides=overrides,
                    threads=threads, out=out, resume=resume)


def experiments() -> dict[str, str]:
    """The ready-made experiments, with a line about each."""
    return dict(_native.experiments())


def settings(experiment: str) -> str:
    """The settings of an experiment, with what they mean and what they may be: for people."""
    return _native.settings_help(experiment)
