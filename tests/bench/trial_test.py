#!/usr/bin/env python3
"""`./dev trial`: that a run is a function of its number, that its counts are what it says they are, and that
bench/trial.py sees every promise broken that is played to it.

    trial_test.py ROOT PROGRAM
"""

import importlib.util
import json
import math
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

PROGRAM, ROOT = Path(sys.argv.pop()), Path(sys.argv.pop())
spec = importlib.util.spec_from_file_location("trial", ROOT / "bench/trial.py")
trial = importlib.util.module_from_spec(spec)
spec.loader.exec_module(trial)

# Answers --first and --runs like crease_trial: run i is line i of the file LINES; where that says `die`, it dies.
PLAYED = """#!/usr/bin/python3
import json, os, sys
first = int(sys.argv[sys.argv.index("--first") + 1])
runs = int(sys.argv[sys.argv.index("--runs") + 1]) if "--runs" in sys.argv else 1
lines = [json.loads(line) for line in open(%r)]
with open(%r, "a") as asked:
    print(first, runs, *(["draw"] if "--draw" in sys.argv else []), file=asked)
for line in lines[first:first + runs]:
    if "--draw" not in sys.argv and line.get("die"): os.abort()
    print(json.dumps(line), flush=True)
"""


def line(run, outcome="reached", **more):
    """A run that keeps every promise."""
    return {
        "run": run, "family": "gaussian", "answers": "float64", "failure": 0.01, "outcome": outcome,
        "message": "" if outcome == "reached" else f"{run} of 2048 points", "relative_error": 1e-10,
        "a": {"fails": False}, "b": {"fails": False, "assumption_fails": False}, "wrong": False,
        "broken": False, **more,
    }  # fmt: skip


class PlayedTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.at = Path(self.folder.name)

    def tearDown(self):
        self.folder.cleanup()

    def play(self, lines, *arguments):
        program = self.at / "played"
        (self.at / "lines").write_text("".join(json.dumps(each) + "\n" for each in lines))
        program.write_text(PLAYED % (str(self.at / "lines"), str(self.at / "asked")))
        program.chmod(0o755)
        return subprocess.run(
            [sys.executable, ROOT / "bench/trial.py", str(len(lines)), "--program", program, *arguments],
            capture_output=True, text=True,
        )  # fmt: skip

    def test_promises_that_are_kept_are_exit_0(self):
        process = self.play([line(i, "not_reached" if i % 3 else "reached") for i in range(30)])
        self.assertEqual(process.returncode, 0, process)
        self.assertEqual(process.stdout.count("kept"), 3, process.stdout)
        self.assertIn("not_reached: # of # points", process.stdout)  # one kind of 20 runs, not 20 kinds
        self.assertRegex(process.stdout, r"\| 20 +\| not_reached")

    def test_each_promise_that_is_broken_is_seen(self):
        # 30 runs at failure 0.01: five failures come with a chance of 1.1e-4, three with one of 3e-3.
        for statement in "ab":
            for failures, status in ((3, 0), (5, 1)):
                lines = [line(i) for i in range(30)]
                for each in lines[:failures]:
                    each[statement] = {"fails": True}
                process = self.play(lines)
                self.assertEqual(process.returncode, status, (statement, failures, process.stdout))
        for failures, status in ((3, 0), (5, 1)):
            broken = [line(i, wrong=True, broken=True) for i in range(failures)]
            process = self.play([*broken, *(line(i) for i in range(failures, 30))])
            self.assertEqual(process.returncode, status, process.stdout)
            for i in range(failures):
                self.assertIn(f"run {i}: gaussian", process.stdout)
        within = self.play([*(line(i, wrong=True) for i in range(30))])
        self.assertEqual(within.returncode, 0)

    def test_a_run_that_dies_is_named_and_the_others_are_made(self):
        lines = [line(i) for i in range(5)]
        lines[2]["die"] = True
        process = self.play(lines, "--out", self.at / "out")
        self.assertEqual(process.returncode, 1, process.stdout)
        self.assertIn("died or threw: runs [2]", process.stdout)
        made = [json.loads(text) for text in (self.at / "out").read_text().splitlines()]
        self.assertEqual([each["run"] for each in made], [0, 1, 2, 3, 4])
        self.assertEqual(made[2]["outcome"], "died")

    def test_runs_that_are_there_are_not_made_again(self):
        lines = [line(i) for i in range(6)]
        cut = json.dumps(lines[4])[:40]  # the process was killed in the middle of a line
        (self.at / "out").write_text("".join(json.dumps(lines[i]) + "\n" for i in (0, 1, 3)) + cut)
        process = self.play(lines, "--out", self.at / "out")
        self.assertEqual(process.returncode, 0, process)
        self.assertEqual((self.at / "asked").read_text().splitlines(), ["2 1", "4 2"])
        again = self.play(lines, "--out", self.at / "out")
        self.assertEqual(again.stdout, process.stdout)
        self.assertEqual(len((self.at / "asked").read_text().splitlines()), 2)

    def test_the_chance_is_that_of_the_binomial_distribution(self):
        for n, p, failures in ((10, 0.5, 3), (200, 0.01, 7), (50, 0.2, 1), (3, 0.1, 0)):
            exact = math.fsum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(failures, n + 1))
            # Each of the n * failures updates rounds thrice.
            self.assertLessEqual(abs(trial.chance_of([p] * n, failures) - exact), 3 * n * (failures + 1) * 2**-52)


class ProgramTest(unittest.TestCase):
    def lines(self, *arguments):
        process = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, check=True)
        return [json.loads(text) for text in process.stdout.splitlines()]

    def test_a_run_is_a_function_of_its_number(self):
        five = self.lines("--exact", "--first", "0", "--runs", "5")
        two = self.lines("--exact", "--first", "3", "--runs", "2")
        for each in [*five, *two]:
            del each["seconds"], each["learn_seconds"]
        self.assertEqual(five[3:], two)
        drawn = self.lines("--exact", "--draw", "--first", "3", "--runs", "2")
        self.assertEqual(drawn, [{key: each[key] for key in drawn[0]} for each in two])

    def test_what_is_drawn_covers_families_shapes_and_outputs(self):
        drawn = self.lines("--draw", "--runs", "400")
        self.assertEqual({each["answers"].split(":")[0] for each in drawn},
                         {"float64", "float32", "float16", "round", "noise", "probabilities",
                          "log-probabilities"})  # fmt: skip
        families = {each["family"] for each in drawn}
        self.assertEqual(families, {"gaussian", "bump", "clusters", "cancelling", "parallel", "rare", "dead",
                                    "affine", "constant", "mix"})  # fmt: skip
        self.assertEqual({each["outputs"] for each in drawn}, set(range(1, 11)))
        self.assertEqual(min(each["inputs"] for each in drawn), 1)
        self.assertGreater(max(each["inputs"] for each in drawn), 40)
        self.assertIn(0, {each["neurons"] for each in drawn})

    def test_counts_are_judged_by_the_certificate_s_mass(self):
        for each in self.lines("--exact", "--runs", "12"):
            a = each["a"]
            self.assertEqual(a["fails"], a["beyond"] > a["mass"] * a["points"], each)
            self.assertTrue(a["decided"] or a["points"] == 10**6, each)
            level = (1 - a["mass"]) ** each["certificate_points"]  # the first certificate: delta / 2
            self.assertLessEqual(level, each["failure"], each)
            if each["outcome"] == "reached":
                self.assertEqual(each["found"]["missing"], 0, each)


unittest.main(argv=sys.argv[:1])
