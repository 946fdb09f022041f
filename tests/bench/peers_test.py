#!/usr/bin/env python3
"""Runs crease_peers (our half of `./dev bench peers`) on a small problem: every solver's solution must be a solution, judged here
in plain Python, and what is no command must be answered by an error that ends nothing."""
import array
import json
import math
import subprocess
import sys
import tempfile

EPS = 2.0 ** -52
Q, N = 130, 520


def numbers(path):
    values = array.array("d")
    with open(path, "rb") as file:
        values.frombytes(file.read())
    return values


def residual(z, y, c):
    """|Z c - y| and what a backward stable solver may be off by: q eps |Z|_F |c|."""
    rows = (math.fsum(a * b for a, b in zip(z[i * Q:(i + 1) * Q], c)) - y[i] for i in range(N))
    return math.sqrt(math.fsum(r * r for r in rows)), Q * EPS * math.hypot(*z) * math.hypot(*c)


def main():
    program = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        commands = ["data %d 1" % Q, "solve stream", "solve nothing 0", "sing", "data 5 1", "features 0 1 1"]
        solvers = [(name, side) for side in (0, 1) for name in ("stream", "analytic", "qr", "dgels", "dgelsy", "dgelsd")]
        process = subprocess.Popen([program, "cpu", "1", folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

        def ask(command):
            process.stdin.write(command + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        assert json.loads(process.stdout.readline())["device"] == "cpu (1 thread)"
        assert "error" in ask("solve stream 0"), "there is no data yet"
        assert ask(commands[0]) == {"n": N, "q": Q, "k": 65, "d": 64}
        z, answers = numbers(folder + "/z.f64"), numbers(folder + "/y.f64")
        least = {}
        for name, side in solvers:
            answer = ask("solve %s %d" % (name, side))
            assert answer["seconds"] > 0, answer
            off, bound = residual(z, answers[side::2], numbers(answer["coefficients"]))
            if side == 0:
                assert off <= bound, "%s: %g is beyond %g" % (name, off, bound)
            else:
                least.setdefault("noise", []).append((off, bound, name))
        smallest = min(least["noise"])[0]
        assert smallest > 1e-3, "answers with noise lie beside the span"
        for off, bound, name in least["noise"]:
            assert off <= smallest + bound, "%s: %g is beyond %g + %g" % (name, off, smallest, bound)
        for command in commands[1:]:
            assert "error" in ask(command), command
        assert ask("gemm 33 31 7")["seconds"] > 0
        assert ask("sample 33 31 7") == {}
        x, w, b, made = (numbers("%s/%s.f64" % (folder, name)) for name in ("x", "w", "b", "features"))
        for i in range(33):
            for r in range(31):
                terms = [x[i * 7 + j] * w[r * 7 + j] for j in range(7)] + [b[r]]
                off = abs(made[i * 31 + r] - max(math.fsum(terms), 0.0))
                assert off <= 2 * 8 * EPS * math.fsum(map(abs, terms)), (i, r, off)
        process.stdin.close()
        assert process.wait() == 0


if __name__ == "__main__":
    main()
