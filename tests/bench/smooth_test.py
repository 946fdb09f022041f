#!/usr/bin/env python3
"""`./dev bench smooth`: that a row is what it says, and that bench/smooth.py sees every limit missed that is played to it.

    smooth_test.py ROOT PROGRAM
"""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

PROGRAM, ROOT = Path(sys.argv.pop()), Path(sys.argv.pop())
sys.path.insert(0, str(ROOT / "bench"))
import smooth  # noqa: E402

LINE = {
    "table": "two layers", "limit": 14000, "inputs": 10, "neurons": 10, "second_layer": 3, "first": "tanh", "second": "tanh",
    "directions": "sphere", "shifts": 0.05, "layers_told": 2, "noise": 0.0, "format": "float64", "seed": 0, "seconds": 0.1,
    "outcome": "reached", "message": "", "found": 10, "found_second": 3, "queries": 5500, "ball_error": 1e-15,
}  # fmt: skip


class ProgramTest(unittest.TestCase):
    def line(self, *words):
        done = subprocess.run([PROGRAM, *map(str, words)], stdout=subprocess.PIPE, text=True, check=True)
        return json.loads(done.stdout)

    def test_a_row_is_learned_and_measured_on_the_ball(self):
        for words in (("--neurons", 4), ("--neurons", 4, "--second-layer", 2, "--first", "sigmoid")):
            line = self.line("--inputs", 5, *words, "--seed", 1)
            self.assertEqual(line["outcome"], "reached", line["message"])
            self.assertEqual(line["found"], 4)
            self.assertLess(line["ball_error"], 1e-12)
            self.assertGreater(line["queries"], 100)

    def test_the_papers_path_is_taken_where_it_is_asked_for(self):
        words = ("--inputs", 5, "--neurons", 5, "--second-layer", 2, "--directions", "orthogonal", "--entangled")
        line = self.line(*words)
        self.assertEqual((line["outcome"], line["method"], line["entangled"]), ("reached", "entangled", True), line["message"])
        self.assertLess(line["ball_error"], 1e-12)

    def test_noise_shows_in_the_error(self):
        line = self.line("--inputs", 5, "--neurons", 4, "--noise", 1e-5)
        self.assertTrue(1e-8 < line["ball_error"] < 1e-4, line["ball_error"])

    def test_the_network_is_written(self):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "t.npz"
            self.line("--inputs", 3, "--neurons", 2, "--write", file)
            self.assertTrue(file.stat().st_size > 0)


class TablesTest(unittest.TestCase):
    def missed(self, **changes):
        text, good = smooth.summary([{**LINE, **changes}])
        self.assertEqual(good, "Missed:" not in text)
        return text.split("Missed:")[1] if not good else ""

    def test_every_limit_that_is_missed_is_named(self):
        self.assertEqual(self.missed(), "")
        self.assertIn("ball error 1e-11", self.missed(ball_error=1e-11))
        self.assertIn("0 of 1 with the right numbers", self.missed(found_second=4))
        self.assertIn("15000 queries, 14000 in the specification", self.missed(queries=15000))
        peer = {"seconds": 0.15, "ball_error": 1e-13, "queries": 14000}
        self.assertIn("0.67 of the prototype's time", self.missed(prototype=peer))
        adam = {"1": {"seconds": 30, "ball_error": 1e-16}, "4": {"seconds": 30, "ball_error": 1e-3}}
        self.assertIn("Adam is as exact", self.missed(adam=adam))
        self.assertIn("0 of 1", self.missed(ball_error=None, seconds=0.1))

    def test_the_papers_path_is_held_against_the_prototypes_successes_alone(self):
        bad, good = {"table": "entangled", "outcome": "not_reached", "ball_error": 1e-2}, {"seconds": 0.01, "queries": 9, "ball_error": 1e-9}
        self.assertEqual(self.missed(**bad), "")
        self.assertEqual(self.missed(**bad, prototype={**good, "ball_error": 1e-3}), "")
        self.assertIn("0 of 1 within 1e-06, 1 of the prototype's", self.missed(**bad, prototype=good))
        self.assertEqual(self.missed(table="entangled", prototype=good), "")  # slower, and as good
        self.assertIn("seed 0 says reached at a ball error of 1e-02", self.missed(**{**bad, "outcome": "reached"}))

    def test_noisy_rows_are_judged_by_what_was_found(self):
        self.assertEqual(self.missed(noise=1e-3, ball_error=1e-3), "")
        self.assertIn("sigma 0.001", self.missed(noise=1e-3, ball_error=1e-3, found=9))

    def test_every_row_names_options_of_the_program(self):
        known = subprocess.run([PROGRAM, "--help"], stdout=subprocess.PIPE, text=True, check=True).stdout
        for row in smooth.rows_of(2, False):
            for name in row["options"]:
                self.assertIn("--" + name.replace("_", "-"), known)
            self.assertEqual(len(smooth.words_of(row["options"])), 2 * len(row["options"]) - ("entangled" in row["options"]))


if __name__ == "__main__":
    unittest.main()
