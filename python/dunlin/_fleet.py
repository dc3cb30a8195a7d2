# SPDX-License-Identifier: Apache-2.0
"""A fleet from Python."""
from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional, Union

from . import _native
from ._policies import Policy, load
from ._settings import Overrides, assignments

PathLike = Union[str, "os.PathLike[str]"]
_TIMED_OUT = 3


class Fleet:
    """The fleet whose coordinator has its store in a folder: what `dunlin fleet COMMAND --json` says, as dicts.

    store    the coordinator's folder; default: as the program, $DUNLIN_FLEET or the user's
    options  further options of every command, for example ["--at", "https://laptop:7710", "--token-file", "token"]
    """

    def __init__(self, store: Optional[PathLike] = None, *, options: Sequence[str] = ()):
        self._options = list(options)
        if store is not None:
            self._options += ["--store", os.fspath(store)]

    def command(self, *words: str) -> Any:
        """Any command of `dunlin fleet`, with its words; its JSON, or None where it says nothing."""
        ended = _native.command(["fleet", *words, *self._options, "--json", "--quiet"])
        if ended.interrupted:
            raise KeyboardInterrupt
        if ended.code == _TIMED_OUT:
            raise TimeoutError(ended.notes.strip() or f"fleet {words[0]}: it took too long")
        if ended.code != 0:
            sentence = (ended.notes or ended.out).strip()
            raise _native.Error(sentence[len("dunlin: "):] if sentence.startswith("dunlin: ") else sentence)
        return json.loads(ended.out) if ended.out.strip() else None

    def status(self) -> dict[str, Any]:
        """The coordinator's state and counters."""
        return self.command("status")

    def nodes(self) -> list[dict[str, Any]]:
        """The roster: who is here, since when."""
        return self.command("nodes")["nodes"]

    def jobs(self) -> list[dict[str, Any]]:
        """All jobs."""
        return self.command("jobs")["jobs"]

    def job(self, job: int) -> dict[str, Any]:
        """One job, with its members."""
        return self.command("status", "--job", str(job))

    def run(
        self,
        experiment: Union[str, PathLike],
        *,
        nodes: Sequence[str] = (),
        seed: Optional[int] = None,
        overrides: Optional[Overrides] = None,
        token: str = "",
    ) -> int:
        """Starts an experiment on nodes, by names or labels (none: all), and returns the job's number.

        With a `token`, a word for this job, a second call is the same job.
        """
        words = ["run", os.fspath(experiment), *_nodes(nodes), *_token(token)]
        if seed is not None:
            words += ["--seed", str(seed)]
        return self.command(*words, *_sets(overrides))["job"]

    def push(
        self,
        policy: Union[Policy, PathLike],
        *,
        nodes: Sequence[str] = (),
        overrides: Optional[Overrides] = None,
        token: str = "",
    ) -> int:
        """Hands a policy out: every node makes it its own and says how good it is. Returns the job's number."""
        with tempfile.TemporaryDirectory() as folder:
            path = policy
            if isinstance(policy, Policy):
                path = Path(folder) / "policy.dunlin"
                policy.save(path)
            return self.command("push", os.fspath(path), *_nodes(nodes), *_token(token), *_sets(overrides))["job"]

    def pull(self, job: int = 0, out: Optional[PathLike] = None) -> Policy:
        """A job's model; 0: the newest job's. `out`: also a file of it."""
        with tempfile.TemporaryDirectory() as folder:
            path = os.fspath(out) if out is not None else str(Path(folder) / "policy.dunlin")
            self.command("pull", str(job), "--out", path)
            return load(path)

    def wait(self, job: int, state: str = "finished", *, timeout_s: Optional[float] = None) -> None:
        """Until a job is in a state: running, finished, ended, ... Errors: TimeoutError."""
        words = ["wait", f"--for={state}", "--job", str(job)]
        self.command(*words, *([] if timeout_s is None else ["--timeout", str(timeout_s)]))

    def pause(self, job: int = 0) -> None:
        """Lets a job's nodes hold still."""
        self.command("pause", str(job))

    def resume(self, job: int = 0) -> None:
        """Lets them go on."""
        self.command("resume", str(job))

    def stop(self, job: int = 0, *, now: bool = False) -> None:
        """Ends a job; `now` does not wait for nodes that are away."""
        self.command("stop", str(job), *(["--now"] if now else []))


def _nodes(nodes: Sequence[str]) -> list[str]:
    return ["--nodes", *([nodes] if isinstance(nodes, str) else nodes)] if nodes else []


def _token(token: str) -> list[str]:
    return ["--token", token] if token else []


def _sets(overrides: Optional[Overrides]) -> list[str]:
    return [word for one in assignments(overrides) for word in ("--set", one)]
