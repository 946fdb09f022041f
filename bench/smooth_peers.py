#!/usr/bin/python3
"""The other side of `./dev bench smooth`: one JSON question on standard input, one answer on standard output.

{"ask": "prototype", "folder", "file", ...} runs the numpy prototype smooth_hessians.py of that folder on the network of the file
("entangled": true: its path of the paper);
{"ask": "adam", "file", "width", "queries", "seconds"} trains a network of so many times its widths with PyTorch on that many
Gaussian points. Seconds are the processor's; errors are those of crease_smooth: the largest over 20,000 points of the unit ball.
"""

import json
import sys
import time
import warnings

import numpy as np

POINTS = 20000
CODES = ["relu", "tanh", "sigmoid", "softplus", "gelu", "sin", "erf"]


def sigmoid(t):
    return 0.5 * np.tanh(t / 2) + 0.5


KNOWN = {"tanh": np.tanh, "sigmoid": sigmoid}


def target_of(file):
    data = np.load(file)
    names = [CODES[int(code)] for code in data["activation"]]
    layers = [(data[f"{2 * i}.weight"].T, data[f"{2 * i}.bias"]) for i in range(len(names) + 1)]

    def f(x):
        for (weight, bias), name in zip(layers, names):
            x = KNOWN[name](x @ weight + bias)
        return (x @ layers[-1][0] + layers[-1][1])[:, 0]

    return f, layers


def ball(d):
    random = np.random.default_rng(7)
    x = random.standard_normal((POINTS, d))
    return x / np.linalg.norm(x, axis=1, keepdims=True) * random.random((POINTS, 1)) ** (1 / d)


def prototype(question):
    sys.path.insert(0, question["folder"])
    import smooth_hessians as module

    f, layers = target_of(question["file"])
    d = layers[0][0].shape[0]
    oracle = module.Oracle(f, d, question["noise"], seed=question["seed"])
    random = np.random.default_rng(question["seed"])
    first, second = question["first"], question["second"]
    start = time.process_time()
    try:
        if len(layers) == 2:
            found = module.learn_one(oracle, d, random, act=first, noise=question["noise"], m=None)
            a, th, c, c0 = (found[name] for name in ("A", "th", "c", "c0"))
            x = random.standard_normal((4 * (a.size + 2 * len(th) + 1), d))
            a, th, c, c0, _ = module.lm1(a, th, c, c0, x, oracle(x), first)
            learned = lambda z: KNOWN[first](z @ a + th) @ c + c0  # noqa: E731
        elif question.get("entangled"):
            m0, m1 = (weight.shape[1] for weight, _ in layers[:2])
            learned, _ = module.paper_restarts(oracle, d, m0, m1, random, full=3, g=first, h=second)
        else:
            known = layers[0][0].shape[1] if question["noise"] else None
            learned, info = module.peel2_learn(oracle, d, random, m0=known, g=first, h=second, noise=question["noise"])
            if learned is None:
                raise ValueError(info.get("fail"))
    except Exception as error:  # what the prototype cannot, it throws
        return {"seconds": time.process_time() - start, "ball_error": None, "queries": oracle.n, "error": str(error)}
    seconds = time.process_time() - start
    x = ball(d)
    return {"seconds": seconds, "ball_error": float(np.abs(learned(x) - f(x)).max()), "queries": oracle.n}


def adam(question):
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(question["seed"])
    f, layers = target_of(question["file"])
    d = layers[0][0].shape[0]
    x = np.random.default_rng(question["seed"]).standard_normal((question["queries"], d))
    x, y = torch.tensor(x), torch.tensor(f(x))
    mean, deviation = y.mean(), y.std()
    widths = [question["width"] * weight.shape[1] for weight, _ in layers[:-1]]
    parts, size = [], d
    for width in widths:
        parts += [torch.nn.Linear(size, width), torch.nn.Tanh()]
        size = width
    network = torch.nn.Sequential(*parts, torch.nn.Linear(size, 1)).double()
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    batch, start, budget = min(1024, len(x)), time.process_time(), question["seconds"]
    while (spent := time.process_time() - start) < budget:
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * 0.5 * (1 + np.cos(np.pi * spent / budget)) + 1e-6
        for rows in torch.randperm(len(x)).split(batch):
            loss = ((network(x[rows])[:, 0] - (y[rows] - mean) / deviation) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if time.process_time() - start >= budget:
                break
    z = ball(d)
    with torch.no_grad():
        values = network(torch.tensor(z))[:, 0] * deviation + mean
    return {"seconds": time.process_time() - start, "ball_error": float(np.abs(values.numpy() - f(z)).max())}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    asked = json.load(sys.stdin)
    print(json.dumps(prototype(asked) if asked["ask"] == "prototype" else adam(asked)))
