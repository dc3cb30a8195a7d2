# SPDX-License-Identifier: Apache-2.0
"""Gymnasium's spaces where it is installed, or else what one needs of them."""
from __future__ import annotations

from typing import Any, Optional

import numpy as np

try:
    from gymnasium import Env as BaseEnv
    from gymnasium.spaces import Box, Discrete, MultiDiscrete
    from gymnasium.vector import VectorEnv as BaseVectorEnv

    has_gymnasium = True
except ImportError:
    has_gymnasium = False

    class BaseEnv:  # type: ignore[no-redef]
        """What a single environment needs."""

    class BaseVectorEnv:  # type: ignore[no-redef]
        """What a vector of them needs."""

    class _Space:
        def __init__(self, shape: tuple[int, ...], dtype: Any):
            self.shape = shape
            self.dtype = np.dtype(dtype)
            self._random: Optional[np.random.Generator] = None

        @property
        def np_random(self) -> np.random.Generator:
            if self._random is None:
                self._random = np.random.default_rng()
            return self._random

        def seed(self, seed: Optional[int] = None) -> None:
            self._random = np.random.default_rng(seed)

        def __eq__(self, other: Any) -> bool:
            return type(self) is type(other) and repr(self) == repr(other)

    class Discrete(_Space):  # type: ignore[no-redef]
        """{0, ..., n - 1}."""

        def __init__(self, n: int):
            super().__init__((), np.int64)
            self.n = n
            self.start = 0

        def sample(self) -> np.int64:
            return np.int64(self.np_random.integers(self.n))

        def contains(self, value: Any) -> bool:
            return np.ndim(value) == 0 and np.asarray(value).dtype.kind in "iu" and 0 <= value < self.n

        __contains__ = contains

        def __repr__(self) -> str:
            return f"Discrete({self.n})"

    class MultiDiscrete(_Space):  # type: ignore[no-redef]
        """{0, ..., n - 1} of each."""

        def __init__(self, nvec: Any):
            self.nvec = np.asarray(nvec, dtype=np.int64)
            super().__init__(self.nvec.shape, np.int64)

        def sample(self) -> np.ndarray:
            return self.np_random.integers(self.nvec)

        def contains(self, value: Any) -> bool:
            value = np.asarray(value)
            return value.shape == self.shape and bool(np.all((value >= 0) & (value < self.nvec)))

        __contains__ = contains

        def __repr__(self) -> str:
            return f"MultiDiscrete({self.nvec.tolist()})"

    class Box(_Space):  # type: ignore[no-redef]
        """Numbers from low to high."""

        def __init__(self, low: Any, high: Any, shape: tuple[int, ...], dtype: Any = np.float32):
            super().__init__(shape, dtype)
            self.low = np.broadcast_to(np.asarray(low, self.dtype), shape)
            self.high = np.broadcast_to(np.asarray(high, self.dtype), shape)

        def sample(self) -> np.ndarray:
            low = np.where(np.isfinite(self.low), self.low, -1.0)
            high = np.where(np.isfinite(self.high), self.high, 1.0)
            return self.np_random.uniform(low, high).astype(self.dtype)

        def contains(self, value: Any) -> bool:
            value = np.asarray(value)
            return value.shape == self.shape and bool(np.all((value >= self.low) & (value <= self.high)))

        __contains__ = contains

        def __repr__(self) -> str:
            return f"Box({self.low.min()}, {self.high.max()}, {self.shape}, {self.dtype})"


__all__ = ["BaseEnv", "BaseVectorEnv", "Box", "Discrete", "MultiDiscrete", "has_gymnasium"]
