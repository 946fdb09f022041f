"""The tables of `./dev bench samples` from its JSON lines, and what they miss."""

import math
import statistics

from rows import table as markdown
from samples_rows import (
    BLIND, EXACT, EXACT_COUNTS, FEW, MANY, NARROW, NARROW_COUNTS, NARROW_NOISE, NARROW_RUNS, NOISE, PAIRS, SAME, TIME, WORST,
)  # fmt: skip


def error_of(line):
    return line.get("relative_l2")


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
        self.text += ["", f"**{title}**", "", markdown(head, rows, padded=False)]

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
                     number(time_ratio([line]), ".2f"), line["message"] if line["outcome"] == "refused" else ""])  # fmt: skip
    rows.append(["all", "", "", "", "", "", "", "median", report.time(title, lines), ""])
    head = ["(m,k,d)", "what", "sigma", "error", "over that from the truth", "prototype's error", "seconds", "prototype's", "ratio", "refused"]
    report.add(title, head, rows)


def describe_gross(line):
    how = "robust" if line["robust"] else "plain least squares"
    return f"{100 * line['gross']:g} % x {line['gross_size']:g}, {how}"


def describe_power(line):
    return f"max(z, 0)^{line['power']:g}"


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
        worst = max(math.inf if error_of(line) is None else error_of(line) for line in some)
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
    report.add("Adam (float64, batches of 256, cosine schedule over a budget, from 1/8 to 8 seconds): seconds to the same error "
               f"(at most {SAME:g} times ours; all below {EXACT:.0e} are the same) with the first budget that came there; or the least error of all", head, rows)  # fmt: skip


def summary(lines):
    report = Report()
    died(lines, report)
    lines = [line for line in lines if line["outcome"] != "died"]
    of = lambda *tables: [line for line in lines if line["table"] in tables]
    centred = lambda line: line["input"] != "shifted"  # moments are those of centred inputs
    robust = lambda line: line["robust"] and line["gross"] <= 0.15  # the prototype breaks down at 20 %
    tables = [
        (exact_table, of("exact", "exact, held out")),
        (noise_table, of("noise")),
        (lambda some, r: errors_table("Gross errors", some, r, describe_gross, robust), of("gross")),
        (lambda some, r: errors_table("Powers", some, r, describe_power, lambda line: True), of("powers")),
        (lambda some, r: errors_table("Other inputs, other U", some, r, describe_inputs, centred), of("inputs")),
        (narrow_table, of("narrow")),
        (blind_table, of("blind")),
        (pairs_table, of("pairs")),
        (narrow_noise_table, of("narrow noise")),
        (peers_table, of("peers")),
    ]  # fmt: skip
    for table, some in tables:
        if some:
            table(some, report)
    report.text += ["", "Missed:" if report.missed else "Every limit holds.", *(f"- {each}" for each in report.missed)]
    return "\n".join(report.text), not report.missed
