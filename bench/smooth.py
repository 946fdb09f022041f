#!/usr/bin/python3
"""Learns planted smooth networks from queries, and holds what came out against the specification's tables.

Behind `./dev bench smooth`. One JSON line a run (that of crease_smooth, with the `table` it belongs to, and
`prototype` or `adam` where those ran on the very same network, one thread each, in turn), then the tables in
Markdown and what they miss. The exit status is 1 where a limit is missed. Seconds are the processor's.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from rows import ONE_THREAD, lines_of, run_all, table, words_of  # noqa: E402

PAPER = "entangled"  # the table of the paper's own path, a reproduction: held against the prototype's alone
EXACT = 1e-12  # wanted sup error on the unit ball
CLEAR = 1e-6  # that of a success in the specification's tables

# (d, m0), d/m0/m1 with the shifts' deviation, and the specification's queries and successes where it has them.
ONE_LAYER = [(10, 8), (20, 20), (20, 60), (30, 30), (50, 50), (30, 150)]
TWO_LAYERS = [
    dict(inputs=10, neurons=10, second_layer=3, shifts=0.05, queries=14000),
    dict(inputs=20, neurons=15, second_layer=5, shifts=0.2, queries=28000),
    dict(inputs=20, neurons=20, second_layer=5, shifts=1.0, queries=46000),
    dict(inputs=20, neurons=20, second_layer=10, shifts=0.05, queries=48000),
    dict(inputs=20, neurons=20, second_layer=5, shifts=0.05, first="sigmoid", directions="orthogonal", queries=47000),
    dict(inputs=10, neurons=10, second_layer=3, shifts=0.05, first="sigmoid", second="sigmoid"),
    dict(inputs=30, neurons=30, second_layer=6, shifts=0.05),
    dict(inputs=30, neurons=30, second_layer=15, shifts=0.05, queries=110000),
    dict(inputs=50, neurons=30, second_layer=6, shifts=0.05),
    dict(inputs=50, neurons=50, second_layer=10, shifts=0.05, queries=293000),
]  # fmt: skip
ENTANGLED = [("orthogonal", 10, 2), ("sphere", 10, 3), ("orthogonal", 20, 4), ("sphere", 20, 4)]  # directions, d = m0, m1
SIGMAS = (1e-6, 1e-4, 1e-3)


def rows_of(seeds, brief):
    rows = []

    def add(table, options, **more):
        rows.append({"table": table, "options": options, **more})

    large = {(50, 50), (30, 150)}
    for d, m in ONE_LAYER[: 3 if brief else None]:
        for seed in range(1 if (d, m) in large else seeds):
            add("one layer", dict(inputs=d, neurons=m, layers=1, seed=seed), prototype=(d, m) not in large)
    for first in ("sigmoid", "softplus", "gelu", "sin", "erf"):
        add("activations", dict(inputs=20, neurons=20, layers=1, first=first, seed=0), prototype=first == "sigmoid")
    for case in TWO_LAYERS[: 4 if brief else None]:
        options = {name: value for name, value in case.items() if name != "queries"}
        wide = case["inputs"] >= 30
        for seed in range(1 if wide else seeds):
            add("two layers", dict(options, layers=2, seed=seed), prototype=not (wide and seed), limit=case.get("queries"),
                adam=not brief and seed == 0 and case["second_layer"] in (3, 10) and case["inputs"] < 50)  # fmt: skip
    for directions, d, second in ENTANGLED:
        for seed in range(min(seeds, 3)):
            told = dict(inputs=d, neurons=d, second_layer=second, shifts=0.05, directions=directions, entangled=True, seed=seed)
            add(PAPER, told, prototype=True)
    for sigma in SIGMAS:
        for seed in range(min(seeds, 3)):
            told = dict(inputs=20, neurons=20, second_layer=5, shifts=0.05, noise=sigma, layers=2, seed=seed)
            add("noise", told, prototype=seed == 0)
            add("noise", dict(inputs=20, neurons=20, noise=sigma, layers=1, seed=seed))
    for layers in (1, 2):
        told = dict(inputs=20, neurons=20, format="float32", seed=0)
        add("single precision", dict(told, second_layer=5) if layers == 2 else told)
    for seed in range(min(seeds, 3)):
        add("layers not told", dict(inputs=20, neurons=20, seed=seed))
        add("layers not told", dict(inputs=20, neurons=20, second_layer=5, shifts=0.05, seed=seed))
    return rows


def peer(question):
    done = subprocess.run([sys.executable, HERE / "smooth_peers.py"], input=json.dumps(question), stdout=subprocess.PIPE,
                          text=True, env={**os.environ, **ONE_THREAD})  # fmt: skip
    return json.loads(done.stdout) if done.returncode == 0 else {"error": f"ended with {done.returncode}"}


def run_row(arguments, each, folder):
    file = folder / "target.npz"
    command = [arguments.program, *words_of(each["options"]), "--write", str(file)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **ONE_THREAD})
    if done.returncode != 0:
        return {"table": each["table"], **each["options"], "outcome": "died", "seconds": None, "ball_error": None}
    line = {"table": each["table"], "limit": each.get("limit"), **json.loads(done.stdout)}
    known = {name: line[name] for name in ("first", "second", "noise", "seed", "entangled")}
    if each.get("prototype") and arguments.prototypes:
        line["prototype"] = peer(dict(known, ask="prototype", folder=str(arguments.prototypes), file=str(file)))
    if each.get("adam"):
        line["adam"] = {
            str(width): peer(dict(known, ask="adam", file=str(file), width=width, queries=line["queries"], seconds=arguments.adam))
            for width in (1, 4)
        }  # fmt: skip
    return line


def is_right(line):
    return line["ball_error"] is not None and line["ball_error"] <= CLEAR


def misses_of_paper(name, group, missed):
    peers = [line["prototype"] for line in group if "prototype" in line]
    ours = sum(is_right(line) for line in group if "prototype" in line)
    theirs = sum(each.get("ball_error") is not None and each["ball_error"] <= CLEAR for each in peers)
    if ours < theirs:
        missed.append(f"{name}, the paper's path: {ours} of {len(peers)} within {CLEAR:g}, {theirs} of the prototype's")
    for line in group:
        if line["outcome"] == "reached" and not is_right(line):
            missed.append(f"{name}, the paper's path: seed {line['seed']} says reached at a ball error of {short(line['ball_error'])}")


def short(value):
    return "-" if value is None else f"{value:.0e}"


def name_of(line):
    sizes = "/".join(str(line[name]) for name in ("inputs", "neurons", "second_layer") if line[name])
    activations = line["first"] + (f", {line['second']}" if line["second_layer"] else "")
    return f"{line['directions']} {sizes}, shifts {line['shifts']:g}, {activations}"


def seconds_of(runs):
    known = [run["seconds"] for run in runs if run.get("seconds") is not None]
    return f"{median(known):.2f}" if known else "-"


def table_of(title, lines, missed):
    head = ("network", "answers", "found", "ball error, worst", "queries", "seconds", "prototype: ball error", "queries", "seconds", "ratio")
    groups, rows = {}, []
    for line in lines:
        answers = f"sigma {line['noise']:g}" if line["noise"] else line["format"]
        groups.setdefault((name_of(line), answers), []).append(line)
    for (name, answers), group in groups.items():
        exact = answers == "float64"
        wanted = EXACT if exact else None
        right = [line for line in group if line["ball_error"] is not None and (not exact or line["ball_error"] <= CLEAR)
                 and (line["found"], line["found_second"]) == (line["neurons"], line["second_layer"])]  # fmt: skip
        worst = max(line["ball_error"] for line in group) if all(line["ball_error"] is not None for line in group) else None
        peers = [line["prototype"] for line in group if "prototype" in line]
        sound = [each for each in peers if each.get("ball_error") is not None]
        ratios = [line["seconds"] / line["prototype"]["seconds"] for line in group
                  if line["seconds"] and line.get("prototype", {}).get("seconds")]  # fmt: skip
        queries = sorted(line["queries"] for line in group if line.get("queries"))
        paper = group[0]["table"] == PAPER
        if paper:
            misses_of_paper(name, group, missed)
        elif len(right) < len(group):
            missed.append(f"{name}, {answers}: {len(right)} of {len(group)} with the right numbers of neurons")
        if not paper and wanted and (worst is None or worst > wanted):
            missed.append(f"{name}: ball error {short(worst)}, {wanted:g} wanted")
        limit = group[0].get("limit")
        if limit and queries and queries[-1] > limit:
            missed.append(f"{name}: {queries[-1]} queries, {limit} in the specification")
        if not paper and ratios and median(ratios) > 0.5:
            missed.append(f"{name}, {answers}: {median(ratios):.2f} of the prototype's time, 0.5 wanted")
        failed = f" ({len(peers) - len(sound)} failed)" if len(peers) > len(sound) else ""
        rows.append([
            name,
            answers,
            f"{len(right)}/{len(group)}",
            short(worst),
            queries[len(queries) // 2] if queries else "-",
            seconds_of(group),
            (" ".join(short(each["ball_error"]) for each in sound) or "-") + failed,
            max((each["queries"] for each in sound), default="-"),
            seconds_of(sound),
            f"{median(ratios):.2f}" if ratios else "-",
        ])  # fmt: skip
    return [f"\n**{title}**\n", table(head, rows, padded=False)]


def summary(lines):
    missed, text = [], []
    for title in dict.fromkeys(line["table"] for line in lines):
        text += table_of(title, [line for line in lines if line["table"] == title], missed)
    adam = [line for line in lines if "adam" in line]
    if adam:
        text.append("\n**Adam on as many Gaussian points as we asked for (float64, batches of 1024): ball error after its seconds**\n")
        rows = []
        for line in adam:
            one, four = line["adam"]["1"], line["adam"]["4"]
            rows.append((name_of(line), short(line["ball_error"]), f"{line['seconds']:.2f}", short(one.get("ball_error")),
                         short(four.get("ball_error")), f"{one.get('seconds', 0):.0f}"))  # fmt: skip
            for each in (one, four):
                if each.get("ball_error") is not None and each["ball_error"] <= line["ball_error"]:
                    missed.append(f"{name_of(line)}: Adam is as exact")
        text.append(table(("network", "ours", "seconds", "Adam, same widths", "Adam, 4 times", "seconds"), rows, padded=False))
    text += ["", "Missed:"] + [f"- {each}" for each in missed] if missed else ["", "Nothing missed."]
    return "\n".join(text), not missed


def main():
    parser = argparse.ArgumentParser(prog="./dev bench smooth", description=__doc__.split("\n")[0])
    parser.add_argument("--program", help="crease_smooth (./dev bench smooth gives it)")
    parser.add_argument("--seeds", type=int, default=3, help="seeds 0 .. N-1 (3)")
    parser.add_argument("--brief", action="store_true", help="fewer sizes, no Adam")
    parser.add_argument("--adam", type=float, default=30, help="seconds of each of Adam's trainings (30)")
    parser.add_argument("--prototypes", type=Path, metavar="FOLDER", help="with smooth_hessians.py: run on the same networks")
    parser.add_argument("--tables", action="append", default=[], metavar="NAME", help="only these, e.g. noise; may be repeated")
    parser.add_argument("--from", dest="earlier", type=Path, metavar="FILE", help="the tables of JSON lines made earlier; nothing is run")
    parser.add_argument("--out", type=Path, help="the JSON lines go there as well")
    arguments = parser.parse_args()
    if arguments.seeds < 1:
        parser.error("--seeds must be at least 1")
    if arguments.earlier:
        lines = lines_of(arguments.earlier)
    else:
        if not arguments.program:
            parser.error("--program is needed")
        rows = [row for row in rows_of(arguments.seeds, arguments.brief) if not arguments.tables or row["table"] in arguments.tables]
        if not rows:
            parser.error("no rows of that name")
        with tempfile.TemporaryDirectory() as folder:
            lines = run_all(rows, lambda each: run_row(arguments, each, Path(folder)), arguments.out)
    text, good = summary(lines)
    print(text)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
