#!/usr/bin/python3
"""Learns planted networks from examples alone, and holds what came out against the specification's tables.

Behind `./dev bench samples`. One JSON line a run (that of crease_samples, with the `table` it belongs to, and
`prototype` or `adam` where those ran on the very same examples, one thread each, in turn), then the tables in
Markdown and what they miss. The exit status is 1 where a limit is missed. Seconds are the processor's.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
EXACT = 1e-10  # largest parameter error of an exact one, and what "the same error" is for those below it
WORST = 1e-11  # ... that of the exact ones may not exceed
NOISE = 1.05  # times the error from the truth
TIME = 0.5  # times the prototype's
NARROW = 1e-3  # relative L2 error of a success
NARROW_NOISE = 1.15  # times sigma sqrt(k d / n)
SAME = 1.05  # Adam is there at so many times our error

SIZES = [(5, 5, 10), (10, 8, 20), (20, 20, 50), (3, 8, 20)]  # outputs, neurons, inputs
FEW = (1, 2, 4)  # times kd rows
MANY = (2000, 10000, 50000)
# Exact of five seeds at n = kd, 2kd, 4kd, 2e3, 1e4, 5e4; None: not in the table.
EXACT_COUNTS = {
    (5, 5, 10): (4, 5, 5, 5, 5, 5),
    (10, 8, 20): (5, 5, 5, 5, 5, 5),
    (20, 20, 50): (5, 5, 5, 5, 5, 5),
    (3, 8, 20): (2, 4, 5, 5, 5, 5),
    (2, 5, 10): (0, 5, 5, 5, 5, 5),
    (1, 3, 10): (None, None, None, 4, 5, 5),
}
# Neurons and seeds of the narrow table by inputs; successes wanted at n = 3kd and 4kd, of 64.
NARROW_SIZES = {10: ((2, 3, 4, 6), 10), 20: ((2, 4, 6), 5), 50: ((2, 4, 6), 3)}
NARROW_COUNTS = {3: 60, 4: 63}
NARROW_RUNS = 64
BLIND = [("blind2", 4, 50, 2000, 3), ("blind2", 4, 50, 10000, 3), ("blind2", 4, 50, 40000, 3),
         ("blind4", 6, 20, 1000, 2), ("blind4", 6, 20, 10000, 3), ("blind4", 6, 20, 100000, 3)]  # fmt: skip
PAIRS = {0.1: EXACT, 0.01: NARROW, 0.001: NARROW}  # angle -> the largest relative L2 error


def row(table, outputs, neurons, inputs, rows, seed, **more):
    options = {"outputs": outputs, "neurons": neurons, "inputs": inputs, "rows": rows, "seed": seed, **more}
    return {"table": table, "options": options, "prototype": True}


def exact_rows(seeds, brief):
    made = []
    for size, counts in EXACT_COUNTS.items():
        outputs, neurons, inputs = size
        several = [] if counts[0] is None else [f * neurons * inputs for f in FEW]
        for n in dict.fromkeys(several + list(MANY[: 1 if brief else None])):
            for seed in range(seeds):
                made.append(row("exact", *size, n, seed, held_out=0))
                # What a user of the learner gets who tells it nothing.
                made.append({**row("exact, held out", *size, n, seed), "prototype": False})
    return made


def noise_rows(seeds, brief):
    made = []
    for size in SIZES[:2] if brief else SIZES:
        for noise in (1e-2, 1e-1) if brief else (1e-3, 1e-2, 1e-1, 1.0):
            for n in (5000, 20000) if brief else (5000, 20000, 80000):
                for seed in range(min(seeds, 3)):
                    each = row("noise", *size, n, seed, noise=noise, held_out=0, from_truth=True)
                    # The prototype takes ten seconds of these at 20 neurons: once, and not everywhere.
                    many = size[1] == 20 and n > 20000 and noise not in (1e-2, 1.0)
                    made.append({**each, "prototype": seed == 0 and not many})
    return made


def gross_rows(brief):
    made = []
    for size in SIZES[:2] if brief else (SIZES[0], SIZES[1], SIZES[3]):
        for gross_size in (10.0, 100.0):
            for noise in (0.0, 0.01):
                errors = {"gross": 0.05, "gross_size": gross_size, "noise": noise, "held_out": 0}
                made.append(row("gross", *size, 20000, 0, **errors, robust=True, from_truth=noise > 0))
        plain = row("gross", *size, 20000, 0, gross=0.05, gross_size=10.0, held_out=0)
        made.append({**plain, "prototype": False})
    for share in () if brief else (0.1, 0.15, 0.2, 0.3):
        made.append(row("gross", 10, 8, 20, 20000, 0, gross=share, robust=True, held_out=0))
    return made


def power_rows(brief):
    return [
        row("powers", *size, 20000, 0, power=power, noise=noise, held_out=0, from_truth=noise > 0)
        for power in (2.0, 0.5)
        for size in (SIZES[:1] if brief else (SIZES[0], SIZES[1], SIZES[3]))
        for noise in (0.0, 0.01)
    ]


def input_rows(brief):
    changes = [{"input": "covariance"}, {"input": "uniform"}, {"input": "laplace"}, {"input": "t5"}, {"input": "signs"},
               {"input": "shifted"}, {"condition": 1e4}, {"condition": 1e8}, {"rank": 5}]  # fmt: skip
    return [row("inputs", 10, 8, 20, 20000, 0, held_out=0, **c) for c in changes[: 3 if brief else None]]


def narrow_row(table, family, neurons, inputs, rows, seed, **more):
    return row(table, 1, neurons, inputs, rows, seed, family=family, **more)


def narrow_rows(seeds, brief):
    made = []
    for inputs, (widths, count) in NARROW_SIZES.items():
        if brief and inputs == 50:
            continue
        for neurons in widths:
            for times in NARROW_COUNTS:
                for seed in range(min(count, seeds) if brief or seeds != 5 else count):
                    made.append(narrow_row("narrow", "mixed", neurons, inputs, times * neurons * inputs, seed))
    for family, neurons, inputs, rows, _ in BLIND[: 1 if brief else None]:
        made += [narrow_row("blind", family, neurons, inputs, rows, seed) for seed in range(3)]
    for family in ("same", "cancel"):
        for angle in list(PAIRS)[: 1 if brief else None]:
            made += [narrow_row("pairs", family, 4, 20, 20000, seed, angle=angle) for seed in range(4)]
    for neurons, inputs in ((2, 10),) if brief else ((2, 10), (4, 20)):
        for noise in (0.1, 0.5):
            for n in (4000, 20000):
                for seed in range(3):
                    made.append(narrow_row("narrow noise", "mixed", neurons, inputs, n, seed, noise=noise, from_truth=True))
    return made


def peer_rows(brief):
    made = [row("peers", *size, 20000, 0, noise=noise, held_out=0) for size in (SIZES[:2] if brief else SIZES) for noise in (0.0, 0.1)]
    if not brief:
        made += [row("peers", 2, 8, 20, 20000, 0, held_out=0), row("peers", 1, 5, 10, 50000, 0, held_out=0),
                 row("peers", 10, 8, 20, 640, 0, held_out=0)]  # fmt: skip
    narrow = [("mixed", 4, 20, 320, 0), ("mixed", 2, 10, 600, 0), ("mixed", 4, 20, 2400, 0), ("mixed", 6, 50, 9000, 0),
              ("same", 4, 20, 20000, 0.1), ("cancel", 4, 20, 20000, 0.01), ("blind2", 4, 20, 10000, 0), ("blind4", 6, 20, 100000, 0)]  # fmt: skip
    for family, neurons, inputs, n, angle in narrow[: 1 if brief else None]:
        made.append(narrow_row("peers", family, neurons, inputs, n, 0, **({"angle": angle} if angle else {})))
    return [{**each, "prototype": False, "adam": True} for each in made]


def rows_of(chosen, seeds, brief):
    made = []
    if chosen in (None, "two-layer"):
        made += exact_rows(seeds, brief) + noise_rows(seeds, brief) + gross_rows(brief) + power_rows(brief) + input_rows(brief)
    if chosen in (None, "narrow"):
        made += narrow_rows(seeds, brief)
    if chosen in (None, "peers"):
        made += peer_rows(brief)
    return made


class Peers:
    """samples_peers.py, started where it is first asked."""

    def __init__(self):
        self.process = None

    def ask(self, **question):
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, HERE / "samples_peers.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                text=True, env={**os.environ, **ONE_THREAD},
            )  # fmt: skip
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            status, self.process = self.process.wait(), None
            return {"error": f"ended with {status}"}
        return json.loads(answer)

    def end(self):
        if self.process:
            self.process.stdin.close()
            self.process.wait()


def words_of(options):
    """As crease_samples is told."""
    words = []
    for name, value in options.items():
        if value is not False:
            words += ["--" + name.replace("_", "-")] + ([] if value is True else [str(value)])
    return words


def run_row(arguments, peers, each, folder):
    file = folder / "examples.npz"
    prototype = each["prototype"] and arguments.prototypes
    asks = bool(prototype or each.get("adam"))
    command = [arguments.program, *words_of(each["options"]), *(["--write", file] if asks else [])]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **ONE_THREAD})
    if done.returncode != 0:
        line = {**each["options"], "outcome": "died", "message": f"exit status {done.returncode}", "seconds": None}
        return {"table": each["table"], **line}
    line = {"table": each["table"], **json.loads(done.stdout)}
    known = {name: line[name] for name in ("family", "neurons", "inputs", "noise", "power", "robust", "seed")}
    if prototype:
        line["prototype"] = peers.ask(ask="prototype", folder=str(arguments.prototypes), file=str(file), most=25, **known)
    if each.get("adam") and error_of(line) is not None:
        budgets = arguments.budgets or ([0.5, 2] if arguments.brief else [1, 4, 16])
        line["adam"] = {}
        for times in (1, 4):
            line["adam"][str(times)] = peers.ask(
                ask="adam", file=str(file), width=times * line["neurons"], seed=line["seed"], budgets=budgets,
                target=max(SAME * error_of(line), EXACT),
            )  # fmt: skip
    return line


def error_of(line):
    return line.get("relative_l2")


# --- the tables --------------------------------------------------------------------------------------------


def markdown(head, rows):
    cells = [[str(cell) for cell in each] for each in [head, *rows]]
    cells.insert(1, ["---"] * len(head))
    return "\n".join("| " + " | ".join(each) + " |" for each in cells)


def number(value, form=".0e"):
    return "-" if value is None else format(value, form)


def spread(values, form=".2f"):
    """The least and the most."""
    values = [value for value in values if value is not None]
    if not values:
        return "-"
    low, high = format(min(values), form), format(max(values), form)
    return low if low == high else f"{low} to {high}"


def size_of(line):
    return f"({line['outputs']},{line['neurons']},{line['inputs']})"


def groups(lines, key):
    found = {}
    for line in lines:
        found.setdefault(key(line), []).append(line)
    return found


def is_exact(error):
    return error is not None and error < EXACT


def time_ratio(lines):
    """Our seconds over the prototype's: the median; and all of them together."""
    both = [(line["seconds"], line["prototype"].get("seconds")) for line in lines if line.get("prototype") and line["seconds"]]
    both = [(ours, theirs) for ours, theirs in both if theirs]
    if not both:
        return None
    return statistics.median(ours / theirs for ours, theirs in both)


class Report:
    """Tables and what they miss."""

    def __init__(self):
        self.text, self.missed, self.runs = [], [], 0

    def add(self, title, head, rows):
        self.text += ["", f"**{title}**", "", markdown(head, rows)]

    def want(self, held, what):
        if not held:
            self.missed.append(what)
        return held

    def time(self, what, lines):
        ratio = time_ratio(lines)
        self.want(ratio is None or ratio <= TIME, f"{what}: {number(ratio, '.2f')} of the prototype's time, {TIME} wanted")
        return number(ratio, ".2f")


def died(lines, report):
    for line in lines:
        if line["outcome"] == "died":
            report.missed.append(f"{line['table']} {size_of(line)} n = {line['rows']} seed {line['seed']}: {line['message']}")


def exact_table(lines, report):
    rows = []
    for table in ("exact", "exact, held out"):
        for size, some in groups([line for line in lines if line["table"] == table], size_of).items():
            wanted = EXACT_COUNTS.get((some[0]["outputs"], some[0]["neurons"], some[0]["inputs"]), [None] * 6)
            cells = []
            columns = [f * some[0]["neurons"] * some[0]["inputs"] for f in FEW] + list(MANY)
            for n, of_five in zip(columns, wanted):
                here = [line for line in some if line["rows"] == n]
                if not here:
                    cells.append("-")
                    continue
                count = sum(is_exact(line.get("parameter_error")) for line in here)
                cell = f"{count}/{len(here)}"
                theirs = [line["prototype"] for line in here if line.get("prototype")]
                theirs = sum(is_exact(each.get("parameter_error")) for each in theirs) if theirs else None
                if theirs is not None:
                    cell += f" ({theirs})"
                if table == "exact" and of_five is not None:
                    least = of_five * len(here) // 5  # of other draws: no more than can be done with these
                    least = least if theirs is None else min(least, theirs)
                    report.want(count >= least, f"exact {size} n = {here[0]['rows']}: {cell}, {least} wanted")
                cells.append(cell)
            errors = [line["parameter_error"] for line in some if is_exact(line.get("parameter_error"))]
            if table == "exact" and errors:
                report.want(max(errors) <= WORST, f"exact {size}: error {max(errors):.0e}, {WORST:.0e} wanted")
            ratio = report.time(f"exact {size}", some) if table == "exact" else "-"
            theirs = [line["prototype"].get("seconds") for line in some if line.get("prototype")]
            rows.append([size, "a tenth" if "held" in table else "none", *cells, number(max(errors, default=None)),
                         spread([line["seconds"] for line in some], ".3f"), spread(theirs), ratio])  # fmt: skip
    head = ["(m,k,d)", "held out", *(f"n={c}kd" if c > 1 else "n=kd" for c in FEW), *(f"{n:.0e}" for n in MANY), "worst error",
            "seconds", "prototype's", "ratio, median"]  # fmt: skip
    report.add(f"Exact examples: parameter error below {EXACT:.0e} of so many seeds (the prototype's on the same examples)", head, rows)


def over_truth(line, which="parameter_error"):
    truth = line.get("from_truth", {}).get(which)
    return line[which] / truth if truth and line.get(which) is not None else None


def noise_table(lines, report):
    rows = []
    for (size, noise), some in groups(lines, lambda line: (size_of(line), line["noise"])).items():
        cells = []
        for n, here in groups(some, lambda line: line["rows"]).items():
            worst = max((over_truth(line) or math.inf) for line in here)
            report.want(worst <= NOISE, f"noise {size} sigma {noise:g} n = {n}: {worst:.3f} of the error from the truth, {NOISE} wanted")
            theirs = [line["prototype"].get("parameter_error") / line["from_truth"]["parameter_error"]
                      for line in here if line.get("prototype") and line["prototype"].get("parameter_error")]  # fmt: skip
            cells.append(f"{number(statistics.median(line.get('parameter_error') or math.inf for line in here), '.1e')}: {worst:.3f}"
                         + (f" ({max(theirs):.3f})" if theirs else "")
                         + f", {spread([line.get('scaled_error') for line in here], '.1f')}")  # fmt: skip
        rows.append([size, f"{noise:g}", "; ".join(cells), spread([line["seconds"] for line in some]),
                     spread([line["prototype"].get("seconds") for line in some if line.get("prototype")]),
                     report.time(f"noise {size} sigma {noise:g}", some)])  # fmt: skip
    counts = ", ".join(f"{n}" for n in groups(lines, lambda line: line["rows"]))
    head = ["(m,k,d)", "sigma", f"n = {counts}: median error: over that from the truth, worst (prototype's), error sqrt(n)/sigma",
            "seconds", "prototype's", "ratio"]  # fmt: skip
    report.add("Noise: parameter error, and over that of Gauss-Newton from the truth on the same examples", head, rows)


def errors_table(title, lines, report, describe, exact_wanted):
    """Rows of one run each."""
    rows = []
    for line in lines:
        what = f"{title} {size_of(line)} {describe(line)}"
        error, ratio = line.get("parameter_error"), over_truth(line)
        if exact_wanted(line) and line["noise"] == 0:
            report.want(is_exact(error), f"{what}: {line['outcome']}, error {number(error)}, below {EXACT:.0e} wanted")
        if ratio is not None or "from_truth" in line:
            report.want(ratio is not None and ratio <= NOISE, f"{what}: {number(ratio, '.3f')} of the error from the truth, {NOISE} wanted")
        theirs = line.get("prototype", {})
        rows.append([size_of(line), describe(line), number(line["noise"], "g"), number(error), number(ratio, ".3f"),
                     number(theirs.get("parameter_error")), number(line["seconds"], ".2f"), number(theirs.get("seconds"), ".2f"),
                     report.time(what, [line]), line["outcome"] + (f": {line['message']}" if line["outcome"] == "refused" else "")])  # fmt: skip
    head = ["(m,k,d)", "what", "sigma", "error", "over that from the truth", "prototype's error", "seconds", "prototype's", "ratio", "outcome"]
    report.add(title, head, rows)


def describe_gross(line):
    how = "robust" if line["robust"] else "plain least squares"
    return f"{100 * line['gross']:g} % x {line['gross_size']:g}, {how}"


def describe_inputs(line):
    if line["condition"]:
        return f"U of condition {line['condition']:g}"
    return f"U of rank {line['rank']}" if line["rank"] else f"inputs {line['input']}"


def narrow_cells(some, report, least=None, what=""):
    """Successes, errors and times of rows alike."""
    errors = [error_of(line) for line in some]
    count = sum(error is not None and error < NARROW for error in errors)
    theirs = [line["prototype"] for line in some if line.get("prototype")]
    cell = f"{count}/{len(some)}"
    if theirs:
        cell += f" ({sum((each.get('relative_l2') or math.inf) < NARROW for each in theirs)})"
    if least is not None:
        report.want(count >= least, f"{what}: {cell} below {NARROW:g}, {least} wanted")
    known = [math.inf if error is None else error for error in errors]
    return [cell, number(statistics.median(known), ".1e"), number(max(known), ".1e"), spread([line["seconds"] for line in some]),
            spread([each.get("seconds") for each in theirs]), number(time_ratio(some), ".2f")]  # fmt: skip


NARROW_HEAD = ["below 1e-3 (prototype's)", "median error", "worst", "seconds", "prototype's", "ratio, median"]


def narrow_table(lines, report):
    times = lambda line: line["rows"] // (line["neurons"] * line["inputs"])
    rows = []
    for (inputs, neurons, factor), some in groups(lines, lambda line: (line["inputs"], line["neurons"], times(line))).items():
        rows.append([neurons, inputs, f"{factor}kd", *narrow_cells(some, report)])
    for factor, some in groups(lines, times).items():
        least = NARROW_COUNTS[factor] * len(some) // NARROW_RUNS
        rows.append(["all", "all", f"{factor}kd", *narrow_cells(some, report, least, f"narrow, n = {factor}kd")])
    report.add("Narrow networks, signs mixed: relative L2 error on fresh points", ["k", "d", "n", *NARROW_HEAD], rows)


def blind_table(lines, report):
    wanted = {(family, inputs, n): count for family, _, inputs, n, count in BLIND}
    rows = []
    for key, some in groups(lines, lambda line: (line["family"], line["inputs"], line["rows"])).items():
        least = wanted.get(key, 0) * len(some) // 3
        rows.append([*key, *narrow_cells(some, report, least, f"{key[0]} d = {key[1]} n = {key[2]}")])
    report.add("Moments of order 2 (blind2), 2 and 4 (blind4) vanish", ["family", "d", "n", *NARROW_HEAD], rows)


def pairs_table(lines, report):
    rows = []
    for (family, angle), some in groups(lines, lambda line: (line["family"], line["angle"])).items():
        cells = narrow_cells(some, report)
        worst = max((error_of(line) or math.inf) if error_of(line) != 0 else 0 for line in some)
        report.want(worst <= PAIRS[angle], f"pair {family} at {angle:g}: error {worst:.0e}, {PAIRS[angle]:.0e} wanted")
        rows.append([family, f"{angle:g}", *cells])
    report.add("Two neurons at a small angle (k = 4, d = 20, n = 2e4)", ["outputs", "angle", *NARROW_HEAD], rows)


def root_mean_square(values):
    return math.sqrt(statistics.fmean(value * value for value in values))


def narrow_noise_table(lines, report):
    rows = []
    for (neurons, inputs, noise, n), some in groups(lines, lambda line: (line["neurons"], line["inputs"], line["noise"], line["rows"])).items():
        theory = noise * math.sqrt(neurons * inputs / n)
        ours = root_mean_square([math.inf if error_of(line) is None else error_of(line) for line in some])
        truth = root_mean_square([line["from_truth"]["relative_l2"] for line in some])
        # The examples of few seeds may be worse than the theory's mean: nobody can do better than they are.
        report.want(ours <= NARROW_NOISE * max(theory, truth),
                    f"narrow noise k = {neurons} d = {inputs} sigma {noise:g} n = {n}: {ours / theory:.2f} sigma sqrt(kd/n), from the truth {truth / theory:.2f}")  # fmt: skip
        theirs = [line["prototype"].get("relative_l2") for line in some if line.get("prototype")]
        theirs = root_mean_square(theirs) / theory if theirs and None not in theirs else None
        rows.append([neurons, inputs, f"{noise:g}", n, f"{ours:.1e}", f"{ours / theory:.2f}", f"{truth / theory:.2f}", number(theirs, ".2f"),
                     spread([line["seconds"] for line in some]), number(time_ratio(some), ".2f")])  # fmt: skip
    head = ["k", "d", "sigma", "n", "error, rms of the seeds", "over sigma sqrt(kd/n)", "from the truth", "prototype's", "seconds", "ratio"]
    report.add("Narrow networks under noise", head, rows)


def adam_cell(answer):
    """What Adam came to, and seconds to the same error, None where it never did."""
    if "tries" not in answer:
        return answer.get("error", "not measured"), None
    least = min(each["relative_l2"] for each in answer["tries"])
    seconds = answer["tries"][-1]["seconds"]
    return (f"{least:.0e} in {sum(each['budget'] for each in answer['tries']):g} s" if seconds is None else f"{seconds:.1f} s"), seconds


def peers_table(lines, report):
    rows = []
    for line in lines:
        if "adam" not in line:
            report.missed.append(f"peers {line.get('family', '')} {size_of(line)}: {line['outcome']}, nothing to compare")
            continue
        cells = []
        for times in ("1", "4"):
            text, seconds = adam_cell(line["adam"][times])
            cells.append(text)
            report.want(seconds is None or seconds > line["seconds"],
                        f"peers {line['family']} {size_of(line)} n = {line['rows']}: Adam of {times} times the width took {number(seconds, '.2f')} s, crease {line['seconds']:.2f} s")  # fmt: skip
        rows.append([line["family"], size_of(line), line["rows"], f"{line['noise']:g}", number(error_of(line)), f"{line['seconds']:.2f}", *cells])
    head = ["family", "(m,k,d)", "n", "sigma", "relative L2 error", "seconds", "Adam, k neurons", "Adam, 4k neurons"]
    report.add(f"Adam (float64, batches of {256}, cosine schedule, three budgets): seconds to the same error (at most {SAME:g} times ours; all below {EXACT:.0e} are the same), "
               "of the budget that came there; or its error at the end of all", head, rows)  # fmt: skip


def summary(lines):
    report = Report()
    died(lines, report)
    lines = [line for line in lines if line["outcome"] != "died"]
    of = lambda *tables: [line for line in lines if line["table"] in tables]
    robust = lambda line: line["robust"] and line["gross"] <= 0.15  # the prototype breaks down at 20 %
    tables = [
        (exact_table, of("exact", "exact, held out"), ()),
        (noise_table, of("noise"), ()),
        (lambda some, r: errors_table("Gross errors", some, r, describe_gross, robust), of("gross"), ()),
        (lambda some, r: errors_table("Powers", some, r, lambda line: f"max(z, 0)^{line['power']:g}", lambda line: True), of("powers"), ()),
        (lambda some, r: errors_table("Other inputs, other U", some, r, describe_inputs, lambda line: line["input"] != "shifted"), of("inputs"), ()),
        (narrow_table, of("narrow"), ()),
        (blind_table, of("blind"), ()),
        (pairs_table, of("pairs"), ()),
        (narrow_noise_table, of("narrow noise"), ()),
        (peers_table, of("peers"), ()),
    ]  # fmt: skip
    for table, some, _ in tables:
        if some:
            table(some, report)
    report.text += ["", "Missed:" if report.missed else "Every limit holds.", *(f"- {each}" for each in report.missed)]
    return "\n".join(report.text), not report.missed


def parse():
    parser = argparse.ArgumentParser(prog="./dev bench samples", description=__doc__.split("\n")[0])
    parser.add_argument("--program", help="crease_samples (./dev bench samples gives it)")
    parser.add_argument("--set", choices=("two-layer", "narrow", "peers"), help="of the tables (all)")
    parser.add_argument("--seeds", type=int, default=5, help="seeds 0 .. N-1 of exact ones, at most 3 under noise (5)")
    parser.add_argument("--brief", action="store_true", help="fewer sizes and kinds")
    parser.add_argument("--prototypes", type=Path, metavar="FOLDER", help="two_layer_samples.py and narrow_samples.py: run on the same examples")
    parser.add_argument("--budgets", type=float, nargs="+", help="seconds of Adam's trainings, tried in turn (1 4 16)")
    parser.add_argument("--tables", action="append", default=[], metavar="NAME", help="only these, e.g. exact; may be repeated")
    parser.add_argument("--from", dest="earlier", type=Path, metavar="FILE", help="the tables of JSON lines made earlier; nothing is run")
    parser.add_argument("--out", type=Path, help="the JSON lines go there as well")
    arguments = parser.parse_args()
    if arguments.seeds < 1:
        parser.error("--seeds must be at least 1")
    if not arguments.earlier and not arguments.program:
        parser.error("--program is needed")
    return parser, arguments


def main():
    parser, arguments = parse()
    if arguments.earlier:
        lines = [json.loads(text) for text in arguments.earlier.read_text().splitlines() if text.strip()]
    else:
        rows = rows_of(arguments.set, arguments.seeds, arguments.brief)
        if arguments.tables:
            rows = [each for each in rows if each["table"].split(",")[0] in arguments.tables]
        if not rows:
            parser.error("no rows of that name")
        lines, peers = [], Peers()
        copy = arguments.out.open("w") if arguments.out else None
        load, begun = os.getloadavg()[0], time.time()
        with tempfile.TemporaryDirectory() as folder:
            for each in rows:
                line = run_row(arguments, peers, each, Path(folder))
                lines.append(line)
                text = json.dumps(line)
                print(text, flush=True)
                if copy:
                    print(text, file=copy, flush=True)
        peers.end()
        print(f"\n{time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())}, one thread each, {len(lines)} rows in {time.time() - begun:.0f} seconds, "
              f"load {load:.1f} before, {os.getloadavg()[0]:.1f} after, {os.cpu_count()} cores")  # fmt: skip
    text, good = summary(lines)
    print(text)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
