# SPDX-License-Identifier: Apache-2.0
"""Calls that keep what they took would show here: the bytes in use of malloc and the blocks of Python's own heap.

DUNLIN_CALLS=1000000 makes a million calls of each; the test command makes some thousand."""
import ctypes
import gc
import os
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np

import dunlin

CALLS = int(os.environ.get("DUNLIN_CALLS", "4000"))


class Use(ctypes.Structure):
    """glibc's struct mallinfo2."""

    _fields_ = [(name, ctypes.c_size_t) for name in (
        "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")]


LIBC = ctypes.CDLL(None)


def in_use():
    """Bytes that malloc has given out, and blocks of Python's."""
    gc.collect()
    told = LIBC.mallinfo2()
    return told.uordblks + told.hblkhd, sys.getallocatedblocks()


@unittest.skipUnless(hasattr(LIBC, "mallinfo2"), "this C library does not tell what is in use")
class Leaks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        LIBC.mallinfo2.restype = Use
        cls.run_ = dunlin.train("navigation", seed=1, overrides={"rl.iterations": 2})
        cls.policy = cls.run_.policy
        cls.folder = tempfile.TemporaryDirectory()
        cls.file = Path(cls.folder.name) / "policy.dunlin"
        cls.policy.save(cls.file)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def check(self, call, calls=CALLS):
        for _ in range(max(20, calls // 10)):  # what is made once
            call()
        bytes_before, blocks_before = in_use()
        for _ in range(calls):
            call()
        grown, blocks = in_use()
        # Less than a twentieth of a byte, or of a block, a call; caches may still fill a little.
        self.assertLess(grown - bytes_before, 20_000 + calls // 20)
        self.assertLess(blocks - blocks_before, 200 + calls // 20)

    def test_act(self):
        states = np.arange(49)
        self.check(lambda: self.policy.act(states))
        self.check(lambda: self.policy.act(3, deterministic=True))

    def test_outputs_and_parameters(self):
        states = np.arange(49)
        self.check(lambda: self.policy.probabilities(states))
        self.check(lambda: self.policy.parameters)
        numbers = np.array(self.policy.parameters)
        self.check(lambda: self.policy.with_parameters(numbers), CALLS // 4)

    def test_wrong_calls(self):
        def wrong():
            with self.assertRaises((dunlin.Error, ValueError)):
                self.policy.act(np.full(3, 10_000))

        self.check(wrong, CALLS // 4)

    def test_environments(self):
        single, many = dunlin.make("grid"), dunlin.make_vec("grid", 16)
        single.reset(seed=1)
        many.reset(seed=1)
        actions = np.zeros(16, np.int64)

        def step():
            if any(single.step(1)[2:4]):
                single.reset()

        self.check(step)
        self.check(lambda: many.step(actions))
        self.check(lambda: dunlin.make("grid"), CALLS // 10)

    def test_files_and_adaptation(self):
        self.check(lambda: dunlin.load(self.file), CALLS // 10)
        env = dunlin.make("grid", goal=(5, 1))
        self.check(lambda: self.policy.adapt(env, steps=1), CALLS // 100)


if __name__ == "__main__":
    unittest.main()
