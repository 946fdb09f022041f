"""What the benches share whose rows are JSON lines: asking for a row, printing and reading lines, tables in Markdown."""

import json
import os
import time

ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}


def words_of(options):
    """As a program is told: --an-option VALUE, or --a-flag where it is True, nothing where it is False."""
    words = []
    for name, value in options.items():
        if value is not False:
            words += ["--" + name.replace("_", "-")] + ([] if value is True else [str(value)])
    return words


def printer(out):
    """Prints a line as JSON, and into the file `out` where there is one."""
    copy = out.open("w") if out else None

    def print_line(line):
        text = json.dumps(line)
        print(text, flush=True)
        if copy:
            print(text, file=copy, flush=True)

    return print_line


def lines_of(file):
    """What printer() wrote there."""
    return [json.loads(text) for text in file.read_text().splitlines() if text.strip()]


def run_all(rows, run, out):
    """The lines that `run` makes of the rows, each printed as it comes; then when, how long and beside what load."""
    lines, print_line = [], printer(out)
    load, begun = os.getloadavg()[0], time.time()
    for row in rows:
        lines.append(run(row))
        print_line(lines[-1])
    print(f"\n{time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())}, one thread each, {len(lines)} rows in {time.time() - begun:.0f} seconds, "
          f"load {load:.1f} before, {os.getloadavg()[0]:.1f} after, {os.cpu_count()} cores")  # fmt: skip
    return lines


def table(head, rows, padded=True):
    """In Markdown; padded: to be read as it is."""
    cells = [[str(cell) for cell in row] for row in [head, *rows]]
    widths = [max(len(row[i]) for row in cells) if padded else 3 for i in range(len(head))]
    cells.insert(1, ["-" * width for width in widths])
    if not padded:
        widths = [0] * len(head)
    return "\n".join("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in cells)
