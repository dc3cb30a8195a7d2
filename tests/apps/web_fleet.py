# SPDX-License-Identifier: Apache-2.0
"""What tests of a real `dunlin fleet serve --web` have in common. The program is the first argument of who imports this."""
import http.client
import json
import os
import signal
import socket
import subprocess
import sys

PROGRAM = os.path.abspath(sys.argv[1])
SOME_KEY = "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c"
failures = []


def check(what, found, expected):
    if found != expected:
        failures.append(what)
        print(f"FAILED {what}: {found!r}; expected {expected!r}")


def run(*words, code=0):
    """`dunlin fleet WORDS`."""
    ended = subprocess.run([PROGRAM, "fleet", *words], capture_output=True, text=True, timeout=120)
    check(" ".join(words) + ": " + ended.stderr, ended.returncode, code)
    return ended


class Server:
    def __init__(self, *options):
        self.process = subprocess.Popen(
            [PROGRAM, "fleet", "serve", "--store", "store", "--listen", "tcp://127.0.0.1:0", "--log-format", "json",
             *options], stderr=subprocess.PIPE, text=True)
        self.url = None
        for line in self.process.stderr:
            told = json.loads(line)
            if told["event"] == "web":
                words = told["text"].split()
                link = next(word for word in words if "#login=" in word).rstrip(";")
                self.url, self.code = link.split("/#login=")
                self.pin = next((word.rstrip(";") for word in words if word.startswith("sha256:")), "")
                break
        assert self.url, "the server did not say where its page is"
        self.host = self.url.split("://")[1]

    def ask(self, method, path, body=None, token=None, **headers):
        line = http.client.HTTPConnection(self.host, timeout=60)
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            fields["Authorization"] = "Bearer " + token
        line.request(method, path, body=body, headers=fields)
        answer = line.getresponse()
        answer.text = answer.read()
        return answer

    def status(self, *arguments, **named):
        return self.ask(*arguments, **named).status

    def raw(self, text):
        """What is answered to bytes as they stand, up to its status."""
        name, port = self.host.split(":")
        with socket.create_connection((name, int(port)), timeout=60) as line:
            try:
                line.sendall(text)
            except OSError:
                pass
            told = line.recv(64)
        return int(told.split()[1]) if told else 0

    def heard(self, event):
        """The text of its next line about this."""
        for line in self.process.stderr:
            told = json.loads(line)
            if told["event"] == event:
                return told["text"]
        raise EOFError(event)

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=60)
        return self.process.returncode


def make_certificate():
    """tls.pem and tls.key, which nobody has issued, for laptop.example and 127.0.0.1."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
                    "tls.key", "-out", "tls.pem", "-days", "2", "-subj", "/CN=laptop", "-addext",
                    "subjectAltName=DNS:laptop.example,IP:127.0.0.1"], check=True, capture_output=True)
