# SPDX-License-Identifier: Apache-2.0
"""view.py PROGRAM: `dunlin view` as a browser and as a stranger see it, and `dunlin report`."""
import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

PROGRAM = sys.argv.pop(1)
HOSTILE = '"><script>alert(1)'


def train(out, *more):
    subprocess.run([PROGRAM, "train", "navigation", "--set", "rl.iterations=2", "--out", out, "--quiet", *more],
                   check=True, stdout=subprocess.DEVNULL)


class View(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.root = Path(cls.folder.name) / "runs"
        train(cls.root / "one", "--seed", "1")
        train(cls.root / "more" / "two", "--seed", "2")
        os.rename(cls.root / "one", cls.root / "on e&")
        cls.server = subprocess.Popen([PROGRAM, "view", cls.root, "--port", "0"], stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, text=True)
        cls.address = re.match(r"http://(127\.0\.0\.1:(\d+))/#login=([\w-]+)$", cls.server.stdout.readline().strip())
        cls.cookie = ""
        cls.cookie = cls.log_in(cls.address[3]).getheader("Set-Cookie").split(";")[0]

    @classmethod
    def tearDownClass(cls):
        cls.server.terminate()
        cls.server.wait(timeout=20)
        cls.server.stdout.close()
        cls.server.stderr.close()
        cls.folder.cleanup()

    @classmethod
    def log_in(cls, code):
        return cls.ask("/api/v1/session", method="POST", body=json.dumps({"code": code}),
                       Origin=f"http://{cls.address[1]}")[0]

    @classmethod
    def ask(cls, path, host=None, method="GET", body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", int(cls.address[2]), timeout=20)
        connection.request(method, path, body=body, headers={"Host": host or cls.address[1], "Cookie": cls.cookie, **headers})
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        return answer, body

    def runs(self):
        return {run["name"]: run for run in json.loads(self.ask("/api/runs")[1])["runs"]}

    def test_runs_have_their_settings_and_results(self):
        answer, text = self.ask("/api/runs")
        self.assertEqual(answer.getheader("Content-Type"), "application/json")
        told = json.loads(text)
        runs = self.runs()
        self.assertEqual(set(runs) - {"late", HOSTILE}, {"on e&", "more/two"})
        self.assertEqual(runs["more/two"]["settings"]["seed"], "2")
        self.assertEqual(told["common"]["rl.iterations"], "2")
        self.assertEqual(runs["more/two"]["state"], "complete")
        summary = json.loads((self.root / "more/two/summary.json").read_text())
        ratios = [task["return_ratio"] for task in summary["tasks"]]
        self.assertAlmostEqual(runs["more/two"]["results"]["tasks return_ratio (least)"], min(ratios))

    def test_metrics_and_reports_are_the_run_s(self):
        for path, file in (("/api/metrics", "metrics.csv"), ("/report", "report.html")):
            answer, body = self.ask(f"{path}?run=on%20e%26")
            self.assertEqual((answer.status, body), (200, (self.root / "on e&" / file).read_text()))
        self.assertIn("sandbox", self.ask("/report?run=more%2Ftwo")[0].getheader("Content-Security-Policy"))

    def test_nothing_else_is_read(self):
        for path in ("/../../etc/passwd", "/api/metrics?run=..%2F..", "/report?run=%2Fetc", "/report", "/config.toml"):
            self.assertEqual(self.ask(path)[0].status, 404, path)

    def test_other_hosts_and_methods_are_refused(self):
        for host in ("evil.example", f"evil.example:{self.address[2]}", "x"):
            answer, body = self.ask("/api/runs", host=host)
            self.assertEqual(answer.status, 421)
            self.assertNotIn("settings", body)
        self.assertEqual(self.ask("/api/runs", host=f"localhost:{self.address[2]}")[0].status, 200)
        self.assertEqual(self.ask("/api/runs", method="POST")[0].status, 405)

    def test_who_has_not_logged_in_reads_nothing_and_a_link_is_good_once(self):
        for path in ("/api/runs", "/api/metrics?run=more%2Ftwo", "/report?run=more%2Ftwo"):
            answer, body = self.ask(path, Cookie="")
            self.assertEqual(answer.status, 401, path)
            self.assertNotIn("return", body)
        self.assertEqual(self.log_in(self.address[3]).status, 401)
        for line in self.server.stderr:  # that it was used is followed by another
            if again := re.search(r"#login=([\w-]+)", line):
                break
        self.assertIn("HttpOnly", self.log_in(again[1]).getheader("Set-Cookie"))
        for origin in ("http://evil.example", "null"):
            self.assertEqual(self.ask("/api/runs", Origin=origin)[0].status, 403)

    def test_there_is_no_fleet_behind_it(self):
        for path in ("/api/v1/status", "/api/v1/nodes", "/api/v1/live", "/api/v1/experiments"):
            self.assertEqual(self.ask(path)[0].status, 404, path)
        for path in ("/api/v1/desk", "/api/v1/enrol", "/api/v1/tokens"):
            self.assertEqual(self.ask(path, method="POST", body="{}", Origin=f"http://{self.address[1]}")[0].status, 404)

    def test_the_page_loads_nothing_from_elsewhere(self):
        for path in ("/", "/view.css", "/view.js", "/chart.js"):
            answer, body = self.ask(path)
            self.assertEqual(answer.status, 200)
            policy = answer.getheader("Content-Security-Policy")
            self.assertIn("default-src 'none'", policy)
            self.assertNotIn("unsafe", policy)
            links = set(re.findall(r"https?://[^\s\"'`)]+", body)) - {"http://www.w3.org/2000/svg"}
            self.assertEqual(links, set())
            self.assertNotRegex(body, r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(")

    def test_it_is_live_and_says_nothing_twice(self):
        answer, _ = self.ask("/api/runs")
        tag = answer.getheader("ETag")
        train(self.root / "late", "--seed", "3")
        give_up = time.monotonic() + 20
        while self.ask("/api/runs", **{"If-None-Match": tag})[0].status == 304 and time.monotonic() < give_up:
            time.sleep(0.05)
        self.assertIn("late", self.runs())

    def test_a_run_that_nobody_makes_is_stopped_and_hostile_names_are_text(self):
        (self.root / HOSTILE).mkdir()
        config = (self.root / "more/two/config.toml").read_text()
        (self.root / HOSTILE / "config.toml").write_text(config)
        give_up = time.monotonic() + 20
        while HOSTILE not in self.runs() and time.monotonic() < give_up:
            time.sleep(0.05)
        self.assertEqual(self.runs()[HOSTILE]["state"], "stopped")
        (self.root / HOSTILE / "config.toml").unlink()


class Report(unittest.TestCase):
    def test_a_report_is_made_again(self):
        with tempfile.TemporaryDirectory() as folder:
            run, compared = Path(folder) / "run", Path(folder) / "compared"
            train(run)
            subprocess.run([PROGRAM, "compare", "navigation", "--methods", "memrl,scratch", "--seeds", "2", "--set",
                            "rl.iterations=2", "--out", compared, "--quiet"], check=True, stdout=subprocess.DEVNULL)
            for made in (run, compared):
                before = (made / "report.html").read_text()
                (made / "report.html").unlink()
                said = subprocess.run([PROGRAM, "report", made], check=True, stdout=subprocess.PIPE, text=True).stdout
                self.assertEqual(said, f"{made / 'report.html'}\n")
                after = (made / "report.html").read_text()
                # The command that makes it again is its own by now.
                self.assertEqual(len(re.findall("<svg", before)), len(re.findall("<svg", after)))
                self.assertEqual(re.findall(r"<td[^>]*>.*?</td>", before), re.findall(r"<td[^>]*>.*?</td>", after))
            wrong = subprocess.run([PROGRAM, "report", folder], stderr=subprocess.PIPE, text=True)
            self.assertEqual(wrong.returncode, 2)
            self.assertIn("no config.toml", wrong.stderr)


if __name__ == "__main__":
    unittest.main()
