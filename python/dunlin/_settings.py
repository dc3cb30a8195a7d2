# SPDX-License-Identifier: Apache-2.0
"""Python's values as the texts that Dunlin's settings are given by."""
from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, Optional, Union

Overrides = Mapping[str, Any]
Config = Union[str, "os.PathLike[str]", Mapping[str, Any]]


def _word(value: Any) -> str:
    """A value as TOML has it."""
    if hasattr(value, "tolist"):  # of NumPy
        value = value.tolist()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_word(one) for one in value) + "]"
    if isinstance(value, (str, os.PathLike)):
        text = os.fspath(value).replace("\\", "\\\\").replace('"', '\\"')
        text = "".join(c if c >= " " and c != "\x7f" else f"\\u{ord(c):04x}" for c in text)
        return f'"{text}"'
    raise TypeError(f"a setting is a number, a text, a bool or a list of these, not {type(value).__name__}")


def _flat(overrides: Overrides, before: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in overrides.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def assignments(overrides: Optional[Overrides]) -> list[str]:
    """KEY=VALUE for each, as `--set` takes them. Text stands as it is, but for an empty one."""
    texts = []
    for key, value in _flat(overrides or {}):
        plain = isinstance(value, (str, os.PathLike)) and os.fspath(value) != ""
        texts.append(f"{key}={os.fspath(value) if plain else _word(value)}")
    return texts


def values(several: Any) -> list[str]:
    """What one axis of a sweep takes."""
    if isinstance(several, (str, os.PathLike)) or not isinstance(several, Iterable):
        several = [several]
    return [one if isinstance(one, str) and one else _word(one) for one in several]


def document(config: Optional[Config]) -> Optional[str]:
    """The text of a TOML file, or the TOML of a mapping."""
    if config is None:
        return None
    if not isinstance(config, Mapping):
        with open(config, encoding="utf-8") as file:
            return file.read()
    # What stands in no section comes first.
    pairs = [(key.rpartition("."), value) for key, value in _flat(config)]
    sections: dict[str, list[str]] = {"": []}
    for (section, _, key), value in pairs:
        sections.setdefault(section, []).append(f"{key} = {_word(value)}\n")
    return "".join((f"[{name}]\n" if name else "") + "".join(lines) for name, lines in sections.items())
