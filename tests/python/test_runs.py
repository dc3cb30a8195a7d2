# SPDX-License-Identifier: Apache-2.0
"""Training and comparing from Python: the same numbers as the program's."""
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

import numpy as np

import dunlin

PROGRAM = os.environ["DUNLIN_PROGRAM"]
SHORT = {"rl.iterations": 3}


class Runs(unittest.TestCase):
    def test_a_run_has_the_program_s_numbers(self):
        run = dunlin.train("navigation", seed=7, overrides=SHORT)
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "run"
            subprocess.run([PROGRAM, "train", "navigation", "--seed", "7", "--set", "rl.iterations=3", "--out", out,
                            "--quiet"], check=True, stdout=subprocess.DEVNULL)
            theirs = json.loads((out / "summary.json").read_text())
            policy = (out / "policy.dunlin").read_bytes()
        for key in ("tasks", "env_steps", "gradients"):
            self.assertEqual(run.summary.get(key), theirs.get(key))
        self.assertEqual((run.directory / "policy.dunlin").read_bytes(), policy)
        self.assertTrue(run.complete)
        self.assertGreater(run.summary["tasks"][0]["return_ratio"], 0.0)

    def test_metrics_are_records(self):
        run = dunlin.train("navigation", seed=1, overrides={"rl": {"iterations": 2}})
        self.assertIsInstance(run.metrics, np.recarray)
        self.assertEqual(list(run.metrics["iteration"]), [0, 1, 2])
        self.assertEqual(run.metrics["iteration"].dtype, np.int64)
        self.assertEqual(run.metrics["seconds"].dtype, np.float64)

    def test_a_temporary_run_goes_with_its_last_user_and_a_saved_one_stays(self):
        with tempfile.TemporaryDirectory() as folder:
            run = dunlin.train("navigation", overrides=SHORT)
            directory = run.directory
            kept = run.save(Path(folder) / "kept")
            del run
            self.assertFalse(directory.exists())
            self.assertTrue(dunlin.open_run(kept).complete)

    def test_errors_are_the_program_s_sentences(self):
        with self.assertRaisesRegex(dunlin.Error, 'no experiment "nothing"; choose one of'):
            dunlin.train("nothing")
        with self.assertRaisesRegex(dunlin.Error, "rl.iterations"):
            dunlin.train("navigation", overrides={"rl.iterations": -1})
        with self.assertRaisesRegex(dunlin.Error, "not a run directory"):
            dunlin.train(resume="/nowhere")
        with self.assertRaises(TypeError):
            dunlin.train("navigation", overrides={"rl.iterations": object()})

    def test_what_goes_on_goes_on_as_it_began(self):
        for given in ({"experiment": "navigation"}, {"config": {"rl.iterations": 1}}, {"seed": 0}, {"method": "maml"},
                      {"out": "elsewhere"}):
            with self.assertRaisesRegex(dunlin.Error, f"with resume= leave out {next(iter(given))}"):
                dunlin.train(resume="/nowhere", **given)
        both = ({"experiment": "navigation"}, {"overrides": SHORT}, {"seeds": 10}, {"seed": 1}, {"out": "elsewhere"})
        for call, own in ((dunlin.compare, ({"methods": ["maml"]}, {"by_iterations": True}, {"tune": 3})),
                          (dunlin.sweep, ({"grid": {"rl.prox_weight": [0.1]}},))):
            for given in both + own:
                with self.assertRaisesRegex(dunlin.Error, f"with resume= leave out {next(iter(given))}"):
                    call(resume="/nowhere", **given)

    def test_a_comparison_goes_on(self):
        with tempfile.TemporaryDirectory() as folder:
            first = dunlin.compare("navigation", ["scratch"], seeds=1, overrides=SHORT, out=f"{folder}/both")
            again = dunlin.compare(resume=first.directory, threads=1)
            self.assertEqual(len(again.runs), 1)

    def test_settings_come_from_mappings_too(self):
        run = dunlin.train(config={"kind": "navigation", "experiment": "my own \"words\"",
                                   "rl": {"iterations": 1}, "policy.hidden": np.array([8, 8])})
        self.assertIn("hidden = [8, 8]", run.config)
        self.assertEqual(run.summary["experiment"], 'my own "words"')

    def test_other_kinds_run_too(self):
        run = dunlin.train("regression", overrides={"method.rounds": 30})
        self.assertIn("max_relative_error", run.summary)
        self.assertGreater(len(run.metrics), 1)

    def test_a_comparison_ranks_methods(self):
        both = dunlin.compare("navigation", ["memrl", "scratch"], seeds=2, overrides=SHORT)
        self.assertEqual(len(both.runs), 4)
        self.assertEqual({one["name"] for one in both.methods}, {"memrl", "scratch"})

    def test_a_sweep_runs_every_combination(self):
        swept = dunlin.sweep("navigation", {"rl.prox_weight": [0.01, 0.1]}, seeds=1, overrides=SHORT)
        self.assertEqual(sorted(swept.runs["rl.prox_weight"]), [0.01, 0.1])
        with self.assertRaisesRegex(dunlin.Error, "say what to vary"):
            dunlin.sweep("navigation")


class Interrupts(unittest.TestCase):
    def test_ctrl_c_keeps_what_there_is_and_the_run_goes_on_later(self):
        script = """
import dunlin, signal, sys
before = signal.getsignal(signal.SIGINT)
try:
    dunlin.train("navigation", overrides={"rl.iterations": 100000}, out=sys.argv[1])
except dunlin.Interrupted as stop:
    assert not stop.run.complete and signal.getsignal(signal.SIGINT) is before
    print("stopped", stop.run.summary["iterations"] if "iterations" in stop.run.summary else "", flush=True)
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("Python's own again", flush=True)
"""
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "run"
            child = subprocess.Popen([sys.executable, "-c", script, out], stdout=subprocess.PIPE, text=True)
            metrics = out / "metrics.csv"
            while child.poll() is None and not (metrics.exists() and metrics.stat().st_size > 400):
                time.sleep(0.01)
            child.send_signal(signal.SIGINT)
            said, _ = child.communicate(timeout=60)
            self.assertEqual(child.returncode, 0)
            self.assertIn("stopped", said)
            self.assertIn("Python's own again", said)
            done = dunlin.open_run(out).metrics["iteration"][-1]
            again = dunlin.train(resume=out, overrides={"rl.iterations": int(done) + 1})
            self.assertTrue(again.complete)

    def test_other_threads_of_python_run_meanwhile(self):
        beats = 0
        over = threading.Event()

        def beat():
            nonlocal beats
            while not over.is_set():
                beats += 1
                time.sleep(0.001)

        thread = threading.Thread(target=beat)
        thread.start()
        try:
            dunlin.train("navigation", overrides={"rl.iterations": 20})
        finally:
            over.set()
            thread.join()
        self.assertGreater(beats, 5)


if __name__ == "__main__":
    unittest.main()
