#!/usr/bin/env python3
"""crease_extract at tiny sizes: one JSON line, whose figures add up and agree with what was planted.

    extract_test.py PROGRAM
"""

import json
import subprocess
import sys

ACCURACY = 1e-8  # the program's default


def run(*arguments):
    return subprocess.run([sys.argv[1], *arguments], capture_output=True, text=True)


def extract(*arguments):
    """The one line, as a dictionary."""
    process = run(*arguments)
    lines = process.stdout.splitlines()
    assert len(lines) == 1, f"expected one line, got {process.stdout!r} and {process.stderr!r}"
    line = json.loads(lines[0])
    assert process.returncode == (0 if line["outcome"] == "reached" else 3), line
    return line


def check(line, d, k, p):
    assert (line["inputs"], line["neurons"], line["outputs"]) == (d, k, p), line
    assert line["outcome"] == "reached", line
    # `reached` vouches for the accuracy on the certificate's points, and nothing is missing.
    assert line["relative_error"] <= ACCURACY, line
    exact = line["exact"]
    assert exact["neurons"] == exact["matched"] == k and exact["spurious"] == 0, line
    queries = line["queries"]
    stages = [queries[s] for s in queries if s not in ("total", "learning", "certificate")]
    assert sum(stages) == queries["learning"], line
    assert queries["learning"] + queries["certificate"] == queries["total"], line
    assert line["per_parameter"] == queries["learning"] / (k * (d + 1)), line
    spent = line["seconds"]
    own = sum(spent[s] for s in queries if s in spent and s not in ("total", "learning"))
    assert own <= spent["total"], line
    assert line["gemm_gflops"] > 0 and set(line["floors"]) >= set(spent) & set(queries) - {"total"}, line
    # The peak holds both networks, and they are a part of what the process has.
    memory = line["memory"]
    assert memory["networks_bytes"] <= memory["peak_device_bytes"] <= memory["peak_host_bytes"], line


def main():
    check(extract("--inputs", "6", "--neurons", "9"), 6, 9, 1)
    check(extract("--inputs", "5", "--neurons", "12", "--outputs", "3", "--seed", "2"), 5, 12, 3)
    # The same seed gives the same run, whatever the memory of one chunk.
    wide = extract("--inputs", "8", "--neurons", "20", "--threads", "1")
    narrow = extract("--inputs", "8", "--neurons", "20", "--threads", "1", "--device-bytes", "4096")
    check(narrow, 8, 20, 1)
    assert wide["queries"] == narrow["queries"], (wide, narrow)
    for wrong in (["--inputs", "5"], ["--inputs", "0", "--neurons", "3"],
                  ["--inputs", "5", "--neurons", "3", "--device", "abacus"]):  # fmt: skip
        process = run(*wrong)
        assert process.returncode != 0 and process.stdout == "", (wrong, process)
    process = run("--inputs", "5", "--neurons", "3", "--device", "cuda:99")
    assert process.returncode == 2 and "--device cuda" in process.stderr, process


main()
