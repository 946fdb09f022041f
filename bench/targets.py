#!/usr/bin/python3
"""Learns networks with the program `crease`, measures what came out, holds it against limits.

Behind `./dev bench targets`: every network of a folder, or (--set) the rows of that name in limits.toml.
One JSON line a run: the report of `crease learn` with `target`, `per_parameter`, `true_relative_error`
and `largest_parameter_error` (of `crease verify`), `peak_rss_mb`; where answers are not exact
`answer_error` (relative rms error of one) and `ratio` (true relative error over it); with --reference the
prototype's `reference_seconds` and `reference_queries`. Then a table against limits.toml. The exit
status is 1 where a limit is missed, and where a run says `reached` and is not.
"""

import argparse
import array
import importlib.util
import json
import math
import os
import random
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from rows import ONE_THREAD, printer, table  # noqa: E402

ANSWER_POINTS = 2000  # the error of one answer is then known to about 2 %
PARAMETERS = ("weights", "biases", "hyperplanes", "scales")
DEFAULT_ACCURACY = 1e-8


def run_program(command, environment):
    """The exit status and the peak resident memory, in MB, of a command."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_maxrss / 1024


def accuracy_of(options):
    return float(options[options.index("--accuracy") + 1]) if "--accuracy" in options else DEFAULT_ACCURACY


def write_safetensors(path, name, shape, numbers):
    data = struct.pack(f"<{len(numbers)}d", *numbers)
    header = json.dumps({name: {"dtype": "F64", "shape": shape, "data_offsets": [0, len(data)]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)


def read_safetensors(path):
    """Shape and numbers of the one float64 tensor in a file."""
    raw = path.read_bytes()
    (length,) = struct.unpack_from("<Q", raw)
    (tensor,) = (v for k, v in json.loads(raw[8 : 8 + length]).items() if k != "__metadata__")
    return tensor["shape"], array.array("d", raw[8 + length :])


def answered(kind, value):
    """What a black box of that kind says for `value`; of noise: the value."""
    if kind == "float32":
        return struct.unpack("f", struct.pack("f", value))[0]
    if kind == "float16":
        return struct.unpack("e", struct.pack("e", value))[0]
    if kind.startswith("round:"):
        return round(value, int(kind[6:]))
    return value


def answer_error(arguments, target, inputs, kind, folder):
    """rms error of one answer, its squares summed over the outputs, at points of N(0, I)."""
    points, answers = folder / "points.safetensors", folder / "answers.safetensors"
    draw = random.Random(0)
    write_safetensors(
        points, "x", [ANSWER_POINTS, inputs], [draw.gauss(0, 1) for _ in range(ANSWER_POINTS * inputs)]
    )
    subprocess.run(
        [arguments.program, "evaluate", target, "--points", points, "--out", answers],
        stdout=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    (rows, outputs), values = read_safetensors(answers)
    if kind.startswith("noise:"):
        return float(kind[6:]) * math.sqrt(outputs)
    return math.sqrt(math.fsum((answered(kind, v) - v) ** 2 for v in values) / rows)


def learn(arguments, row, target, seed, folder):
    """One run: the JSON line as a dictionary."""
    environment = {**os.environ, **(ONE_THREAD if arguments.reference else {})}
    threads = ["--threads", "1"] if arguments.reference else arguments.threads
    learned, report = folder / "learned.safetensors", folder / "report.json"
    report.unlink(missing_ok=True)
    status, memory = run_program(
        [arguments.program, "learn", target, "--out", learned, "--report", report, "--quiet",
         "--seed", str(seed), "--device", arguments.device, *threads, *row["options"]],
        environment,
    )  # fmt: skip
    if not report.exists():
        return {"target": row["name"], "seed": seed, "outcome": "refused", "exit": status}
    line = {**json.loads(report.read_text()), "target": row["name"], "peak_rss_mb": round(memory, 1)}
    verified = json.loads(
        subprocess.run(
            [arguments.program, "verify", target, learned, "--json", "--samples", str(arguments.samples),
             *row.get("verify", [])],
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
    )  # fmt: skip
    parameters = verified["neurons"]["target"] * (line["inputs"] + 1)
    line["per_parameter"] = line["queries"]["learning"] / parameters if parameters else None
    line["total_per_parameter"] = line["queries"]["total"] / parameters if parameters else None
    line["true_relative_error"] = verified["relative_error"]
    if verified["relative_error"] is None:  # F is constant
        line["largest_error"] = verified["largest_error"]
    line["neurons_found"] = verified["neurons"]
    line["largest_parameter_error"] = verified["largest_parameter_error"]
    line["wrong"] = line["outcome"] == "reached" and error_of(line) > accuracy_of(row["options"])
    if row.get("answers") and verified["relative_error"]:
        deviation = verified["rms_error"] / verified["relative_error"]
        if "answer_error" not in row:  # of the target: the same for every seed
            row["answer_error"] = answer_error(arguments, target, line["inputs"], row["answers"], folder)
        line["answer_error"] = row["answer_error"] / deviation
        line["ratio"] = verified["relative_error"] / line["answer_error"] if line["answer_error"] else None
    return line


def error_of(line):
    error = line["true_relative_error"]
    return line["largest_error"] if error is None else error


def time_reference(script, target, seed):
    """In a process of its own: seconds and queries of the prototype's learn(), or null where it cannot."""
    sys.path.insert(0, str(Path(script).resolve().parent))
    spec = importlib.util.spec_from_file_location("reference", script)
    module = importlib.util.module_from_spec(spec)
    sys.modules["reference"] = module
    spec.loader.exec_module(module)
    import nets  # the prototypes' own reader, beside them

    net = nets.load(target)
    inputs, outputs = net["W"].shape[1], net["U"].shape[0]
    if hasattr(module, "Net"):
        if outputs > 1:
            return None, None
        oracle = module.Oracle(module.Net(net["W"], -net["b"], net["U"][0], net["A"][0], net["c"][0]))
        call = (oracle, inputs, seed)
    else:
        oracle = module.Oracle(net)
        call = (oracle, seed)
    start = time.perf_counter()
    module.learn(*call)
    return time.perf_counter() - start, oracle.n


def run_reference(arguments, target, seed):
    child = subprocess.run(
        [sys.executable, __file__, "--time-reference", arguments.reference, target, str(seed)],
        stdout=subprocess.PIPE,
        env={**os.environ, **ONE_THREAD},
    )
    if child.returncode != 0:
        return {"reference_seconds": None, "reference_queries": None}
    seconds, queries = json.loads(child.stdout.splitlines()[-1])
    return {"reference_seconds": seconds, "reference_queries": queries}


def rounds_of(line):
    return line.get("learning_rounds", line["rounds"])


def judge(lines, limits):
    """One row of the table, and what it misses."""
    runs = [line for line in lines if line["outcome"] != "refused"]
    outcomes = sorted({line["outcome"] for line in lines})
    counts = [f"{sum(line['outcome'] == o for line in lines)} {o}" for o in outcomes]
    missed = ["refused"] if len(runs) < len(lines) else []
    if not runs:
        return [lines[0]["target"], *["-"] * 12, ", ".join(counts)], missed

    shares = [line["per_parameter"] for line in runs if line["per_parameter"] is not None]
    median, worst = (statistics.median(shares), max(shares)) if shares else (None, None)
    error = max(error_of(line) for line in runs)
    rounds = statistics.median(rounds_of(line) for line in runs)
    seconds = statistics.median(line["seconds"]["total"] for line in runs)
    references = [line["reference_seconds"] for line in runs if line.get("reference_seconds")]
    ratio = seconds / statistics.median(references) if references else None
    memory = max(line["peak_rss_mb"] for line in runs)
    ratios = [line["ratio"] for line in runs if line.get("ratio") is not None]
    ratio_of_errors = max(ratios, default=None)
    totals = [line["total_per_parameter"] for line in runs if line["total_per_parameter"] is not None]
    missing = max(line["neurons_found"]["missing"] for line in runs)
    parameters = {
        name: max(line["largest_parameter_error"][name] for line in runs) for name in PARAMETERS
    }

    def beyond(name, value, limit):
        if limit is not None and value is not None and not value <= limit:
            missed.append(f"{name} {value:.3g} > {limit:.3g}")

    queries = limits.get("per_parameter")
    beyond("error", error, limits.get("error"))
    beyond("ratio", ratio_of_errors, limits.get("ratio"))
    beyond("missing", missing, limits.get("missing"))
    beyond("median total", statistics.median(totals) if totals else None, limits.get("total"))
    for name in PARAMETERS:  # powers of two
        beyond(name, bits(parameters[name]), limits.get(name))
    beyond("median queries", median, queries)
    beyond("worst queries", worst, queries and queries * limits.get("worst", 1.5))
    beyond("rounds", rounds, limits.get("rounds"))
    beyond("memory", memory, limits.get("memory_mb"))
    beyond("time/reference", ratio, limits.get("reference"))
    if any(line["wrong"] for line in runs):
        missed.append("reached, and wrong")

    def show(value, form):
        return "-" if value is None else format(value, form)

    found = min(line["neurons_found"]["matched"] + line["neurons_found"]["merged"] for line in runs)
    return [
        lines[0]["target"], show(median, ".3f"), show(worst, ".3f"),
        show(statistics.median(totals) if totals else None, ".3f"), f"{error:.1e}",
        show(ratio_of_errors, ".2f"), f"{found} of {runs[0]['neurons_found']['target']}",
        " ".join(show(bits(parameters[name]), ".1f") for name in PARAMETERS), f"{rounds:g}", f"{seconds:.2f}", show(ratio, ".2f"), f"{memory:.0f}", ", ".join(counts),
    ], missed  # fmt: skip


def bits(error):
    """Its power of two; an error of 0 is below every other."""
    return math.log2(error) if error > 0 else -math.inf


HEAD = ["target", "median q", "worst q", "total q", "worst error", "ratio", "found", "log2 of W b hp sc",
        "rounds", "seconds", "of ref", "MB", "outcomes", "limits"]  # fmt: skip
LIMITS = {"error", "ratio", "per_parameter", "total", "missing", *PARAMETERS}


def summary(lines, limits):
    """The table as text, and whether every limit holds; `limits` by the target's name."""
    rows, good = [], True
    for target in dict.fromkeys(line["target"] for line in lines):
        of_target = limits.get(target, {})
        row, missed = judge([line for line in lines if line["target"] == target], of_target)
        good = good and not missed
        rows.append(row + ["; ".join(missed) or ("pass" if LIMITS & set(of_target) else "none set")])
    return table(HEAD, rows), good


def rows_of_folder(folder, limits):
    """Every network of the folder, with the limits of its name."""
    return [
        {"name": path.stem, "path": path, "options": [], **limits.get(path.stem, {})}
        for path in sorted(folder.glob("*.safetensors"))
    ]


def rows_of_set(listed, folder):
    """The rows of a set; one for each kind of answers. A file is looked for in the folder, then in ours."""
    rows = []
    for each in listed:
        name = each.get("name") or each["target"]
        row = {"options": [], **each}
        if "target" in each:
            paths = [place / f"{each['target']}.safetensors" for place in (folder, HERE / "targets")]
            row["path"] = next((path for path in paths if path.exists()), None)
            if row["path"] is None:
                print(f"{name}: {paths[0]} is not there: left out", file=sys.stderr)
                continue
        kinds = each.get("answers", [])
        for kind in kinds:
            named = {"name": f"{name} {kind}", "answers": kind}
            rows.append({**row, **named, "options": ["--answers", kind, *row["options"]]})
        if not kinds:
            rows.append({**row, "name": name})
    return rows


def network_of(arguments, row, folder):
    """The file of a row; one of a family is made."""
    if "path" in row:
        return row["path"]
    made = folder / "made.safetensors"
    subprocess.run(
        [arguments.program, "make", *row["make"], "--out", made], stdout=subprocess.DEVNULL, check=True
    )
    return made


def parse():
    parser = argparse.ArgumentParser(prog="./dev bench targets", description=__doc__.split("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=HERE / "targets")
    parser.add_argument("--program", type=Path, required=True, help="the program `crease`")
    parser.add_argument("--set", default="exact", help="exact: all of FOLDER; else rows of limits.toml (exact)")
    parser.add_argument("--seeds", type=int, default=1, help="seeds 0 .. N-1 (1)")
    parser.add_argument("--only", action="append", default=[], help="a target's name; may be repeated")
    parser.add_argument("--reference", help="a numpy prototype to time on the same targets, one thread each")
    parser.add_argument("--device", default="cpu", help="as of `crease learn` (cpu)")
    parser.add_argument("--threads", type=lambda n: ["--threads", n], default=[], help="(all cores)")
    parser.add_argument("--samples", type=int, default=100000, help="of `crease verify` (100000)")
    parser.add_argument("--limits", type=Path, default=HERE / "limits.toml")
    parser.add_argument("--out", type=Path, help="the JSON lines go there as well")
    arguments = parser.parse_args()
    if arguments.seeds < 1:
        parser.error("--seeds must be at least 1")
    return parser, arguments


def main():
    if sys.argv[1:2] == ["--time-reference"]:
        script, target, seed = sys.argv[2:]
        print(json.dumps(time_reference(script, target, int(seed))))
        return 0
    parser, arguments = parse()
    limits = tomllib.loads(arguments.limits.read_text())
    if arguments.set == "exact":
        rows = rows_of_folder(arguments.folder, {k: v for k, v in limits.items() if isinstance(v, dict)})
    elif isinstance(limits.get(arguments.set), list):
        rows = rows_of_set(limits[arguments.set], arguments.folder)
    else:
        sets = ["exact", *(name for name, value in limits.items() if isinstance(value, list))]
        parser.error(f"--set {arguments.set}: expected one of {', '.join(sets)}")
    if arguments.only:
        rows = [row for row in rows if {row["name"], row["name"].split(" ")[0]} & set(arguments.only)]
    if not rows:
        parser.error(f"no *.safetensors to learn in {arguments.folder}")

    lines = []
    print_line = printer(arguments.out)
    with tempfile.TemporaryDirectory() as folder:
        for row in rows:
            target = network_of(arguments, row, Path(folder))
            for seed in range(arguments.seeds):
                line = learn(arguments, row, target, seed, Path(folder))
                if arguments.reference:
                    line.update(run_reference(arguments, target, seed))
                lines.append(line)
                print_line(line)
    text, good = summary(lines, {row["name"]: row for row in rows})
    print("\n" + text)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
