#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Kills half of the nodes of a job without a server, with kill -9, and compares the others with a control.

Real processes on loopback with CURVE. For every combination of what is asked for: a job without kills, the same job of
the survivors alone, and the job with the last half of the nodes killed: they come back with their directories
("memory") or without the job's state ("empty"), are revoked, or stay away. A row for each: the control's mean, the
worst survivor, and the largest difference between a survivor and itself in the control. The control is the job without
kills where the nodes come back, and the job of the survivors where they do not.

    scripts/killed_half.py --bin build/apps --nodes 4 8 --graphs ring exponential complete --tick-ms 20 --seeds 1 2 3 4 5
"""
import argparse, json, os, shutil, signal, socket, subprocess, sys, tempfile, time


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Fleet:
    def __init__(self, binaries, nodes):
        self.bin, self.dir = binaries, tempfile.mkdtemp(prefix="dunlin-half-")
        self.env = dict(os.environ, DUNLIN_FLEET=self.dir + "/fleet")
        self.endpoint = "tcp://127.0.0.1:%d" % free_port()
        self.nodes, self.processes = nodes, {}
        self.ask("init", "--listen", self.endpoint)
        self.serve()
        self.key = self.ask("status", "--json")["server_key"]
        for i in range(nodes):
            made = self.run(["dunlin-node", "init", "--dir", self.place(i)])
            key = next(word for word in made.stdout.split() if len(word) == 64)
            self.ask("admit", "n%d" % i, key)
            self.start(i)
        self.ask("wait", "--for=nodes=%d" % nodes, "--timeout", "60")

    def place(self, i):
        return "%s/n%d" % (self.dir, i)

    def run(self, command):
        command = [self.bin + "/" + command[0]] + command[1:]
        return subprocess.run(command, env=self.env, text=True, capture_output=True)

    def ask(self, *words):
        done = self.run(["dunlin", "fleet", *words])
        try:
            return json.loads(done.stdout)
        except ValueError:
            return done

    def spawn(self, name, command, log):
        with open(self.dir + "/" + log, "a") as out:
            command = [self.bin + "/" + command[0]] + command[1:]
            self.processes[name] = subprocess.Popen(command, env=self.env, stdout=out, stderr=out)

    def serve(self):
        self.spawn("serve", ["dunlin", "fleet", "serve", "--listen", self.endpoint, "--metrics", "off"], "serve.log")
        for _ in range(200):
            if isinstance(self.ask("status", "--json"), dict) and self.ask("status", "--json")["serving"]:
                return
            time.sleep(0.05)
        sys.exit("the coordinator does not serve: " + self.dir)

    def start(self, i):
        self.spawn(i, ["dunlin-node", "run", "--dir", self.place(i), "--join", self.endpoint, "--server-key", self.key],
                   "n%d.log" % i)

    def kill(self, name):
        self.processes[name].send_signal(signal.SIGKILL)
        self.processes[name].wait()

    def close(self):
        for process in self.processes.values():
            process.kill()
            process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


def job(options, task, nodes, graph, tick_ms, seed, members, fate):
    """The metric of every member at the end, and the job as `fleet status --json` tells it."""
    fleet = Fleet(options.bin, nodes)
    try:
        assignments = ["fleet.tick_ms=%d" % tick_ms, "seed=%d" % seed]
        if task == "navigation":
            experiment, metric = "fleet-navigation", "return_ratio"
            assignments += ["network.graph=%s" % graph]
        else:
            experiment, metric = "classification", "accuracy"
            assignments += ["data.clients=%d" % nodes, "federated.method=pars-push", "push.graph=%s" % graph,
                            "fleet.updates=%d" % options.updates]
        assignments += options.set
        words = ["run", experiment, "--nodes", *["n%d" % i for i in range(members)]]
        for assignment in assignments:
            words += ["--set", assignment]
        begun = fleet.ask(*words)
        if not isinstance(begun, int):
            sys.exit("the job does not begin: %s" % begun.stderr)
        if fate is not None:
            fleet.ask("wait", "--for=accepted", "--timeout", "60")
            time.sleep(options.kill_at)
            dead = range(nodes // 2, nodes)
            for i in dead:
                fleet.kill(i)
            time.sleep(options.away)
            for i in dead:
                if fate == "empty":
                    os.remove(fleet.place(i) + "/state")
                if fate == "revoked":
                    fleet.ask("revoke", "n%d" % i)
                if fate in ("memory", "empty"):
                    fleet.start(i)
        waited = fleet.ask("wait", "--for=ended", "--timeout", str(options.limit), "--json")
        # Those who are there say how good they are after the end.
        for _ in range(100):
            told = fleet.ask("status", "1", "--json")
            there = [m for m in told["member_list"] if m["here"] and m["state"] == "active"]
            if not told["ended"] or all(m["reported"] for m in there):
                break
            time.sleep(0.2)
        told["hung"] = not told["ended"]
        values = {m["member"]: m.get("metrics", {}).get(metric) for m in told["member_list"]}
        return values, told
    finally:
        fleet.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="build/apps", help="where dunlin and dunlin-node are")
    parser.add_argument("--tasks", nargs="+", default=["navigation"], choices=["navigation", "classification"])
    parser.add_argument("--nodes", nargs="+", type=int, default=[4])
    parser.add_argument("--graphs", nargs="+", default=["exponential"])
    parser.add_argument("--tick-ms", nargs="+", type=int, default=[20])
    parser.add_argument("--fates", nargs="+", default=["memory", "empty", "revoked", "away"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--kill-at", type=float, default=3, help="seconds after all have accepted")
    parser.add_argument("--away", type=float, default=4, help="seconds")
    parser.add_argument("--updates", type=int, default=50, help="classification: fleet.updates")
    parser.add_argument("--limit", type=float, default=180, help="seconds until a job counts as hung")
    parser.add_argument("--margin", type=float, default=0.05)
    parser.add_argument("--set", action="append", default=[], help="KEY=VALUE for every job")
    options = parser.parse_args()
    options.bin = os.path.abspath(options.bin)
    failed = 0
    print("task            nodes graph          ms  seed fate     control  worst   below   lost  epochs")
    for task in options.tasks:
        for nodes in options.nodes:
            for graph in options.graphs:
                for tick_ms in options.tick_ms:
                    for seed in options.seeds:
                        controls = {}
                        for fate in options.fates:
                            members = nodes if fate in ("memory", "empty") else nodes // 2
                            if members not in controls:
                                controls[members], _ = job(options, task, nodes, graph, tick_ms, seed, members, None)
                            control = controls[members]
                            values, told = job(options, task, nodes, graph, tick_ms, seed, nodes, fate)
                            left = range(nodes // 2)
                            if told["hung"] or any(values.get(i) is None or control.get(i) is None for i in left):
                                print("%-15s %5d %-12s %4d %5d %-8s does not end" %
                                      (task, nodes, graph, tick_ms, seed, fate), flush=True)
                                failed += 1
                                continue
                            below = max(control[i] - values[i] for i in left)
                            failed += below > options.margin
                            print("%-15s %5d %-12s %4d %5d %-8s %7.3f %6.3f %7.3f %6.2f %7d" %
                                  (task, nodes, graph, tick_ms, seed, fate, sum(control[i] for i in left) / len(left),
                                   min(values[i] for i in left), below, told["weight_lost"], told["epoch"]), flush=True)
    print("%d rows are more than %g below their control, or did not end" % (failed, options.margin))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
