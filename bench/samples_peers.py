#!/usr/bin/python3
"""The other side of `./dev bench samples`, in a process of its own: one JSON line there, one line back.

{"ask": "prototype", "folder", "file", "family", "neurons", ...} runs the numpy prototype of the row's family,
found in that folder, on the examples of the file; {"ask": "adam", "file", "width", "target", "budgets", "seed"}
trains a network of that width on them with PyTorch until its error is the target's. Both on one thread; seconds
are the processor's. Errors are those of crease_samples: parameter_error, and relative_l2 over fresh points.
"""

import importlib
import json
import math
import sys
import time
import warnings

import numpy as np

FRESH = 50000
CHECKS = 40  # of a training's error, over its budget
RATE, BATCH = 1e-2, 256


def forward(x, v, u, power=1.0):
    f = np.maximum(x @ v.T, 0)
    return (f if power == 1 else f**power) @ u.T


def relative_l2(v, u, answers, seed=99, n=FRESH, power=1.0):
    """|answers(x) - F(x)| / |F(x)| over n points of N(0, I)."""
    x = np.random.default_rng(seed).standard_normal((n, v.shape[1]))
    y = forward(x, v, u, power)
    return float(np.linalg.norm(answers(x) - y) / np.linalg.norm(y))


def run_two_layer(module, data, row):
    x, y = np.ascontiguousarray(data["x"].T), np.ascontiguousarray(data["y"].T)
    start = time.process_time()
    try:
        u, v, info = module.fit(x, y, row["neurons"], p=row["power"], robust=row["robust"], tmax=row["most"])
    except Exception as error:  # what the prototype cannot, it throws
        return {"seconds": time.process_time() - start, "parameter_error": None, "error": str(error)}
    seconds = time.process_time() - start
    same = v.shape == data["v"].shape
    return {
        "seconds": seconds,
        "parameter_error": float(module.match(u, v, data["u"], data["v"])[0]) if same else None,
        "relative_l2": relative_l2(data["v"], data["u"], lambda z: forward(z, v, u, row["power"]), power=row["power"]),
        "method": info["path"],
    }  # fmt: skip


def run_narrow(module, data, row):
    x, y = np.ascontiguousarray(data["x"]), np.ascontiguousarray(data["y"][:, 0])
    noise = "auto" if row["noise"] else None
    blind = row["family"].startswith("blind")
    start = time.process_time()
    result = module.learn(x, y, row["neurons"], seed=row["seed"], tmax=row["most"], starts=8, rounds=3, noise=noise,
                          unfold=blind and row["inputs"] <= 20)  # fmt: skip

    def answers(z):
        if result.get("U") is not None:
            return module.net_eval(z, result["U"], result["lam"])[:, None]
        return module.predict(z, result["v"], result["th"])[:, None]

    return {
        "seconds": time.process_time() - start,
        "relative_l2": relative_l2(data["v"], data["u"], answers),
        "method": result["kind"],
    }


def prototype(row):
    if row["folder"] not in sys.path:
        sys.path.insert(0, row["folder"])
    data = np.load(row["file"])
    if row["family"] == "two-layer":
        return run_two_layer(importlib.import_module("two_layer_samples"), data, row)
    return run_narrow(importlib.import_module("narrow_samples"), data, row)


def train(torch, x, y, width, budget, seed, error, target):
    """Adam, float64, the rate a cosine over `budget` seconds of processor: the seconds at which the error is the
    target's or less (None: never), and the least error seen."""
    torch.manual_seed(seed)
    n, d = x.shape
    v = (torch.randn(width, d, dtype=x.dtype) / math.sqrt(d)).requires_grad_()
    u = (torch.randn(y.shape[1], width, dtype=x.dtype) / math.sqrt(width)).requires_grad_()
    optimizer = torch.optim.Adam([v, u], lr=RATE)
    batch = min(BATCH, n)
    spent, check, least = 0.0, 1, math.inf
    while spent < budget:
        order = torch.randperm(n)
        for first in range(0, n - batch + 1, batch):
            start = time.process_time()
            optimizer.param_groups[0]["lr"] = RATE * max(1e-4, 0.5 * (1 + math.cos(math.pi * spent / budget)))
            rows = order[first : first + batch]
            loss = ((torch.relu(x[rows] @ v.T) @ u.T - y[rows]) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            spent += time.process_time() - start
            if spent >= check * budget / CHECKS:  # not counted
                check = int(spent / budget * CHECKS) + 1
                least = min(least, error(v.detach().numpy(), u.detach().numpy()))
                if least <= target:
                    return spent, least
            if spent >= budget:
                break
    return None, least


def adam(row):
    import torch

    torch.set_num_threads(1)
    data = np.load(row["file"])
    x, y = torch.tensor(data["x"]), torch.tensor(data["y"])

    def error(v, u):
        return relative_l2(data["v"], data["u"], lambda z: forward(z, v, u), n=5000)

    tries = []
    for number, budget in enumerate(row["budgets"]):
        seconds, least = train(torch, x, y, row["width"], budget, row["seed"] + number, error, row["target"])
        tries.append({"budget": budget, "seconds": seconds, "relative_l2": least})
        if seconds is not None:
            break
    return {"tries": tries, "version": torch.__version__}


def main():
    warnings.simplefilter("ignore")
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer = {"prototype": prototype, "adam": adam}[asked["ask"]](asked)
        except Exception as error:  # a peer that fails is reported, and the others go on
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
