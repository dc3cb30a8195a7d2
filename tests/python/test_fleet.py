# SPDX-License-Identifier: Apache-2.0
"""A fleet from Python: a coordinator and a node, as real processes."""
import os
import re
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

import numpy as np

import dunlin

PROGRAM = os.environ["DUNLIN_PROGRAM"]
NODE = PROGRAM + "-node"


def endpoint(fleet, served):
    """Where nodes reach the coordinator, once it is there."""
    while served.poll() is None:
        found = fleet.status().get("endpoint", "")
        if re.match(r"tcp://.*:[1-9]", found):
            return found
        time.sleep(0.05)
    raise RuntimeError("the coordinator has ended")


class Fleets(unittest.TestCase):
    def test_a_job_is_run_watched_pulled_and_pushed(self):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            store = folder / "store"
            fleet = dunlin.Fleet(store)
            server = fleet.command("init", "--listen", "tcp://127.0.0.1:0", "--metrics", "off")["server_key"]
            key = subprocess.run([NODE, "init", "--dir", folder / "node"], check=True, stdout=subprocess.PIPE,
                                 stderr=subprocess.DEVNULL, text=True).stdout.strip()
            fleet.command("admit", "kitchen", key)
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            served = subprocess.Popen([PROGRAM, "fleet", "serve", "--store", store], **quiet)
            node = None
            try:
                node = subprocess.Popen([NODE, "run", "--dir", folder / "node", "--join", endpoint(fleet, served),
                                         "--server-key", server], **quiet)
                fleet.command("wait", "--for=nodes=1", "--timeout", "60")
                self.assertEqual(fleet.nodes()[0]["name"], "kitchen")
                job = fleet.run("fleet-navigation-server", nodes=["kitchen"], seed=3, overrides={"method.rounds": 5})
                fleet.wait(job, timeout_s=60)
                self.assertEqual([one["job"] for one in fleet.jobs()], [job])
                policy = fleet.pull(job)
                self.assertEqual(policy.task, "grid-navigation")
                self.assertEqual(policy.act(np.zeros(4, int)).shape, (4,))
                self.assertGreater(fleet.push(policy), job)
                with self.assertRaises(TimeoutError):
                    fleet.command("wait", "--for=nodes=2", "--timeout", "0.01")
            finally:
                for process in (node, served):
                    if process is not None:
                        process.terminate()
                        process.wait(timeout=30)

    def test_errors_are_the_program_s_sentences(self):
        with self.assertRaisesRegex(dunlin.Error, "^/nowhere: .*no fleet here"):
            dunlin.Fleet("/nowhere").status()


if __name__ == "__main__":
    unittest.main()
