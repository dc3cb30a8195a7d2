#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The web port of a real `dunlin fleet serve`: its contract, who may, and what strangers try. Arguments: the program."""
import base64
import http.client
import json
import os
import socket
import ssl
import sys
import tempfile
import threading

from web_fleet import SOME_KEY, Server, check, failures, make_certificate, run

def contract(server, tokens):
    view = tokens["view"]
    check("no token", server.status("GET", "/api/v1/status"), 401)
    for name in ("status", "nodes", "jobs"):
        answer = server.ask("GET", "/api/v1/" + name, token=view)
        check(name, answer.status, 200)
        told, printed = json.loads(answer.text), json.loads(run(name, "--store", "store", "--json").stdout)
        check(name + " is what --json prints", told, printed)
    check("a wrong Host with a token", server.status("GET", "/api/v1/status", token=view, Host="evil.example"), 421)
    check("a wrong Host without", server.status("GET", "/", Host="evil.example:7710"), 421)
    check("localhost is a name", server.status("GET", "/api/v1/status", token=view, Host="localhost:1"), 200)
    check("a job by a view token", server.status("POST", "/api/v1/jobs", body="{}", token=view), 403)
    check("a wrong token", server.status("GET", "/api/v1/status", token=view[:-1] + "!"), 401)
    check("no such path", server.status("GET", "/api/v1/nothing", token=view), 404)
    check("no such method", server.status("PUT", "/api/v1/status", token=view), 405)
    check("no such job", server.status("GET", "/api/v1/jobs/7", token=view), 404)
    page = server.ask("GET", "/")
    has_page = page.status == 200
    check("a page, or why there is none", page.status in (200, 404) and (has_page or b"esbuild" in page.text), True)
    policy = page.getheader("Content-Security-Policy")
    check("a policy", "default-src 'none'" in policy and "unsafe" not in policy, True)
    check("nosniff", page.getheader("X-Content-Type-Options"), "nosniff")
    if has_page:
        sizes = [len(server.ask("GET", path, Accept_Encoding="gzip").text)
                 for path in ("/", "/app.js", "/app.css", "/icon.svg")]
        check(f"at most 100 kB compressed, there are {sum(sizes)}", sum(sizes) <= 100_000, True)


def roles(server, tokens):
    operate, admin = tokens["operate"], tokens["admin"]
    body = json.dumps({"experiment": "fleet-navigation-server", "nodes": ["kitchen"], "set": ["method.rounds=3"]})
    made = server.ask("POST", "/api/v1/jobs", body=body, token=operate)
    check("a job by an operate token: " + made.text.decode(), made.status, 200)
    number = json.loads(made.text)["job"]
    check("paused", json.loads(server.ask("POST", f"/api/v1/jobs/{number}/pause", token=operate).text)["state"], "paused")
    model = f"/api/v1/jobs/{number}/model"
    check("a model by a view token", server.status("GET", model, token=tokens["view"]), 403)
    check("a model of no job", server.status("GET", "/api/v1/jobs/99/model", token=operate), 404)
    pulled = json.loads(server.ask("GET", model, token=operate).text)
    run("pull", str(number), "--store", "store", "--out", "pulled.dunlin")
    with open("pulled.dunlin", "rb") as file:
        check("a model is what pull writes", base64.b64decode(pulled["policy"]), file.read())
    check("what nobody has learned", (pulled["learned"], "experiment" in pulled), (False, False))
    check("no file is read", server.status("POST", "/api/v1/jobs", body='{"experiment":"/etc/passwd"}', token=operate), 400)
    admit = json.dumps({"name": "other", "key": SOME_KEY[::-1], "command": "status"})
    check("who may not admit", server.status("POST", "/api/v1/nodes", body=admit, token=operate), 403)
    check("who may not, by the desk", server.status("POST", "/api/v1/desk", body='{"command":"admit"}', token=operate), 403)
    check("what nobody knows takes an admin", server.status("POST", "/api/v1/desk", body='{"command":"x"}', token=operate), 403)
    check("an admin admits", server.status("POST", "/api/v1/nodes", body=admit, token=admin), 200)
    for name in ("/etc/passwd", "store/tokens.json", "nothing.csv"):
        body = json.dumps({"experiment": "classification", "set": ["data.path=" + name], "nodes": ["kitchen"]})
        answer = server.ask("POST", "/api/v1/jobs", body=body, token=operate)
        check("a setting that names a file", (answer.status, b"data.path: files are not read" in answer.text), (400, True))
        for command in ("run", "rollout-start", "keep-model"):
            body = json.dumps({"command": command, "where": "x", "nodes": ["kitchen"],
                               "experiment": f'kind = "fleet-navigation"\n[environment]\nmap = "{name}"\n'})
            answer = server.ask("POST", "/api/v1/desk", body=body, token=tokens["admin"])
            check("the same by the desk", (answer.status, b"environment.map: files are not read" in answer.text), (400, True))
    nested = b"[" * 500_000
    check("what is nested deep", server.status("POST", "/api/v1/jobs", body=nested, token=operate), 400)
    check("what is no object", server.status("POST", "/api/v1/jobs", body="[]", token=operate), 400)
    wrong = json.dumps({"policy": base64.b64encode(b"no model").decode()})
    check("what is no policy", server.status("POST", "/api/v1/push", body=wrong, token=operate), 400)


def browser(server):
    origin = server.url
    login = json.dumps({"code": server.code})
    check("a login from elsewhere", server.status("POST", "/api/v1/session", body=login, Origin="http://evil.example"), 403)
    answer = server.ask("POST", "/api/v1/session", body=login, Origin=origin)
    check("a login", answer.status, 200)
    cookie = answer.getheader("Set-Cookie")
    check("a cookie that scripts and other sites do not see", "HttpOnly" in cookie and "SameSite=Strict" in cookie, True)
    check("a code opens once", server.status("POST", "/api/v1/session", body=login, Origin=origin), 401)
    check("Secure where TLS is not before it", "Secure" in cookie, False)
    cookie = cookie.split(";")[0]
    check("a session", server.status("GET", "/api/v1/status", Cookie=cookie), 200)
    job = "/api/v1/jobs/1/resume"
    check("another origin", server.status("POST", job, Cookie=cookie, Origin="http://evil.example"), 403)
    check("no origin", server.status("POST", job, Cookie=cookie), 403)
    check("null origin", server.status("POST", job, Cookie=cookie, Origin="null"), 403)
    check("another port is another origin", server.status("POST", job, Cookie=cookie, Origin="http://127.0.0.1:1"), 403)
    check("another site, by its browser", server.status("GET", "/api/v1/status", Cookie=cookie, Sec_Fetch_Site="cross-site"), 403)
    check("its own origin", server.status("POST", job, Cookie=cookie, Origin=origin), 200)
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13",
               "Sec_WebSocket_Key": base64.b64encode(os.urandom(16)).decode()}
    check("a WebSocket from elsewhere", server.status("GET", "/api/v1/live", Cookie=cookie, Origin="http://evil.example", **upgrade), 403)
    check("a WebSocket without a session", server.status("GET", "/api/v1/live", Origin=origin, **upgrade), 401)
    check("a WebSocket", websocket(server, cookie, origin, upgrade), ("fleet", [1]))
    check("out", server.status("DELETE", "/api/v1/session", Cookie=cookie, Origin=origin), 200)
    check("is out", server.status("GET", "/api/v1/status", Cookie=cookie), 401)


def websocket(server, cookie, origin, upgrade):
    """The kind of the first message, and the jobs that it names. Looks at a job that there is not besides."""
    name, port = server.host.split(":")
    with socket.create_connection((name, int(port)), timeout=60) as line:
        fields = "".join(f"{key.replace('_', '-')}: {value}\r\n" for key, value in upgrade.items())
        line.sendall(f"GET /api/v1/live HTTP/1.1\r\nHost: {server.host}\r\nCookie: {cookie}\r\nOrigin: {origin}\r\n{fields}\r\n".encode())
        stream = line.makefile("rb")
        if b"101" not in stream.readline():
            return "no WebSocket"
        while stream.readline() != b"\r\n":
            pass

        def heard():
            size = stream.read(2)[1]
            size = int.from_bytes(stream.read(2), "big") if size == 126 else int.from_bytes(stream.read(8), "big") if size == 127 else size
            return json.loads(stream.read(size))

        first = heard()
        said = b'{"job":99}'
        line.sendall(bytes([0x81, 0x80 | len(said), 0, 0, 0, 0]) + said)
        while (told := heard())["kind"] != "job":
            pass
        check("a job that there is not", told, {"kind": "job", "job": None, "number": 99})
        later = [heard() for _ in range(2)]
        check("it is told once, and to nobody new", [(news["kind"], news["whole"]) for news in later], [("fleet", False)] * 2)
        return first["kind"], first["job_numbers"]


def hostile(server, tokens):
    host = server.host.encode()
    check("a large header", server.raw(b"GET / HTTP/1.1\r\nHost: " + host + b"\r\nX: " + b"x" * 20_000 + b"\r\n\r\n"), 431)
    check("a large body", server.status("POST", "/api/v1/jobs", body=b"x" * 2_000_000, token=tokens["operate"]), 413)
    check("a body from nobody", server.status("POST", "/api/v1/desk", body=b"x" * 100_000), 401)
    check("a large login", server.status("POST", "/api/v1/session", body=b"x" * 5000), 413)
    check("no request", server.raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n"), 400)
    check("two Hosts", server.raw(b"GET / HTTP/1.1\r\nHost: " + host + b"\r\nHost: evil.example\r\n\r\n"), 400)
    check("another host in the target", server.raw(b"GET http://evil.example/ HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"), 404)
    found = [server.status("GET", "/api/v1/status", token="dunlin_" + "x" * 43) for _ in range(25)]
    check("guesses are counted", (found[0], found[-1]), (401, 429))
    check("who has a token is let in all the same", server.status("GET", "/api/v1/status", token=tokens["view"]), 200)
    number = json.loads(run("token", "list", "--store", "store", "--json").stdout)["tokens"][0]["number"]
    run("token", "revoke", str(number), "--store", "store")
    check("a token that was revoked is refused", server.status("GET", "/api/v1/status", token=tokens["view"]) in (401, 429), True)


def large_bodies(server, token):
    """Two are taken at a time; who sends a third is told to come again."""
    head = (f"POST /api/v1/desk HTTP/1.1\r\nHost: {server.host}\r\nAuthorization: Bearer {token}\r\n"
            "Expect: 100-continue\r\nContent-Length: 3000000\r\n\r\n").encode()
    name, port = server.host.split(":")
    lines, told = [], []
    for _ in range(3):
        lines.append(socket.create_connection((name, int(port)), timeout=60))
        lines[-1].sendall(head)
        told.append(int(lines[-1].recv(64).split()[1]))
    check("two large bodies at a time", told, [100, 100, 503])
    for line in lines:
        line.close()


def hung_up():
    """Who is answered by nobody is told so, and does not end by a signal."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=lambda: listener.accept()[0].close(), daemon=True).start()
        run("--at", f"http://127.0.0.1:{listener.getsockname()[1]}", "--token-file", "token", "status", code=1)


def elsewhere(server, token):
    """Commands of another machine."""
    with open("token", "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        file.write(token + "\n")
    there = ("--at", server.url, "--token-file", "token")
    check("nodes from elsewhere", json.loads(run(*there, "nodes", "--json").stdout)["nodes"][0]["name"], "kitchen")
    made = json.loads(run(*there, "run", "fleet-navigation-server", "--nodes", "kitchen", "--json").stdout)
    run(*there, "pull", "--job", str(made["job"]), "--out", "pulled.dunlin")
    check("a model from elsewhere", os.path.getsize("pulled.dunlin") > 1000, True)
    made = json.loads(run(*there, "push", "pulled.dunlin", "--nodes", "kitchen", "--json").stdout)
    run(*there, "stop", str(made["job"]), "--now")
    run(*there, "doctor", code=1)  # kitchen is away
    run(*there, "init", code=2)
    os.chmod("token", 0o644)
    check("a token that others can read", "chmod 600" in run(*there, "status", code=2).stderr, True)
    os.chmod("token", 0o600)
    run("--at", "http://laptop.example:7710", "--token-file", "token", "status", code=2)


def audited():
    told = json.loads(run("audit", "--store", "store", "--lines", "1000", "--json").stdout)
    check("a whole chain", told["whole"], True)
    commands = [line["request"]["command"] for line in told["newest"] if line["what"] == "asked"]
    check("every action is written down", {"admit", "run", "pause", "token-create", "token-revoke"} <= set(commands), True)
    check("who did it", any("token" in line["who"] and "127.0.0.1" in line["who"] for line in told["newest"]), True)
    with open("store/audit.log", "rb") as file:
        text = file.read()
    check("no secret is in it", b"dunlin_" in text, False)
    head = told["head"]
    check("a head of before", json.loads(run("audit", "--store", "store", "--head", head, "--json").stdout)["asked_at"], told["lines"])
    with open("store/audit.log", "wb") as file:
        file.write(text + b'no JSON \xff\n[3]\n{"what":7,"who":[],"time_ms":"x"}\n')
    printed = run("audit", "--store", "store", "--lines", "3", code=1)
    check("lines that are damaged", ("unreadable" in printed.stdout, "line" in printed.stderr), (True, True))
    newest = json.loads(run("audit", "--store", "store", "--lines", "3", "--json", code=1).stdout)["newest"]
    check("their text", (newest[1], newest[2]["what"]), ({"what": "unreadable", "text": "[3]"}, 7))
    with open("store/audit.log", "wb") as file:
        file.write(text.replace(b'"pause"', b'"resume"', 1))
    check("a line that was changed", json.loads(run("audit", "--store", "store", "--json", code=1).stdout)["whole"], False)
    with open("store/tokens.json") as file:
        check("tokens are not stored", "dunlin_" in file.read(), False)


def behind_a_proxy(token):
    """One that speaks TLS, here on IPv6."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return
    server = Server("--web", "[::1]:0", "--web-name", "https://fleet.example")
    run("--at", server.url, "--token-file", "token", "status")
    port = int(server.url.rsplit(":", 1)[1])
    line = http.client.HTTPConnection("::1", port, timeout=60)
    line.request("POST", "/api/v1/session", headers={"Host": "fleet.example", "Origin": "https://fleet.example",
                                                     "Authorization": "Bearer " + token})
    answer = line.getresponse()
    check("a cookie for TLS alone", (answer.status, "Secure" in (answer.getheader("Set-Cookie") or "")), (200, True))
    line.close()
    check("it ends", server.end(), 0)


def encrypted():
    make_certificate()
    server = Server("--web", "127.0.0.1:0", "--tls-cert", "tls.pem", "--tls-key", "tls.key")
    there = ("--at", server.url, "--token-file", "token")
    check("a certificate that nobody knows", "--ca" in run(*there, "status", code=1).stderr, True)
    run(*there, "--ca", "tls.pem", "status")
    run(*there, "--pin", server.pin, "status")
    check("another certificate", "--pin" in run(*there, "--pin", "sha256:" + "0" * 64, "status", code=1).stderr, True)
    port = server.host.split(":")[1]
    check("another name", run("--at", "https://localhost:" + port, "--token-file", "token", "--ca", "tls.pem", "status", code=1)
          .stderr.count("certificate is not trusted"), 1)
    context = ssl.create_default_context(cafile="tls.pem")
    line = http.client.HTTPSConnection(server.host, context=context, timeout=60)
    line.request("GET", "/api/v1/status", headers={"Host": "laptop.example"})
    check("a name of the certificate", line.getresponse().status, 401)
    name = server.host.split(":")[0]
    with context.wrap_socket(socket.create_connection((name, int(port)), timeout=60), server_hostname=name) as line:
        line.sendall(f"POST /api/v1/desk HTTP/1.1\r\nHost: {server.host}\r\nAuthorization: Bearer x\r\n"
                     "Content-Length: 20000000\r\n\r\n".encode() + b"x" * 20_000_000)
        check("what is refused early is answered, also by TLS", line.recv(64).split()[1], b"401")
    check("it ends", server.end(), 0)


def main():
    run("init", "--store", "store", "--listen", "tcp://127.0.0.1:0", "--metrics", "off")
    run("admit", "kitchen", SOME_KEY, "--store", "store")
    tokens = {role: json.loads(run("token", "create", "--role", role, "--store", "store", "--json").stdout)["token"]
              for role in ("view", "operate", "admin")}
    off = run("serve", "--store", "store", "--web", "0.0.0.0:0", code=2)
    check("off loopback it wants TLS", "--tls-cert" in off.stderr, True)
    server = Server("--web", "127.0.0.1:0")
    contract(server, tokens)
    roles(server, tokens)
    browser(server)
    elsewhere(server, tokens["admin"])
    hung_up()
    large_bodies(server, tokens["operate"])
    hostile(server, tokens)
    check("it ends", server.end(), 0)
    behind_a_proxy(tokens["operate"])
    encrypted()
    audited()


with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    main()
    os.chdir("/")
sys.exit(bool(failures))
