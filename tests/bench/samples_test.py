#!/usr/bin/env python3
"""`./dev bench samples`: that a row's examples are what it says, that errors are those of the tables' definition,
that its runs are told what a row says, and that bench/samples.py sees every limit missed that is played to it.

    samples_test.py ROOT PROGRAM
"""

import array
import json
import math
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

PROGRAM, ROOT = Path(sys.argv.pop()), Path(sys.argv.pop())
sys.path.insert(0, str(ROOT / "bench"))
import samples  # noqa: E402

# Appends what it was told to ASKED, and answers with LINE and the row.
PLAYED = """#!/usr/bin/python3 -IS
import json, sys
words = sys.argv[1:]
with open(%r, "a") as asked:
    print(json.dumps(words), file=asked)
told = dict(zip(words, words[1:]))
line = json.loads(%r)
for name in ("outputs", "neurons", "inputs", "rows", "seed"):
    line[name] = int(told["--" + name])
line["noise"] = float(told.get("--noise", 0))
if line.pop("die", False): sys.exit(2)
print(json.dumps(line))
"""

TWO_LAYER = {
    "family": "two-layer", "outputs": 5, "neurons": 5, "inputs": 10, "rows": 50, "input": "gaussian", "power": 1.0,
    "noise": 0.0, "gross": 0.0, "gross_size": 10.0, "robust": False, "angle": 0.0, "condition": 0.0, "rank": 0,
    "seed": 0, "seconds": 0.25, "outcome": "reached", "message": "", "parameter_error": 1e-14, "relative_l2": 1e-14,
}  # fmt: skip


def read(path):
    """Tensors of a safetensors file as lists of rows."""
    raw = path.read_bytes()
    (length,) = struct.unpack_from("<Q", raw)
    tensors = {}
    for name, tensor in json.loads(raw[8 : 8 + length]).items():
        if name == "__metadata__":
            continue
        first, end = (8 + length + at for at in tensor["data_offsets"])
        values = array.array("d", raw[first:end])
        rows, cols = tensor["shape"]
        tensors[name] = [values[i * cols : (i + 1) * cols] for i in range(rows)]
    return tensors


def value(tensors, x, power=1):
    """F(x), and the sum of the sizes of its terms."""
    f = [max(0.0, math.fsum(a * b for a, b in zip(v, x))) ** power for v in tensors["v"]]
    return [
        (math.fsum(a * b for a, b in zip(u, f)), math.fsum(abs(a) * b for a, b in zip(u, f))) for u in tensors["u"]
    ]


class ProgramTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.at = Path(self.folder.name)

    def tearDown(self):
        self.folder.cleanup()

    def line(self, *words):
        done = subprocess.run([PROGRAM, *map(str, words)], stdout=subprocess.PIPE, text=True, check=True)
        return json.loads(done.stdout)

    def examples(self, *words):
        path = self.at / "examples.safetensors"
        line = self.line(*words, "--write", path)
        return line, read(path)

    def test_a_row_is_a_function_of_its_seed(self):
        words = ("--outputs", 3, "--neurons", 2, "--inputs", 4, "--rows", 300, "--noise", 0.1, "--seed")
        first, again, other = (self.line(*words, seed) for seed in (1, 1, 2))
        for each in (first, again, other):
            del each["seconds"], each["wall_seconds"]
        self.assertEqual(first, again)
        self.assertNotEqual(first["parameter_error"], other["parameter_error"])

    def test_exact_examples_are_values_of_the_network_written_beside_them(self):
        for power in (1, 2, 0.5):
            line, examples = self.examples(
                "--outputs", 3, "--neurons", 2, "--inputs", 4, "--rows", 50, "--power", power
            )  # fmt: skip
            self.assertEqual(line["power"], power)
            for v in examples["v"]:  # a sum of four squares, a root, a division: 8 roundings
                self.assertLessEqual(abs(math.fsum(a * a for a in v) - 1), 8 * 2**-52)
            for x, y in zip(examples["x"], examples["y"]):
                # Each z is a sum of 4 products; a root of one near 0 doubles no relative error, but z has none:
                # its error is absolute, 8 eps |x|, and under the root the root of that.
                off = 8 * 2**-52 * math.hypot(*x)
                size = sum(math.hypot(*u) for u in examples["u"])
                allowed = size * (off**0.5 if power < 1 else 4 * off * max(1, math.hypot(*x)))
                for (exact, terms), found in zip(value(examples, x, power), y):
                    self.assertLessEqual(abs(exact - found), allowed + 8 * 2**-52 * terms)

    def test_errors_have_the_size_asked_for(self):
        n, p = 20000, 2
        words = ("--outputs", p, "--neurons", 2, "--inputs", 3, "--rows", n, "--seed", 3)
        _, exact = self.examples(*words)
        size = math.sqrt(math.fsum(y * y for row in exact["y"] for y in row) / (n * p))
        _, noisy = self.examples(*words, "--noise", 0.5)
        _, gross = self.examples(*words, "--gross", 0.1, "--gross-size", 20)
        self.assertEqual(noisy["x"], exact["x"])
        errors = [a - b for r, s in zip(noisy["y"], exact["y"]) for a, b in zip(r, s)]
        found = math.sqrt(math.fsum(e * e for e in errors) / (n * p)) / size
        # Its standard deviation is sqrt(1 / (2 n p)) of it: six of them.
        self.assertLess(abs(found / 0.5 - 1), 6 * math.sqrt(1 / (2 * n * p)))
        errors = [a - b for r, s in zip(gross["y"], exact["y"]) for a, b in zip(r, s) if a != b]
        self.assertLess(abs(len(errors) - 0.1 * n * p), 6 * math.sqrt(0.09 * n * p))
        found = math.sqrt(math.fsum(e * e for e in errors) / len(errors)) / size
        self.assertLess(abs(found / 20 - 1), 6 * math.sqrt(1 / (2 * len(errors))))

    def test_inputs_have_the_variance_of_their_kind(self):
        n = 20000
        # Variance, and the variance of a square: kurtosis (3, 9/5, 6, 9 of t5, 1) less 1 times variance^2.
        kinds = {"gaussian": (1, 2), "uniform": (1.7**2 / 3, (9 / 5 - 1) * (1.7**2 / 3) ** 2), "laplace": (2, 5 * 4),
                 "t5": (5 / 3, 8 * (5 / 3) ** 2), "signs": (1, 0), "shifted": (1.25, 3)}  # fmt: skip
        for kind, (variance, of_square) in kinds.items():
            _, examples = self.examples("--neurons", 2, "--inputs", 3, "--rows", n, "--input", kind)
            squares = [x * x for row in examples["x"] for x in row]
            mean = math.fsum(squares) / len(squares)
            self.assertLessEqual(abs(mean - variance), 6 * math.sqrt(of_square / len(squares)), kind)
        _, examples = self.examples("--neurons", 2, "--inputs", 3, "--rows", n, "--input", "covariance")
        for column, variance in enumerate((1, 0.1, 0.01)):
            mean = math.fsum(row[column] ** 2 for row in examples["x"]) / n
            self.assertLess(abs(mean / variance - 1), 6 * math.sqrt(2 / n))

    def test_families_are_planted_as_they_are_described(self):
        def planted(family, k, d, *words):
            words = ("--family", family, "--neurons", k, "--inputs", d, "--rows", 100, "--seconds", 1, *words)
            return self.examples(*words)[1]

        rounding = 64 * 2**-52  # a few sums of at most 8 products of numbers up to 1
        for seed in range(3):
            mixed = planted("mixed", 4, 6, "--seed", seed)
            self.assertEqual({u > 0 for u in mixed["u"][0]}, {True, False})
            self.assertTrue(all(0.5 <= abs(u) <= 1.5 for u in mixed["u"][0]))
            for family, sign in (("same", 1), ("cancel", -1)):
                pair = planted(family, 3, 6, "--angle", 0.01, "--seed", seed)
                cosine = math.fsum(a * b for a, b in zip(*pair["v"][:2]))
                self.assertLess(abs(cosine - math.cos(0.01)), rounding)
                self.assertEqual(pair["u"][0][1], sign * pair["u"][0][0])
        for family, k, blind in (("blind2", 4, (2,)), ("blind4", 6, (2, 4))):
            net = planted(family, k, 5)
            self.assertEqual([abs(u) for u in net["u"][0]], [1.0] * k)
            for order in blind:  # sum of u_i <v_i, t>^order at some t: every even moment of that order
                for t in ((1, 0, 0, 0, 0), (1, 2, 3, 4, 5), (0, 1, -1, 0, 2)):
                    moment = math.fsum(
                        u * math.fsum(a * b for a, b in zip(v, t)) ** order for u, v in zip(net["u"][0], net["v"])
                    )
                    self.assertLess(abs(moment), k * order * rounding * sum(map(abs, t)) ** order)

    def test_u_has_the_condition_and_the_rank_asked_for(self):
        words = ("--outputs", 4, "--neurons", 3, "--inputs", 5, "--rows", 100)
        _, rank = self.examples(*words, "--rank", 1)
        (a, b, c), *others = rank["u"]
        for row in others:  # all rows are multiples of one: outputs are a product of two vectors
            self.assertLess(abs(row[0] * b - row[1] * a) + abs(row[1] * c - row[2] * b), 1e-14 * sum(map(abs, row)) * 9)
        _, condition = self.examples(*words, "--condition", 100)
        squares = math.fsum(u * u for row in condition["u"] for u in row)
        # Singular values 1, .1, .01.
        self.assertLess(abs(squares - (1 + 0.01 + 0.0001)), 1e-14 * 4 * 3)

    def test_exact_examples_are_learned_and_the_truth_stays_the_truth(self):
        line = self.line("--outputs", 4, "--neurons", 3, "--inputs", 5, "--rows", 500, "--from-truth")
        self.assertEqual(line["outcome"], "reached")
        self.assertLess(line["parameter_error"], 1e-11)  # the bench's own limit
        self.assertLess(line["relative_l2"], 1e-11)
        self.assertLess(line["from_truth"]["parameter_error"], 1e-11)
        self.assertEqual(line["examples"]["training"] + line["examples"]["held_out"], 500)
        all_fitted = self.line("--outputs", 4, "--neurons", 3, "--inputs", 5, "--rows", 500, "--held-out", 0)
        self.assertEqual(all_fitted["examples"], {"training": 500, "held_out": 0})

    def test_what_the_learner_refuses_is_a_line_and_what_is_no_row_is_an_error(self):
        refused = self.line("--outputs", 2, "--neurons", 5, "--inputs", 4, "--rows", 500)
        self.assertEqual(refused["outcome"], "refused")
        self.assertIn("k must be", refused["message"])
        for words in (["--neurons", "3"], ["--neurons", "3", "--inputs", "2", "--rows", "50", "--family", "blind2"],
                      ["--neurons", "3", "--inputs", "2", "--rows", "0"]):  # fmt: skip
            done = subprocess.run([PROGRAM, *words], capture_output=True, text=True)
            self.assertNotEqual(done.returncode, 0, words)
            self.assertEqual(done.stdout, "")


class PlayedTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.at = Path(self.folder.name)

    def tearDown(self):
        self.folder.cleanup()

    def play(self, *words, **line):
        program = self.at / "played"
        program.write_text(PLAYED % (str(self.at / "asked"), json.dumps({**TWO_LAYER, **line})))
        program.chmod(0o755)
        return subprocess.run(
            [sys.executable, ROOT / "bench/samples.py", "--program", program, *words], capture_output=True, text=True
        )

    def asked(self):
        return [json.loads(line) for line in (self.at / "asked").read_text().splitlines()]

    def test_every_row_of_the_exact_table_is_run_with_and_without_held_out_examples(self):
        process = self.play("--set", "two-layer", "--tables", "exact", "--seeds", "2", "--out", self.at / "out")
        self.assertEqual(process.returncode, 0, process.stdout + process.stderr)
        self.assertIn("Every limit holds.", process.stdout)
        runs = self.asked()
        told = [dict(zip(words, words[1:])) for words in runs]
        self.assertEqual(sum("--held-out" in each for each in told), len(told) / 2)
        sizes = {(each["--outputs"], each["--neurons"], each["--inputs"]) for each in told}
        self.assertEqual(len(sizes), 6)
        self.assertEqual({each["--rows"] for each in told if each["--outputs"] == "3"},
                         {"160", "320", "640", "2000", "10000", "50000"})  # fmt: skip
        self.assertEqual(len((self.at / "out").read_text().splitlines()), len(runs))

    def test_counts_and_errors_of_the_exact_table_are_held_against_it(self):
        self.assertEqual(self.play("--tables", "exact", "--brief", "--seeds", "1", parameter_error=2e-11).returncode, 1)
        process = self.play("--tables", "exact", "--brief", parameter_error=1e-9)
        self.assertEqual(process.returncode, 1)
        # n = kd of (5,5,10): 4 of 5; of (2,5,10) none, which nobody misses.
        self.assertIn("exact (5,5,10) n = 50: 0/5, 4 wanted", process.stdout)
        self.assertNotIn("exact (2,5,10) n = 50:", process.stdout)

    def test_a_run_that_dies_is_missed(self):
        process = self.play("--tables", "gross", "--brief", die=True)
        self.assertEqual(process.returncode, 1)
        self.assertIn("exit status 2", process.stdout)

    def test_options_are_told_as_words(self):
        self.assertEqual(samples.words_of({"held_out": 0, "robust": True, "from_truth": False, "noise": 0.1}),
                         ["--held-out", "0", "--robust", "--noise", "0.1"])  # fmt: skip

    def summary(self, **lines):
        made = [{**TWO_LAYER, "table": table, **line} for table, some in lines.items() for line in some]
        return samples.summary(made)

    def test_noise_is_judged_by_the_error_from_the_truth(self):
        for error, held in ((1.04e-3, True), (1.06e-3, False), (None, False)):
            truth = {"parameter_error": 1e-3, "relative_l2": 1e-3}
            line = {"noise": 0.1, "parameter_error": error, "from_truth": truth, "scaled_error": 3.0}
            self.assertEqual(self.summary(noise=[line])[1], held, error)

    def test_gross_errors_are_to_be_exact_only_where_the_learner_was_told_of_few(self):
        wrong = {"gross": 0.05, "robust": True, "parameter_error": 1e-3}
        self.assertFalse(self.summary(gross=[wrong])[1])
        self.assertTrue(self.summary(gross=[{**wrong, "parameter_error": 1e-12}])[1])
        self.assertTrue(self.summary(gross=[{**wrong, "robust": False}])[1])
        self.assertTrue(self.summary(gross=[{**wrong, "gross": 0.3}])[1])

    def test_half_the_prototype_s_time_is_wanted(self):
        for seconds, held in ((0.6, True), (0.4, False)):
            line = {"parameter_error": 1e-14, "prototype": {"seconds": seconds, "parameter_error": 1e-14}}
            self.assertEqual(self.summary(inputs=[line])[1], held)
            self.assertEqual(self.summary(exact=[line])[1], held)

    def test_examples_that_the_prototype_cannot_learn_either_are_not_missed(self):
        theirs = {"seconds": 1.0, "parameter_error": None}
        lines = [{"rows": 200, "seed": seed, "parameter_error": 1e-14 if seed else 1.0} for seed in range(5)]
        self.assertFalse(self.summary(exact=lines)[1])
        lines[0]["prototype"] = theirs
        for line in lines[1:]:
            line["prototype"] = {"seconds": 1.0, "parameter_error": 1e-14}
        text, held = self.summary(exact=lines)
        self.assertTrue(held, text)
        self.assertIn("4/5 (4)", text)

    def test_narrow_successes_are_counted_over_all_sizes(self):
        def lines(good):
            return [{"family": "mixed", "outputs": 1, "neurons": 2, "inputs": 10, "rows": 60, "seed": seed,
                     "relative_l2": 1e-9 if seed < good else 0.1} for seed in range(64)]  # fmt: skip

        self.assertTrue(self.summary(narrow=lines(60))[1])
        text, held = self.summary(narrow=lines(59))
        self.assertFalse(held)
        self.assertIn("narrow, n = 3kd: 59/64 below 0.001, 60 wanted", text)

    def test_pairs_blind_targets_and_noise_have_their_own_limits(self):
        pair = {"family": "cancel", "outputs": 1, "angle": 0.1, "relative_l2": 1e-9}
        self.assertFalse(self.summary(pairs=[pair])[1])
        self.assertTrue(self.summary(pairs=[{**pair, "angle": 0.01}])[1])
        blind = {"family": "blind4", "outputs": 1, "neurons": 6, "inputs": 20, "rows": 1000}
        some = [{**blind, "relative_l2": error} for error in (1e-9, 1e-9, 0.5)]
        self.assertTrue(self.summary(blind=some)[1])
        self.assertFalse(self.summary(blind=[some[0], some[2], some[2]])[1])
        self.assertFalse(self.summary(blind=[{**each, "rows": 10000} for each in some])[1])
        theory = 0.1 * math.sqrt(2 * 10 / 4000)
        noisy = {"family": "mixed", "neurons": 2, "inputs": 10, "rows": 4000, "noise": 0.1}
        for ours, truth, held in ((1.14, 1.0, True), (1.16, 1.0, False), (1.3, 1.2, True)):
            line = {**noisy, "relative_l2": ours * theory, "from_truth": {"relative_l2": truth * theory}}
            self.assertEqual(self.summary(**{"narrow noise": [line]})[1], held, ours)

    def test_adam_is_to_be_slower_at_every_width(self):
        def adam(*seconds):
            tries = [{"tries": [{"budget": 1.0, "seconds": each, "relative_l2": 1e-3}]} for each in seconds]
            return {"adam": dict(zip(("1", "4"), tries))}

        self.assertTrue(self.summary(peers=[adam(None, 0.3)])[1])
        self.assertFalse(self.summary(peers=[adam(None, 0.2)])[1])
        self.assertFalse(self.summary(peers=[{"outcome": "refused", "relative_l2": None}])[1])


unittest.main(argv=sys.argv[:1])
