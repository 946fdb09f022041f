#!/usr/bin/env python3
"""Kills `crease learn --log` at random moments and looks what is left: bench/kill_log.py --kills 200.

A program that counts what it answers is learned through a log. Each round starts the same command,
kills it (SIGKILL) after a random time, and checks that
  - every batch that was in the log before is still there, bit for bit: no answer is lost;
  - the box has answered at most one request more than the log gained: the one in flight.
Whenever a run ends before it is killed, and at the end, the network and the report (less seconds
and peak memory) must be those of a run that nobody disturbed, and the log must hold what that run
asked, each question once. Then a new log is begun. Prints one line; exit code 1 if anything failed.
"""
import argparse
import json
import os
import pathlib
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

# A ReLU network whose weights are sums of sines; one request after the other, counted before it is
# answered.
BOX = r'''
import math, os, struct, sys, time
d, k, p = INPUTS, NEURONS, OUTPUTS
count = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND)
w = [[math.sin(12.9898 * (i + 1) + 78.233 * (c + 1)) for c in range(d)] for i in range(k)]
b = [math.sin(3.1 * (i + 1)) for i in range(k)]
u = [[math.cos(5.7 * (i + 1) + 1.3 * o) for i in range(k)] for o in range(p)]
def read(size):
    data = sys.stdin.buffer.read(size)
    if len(data) < size: sys.exit(0)
    return data
while True:
    n, inputs = struct.unpack("<qq", read(16))
    y = []
    for x in struct.iter_unpack(f"<{inputs}d", read(8 * n * inputs)):
        h = [max(sum(map(float.__mul__, row, x)) + bias, 0.0) for row, bias in zip(w, b)]
        y += [sum(map(float.__mul__, row, h)) for row in u]
    time.sleep(PAUSE)
    os.write(count, struct.pack("<q", n))
    sys.stdout.buffer.write(struct.pack(f"<qq{n * p}d", n, p, *y))
    sys.stdout.buffer.flush()
'''
INPUTS, NEURONS, OUTPUTS = 12, 14, 2


class Rounds:
    def __init__(self, arguments, folder):
        self.program = arguments.program
        self.folder = pathlib.Path(folder)
        self.count = self.folder / "count"
        box = self.folder / "box.py"
        text = BOX
        for name, value in [("INPUTS", INPUTS), ("NEURONS", NEURONS), ("OUTPUTS", OUTPUTS),
                            ("PAUSE", arguments.pause)]:
            text = text.replace(name, str(value))
        box.write_text(text)
        self.target = f"exec:exec {sys.executable} {box} {self.count}"
        self.failures = []

    def path(self, name):
        return self.folder / name

    def start(self, name, log):
        self.count.write_bytes(b"")
        self.alive, inherited = os.pipe()  # as long as the program or its box live, one end is open
        program = subprocess.Popen(
            [self.program, "learn", self.target, "--inputs", str(INPUTS), "--outputs", str(OUTPUTS),
             "--out", self.path(name + ".safetensors"), "--report", self.path(name + ".json"),
             "--log", self.path(log), "--batch", "256", "--device", "cpu", "--threads", "1", "--quiet"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=[inherited])
        os.close(inherited)
        return program

    def counted(self):
        """Answers of the box, request by request, once it has ended."""
        os.read(self.alive, 1)
        os.close(self.alive)
        data = self.count.read_bytes()
        return [int.from_bytes(data[i:i + 8], "little") for i in range(0, len(data), 8)]

    def batches(self, log):
        """What a log holds, read from a copy: the original is recovered by crease alone."""
        if not self.path(log).exists():
            return []
        with tempfile.TemporaryDirectory() as copies:
            for name in (log, log + "-wal", log + "-journal"):
                if self.path(name).exists():
                    shutil.copy(self.path(name), copies)
            database = sqlite3.connect(pathlib.Path(copies) / log)
            try:
                if not database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                    return []
                return database.execute(
                    "SELECT id, question, occurrence, rows, points, answers FROM batches ORDER BY id"
                ).fetchall()
            finally:
                database.close()

    def result(self, name):
        report = json.loads(self.path(name + ".json").read_text())
        del report["seconds"], report["peak_device_bytes"]
        return self.path(name + ".safetensors").read_bytes(), report

    def check(self, ok, what):
        if not ok:
            self.failures.append(what)
            print("kill_log:", what, file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", default="build/dev/crease")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pause", type=float, default=0.002, help="seconds the box takes for a request")
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        rounds = Rounds(arguments, folder)
        begin = time.monotonic()
        program = rounds.start("whole", "whole.log")
        _, errors = program.communicate()
        if program.returncode != 0:
            sys.exit(f"kill_log: {errors.decode()}")
        seconds = time.monotonic() - begin
        whole = rounds.result("whole")
        asked = [row[1:4] for row in rounds.batches("whole.log")]
        points = sum(row[2] for row in asked)
        rounds.check(sum(rounds.counted()) == points, "the undisturbed run asked more than it kept")

        kills = finished = again = most = 0
        before = []

        def ended():
            rounds.check(rounds.result("killed") == whole, f"other bits after {kills} kills")
            rounds.check([row[1:4] for row in rounds.batches("log")] == asked,
                         f"other questions in the log after {kills} kills")

        while kills < arguments.kills:
            program = rounds.start("killed", "log")
            time.sleep(draw.uniform(0, seconds))
            program.send_signal(signal.SIGKILL)
            _, errors = program.communicate()
            requests = rounds.counted()
            if program.returncode == -signal.SIGKILL:
                kills += 1
                now = rounds.batches("log")
                lost = now[:len(before)] != before
                rounds.check(not lost, f"answers were lost at kill {kills}")
                gained = sum(row[3] for row in now[len(before):])
                in_flight = sum(requests) - gained
                rounds.check(in_flight in (0, requests[-1] if requests else 0),
                             f"{in_flight} answers were not in the log at kill {kills}: {requests[-3:]}")
                again += in_flight
                most = max(most, in_flight)
                before = now
                continue
            rounds.check(program.returncode == 0, f"exit {program.returncode}: {errors.decode()}")
            finished += 1
            ended()
            rounds.path("log").unlink()
            before = []
        program = rounds.start("killed", "log")
        _, errors = program.communicate()
        rounds.counted()
        rounds.check(program.returncode == 0, f"exit {program.returncode}: {errors.decode()}")
        ended()
        print(f"kill_log: {kills} kills of a run of {seconds:.1f} s and {points} queries, "
              f"{finished + 1} runs to the end: {len(rounds.failures)} failures; "
              f"{again} answers were in flight when it was killed, {most} at most at one time")
    sys.exit(1 if rounds.failures else 0)


if __name__ == "__main__":
    main()
