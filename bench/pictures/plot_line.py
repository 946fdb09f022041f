#!/usr/bin/python3
"""Draws line.svg, the picture of the README: one output of a network along a line, its pieces and its kinks.

    apt-get install python3-matplotlib && ./dev test && bench/pictures/plot_line.py [--program PROGRAM]

The values are those of `crease evaluate`; the kinks are where the line meets the hyperplanes
<w, x> + bias = 0 of the network's file.
"""

import argparse
import json
import struct
import subprocess
import tempfile
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("svg")
from matplotlib import pyplot  # noqa: E402

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


def read_safetensors(path):
    """The float64 arrays of a file, by name."""
    raw = path.read_bytes()
    (length,) = struct.unpack_from("<Q", raw)
    header = json.loads(raw[8 : 8 + length])
    header.pop("__metadata__", None)
    return {
        name: np.frombuffer(raw, "<f8", int(np.prod(t["shape"])), 8 + length + t["data_offsets"][0])
        .reshape(t["shape"])
        for name, t in header.items()
    }  # fmt: skip


def evaluate(program, network, points):
    """F at every row of points, by `crease evaluate`."""
    with tempfile.TemporaryDirectory() as folder:
        x, y = Path(folder) / "x.npz", Path(folder) / "y.npz"
        np.savez(x, x=points)
        subprocess.run([program, "evaluate", network, "--points", x, "--out", y], check=True,
                       stdout=subprocess.DEVNULL)  # fmt: skip
        return np.load(y)["y"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", default=ROOT / "build/dev/crease")
    parser.add_argument("--network", type=Path, default=ROOT / "bench/targets/digits.safetensors")
    parser.add_argument("--output", type=int, default=9, help="the output that is drawn")
    parser.add_argument("--seed", type=int, default=143, help="of the line")
    parser.add_argument("--out", default=HERE / "line.svg")
    arguments = parser.parse_args()

    network = read_safetensors(arguments.network)
    inputs = network["0.weight"].shape[1]
    random = np.random.default_rng(arguments.seed)
    origin, direction = random.standard_normal(inputs), random.standard_normal(inputs)
    reach = 2.0

    kinks = -(network["0.weight"] @ origin + network["0.bias"]) / (network["0.weight"] @ direction)
    kinks = np.sort(kinks[np.abs(kinks) < reach])
    t = np.union1d(np.linspace(-reach, reach, 1201), kinks)
    points = origin + t[:, None] * direction
    y = evaluate(arguments.program, arguments.network, points)[:, arguments.output]
    at_kinks = np.interp(kinks, t, y)
    ends = np.concatenate([[-reach], kinks, [reach]])
    slopes = np.diff(np.interp(ends, t, y)) / np.diff(ends)

    matplotlib.rcParams.update({"svg.hashsalt": "crease", "svg.fonttype": "none", "font.size": 9,
                                "font.family": "sans-serif"})  # fmt: skip
    figure, (above, below) = pyplot.subplots(
        2, 1, sharex=True, figsize=(8, 4.2), height_ratios=(3, 2), layout="constrained"
    )
    figure.set_facecolor("white")
    for axes in (above, below):
        for i in range(0, len(ends) - 1, 2):
            axes.axvspan(ends[i], ends[i + 1], color="#eef2f7", linewidth=0)
        axes.spines[["top", "right"]].set_visible(False)
    above.plot(t, y, color="#1f4e79", linewidth=1.6)
    above.plot(kinks, at_kinks, "o", color="#c8501e", markersize=4)
    above.set_ylabel("F(x₀ + t v)")
    above.set_title(f"Output {arguments.output} of {arguments.network.name} along a line: "
                    f"{len(kinks)} kinks, {len(slopes)} linear pieces", loc="left")  # fmt: skip
    below.stairs(slopes, ends, color="#1f4e79", linewidth=1.6, baseline=None)
    below.set_ylabel("slope")
    below.set_xlabel("t      each jump of the slope is one neuron")
    below.set_xlim(-reach, reach)
    figure.savefig(arguments.out, metadata={"Date": None})
    print(f"{arguments.out}: {len(kinks)} kinks on [-{reach:g}, {reach:g}]")


if __name__ == "__main__":
    main()
