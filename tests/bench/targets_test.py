#!/usr/bin/env python3
"""What bench/targets.py asks of a program that is played to it, how it counts the error of one answer, and
that every kind of limit can be missed.

    targets_test.py ROOT
"""

import importlib.util
import json
import math
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(sys.argv.pop())
spec = importlib.util.spec_from_file_location("targets", ROOT / "bench/targets.py")
targets = importlib.util.module_from_spec(spec)
spec.loader.exec_module(targets)

# A program with two inputs and one output, F(x) = x_0 + x_1 / 3, of two neurons; `learn` is as good as SAYS.
PLAYED = """#!/usr/bin/python3
import array, json, struct, sys
says = %r
verb, arguments = sys.argv[1], sys.argv[2:]
after = lambda option: arguments[arguments.index(option) + 1]
with open(%r, "a") as asked:
    print(json.dumps([verb, *arguments]), file=asked)
if verb == "evaluate":
    raw = open(after("--points"), "rb").read()
    x = array.array("d", raw[8 + struct.unpack_from("<Q", raw)[0]:])
    y = [x[i] + x[i + 1] / 3 for i in range(0, len(x), 2)]
    header = json.dumps({"y": {"dtype": "F64", "shape": [len(y), 1], "data_offsets": [0, 8 * len(y)]}}).encode()
    open(after("--out"), "wb").write(struct.pack("<Q", len(header)) + header + struct.pack(f"<{len(y)}d", *y))
elif verb == "make":
    open(after("--out"), "w").write("made")
elif verb == "learn":
    open(after("--report"), "w").write(json.dumps({
        "inputs": 2, "outcome": "not_reached", "rounds": 5, "seconds": {"total": 0.1},
        "queries": {"learning": says["learning"], "total": says["learning"] + 6}}))
elif verb == "verify":
    print(json.dumps({
        "relative_error": says["error"], "rms_error": 2 * says["error"],
        "neurons": {"target": 2, "matched": 2 - says["missing"], "merged": 0, "missing": says["missing"]},
        "largest_parameter_error": dict.fromkeys(("weights", "biases", "hyperplanes", "scales"), says["off"])}))
"""
GOOD = {"learning": 12, "error": 1e-8, "missing": 0, "off": 2.0**-45}


class PlayedTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.at = Path(self.folder.name)
        (self.at / "files").mkdir()
        (self.at / "files/one.safetensors").write_text("one")

    def tearDown(self):
        self.folder.cleanup()

    def bench(self, limits, *arguments, **says):
        program = self.at / "played"
        program.write_text(PLAYED % ({**GOOD, **says}, str(self.at / "asked")))
        program.chmod(0o755)
        (self.at / "limits.toml").write_text(limits)
        return subprocess.run(
            [sys.executable, ROOT / "bench/targets.py", self.at / "files", "--program", program,
             "--limits", self.at / "limits.toml", *arguments],
            capture_output=True, text=True,
        )  # fmt: skip

    def asked(self, verb):
        lines = [json.loads(text) for text in (self.at / "asked").read_text().splitlines()]
        return [line[1:] for line in lines if line[0] == verb]

    def test_every_kind_of_limit_can_be_missed(self):
        rows = '[[sharp]]\ntarget = "one"\n'
        for limit, at, misses in (
            ("error", 1e-8, {"error": 1.1e-8}),
            ("per_parameter", 2.0, {"learning": 13}),
            ("total", 3.0, {"learning": 13}),
            ("missing", 0, {"missing": 1}),
            ("weights", -45, {"off": 2.0**-44}),
            ("biases", -45, {"off": 2.0**-44}),
            ("hyperplanes", -45, {"off": 2.0**-44}),
            ("scales", -45, {"off": 2.0**-44}),
        ):
            for says, status in ((GOOD, 0), (misses, 1)):
                process = self.bench(f"{rows}{limit} = {at}\n", "--set", "sharp", **says)
                self.assertEqual(process.returncode, status, (limit, says, process.stdout, process.stderr))
                self.assertIn("| pass" if status == 0 else " > ", process.stdout)

    def test_the_ratio_is_over_the_error_of_one_answer(self):
        # Decimals: off by the error of round() at the same points; sd(F) = 2 as `verify` says.
        limits = '[[noisy]]\ntarget = "one"\nanswers = ["round:3", "noise:1e-4"]\nratio = 1\n'
        process = self.bench(limits, "--set", "noisy", error=1e-4)
        lines = [json.loads(text) for text in process.stdout.splitlines() if text.startswith("{")]
        self.assertEqual([line["target"] for line in lines], ["one round:3", "one noise:1e-4"])
        # Uniform over a unit of 1e-3: rms 1e-3 / sqrt(12), within six standard deviations of its estimate,
        # sqrt(1 / 5 / points) of it.
        off = 1e-3 / math.sqrt(12) / 2
        self.assertLess(abs(lines[0]["answer_error"] / off - 1), 6 * math.sqrt(0.2 / targets.ANSWER_POINTS))
        self.assertEqual(lines[0]["ratio"], 1e-4 / lines[0]["answer_error"])
        self.assertEqual(lines[1]["answer_error"], 1e-4 / 2)
        self.assertEqual(process.returncode, 1)  # twice the error of one answer
        self.assertIn("ratio 2 > 1", process.stdout)
        self.assertEqual([line[line.index("--answers") + 1] for line in self.asked("learn")], ["round:3", "noise:1e-4"])

    def test_binary_formats_are_ieee_s(self):
        self.assertEqual(targets.answered("float32", 1 + 2.0**-24), 1)
        self.assertEqual(targets.answered("float32", 1 + 2.0**-23), 1 + 2.0**-23)
        self.assertEqual(targets.answered("float16", 1 + 2.0**-11), 1)
        self.assertEqual(targets.answered("float16", 1 + 2.0**-10), 1 + 2.0**-10)

    def test_rows_are_files_of_the_folder_of_ours_or_made(self):
        limits = (
            '[[some]]\ntarget = "one"\nerror = 1\n'
            '[[some]]\ntarget = "rand_20_16"\nerror = 1\n'
            '[[some]]\ntarget = "nowhere"\nerror = 1\n'
            '[[some]]\nname = "own"\nmake = ["gaussian", "--seed", "3"]\noptions = ["--polish"]\nerror = 1\n'
        )
        process = self.bench(limits, "--set", "some")
        self.assertEqual(process.returncode, 0, process.stderr)
        self.assertIn("nowhere.safetensors is not there: left out", process.stderr)
        learned = self.asked("learn")
        self.assertEqual([Path(line[0]).name for line in learned],
                         ["one.safetensors", "rand_20_16.safetensors", "made.safetensors"])  # fmt: skip
        self.assertIn("--polish", learned[2])
        self.assertEqual(self.asked("make")[0][:3], ["gaussian", "--seed", "3"])
        (self.at / "asked").unlink()
        self.assertEqual(self.bench(limits, "--set", "some", "--only", "own").returncode, 0)
        self.assertEqual(len(self.asked("learn")), 1)

    def test_a_set_that_is_not_there_is_refused_by_name(self):
        process = self.bench("[one]\nerror = 1\n[[some]]\ntarget = 'one'\n", "--set", "other")
        self.assertEqual(process.returncode, 2)
        self.assertIn("expected one of exact, some", process.stderr)

    def test_the_folder_s_own_limits_go_by_the_name_of_the_file(self):
        self.assertEqual(self.bench("[one]\nerror = 1e-8\n").returncode, 0)
        self.assertEqual(self.bench("[one]\nerror = 1e-9\n").returncode, 1)

    def test_the_rows_of_the_repository_can_be_read(self):
        limits = targets.tomllib.loads((ROOT / "bench/limits.toml").read_text())
        known = {"name", "target", "make", "answers", "options", "verify", "worst", "rounds", "memory_mb",
                 "reference", *targets.LIMITS}  # fmt: skip
        for name, rows in limits.items():
            for row in rows if isinstance(rows, list) else [rows]:
                self.assertLessEqual(set(row), known, name)


unittest.main(argv=sys.argv[:1])
