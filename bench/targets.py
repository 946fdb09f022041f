#!/usr/bin/python3
"""Learns every network of a folder with the program `crease`, measures what came out, holds it against limits.

Behind `./dev bench targets`. One JSON line a run: the report of `crease learn` with `target`,
`per_parameter`, `true_relative_error` and `largest_parameter_error` (of `crease verify`), `peak_rss_mb`,
and with --reference the prototype's `reference_seconds` and `reference_queries`. Then a table of the
targets against limits.toml. The exit status is 1 where a limit is missed, and where a run says
`reached` and is not.
"""

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
DEFAULT_ACCURACY = 1e-8


def run_program(command, environment):
    """The exit status and the peak resident memory, in MB, of a command."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_maxrss / 1024


def accuracy_of(options):
    return float(options[options.index("--accuracy") + 1]) if "--accuracy" in options else DEFAULT_ACCURACY


def learn(arguments, target, seed, options, folder):
    """One run: the JSON line as a dictionary."""
    environment = {**os.environ, **(ONE_THREAD if arguments.reference else {})}
    threads = ["--threads", "1"] if arguments.reference else arguments.threads
    learned, report = folder / "learned.safetensors", folder / "report.json"
    report.unlink(missing_ok=True)
    status, memory = run_program(
        [arguments.program, "learn", target, "--out", learned, "--report", report, "--quiet",
         "--seed", str(seed), "--device", arguments.device, *threads, *options],
        environment,
    )  # fmt: skip
    if not report.exists():
        return {"target": target.stem, "seed": seed, "outcome": "refused", "exit": status}
    line = {"target": target.stem, **json.loads(report.read_text()), "peak_rss_mb": round(memory, 1)}
    verified = json.loads(
        subprocess.run(
            [arguments.program, "verify", target, learned, "--json", "--samples", str(arguments.samples)],
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
    )
    parameters = verified["neurons"]["target"] * (line["inputs"] + 1)
    line["per_parameter"] = line["queries"]["learning"] / parameters if parameters else None
    line["true_relative_error"] = verified["relative_error"]
    if verified["relative_error"] is None:  # F is constant
        line["largest_error"] = verified["largest_error"]
    line["neurons_found"] = verified["neurons"]
    line["largest_parameter_error"] = verified["largest_parameter_error"]
    line["wrong"] = line["outcome"] == "reached" and error_of(line) > accuracy_of(options)
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
        return [lines[0]["target"], *["-"] * 8, ", ".join(counts)], missed

    shares = [line["per_parameter"] for line in runs if line["per_parameter"] is not None]
    median, worst = (statistics.median(shares), max(shares)) if shares else (None, None)
    error = max(error_of(line) for line in runs)
    rounds = statistics.median(rounds_of(line) for line in runs)
    seconds = statistics.median(line["seconds"]["total"] for line in runs)
    references = [line["reference_seconds"] for line in runs if line.get("reference_seconds")]
    ratio = seconds / statistics.median(references) if references else None
    memory = max(line["peak_rss_mb"] for line in runs)
    hyperplanes = max(line["largest_parameter_error"]["hyperplanes"] for line in runs)

    def beyond(name, value, limit):
        if limit is not None and value is not None and not value <= limit:
            missed.append(f"{name} {value:.3g} > {limit:.3g}")

    queries = limits.get("per_parameter")
    beyond("error", error, limits.get("error"))
    beyond("median queries", median, queries)
    beyond("worst queries", worst, queries and queries * limits.get("worst", 1.5))
    beyond("rounds", rounds, limits.get("rounds"))
    beyond("memory", memory, limits.get("memory_mb"))
    beyond("time/reference", ratio, limits.get("reference"))
    if any(line["wrong"] for line in runs):
        missed.append("reached, and wrong")

    def show(value, form):
        return "-" if value is None else format(value, form)

    return [
        lines[0]["target"], show(median, ".3f"), show(worst, ".3f"), f"{error:.1e}", f"{hyperplanes:.1e}",
        f"{rounds:g}", f"{seconds:.2f}", show(ratio, ".2f"), f"{memory:.0f}", ", ".join(counts),
    ], missed  # fmt: skip


HEAD = ["target", "median q", "worst q", "worst error", "hyperplanes", "rounds", "seconds", "of ref",
        "MB", "outcomes", "limits"]  # fmt: skip


def summary(lines, limits):
    """The table as text, and whether every limit holds."""
    rows, good = [], True
    for target in dict.fromkeys(line["target"] for line in lines):
        of_target = limits.get(target, {})
        row, missed = judge([line for line in lines if line["target"] == target], of_target)
        good = good and not missed
        rows.append(row + ["; ".join(missed) or ("pass" if "error" in of_target else "none set")])
    widths = [max(len(row[i]) for row in [HEAD, *rows]) for i in range(len(HEAD))]
    rule = ["-" * width for width in widths]
    text = "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |"
        for row in [HEAD, rule, *rows]
    )
    return text, good


def parse():
    parser = argparse.ArgumentParser(prog="./dev bench targets", description=__doc__.split("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=HERE / "targets")
    parser.add_argument("--program", type=Path, required=True, help="the program `crease`")
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
    targets = sorted(arguments.folder.glob("*.safetensors"))
    if arguments.only:
        targets = [target for target in targets if target.stem in arguments.only]
    if not targets:
        parser.error(f"no *.safetensors to learn in {arguments.folder}")

    lines = []
    copy = arguments.out.open("w") if arguments.out else None
    with tempfile.TemporaryDirectory() as folder:
        for target in targets:
            options = limits.get(target.stem, {}).get("options", [])
            for seed in range(arguments.seeds):
                line = learn(arguments, target, seed, options, Path(folder))
                if arguments.reference:
                    line.update(run_reference(arguments, target, seed))
                lines.append(line)
                text = json.dumps(line)
                print(text, flush=True)
                if copy:
                    print(text, file=copy, flush=True)
    table, good = summary(lines, limits)
    print("\n" + table)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
