#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Nodes that enrol by a token, and alerts that are told, with real processes. Arguments: the program."""
import http.client
import http.server
import json
import os
import queue
import ssl
import subprocess
import sys
import tempfile
import threading

from web_fleet import PROGRAM, Server, check, failures, make_certificate, run

NODE = os.path.join(os.path.dirname(PROGRAM), "dunlin-node")
TLS = ("--tls-cert", "tls.pem", "--tls-key", "tls.key")


def node(*words, code=0):
    ended = subprocess.run([NODE, *words], capture_output=True, text=True, timeout=120)
    check(" ".join(words) + ": " + ended.stderr, ended.returncode, code)
    return ended


def token(*more):
    told = json.loads(run("token", "create", "--store", "store", "--role", "enrol", "--label", "board", "--json", *more).stdout)
    with open("token", "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        file.write(told["token"] + "\n")
    return told


def nodes():
    return {row["name"]: row for row in json.loads(run("nodes", "--store", "store", "--json").stdout)["nodes"]}


def enrolment():
    run("token", "create", "--store", "store", "--role", "enrol", "--label", "board", code=2)  # nobody could reach it
    server = Server("--web", "127.0.0.1:0", *TLS)
    at = ("--at", server.url, "--token-file", "token")
    run("token", "create", "--store", "store", "--role", "enrol", code=2)  # which label?
    made = token()
    secret, key, pin = made["token"].split(".")
    status = json.loads(run("status", "--store", "store", "--json").stdout)
    check("it says whom to believe", (key, "sha256:" + pin), (status["server_key"], server.pin))
    told = json.loads(node("enrol", "--dir", "first", "--name", "first", "--json", *at).stdout)
    check("where to join", (told["join"], told["server_key"]), (status["endpoint"], key))
    check("its label", nodes()["first"]["labels"], ["board"])
    node("enrol", "--dir", "first", "--name", "first", *at)  # the answer was lost, say: the same key may ask again
    used = node("enrol", "--dir", "thief", "--name", "thief", *at, code=2)
    check("another key", "another key" in used.stderr, True)
    listed = json.loads(run("token", "list", "--store", "store", "--json").stdout)["tokens"]
    check("it is listed as used", [(one["role"], one["used"]) for one in listed], [("enrol", True)])
    for path in ("/api/v1/status", "/api/v1/nodes", "/api/v1/session"):
        line = http.client.HTTPSConnection(server.host, context=ssl.create_default_context(cafile="tls.pem"), timeout=60)
        line.request("GET", path, headers={"Authorization": "Bearer " + secret})
        check("it opens nothing else: " + path, line.getresponse().status, 401)
        line.close()
    run("backup", "before", "--store", "store")
    run("revoke", "first", "--store", "store")
    node("enrol", "--dir", "first", "--name", "first", *at, code=2)  # who was revoked does not come back by it

    second = token("--minutes", "5")
    wrong = second["token"].split(".")
    for name, text, code in (("another server key", ".".join([wrong[0], "8a" * 32, wrong[2]]), 1),
                             ("another certificate", ".".join([*wrong[:2], "0" * 64]), 1), ("no token", "dunlin_enrol_x", 2)):
        with open("other", "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(text)
        refused = node("enrol", "--dir", "second", "--name", "second", "--at", server.url, "--token-file", "other", code=code)
        if code == 1:
            check(name, "somebody may be between" in refused.stderr, True)
    node("enrol", "--dir", "second", "--name", "second", *at)
    taken = token()
    node("enrol", "--dir", "third", "--name", "first", *at, code=2)  # a name that was revoked is not taken over
    run("token", "revoke", str(taken["number"]), "--store", "store")
    node("enrol", "--dir", "third", "--name", "third", *at, code=2)
    # A restore does not give back what was used.
    run("restore", "before", "--store", "store", "--yes")
    server.heard("web")
    check("as it was", set(nodes()), {"first"})
    with open("token", "w") as file:
        file.write(second["token"])
    node("enrol", "--dir", "fourth", "--name", "fourth", *at, code=2)
    node("enrol", "--dir", "second", "--name", "second", *at, code=2)
    check("none came back", set(nodes()), {"first"})
    with open("store/audit.log", "rb") as file:
        text = file.read()
    check("no token is in the audit log", secret.encode() in text, False)
    check("the enrolment is", b"enrolment token" in text, True)
    check("it ends", server.end(), 0)


class Hook(http.server.BaseHTTPRequestHandler):
    told = queue.Queue()

    def do_POST(self):
        Hook.told.put((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *words):
        pass


def alerts():
    hook = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=hook.serve_forever, daemon=True).start()
    rules = f"""
[[alert]]
when = "node away for 1 s"
nodes = "board"
webhook = "http://127.0.0.1:{hook.server_port}/hook?key=1"
command = ["/usr/bin/tee", "{os.getcwd()}/told.json"]
[[alert]]
when = "node away for 1 s"
command = ["/bin/false", "$(touch {os.getcwd()}/shell)"]
"""
    with open("store/alerts.toml", "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        file.write(rules)
    server = Server("--web", "127.0.0.1:0")
    made = token()
    check("without TLS no certificate", made["token"].count("."), 1)
    node("enrol", "--dir", "fifth", "--name", "fifth", "--at", server.url, "--token-file", "token")
    live = subprocess.Popen([NODE, "run", "--dir", "fifth", "--log-format", "json"], stderr=subprocess.DEVNULL)
    run("wait", "--for=nodes=1", "--timeout", "60", "--store", "store")
    disk = nodes()["fifth"].get("disk")
    while disk is None:  # its first heartbeat says it
        disk = nodes()["fifth"].get("disk")
    check("how full its disk is", 0 <= disk <= 100, True)
    live.kill()
    live.wait()
    path, told = Hook.told.get(timeout=60)
    check("the webhook", (path, told["state"], told["node"], told["rule"]), ("/hook?key=1", "raised", "fifth", "node away for 1 s"))
    check("what did not work is said", "/bin/false: it ended with 1" in server.heard("alert-untold"), True)
    with open("told.json") as file:
        check("the command's stdin", json.load(file)["text"], told["text"])
    check("no shell", os.path.exists("shell"), False)
    status = json.loads(run("status", "--store", "store", "--json").stdout)
    check("the status", {alert["node"] for alert in status["alerts"]}, {"fifth"})
    check("for people", "alert: fifth has been away" in run("status", "--store", "store").stdout, True)
    listed = json.loads(run("alerts", "--store", "store", "--json").stdout)
    check("the rules, but nobody's address", ("hook?key" in json.dumps(listed), len(listed["rules"])), (False, 2))
    newest = json.loads(run("audit", "--store", "store", "--lines", "30", "--json").stdout)["newest"]
    kinds = [line["what"] for line in newest]
    check("the audit log", ("alert" in kinds, "told" in kinds, "not told" in kinds), (True, True, True))
    os.chmod("store/alerts.toml", 0o666)
    check("a file that others can write", "others could write" in server.heard("alerts-unread"), True)
    check("the rules stay, and it is said", "others could write" in run("alerts", "--store", "store", code=1).stderr, True)
    check("it ends", server.end(), 0)
    hook.shutdown()


def main():
    run("init", "--store", "store", "--listen", "tcp://127.0.0.1:0", "--metrics", "off")
    make_certificate()
    enrolment()
    alerts()


with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    main()
    os.chdir("/")
sys.exit(bool(failures))
