#!/usr/bin/python3
"""Learns planted networks from examples alone, and holds what came out against the specification's tables.

Behind `./dev bench samples`. One JSON line a run (that of crease_samples, with the `table` it belongs to, and
`prototype` or `adam` where those ran on the very same examples, one thread each, in turn), then the tables in
Markdown and what they miss. The exit status is 1 where a limit is missed. Seconds are the processor's.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from rows import ONE_THREAD, lines_of, run_all, words_of  # noqa: E402
from samples_rows import EXACT, SAME, rows_of  # noqa: E402
from samples_tables import error_of, summary  # noqa: E402


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
        budgets = arguments.budgets or [0.125 * 2**i for i in range(5 if arguments.brief else 7)]
        line["adam"] = {}
        for times in (1, 4):
            line["adam"][str(times)] = peers.ask(
                ask="adam", file=str(file), width=times * line["neurons"], seed=line["seed"], budgets=budgets,
                target=max(SAME * error_of(line), EXACT),
            )  # fmt: skip
    return line


def parse():
    parser = argparse.ArgumentParser(prog="./dev bench samples", description=__doc__.split("\n")[0])
    parser.add_argument("--program", help="crease_samples (./dev bench samples gives it)")
    parser.add_argument("--set", choices=("two-layer", "narrow", "peers"), help="of the tables (all)")
    parser.add_argument("--seeds", type=int, default=5, help="seeds 0 .. N-1 of exact ones, at most 3 under noise (5)")
    parser.add_argument("--brief", action="store_true", help="fewer sizes and kinds")
    parser.add_argument("--prototypes", type=Path, metavar="FOLDER", help="two_layer_samples.py and narrow_samples.py: run on the same examples")
    parser.add_argument("--budgets", type=float, nargs="+", help="seconds of Adam's trainings, tried in turn (0.125, twice as many each, to 8)")
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
        lines = lines_of(arguments.earlier)
    else:
        rows = rows_of(arguments.set, arguments.seeds, arguments.brief)
        if arguments.tables:
            rows = [each for each in rows if each["table"].split(",")[0] in arguments.tables]
        if not rows:
            parser.error("no rows of that name")
        peers = Peers()
        with tempfile.TemporaryDirectory() as folder:
            lines = run_all(rows, lambda each: run_row(arguments, peers, each, Path(folder)), arguments.out)
        peers.end()
    text, good = summary(lines)
    print(text)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
