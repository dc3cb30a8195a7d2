#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Three pages look at a fleet of many live nodes: what it takes, and how old what they are told is.

    bench/web.py BUILD [NODES [SECONDS [MODULES]]]      (1000 120)

BUILD is a build folder with dunlin_bench_web. With MODULES, a folder with node_modules/playwright-core, Debian's Chromium
scrolls through the nodes besides, and tells its longest task on the main thread. Prints one JSON object."""
import base64
import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time


def page_bytes(host):
    total = 0
    for path in ("/", "/app.js", "/app.css", "/icon.svg"):
        line = http.client.HTTPConnection(host, timeout=30)
        line.request("GET", path, headers={"Accept-Encoding": "gzip"})
        total += len(line.getresponse().read())
    return total


class Page(threading.Thread):
    """What an open page is told, without one: sizes, and how old it is when it comes."""

    def __init__(self, host, token, job):
        super().__init__(daemon=True)
        self.host, self.token, self.job = host, token, job
        self.bytes, self.ages, self.gaps, self.rows, self.first = 0, [], [], 0, 0

    def run(self):
        name, port = self.host.split(":")
        line = socket.create_connection((name, int(port)))
        key = base64.b64encode(os.urandom(16)).decode()
        line.sendall((f"GET /api/v1/live HTTP/1.1\r\nHost: {self.host}\r\nAuthorization: Bearer {self.token}\r\n"
                      f"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n").encode())
        stream = line.makefile("rb")
        while stream.readline() != b"\r\n":
            pass
        said = json.dumps({"job": self.job}).encode()
        line.sendall(bytes([0x81, 0x80 | len(said), 0, 0, 0, 0]) + said)
        last = None
        while True:
            data, kind, final = b"", None, False
            while not final:
                head = stream.read(2)
                if len(head) < 2:
                    return
                final, opcode, size = bool(head[0] & 0x80), head[0] & 15, head[1]
                size = int.from_bytes(stream.read(2), "big") if size == 126 else int.from_bytes(stream.read(8), "big") if size == 127 else size
                data += stream.read(size)
                kind = kind or opcode
            if kind == 9:  # a ping
                line.sendall(bytes([0x8A, 0x80 | len(data), 0, 0, 0, 0]) + data)
            if kind != 1:
                continue
            now = time.time()
            told = json.loads(data)
            self.bytes += len(data)
            if told["kind"] != "fleet":
                continue
            if told["whole"]:
                self.first = len(data)
                continue
            self.ages.append(now - told["time"] / 1000)
            self.rows += len(told["nodes"])
            if last is not None:
                self.gaps.append(now - last)
            last = now


def main():
    build, nodes, seconds = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "1000", sys.argv[3] if len(sys.argv) > 3 else "120"
    fleet = subprocess.Popen([os.path.join(build, "bench/dunlin_bench_web"), nodes, seconds], stdout=subprocess.PIPE, text=True)
    where = json.loads(fleet.stdout.readline())
    host = where["page"].split("//")[1]
    pages = [Page(host, where["token"], 1) for _ in range(3)]
    for page in pages:
        page.start()
    told = {"joined_s": round(where["joined_s"], 1), "page_bytes": page_bytes(host)}
    if len(sys.argv) > 4:
        script = os.path.join(os.path.dirname(__file__), "../tests/browser/scroll.mjs")
        scrolled = subprocess.run(["node", script, where["link"], sys.argv[4]], capture_output=True, text=True)
        told["browser"] = json.loads(scrolled.stdout) if scrolled.returncode == 0 else scrolled.stderr
    told.update(json.loads(fleet.stdout.readline()))
    fleet.wait()
    ages = sorted(age for page in pages for age in page.ages)
    gaps = sorted(gap for page in pages for gap in page.gaps)
    told.update(messages=len(ages), age_ms_median=round(1000 * ages[len(ages) // 2], 1), age_ms_most=round(1000 * ages[-1], 1),
                gap_s_median=round(gaps[len(gaps) // 2], 2), gap_s_most=round(gaps[-1], 2), first_message_bytes=pages[0].first,
                bytes_a_second=round(pages[0].bytes / float(seconds)), rows_a_second=round(pages[0].rows / float(seconds), 1))
    print(json.dumps(told, indent=1))


main()
