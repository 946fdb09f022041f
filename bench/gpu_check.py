#!/usr/bin/env python3
"""Checks and measures crease on the GPU of this machine, in one go: ./dev gpu.

Builds everything, runs every test with CREASE_REQUIRE_GPU=1, the kernels' tests under compute-sanitizer
(memcheck, racecheck), a stranger's CUDA program, the benches, and the peers beside our least squares;
writes bench/records/DATE-GPU.json.
Each step has a limit, its failure is recorded, and later steps still run. Exit status: 0 all well, 1 a
step failed, 2 could not start. Python's standard library only; no network; bench/README.md says more.
"""
import argparse
import concurrent.futures
import datetime
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import xml.etree.ElementTree as xml

ROOT = pathlib.Path(__file__).resolve().parent.parent
CARRIED = ROOT / "carried"      # in a folder made by ./dev gpu-bundle
PREFIX = ROOT / "build" / "carried"
BUILD = ROOT / "build" / "gpu"
LOGS = BUILD / "logs"
TOTAL = 540                     # seconds, unless --limit says otherwise
# Seconds each step may count on; what an earlier one leaves over goes to the later ones.
SHARES = {"dependencies": 30, "build": 175, "tests": 100, "other_tests": 20, "embed": 40, "sanitizer": 70,
          "bench": 60, "peers": 20, "extract": 25}
PEERS = [1024, 4096]            # columns; rows are four times that
EXTRACTIONS = [(64, 512), (256, 4096)]  # inputs, neurons
JOBS = os.cpu_count() or 1
WORKERS = min(JOBS, 8)          # test programs at once: each has a CUDA context


class Unavailable(Exception):
    """A step that this machine cannot do, and why."""


def log(text):
    print(f"== {text}", flush=True)


def run(command, limit, name, env=None):
    """Runs a command, its output into logs/NAME; (exit status, output); status None: out of time."""
    LOGS.mkdir(parents=True, exist_ok=True)
    path = LOGS / name
    with open(path, "wb") as out:
        process = subprocess.Popen([str(word) for word in command], cwd=ROOT, stdout=out, stderr=subprocess.STDOUT,
                                   stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})},
                                   start_new_session=True)
        try:
            status = process.wait(timeout=max(limit, 1))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            status = None
    return status, path.read_text(errors="replace")


def must(command, limit, name, env=None):
    status, output = run(command, limit, name, env)
    if status != 0:
        tail = "\n".join(output.strip().splitlines()[-15:])
        raise RuntimeError(f"{name} {'ran out of time' if status is None else f'ended with status {status}'}:\n{tail}")
    return output


def first_line(command, pattern="(.*)"):
    try:
        output = subprocess.run(command, capture_output=True, text=True, timeout=20).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(pattern, output)
    return match[1].strip() if match else None


def commit():
    if (CARRIED / "commit").is_file():
        return (CARRIED / "commit").read_text().strip()
    head = first_line(["git", "-C", str(ROOT), "rev-parse", "HEAD"])
    changed = first_line(["git", "-C", str(ROOT), "status", "--porcelain", "-uno"], r"(\S.*)")
    return (head or "unknown") + ("+changes" if changed else "")


def gpu():
    """The first GPU as nvidia-smi sees it; None without one."""
    line = first_line(["nvidia-smi", "--query-gpu=name,driver_version,compute_cap,memory.total",
                       "--format=csv,noheader,nounits"])
    fields = [field.strip() for field in (line or "").split(",")]
    if len(fields) != 4 or not re.fullmatch(r"\d+\.\d", fields[2]):
        return None
    return {"name": fields[0], "driver": fields[1], "compute_capability": fields[2],
            "memory_bytes": int(fields[3]) * 2**20 if fields[3].isdigit() else None}


def toolchain():
    nvcc = os.environ.get("CUDACXX", "nvcc")
    cxx = os.environ.get("CXX", "c++")
    return {"cuda": first_line([nvcc, "--version"], r"release.*?(V[\d.]+)"),
            "compiler": first_line([cxx, "--version"]), "cmake": first_line(["cmake", "--version"]),
            "cpu_cores": JOBS, "dependencies": "carried" if CARRIED.is_dir() else "the system's"}


def use_carried():
    """Points CMake, the compiler and the linker to the carried libraries, in a bundle.

    DT_RPATH (not RUNPATH) also holds for what the libraries themselves need, and only for the programs
    built here: LD_LIBRARY_PATH would give the machine's own cmake and python the carried libraries too.
    """
    if not CARRIED.is_dir():
        return
    library = next((path.parent for path in PREFIX.rglob("libopenblas.so")), None)
    if library is None:
        with tarfile.open(CARRIED / "prefix.tar.gz") as archive:
            if hasattr(tarfile, "data_filter"):
                archive.extractall(PREFIX, filter="data")
            else:
                archive.extractall(PREFIX)
        library = next(PREFIX.rglob("libopenblas.so")).parent
    os.environ.update({
        "CMAKE_PREFIX_PATH": str(PREFIX), "CMAKE_LIBRARY_PATH": str(library),
        "CMAKE_INCLUDE_PATH": str(PREFIX / "include"), "fmt_DIR": str(library / "cmake" / "fmt"),
        "CPLUS_INCLUDE_PATH": str(PREFIX / "include"), "LIBRARY_PATH": str(library),
        "LDFLAGS": f"-Wl,--disable-new-dtags,-rpath,{library},-rpath-link,{library}"})


class Check:
    def __init__(self, device, total):
        self.device = device    # None: a dry run, nothing of which touches a GPU
        self.total = total
        self.start = time.monotonic()
        self.steps = {}
        self.architecture = device["compute_capability"].replace(".", "") if device else "90"
        threads = str(max(1, JOBS // WORKERS))  # for programs that would take every core
        self.env = {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads,
                    **({"CREASE_REQUIRE_GPU": "1"} if device else {"CUDA_VISIBLE_DEVICES": ""})}

    def elapsed(self):
        return time.monotonic() - self.start

    def do(self, name, step):
        """Runs a step within its limit and keeps its result; a step returns a dict with "ok"."""
        names = list(SHARES)
        limit = self.total - self.elapsed() - sum(SHARES[later] for later in names[names.index(name) + 1:])
        log(f"{name} (at most {limit:.0f} s)")
        begun = time.monotonic()
        try:
            result = step(limit)
        except Unavailable as reason:
            result = {"ok": None, "unavailable": str(reason)}
        except Exception as error:  # whatever a step meets, the others still run
            result = {"ok": False, "message": str(error)}
        result["seconds"] = round(time.monotonic() - begun, 1)
        self.steps[name] = result
        brief = {key: value for key, value in result.items() if not isinstance(value, (list, dict))}
        log(f"{name}: {json.dumps(brief)}")
        return result["ok"]

    # --- the steps ---------------------------------------------------------------------------------

    def dependencies(self, limit):
        use_carried()
        if CARRIED.is_dir() and not (PREFIX / "lib" / "libgtest.a").is_file():
            folder = ROOT / "build" / "googletest"
            must(["cmake", "-S", CARRIED / "googletest", "-B", folder, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
                  f"-DCMAKE_INSTALL_PREFIX={PREFIX}", "-DCMAKE_INSTALL_LIBDIR=lib"], limit, "googletest-configure")
            must(["cmake", "--build", folder, "--target", "install"], limit, "googletest-build")
        return {"ok": True, "from": toolchain()["dependencies"]}

    def build(self, limit):
        begun = time.monotonic()
        must(["cmake", "-S", ROOT, "-B", BUILD, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", "-DCREASE_WITH_CUDA=ON",
              "-DCREASE_BUILD_TESTS=ON", "-DCREASE_BUILD_BENCH=ON", f"-DCMAKE_CUDA_ARCHITECTURES={self.architecture}"],
             limit, "configure")
        # -k 0: a file that does not compile does not take the other programs along.
        must(["cmake", "--build", BUILD, "-j", JOBS, "--", "-k", "0"], limit - (time.monotonic() - begun), "build")
        return {"ok": True, "architecture": f"sm_{self.architecture}"}

    def listed(self):
        """Every GoogleTest as (name, source file)."""
        path = LOGS / "tests.json"
        must([BUILD / "tests" / "crease_tests", "--gtest_list_tests", f"--gtest_output=json:{path}"], 60, "list")
        return [(f"{suite['name']}.{test['name']}", test["file"])
                for suite in json.loads(path.read_text())["testsuites"] for test in suite["testsuite"]]

    def sharded(self, label, filters, shards, limit, prefix=()):
        """Runs tests in several processes; (result by name: OK, FAILED, SKIPPED, and all output)."""
        command = [*prefix, BUILD / "tests" / "crease_tests", f"--gtest_filter={filters}", "--gtest_color=no"]
        with concurrent.futures.ThreadPoolExecutor(shards) as pool:
            outputs = list(pool.map(
                lambda i: run(command, limit, f"{label}-{i}",
                              {**self.env, "GTEST_TOTAL_SHARDS": str(shards), "GTEST_SHARD_INDEX": str(i)}),
                range(shards)))
        results = {}
        for _, output in outputs:
            for result, name in re.findall(r"^\[ +(OK|FAILED|SKIPPED) +\] (\S+?),? ", output, re.MULTILINE):
                results[name] = result
        return results, outputs

    def tests(self, limit):
        begun = time.monotonic()
        names = [name for name, _ in self.listed()]
        if self.device is None:
            return {"ok": None, "listed": len(names), "message": "listed only: a dry run"}
        results, _ = self.sharded("tests", "*", WORKERS, 0.75 * limit)
        # An error of one kernel takes the whole process with it: what failed or never ran gets a process of its own.
        again = [name for name in names if results.get(name) not in ("OK", "SKIPPED")]
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            def one(item):
                left = limit - (time.monotonic() - begun)
                status, _ = run([BUILD / "tests" / "crease_tests", f"--gtest_filter={item[1]}"], min(60, left),
                                f"alone-{item[0]}", self.env) if left > 1 else (None, "")
                return item[1], {0: "passed", None: "out of time"}.get(status, "failed")
            alone = dict(pool.map(one, enumerate(again)))
        skipped = sorted(name for name in names if results.get(name) == "SKIPPED")
        gpu_skipped = [name for name in skipped if name.endswith("/cuda")]
        return {"ok": not again and not gpu_skipped, "total": len(names),
                "passed": sum(results.get(name) == "OK" for name in names), "failed": len(again),
                "skipped": len(skipped), "skipped_names": skipped,
                "failures": [{"test": name, "in_company": results.get(name, "did not end"), "alone": alone.get(name)}
                             for name in again]}

    def ctest(self, label, limit, *selection):
        path = LOGS / f"{label}.xml"
        status, output = run(["ctest", "--test-dir", BUILD, "--no-tests=error", "--output-on-failure", "-j", JOBS,
                              "--timeout", int(max(limit, 1)), "--output-junit", path, *selection],
                             limit, label, self.env)
        cases = {}
        if path.is_file():
            for case in xml.parse(path).getroot().iter("testcase"):
                text = (case.findtext("system-out") or "").strip()
                cases[case.get("name")] = {"result": case.get("status"), "output": text[-2000:]}
        passed = sum(case["result"] == "run" for case in cases.values())
        return status, {"ok": status == 0, "passed": passed, "failed": sum(c["result"] == "fail" for c in cases.values()),
                        "tests": {name: case["result"] for name, case in cases.items()},
                        **({} if status == 0 else {"message": output[-2000:]})}, cases

    def other_tests(self, limit):
        return self.ctest("other-tests", limit, "-LE", "^gtest$", "-E", "^embed")[1]

    def embed(self, limit):
        _, result, cases = self.ctest("embed", limit, "-R", "^embed")
        result["output"] = cases.get("embed_cuda", {}).get("output")
        if self.device and result["tests"].get("embed_cuda") != "run":
            result["ok"] = False
        return result

    def sanitizer(self, limit):
        program = shutil.which("compute-sanitizer")
        cuda = pathlib.Path(os.environ.get("CUDACXX", "/usr/local/cuda/bin/nvcc")).parent / "compute-sanitizer"
        program = program or (str(cuda) if cuda.is_file() else None)
        if program is None:
            raise Unavailable("compute-sanitizer is not installed")
        kernels = [name for name, file in self.listed() if "/tests/kernels/" in file and name.endswith("/cuda")]
        filters = ":".join(sorted({re.sub(r"\.[^/]*", ".*", name) for name in kernels}))
        if self.device is None:
            return {"ok": None, "selected": len(kernels), "filter": filters, "message": "selected only: a dry run"}
        shards = max(1, min(JOBS // 2, 4))
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            tools = ["memcheck", "racecheck"]
            # Errors that calls return on purpose are for the tests to judge.
            found = list(pool.map(lambda tool: self.sharded(
                tool, filters, shards, limit, [program, "--tool", tool, "--report-api-errors", "no"]), tools))
        result = {"ok": True, "selected": len(kernels)}
        for tool, (results, outputs) in zip(tools, found):
            text = "\n".join(output for _, output in outputs)
            refused = re.search(r"=+ (?:Error: )?.*(Device not supported|not supported on).*", text)
            ended = sum(value == "OK" for value in results.values())
            summaries = re.findall(r"(?:ERROR SUMMARY: (\d+) error|RACECHECK SUMMARY: \d+ hazards? displayed \((\d+) error)",
                                   text)
            # The vendor's own kernels are checked as well: their hazards are told apart, not hidden.
            reports = re.findall(r"^=+ ((?:Error: Race reported|Invalid|Misaligned).*(?:\n=+ +at .*)?)", text, re.MULTILINE)
            ours = [report for report in reports if "crease" in report]
            result[tool] = {"passed": ended, "errors": sum(int(a or b) for a, b in summaries),
                            "errors_in_our_kernels": len(ours), "ended_in_time": all(s is not None for s, _ in outputs),
                            "reports": sorted(set(reports))[:20]}
            if refused:
                result[tool]["unavailable"] = refused[0].strip("= ")
                continue
            clean = result[tool]["errors"] == 0 or (tool == "racecheck" and reports and not ours)
            if not (clean and ended == len(kernels) and len(summaries) == shards):
                result["ok"] = False
        if all("unavailable" in result[tool] for tool in tools):
            result["ok"] = None
        return result

    def bench(self, limit):
        program = BUILD / "bench" / "crease_gpu_bench"
        if self.device is None:
            output = must([program, "--list"], 30, "bench-list", self.env)
            return {"ok": None, "listed": output.split(), "message": "listed only: a dry run"}
        status, output = run([program, "--seconds", int(max(limit - 10, 5))], limit, "bench", self.env)
        rows = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
        broken = [row for row in rows if row.get("error")]
        return {"ok": status == 0 and bool(rows) and not broken, "rows": rows,
                **({} if status == 0 else {"message": f"status {status}: {output[-500:]}"})}

    def peers(self, limit):
        """Least squares beside cuSOLVER's, and PyTorch's and CuPy's where they are; NumPy judges."""
        if self.device is None:
            return {"ok": None, "message": "not run: a dry run"}
        if run([sys.executable, "-c", "import numpy"], 20, "numpy", self.env)[0] != 0:
            raise Unavailable("NumPy is not installed")
        lines = LOGS / "peers.jsonl"
        lines.unlink(missing_ok=True)
        status, output = run([sys.executable, ROOT / "bench" / "peers.py", "--program", BUILD / "bench" / "crease_peers",
                              "--device", "cuda", "--repeats", 3, "--out", lines, "--q", *PEERS], limit, "peers", self.env)
        rows = [json.loads(line) for line in lines.read_text().splitlines()] if lines.is_file() else []
        # Short of time is no failure of the later sizes; a wrong answer is one of any.
        measured = any(row["kind"] == "speedup" for row in rows)
        return {"ok": measured and status in (0, None), "rows": rows, "ended_in_time": status is not None,
                **({} if status in (0, None) else {"message": f"status {status}: {output[-500:]}"})}

    def extract(self, limit):
        """Whole extractions, the small one first; the large one gets what time is left."""
        if self.device is None:
            return {"ok": None, "message": "not run: a dry run"}
        begun, rows, ok = time.monotonic(), [], True
        for inputs, neurons in EXTRACTIONS:
            left = limit - (time.monotonic() - begun)
            status, output = run([BUILD / "bench" / "crease_extract", "--device", "cuda", "--inputs", inputs,
                                  "--neurons", neurons, "--seconds", max(0.7 * left, 1)], left,
                                 f"extract-{neurons}", self.env)
            line = next((json.loads(line) for line in output.splitlines() if line.startswith("{")), None)
            rows.append(line or {"inputs": inputs, "neurons": neurons, "error":
                                 "out of time" if status is None else f"status {status}: {output[-500:]}"})
            # Short of time is no failure of the large one: its line says how far it came.
            ok = ok and line is not None and (status == 0 or line["outcome"] == "out_of_budget" and len(rows) > 1)
        return {"ok": ok, "rows": rows}

    def everything(self):
        for name in SHARES:
            self.do(name, getattr(self, name))


def write(check, started):
    failed = [name for name, step in check.steps.items() if step["ok"] is False]
    missing = [name for name in SHARES if name not in check.steps]
    unavailable = [name for name, step in check.steps.items() if "unavailable" in json.dumps(step)]
    record = {"format": 1, "ran_on_gpu": check.device is not None, "date": started.strftime("%Y-%m-%dT%H:%M:%SZ"),
              "commit": commit(), "device": check.device, "toolchain": toolchain(),
              "ok": check.device is not None and not failed and not missing, "failed_steps": failed,
              "unavailable_in_steps": unavailable, "steps_not_reached": missing,
              "seconds": round(check.elapsed(), 1),
              "steps": check.steps}
    if check.device is None:
        record = {"DRY RUN": "nothing in here ran on a GPU; this is no record", **record}
        path = BUILD / "dry-run.json"
    else:
        name = re.sub(r"[^A-Za-z0-9]+", "-", check.device["name"]).strip("-")
        base = f"{started:%Y-%m-%d}-{name}"
        records = ROOT / "bench" / "records"
        taken = [f"{base}.json"] + [f"{base}-{i}.json" for i in range(2, 100)]
        path = next(records / name for name in taken if not (records / name).exists())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n")
    return path, failed + missing


def main():
    parser = argparse.ArgumentParser(prog="./dev gpu", description=__doc__.splitlines()[0])
    parser.add_argument("--compile-only", action="store_true",
                        help="everything that needs no GPU: build, list tests, link the embed app; no record is written")
    parser.add_argument("--limit", type=float, default=TOTAL, metavar="SECONDS",
                        help=f"for everything together (default {TOTAL})")
    options = parser.parse_args()
    device = None if options.compile_only else gpu()
    if device is None and not options.compile_only:
        print("dev gpu: nvidia-smi shows no GPU here; --compile-only does all that needs none", file=sys.stderr)
        return 2
    started = datetime.datetime.now(datetime.timezone.utc)
    check = Check(device, options.limit)
    log(f"{device['name'] if device else 'no GPU: a dry run'}, commit {commit()}")
    check.everything()
    path, failed = write(check, started)
    log(f"{path.relative_to(ROOT)}: " + (f"FAILED: {', '.join(failed)}" if failed else
                                         "all steps passed" if device else "a dry run, no record") +
        f" ({check.elapsed():.0f} s)")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
