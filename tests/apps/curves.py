# SPDX-License-Identifier: Apache-2.0
"""curves.py PROGRAM: what `dunlin export --format tensorboard, jsonl, csv` says of a run, read by the formats' own
rules: TFRecord (length, masked CRC-32C, bytes, masked CRC-32C) and Protocol Buffers (Event, Summary)."""
import csv
import json
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

PROGRAM = sys.argv.pop(1)


def crc32c(data):
    """Bit by bit: Castagnoli's polynomial, reflected."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data):
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(data):
    while data:
        length, check = data[:8], struct.unpack("<I", data[8:12])[0]
        assert masked(length) == check, "of the length"
        size = struct.unpack("<Q", length)[0]
        body, check = data[12:12 + size], struct.unpack("<I", data[12 + size:16 + size])[0]
        assert len(body) == size and masked(body) == check, "of the bytes"
        yield body
        data = data[16 + size:]


def varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if data[at - 1] < 0x80:
            return value, at


def message(data):
    """Fields by number: (wire type, value) each."""
    fields, at = [], 0
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
        elif key & 7 == 1:
            value, at = struct.unpack("<d", data[at:at + 8])[0], at + 8
        elif key & 7 == 5:
            value, at = struct.unpack("<f", data[at:at + 4])[0], at + 4
        else:
            assert key & 7 == 2, "a wire type that is none"
            size, at = varint(data, at)
            value, at = data[at:at + size], at + size
        fields.append((key >> 3, value))
    return fields


class Curves(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.run_ = Path(cls.folder.name) / "run"
        subprocess.run([PROGRAM, "train", "navigation", "--set", "rl.iterations=3", "--out", cls.run_, "--quiet"],
                       check=True, stdout=subprocess.DEVNULL)
        with open(cls.run_ / "metrics.csv", newline="") as file:
            cls.rows = list(csv.DictReader(file))

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def export(self, *words):
        said = subprocess.run([PROGRAM, "export", self.run_, *words], check=True, stdout=subprocess.PIPE, text=True)
        return Path(said.stdout.strip())

    def test_the_checksum_is_castagnoli_s(self):
        self.assertEqual(crc32c(b"123456789"), 0xE3069283)  # of RFC 3720

    def test_an_event_file_has_every_number(self):
        path = self.export("--format", "tensorboard")
        self.assertIn("tfevents", path.name)
        events = [message(body) for body in records(path.read_bytes())]
        self.assertEqual(dict(events[0])[3], b"brain.Event:2")
        self.assertEqual(len(events), 1 + len(self.rows))
        times = [dict(event)[1] for event in events]
        self.assertEqual(times, sorted(times))
        for event, row in zip(events[1:], self.rows):
            fields = dict(event)
            self.assertEqual(fields.get(2, 0), int(row["iteration"]))
            values = {}
            for number, value in message(fields[5]):
                self.assertEqual(number, 1)
                parts = dict(message(value))
                values[parts[1].decode()] = parts[2]
            self.assertEqual(set(values), set(row) - {"iteration"})
            for name, value in values.items():
                self.assertAlmostEqual(value, float(row[name]), delta=1e-6 * max(1.0, abs(value)))

    def test_lines_of_json_have_every_number(self):
        lines = [json.loads(line) for line in self.export("--format", "jsonl").read_text().splitlines()]
        self.assertEqual(lines, [{name: float(value) for name, value in row.items()} for row in self.rows])

    def test_a_long_table_has_every_number(self):
        with open(self.export("--format", "csv", "--metrics"), newline="") as file:
            told = {(row["iteration"], row["metric"]): float(row["value"]) for row in csv.DictReader(file)}
        expected = {(row["iteration"], name): float(value) for row in self.rows for name, value in row.items()
                    if name != "iteration"}
        self.assertEqual(told, expected)

    def test_options_of_models_are_refused(self):
        wrong = subprocess.run([PROGRAM, "export", self.run_, "--format", "jsonl", "--name", "x"],
                               stderr=subprocess.PIPE, text=True)
        self.assertEqual(wrong.returncode, 2)
        self.assertIn("--name", wrong.stderr)


if __name__ == "__main__":
    unittest.main()
