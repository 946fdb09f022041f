#!/usr/bin/python3
"""Runs crease_trial over random targets, counts how often a promise failed, and prints the table.

Behind `./dev trial N`. Run i is a function of i alone; the JSON lines go to --out, and runs that are
there already are not made again. The exit status is 1 where a promise is broken:

  (A)      P(|F - F'| > T) <= mass fails in more runs than its failure probabilities allow,
  (B)      rms(F - F') <= bound does, where no slope of F - F' was seen that is steeper than it assumes,
  reached  more runs than that say so at a relative error above ten times their accuracy, although the mass
           where F' is wrong is beyond (A)'s; each of them is listed.

"More than allowed" is a one-sided test: were every probability of failure exactly what was asked for,
as many failures would come with a chance below 1e-3.
"""

import argparse
import concurrent.futures
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from rows import table  # noqa: E402

AT_ONCE = 20  # runs a process
CHANCE = 1e-3


def run_some(program, first, count):
    """The lines of `count` runs; a program that dies is one line, of the run it died in."""
    lines = []
    while count > 0:
        process = subprocess.run(
            [*program, "--first", str(first), "--runs", str(count)], stdout=subprocess.PIPE, text=True
        )
        done = process.stdout.splitlines()
        lines += [json.loads(line) for line in done]
        first, count = first + len(done), count - len(done)
        if count > 0:
            drawn = subprocess.run(
                [*program, "--draw", "--first", str(first)], stdout=subprocess.PIPE, text=True, check=True
            )
            died = {"outcome": "died", "message": f"exit status {process.returncode}"}
            lines.append({**json.loads(drawn.stdout), **died})
            first, count = first + 1, count - 1
    return lines


def chance_of(probabilities, failures):
    """P(at least so many) where run i fails with probability i of the list, independently."""
    if failures == 0:
        return 1.0
    at = [1.0] + [0.0] * (failures - 1)  # P(j failures so far), j < failures
    for p in probabilities:
        for j in range(failures - 1, 0, -1):
            at[j] += p * (at[j - 1] - at[j])
        at[0] *= 1 - p
    return max(0.0, 1 - sum(at))


def kind_of(line):
    """What became of a run, in words: the outcome and, where it fell short, why."""
    if line["outcome"] == "reached":
        return "reached"
    words = re.sub(r"[-+]?\d[\d.e+-]*", "#", line["message"])
    return f"{line['outcome']}: {words}" if words else line["outcome"]


def failed(line, statement):
    return bool(line.get(statement, {}).get("fails"))


def verdicts(lines):
    """Statement -> (runs it was tested in, failures, expected at most, chance, broken)."""
    result = {}
    for statement in ("a", "b"):
        tested = [line for line in lines if statement in line]
        failures = sum(failed(line, statement) for line in tested)
        probabilities = [line["failure"] for line in tested]
        chance = chance_of(probabilities, failures)
        result[statement.upper()] = (len(tested), failures, sum(probabilities), chance, chance < CHANCE)
    reached = [line for line in lines if line["outcome"] == "reached"]
    failures = sum(line["broken"] for line in reached)
    probabilities = [line["failure"] for line in reached]
    chance = chance_of(probabilities, failures)
    result["reached"] = (len(reached), failures, sum(probabilities), chance, chance < CHANCE)
    return result


def number(value):
    return "-" if value is None else f"{value:.1e}"


HEAD = ["answers", "family", "runs", "reached", "short", "worst error if reached", "wrong, mass within (A)",
        "(A) fails", "(B) fails", "broken", "died or threw"]  # fmt: skip


def row_of(answers, family, lines):
    reached = [line for line in lines if line["outcome"] == "reached"]
    errors = [line["relative_error"] for line in reached if line["relative_error"] is not None]
    crashed = sum(line["outcome"] in ("died", "threw") for line in lines)
    return [
        answers, family, len(lines), len(reached), len(lines) - len(reached) - crashed,
        number(max(errors, default=None)), sum(line["wrong"] and not line["broken"] for line in reached),
        sum(failed(line, "a") for line in lines), sum(failed(line, "b") for line in lines),
        sum(line["broken"] for line in reached), crashed,
    ]  # fmt: skip


def summary(lines):
    """The tables as text, and whether every promise is kept."""
    kinds = dict.fromkeys(line["answers"].split(":")[0] for line in lines)
    families = dict.fromkeys(line["family"] for line in lines)
    rows = []
    for kind in sorted(kinds):
        for family in sorted(families):
            those = [
                line for line in lines if line["answers"].split(":")[0] == kind and line["family"] == family
            ]
            if those:
                rows.append(row_of(kind, family, those))
    rows.append(row_of("all", "all", lines))
    text = [table(HEAD, rows), ""]

    ends = Counter(kind_of(line) for line in lines)
    text += [table(["runs", "how they ended"], [[n, kind] for kind, n in ends.most_common()]), ""]

    good = True
    for statement, (tested, failures, expected, chance, broken) in verdicts(lines).items():
        good = good and not broken
        text.append(
            f"{statement}: {failures} failures in {tested} runs; at most {expected:.1f} are promised, "
            f"so many or more come with a chance of {chance:.2g}: {'BROKEN' if broken else 'kept'}"
        )
    for line in lines:
        if line.get("broken"):
            text.append(f"  run {line['run']}: {line['family']}, {line['answers']}, failure {line['failure']}")
    beyond = sum(bool(line.get("b", {}).get("assumption_fails")) for line in lines)
    text.append(f"beyond the bound of (B), but steeper than it assumes: {beyond} runs")
    crashed = [line["run"] for line in lines if line["outcome"] in ("died", "threw")]
    if crashed:
        good = False
        text.append(f"died or threw: runs {crashed}")
    return "\n".join(text), good


def known(path):
    """The lines of an earlier trial; one that was cut off in the middle does not count."""
    lines = []
    if path and path.exists():
        for text in path.read_text().splitlines():
            try:
                lines.append(json.loads(text))
            except json.JSONDecodeError:
                pass
    return lines


def main():
    parser = argparse.ArgumentParser(prog="./dev trial", description=__doc__.split("\n")[0])
    parser.add_argument("runs", type=int, help="how many targets")
    parser.add_argument("--first", type=int, default=0, help="number of the first run (0)")
    parser.add_argument("--program", type=Path, required=True, help="crease_trial")
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time (1)")
    parser.add_argument("--exact", action="store_true", help="exact answers only")
    parser.add_argument("--out", type=Path, help="JSON lines: read first, appended to")
    arguments = parser.parse_args()
    if arguments.runs < 1:
        parser.error("expected at least one run")

    wanted = range(arguments.first, arguments.first + arguments.runs)
    program = [arguments.program, *(["--exact"] if arguments.exact else [])]
    lines = {line["run"]: line for line in known(arguments.out) if line["run"] in wanted}
    missing = [run for run in wanted if run not in lines]
    pieces = []  # first and count of neighbours, a process each
    for run in missing:
        if pieces and run == sum(pieces[-1]) and pieces[-1][1] < AT_ONCE:
            pieces[-1][1] += 1
        else:
            pieces.append([run, 1])
    copy = arguments.out.open("a") if arguments.out else None
    if copy and copy.tell() > 0:
        copy.write("\n")  # after a line that was cut off; an empty one is skipped
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        for done in pool.map(lambda piece: run_some(program, *piece), pieces):
            for line in done:
                lines[line["run"]] = line
                if copy:
                    print(json.dumps(line), file=copy, flush=True)
            print(f"{len(lines)} of {arguments.runs}", file=sys.stderr, end="\r", flush=True)
    text, good = summary([lines[run] for run in wanted])
    print(text)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
