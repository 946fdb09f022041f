#!/usr/bin/env python3
"""What bench/gpu_check.py makes of programs that pass, fail, crash and hang, without a GPU.

    gpu_check_test.py ROOT

Plays the tests, the benches, compute-sanitizer and nvidia-smi by scripts, and reads the records.
"""
import importlib.util
import json
import os
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(sys.argv.pop()) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent

# GoogleTest's command line and output, as far as it is read. In a test named Crash the program dies, in
# one named Hang it stays; one named InCompany fails only where it is not the first.
PROGRAM = r"""
import fnmatch, json, os, sys, time
names = %r
options = dict(a[2:].split("=", 1) if "=" in a else (a[2:], "") for a in sys.argv[1:])
if "gtest_list_tests" in options:
    suites = {}
    for name in names:
        suite, test = name.split(".", 1)
        suites.setdefault(suite, []).append({"name": test, "file": "/x/tests/kernels/a_test.cpp"})
    with open(options["gtest_output"][5:], "w") as out:
        json.dump({"testsuites": [{"name": s, "testsuite": t} for s, t in suites.items()]}, out)
    sys.exit(0)
chosen = [n for n in names if any(fnmatch.fnmatch(n, f) for f in options["gtest_filter"].split(":"))]
shards, shard = int(os.environ.get("GTEST_TOTAL_SHARDS", 1)), int(os.environ.get("GTEST_SHARD_INDEX", 0))
status = 0
for place, name in enumerate(chosen[shard::shards]):
    print(f"[ RUN      ] {name}", flush=True)
    if "Crash" in name: os.abort()
    if "Hang" in name: time.sleep(60)
    bad = "Fails" in name or ("InCompany" in name and place > 0)
    status |= bad
    word = "[  SKIPPED ]" if "Skips" in name else "[  FAILED  ]" if bad else "[       OK ]"
    print(f"{word} {name}" + (", where GetParam() = cuda" if bad else "") + " (1 ms)", flush=True)
sys.exit(status)
"""
SANITIZER = r"""
import subprocess, sys
tool = sys.argv[2]
command = sys.argv[sys.argv.index("no") + 1:]
subprocess.run(command)
report = %r.get(tool, "")
print(report)
errors = report.count("Error: Race") + report.count("Invalid")
print(f"========= ERROR SUMMARY: {errors} errors" if tool == "memcheck" else
      f"========= RACECHECK SUMMARY: {errors} hazards displayed ({errors} errors, 0 warnings)")
"""
SMI = "print('NVIDIA H200, 580.1, 9.0, 143771')"
GPU = {"name": "NVIDIA H200", "driver": "580.1", "compute_capability": "9.0", "memory_bytes": 1}


class GpuCheckTest(unittest.TestCase):
    def setUp(self):
        spec = importlib.util.spec_from_file_location("gpu_check", ROOT / "bench" / "gpu_check.py")
        self.module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.module)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.module.ROOT = self.folder
        self.module.CARRIED = self.folder / "carried"
        self.module.BUILD = self.folder / "build" / "gpu"
        self.module.LOGS = self.module.BUILD / "logs"
        self.module.LOGS.mkdir(parents=True)
        self.module.JOBS = self.module.WORKERS = 1
        self.module.log = lambda text: None
        path = os.environ["PATH"]
        os.environ["PATH"] = f"{self.folder}:{path}"
        self.addCleanup(os.environ.__setitem__, "PATH", path)

    def program(self, path, text):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!{sys.executable}\n{text}")
        path.chmod(0o755)

    def tests_named(self, *names):
        self.program(self.module.BUILD / "tests" / "crease_tests", PROGRAM % (list(names),))

    def check(self, device=GPU):
        return self.module.Check(device, 540)

    def test_passing_tests_are_counted_and_skips_are_named(self):
        self.tests_named("Backends/A.Works/cuda", "B.Works", "CudaB.Skips")
        result = self.check().tests(60)
        self.assertEqual((result["ok"], result["total"], result["passed"], result["failed"], result["skipped_names"]),
                         (True, 3, 2, 0, ["CudaB.Skips"]))

    def test_a_skipped_test_of_the_gpu_fails_the_step(self):
        self.tests_named("Backends/A.Skips/cuda")
        self.assertFalse(self.check().tests(60)["ok"])

    def test_what_fails_and_what_a_crash_took_along_is_run_alone(self):
        self.tests_named("A.Works", "A.Fails", "A.InCompany", "A.Crash", "A.After")
        result = self.check().tests(60)
        self.assertFalse(result["ok"])
        self.assertEqual((result["passed"], result["failed"]), (1, 4))
        self.assertEqual(
            {f["test"]: (f["in_company"], f["alone"]) for f in result["failures"]},
            {"A.Fails": ("FAILED", "failed"), "A.InCompany": ("FAILED", "passed"),
             "A.Crash": ("did not end", "failed"), "A.After": ("did not end", "passed")})

    def test_a_test_that_hangs_ends_with_its_step(self):
        self.tests_named("A.Works", "A.Hang")
        result = self.check().tests(8)
        self.assertEqual([(f["test"], f["alone"]) for f in result["failures"]], [("A.Hang", "out of time")])

    def sanitized(self, reports):
        self.tests_named("Backends/A.Works/cuda", "Backends/A.Works/cpu", "CudaB.Skips")
        self.program(self.folder / "compute-sanitizer", SANITIZER % (reports,))
        return self.check().sanitizer(60)

    def test_a_clean_sanitizer_run_selects_the_kernels_tests_of_the_gpu(self):
        result = self.sanitized({})
        self.assertEqual((result["ok"], result["selected"], result["memcheck"]["passed"]), (True, 1, 1))

    def test_an_error_in_a_kernel_of_ours_fails_the_step(self):
        report = "========= Invalid __global__ read of size 8 bytes\n=========     at crease::f(double)+0x1"
        result = self.sanitized({"memcheck": report})
        self.assertFalse(result["ok"])
        self.assertEqual(result["memcheck"]["errors_in_our_kernels"], 1)

    def test_a_race_inside_a_vendors_kernel_is_told_apart(self):
        race = "========= Error: Race reported between Write access at {}::f()+0x1 and Read access at g()"
        self.assertTrue(self.sanitized({"racecheck": race.format("cutlass")})["ok"])
        self.assertFalse(self.sanitized({"racecheck": race.format("crease")})["ok"])

    def test_a_sanitizer_that_refuses_the_gpu_is_unavailable_and_not_well(self):
        result = self.sanitized({tool: "========= Error: Device not supported" for tool in ("memcheck", "racecheck")})
        self.assertIsNone(result["ok"])
        self.assertIn("not supported", result["memcheck"]["unavailable"])

    def test_broken_rows_of_the_bench_fail_it_and_the_others_are_kept(self):
        rows = [{"name": "features", "fraction": 0.9}, {"name": "lines", "error": "no memory"}]
        self.program(self.module.BUILD / "bench" / "crease_gpu_bench", "".join(f"print('''{json.dumps(r)}''')\n" for r in rows))
        result = self.check().bench(60)
        self.assertEqual((result["ok"], result["rows"]), (False, rows))

    def compared(self, status, *rows):
        (self.folder / "numpy.py").touch()  # only looked for
        path = self.folder / "bench" / "peers.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text("import sys\n"
                        "out = open(sys.argv[sys.argv.index('--out') + 1], 'w')\n"
                        + "".join(f"print({json.dumps(row)!r}, file=out)\n" for row in rows) + f"sys.exit({status})\n")
        check = self.check()
        check.env["PYTHONPATH"] = str(self.folder)
        return check.peers(60)

    def test_peers_are_measured_and_a_wrong_answer_fails_the_step(self):
        rows = [{"kind": "run"}, {"kind": "speedup", "name": "stream"}]
        good = self.compared(0, *rows)
        self.assertEqual((good["ok"], good["rows"]), (True, rows))
        self.assertFalse(self.compared(1, *rows)["ok"])     # wrong
        self.assertFalse(self.compared(0, rows[0])["ok"])   # nothing was compared
        self.assertFalse(self.compared(2)["ok"])
        self.assertIsNone(self.check(None).peers(60)["ok"])

    def extracted(self, small, large):
        lines = {512: small, 4096: large}
        self.program(self.module.BUILD / "bench" / "crease_extract",
                     "import json, sys\n"
                     f"outcome = {lines}[int(sys.argv[sys.argv.index('--neurons') + 1])]\n"
                     "if outcome: print(json.dumps({'outcome': outcome}))\n"
                     "sys.exit(0 if outcome == 'reached' else 3)\n")
        return self.check().extract(60)

    def test_only_the_large_extraction_may_run_short_of_time(self):
        self.assertTrue(self.extracted("reached", "reached")["ok"])
        self.assertTrue(self.extracted("reached", "out_of_budget")["ok"])
        self.assertFalse(self.extracted("out_of_budget", "reached")["ok"])
        self.assertFalse(self.extracted("reached", "not_reached")["ok"])
        broken = self.extracted("reached", None)
        self.assertEqual((broken["ok"], broken["rows"][1]["error"]), (False, "status 3: "))

    def test_a_step_that_raises_is_recorded_and_a_dry_run_is_no_record(self):
        def broken(limit):
            raise RuntimeError("as planned")
        check = self.check(None)
        self.assertFalse(check.do("bench", broken))
        started = self.module.datetime.datetime(2026, 1, 2)
        path, failed = self.module.write(check, started)
        record = json.loads(path.read_text())
        self.assertEqual(path, self.module.BUILD / "dry-run.json")
        self.assertIn("DRY RUN", record)
        self.assertFalse(record["ok"])
        self.assertIn("bench", failed)
        self.assertEqual(record["steps"]["bench"]["message"], "as planned")

    def test_a_record_is_named_by_date_and_gpu_and_never_overwritten(self):
        self.program(self.folder / "nvidia-smi", SMI)
        device = self.module.gpu()
        self.assertEqual(device["compute_capability"], "9.0")
        check = self.check(device)
        self.assertEqual(check.architecture, "90")
        for name in self.module.SHARES:
            check.do(name, lambda limit: {"ok": True})
        started = self.module.datetime.datetime(2026, 1, 2)
        paths = [self.module.write(check, started)[0] for _ in range(2)]
        self.assertEqual([path.name for path in paths],
                         ["2026-01-02-NVIDIA-H200.json", "2026-01-02-NVIDIA-H200-2.json"])
        record = json.loads(paths[0].read_text())
        self.assertEqual((record["ok"], record["unavailable_in_steps"]), (True, []))

    def test_a_step_that_is_unavailable_is_named_by_the_record(self):
        def missing(limit):
            raise self.module.Unavailable("not installed")
        check = self.check()
        check.do("sanitizer", missing)
        path, failed = self.module.write(check, self.module.datetime.datetime(2026, 1, 2))
        self.assertNotIn("sanitizer", failed)
        self.assertEqual(json.loads(path.read_text())["unavailable_in_steps"], ["sanitizer"])

    def test_what_was_not_built_fails_its_own_steps_and_no_others(self):
        self.program(self.folder / "cmake", "raise SystemExit('it does not compile')")
        self.tests_named("A.Works")
        check = self.check()
        check.everything()
        self.assertEqual([check.steps[name]["ok"] for name in ("build", "tests", "bench")], [False, True, False])
        self.assertIn("it does not compile", check.steps["build"]["message"])
        self.assertIn("crease_gpu_bench", check.steps["bench"]["message"])

    def test_a_step_not_reached_makes_a_record_that_is_not_well(self):
        check = self.check()
        check.do("dependencies", lambda limit: {"ok": True})
        path, failed = self.module.write(check, self.module.datetime.datetime(2026, 1, 2))
        self.assertIn("tests", failed)
        self.assertFalse(json.loads(path.read_text())["ok"])


if __name__ == "__main__":
    unittest.main()
