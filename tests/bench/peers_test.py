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
    """|Z c - y|."""
    return math.hypot(*(math.fsum(a * b for a, b in zip(z[i * Q:(i + 1) * Q], c)) - y[i] for i in range(N)))


def main():
    program = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        commands = ["data %d 1" % Q, "solve stream", "solve nothing 0", "sing", "data 5 1", "features 0 1 1"]
        solvers = ("stream", "analytic", "qr", "dgels", "dgelsy", "dgelsd")
        process = subprocess.Popen([program, "cpu", "1", folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

        def ask(command):
            process.stdin.write(command + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        assert json.loads(process.stdout.readline())["device"] == "cpu (1 thread)"
        assert "error" in ask("solve stream 0"), "there is no data yet"
        assert ask(commands[0]) == {"n": N, "q": Q, "k": 65, "d": 64}
        z, answers = numbers(folder + "/z.f64"), numbers(folder + "/y.f64")
        for side in (0, 1):
            off, length = {}, {}
            for name in solvers:
                answer = ask("solve %s %d" % (name, side))
                assert answer["seconds"] > 0, answer
                c = numbers(answer["coefficients"])
                off[name], length[name] = residual(z, answers[side::2], c), math.hypot(*c)
            # What a backward stable solver may be off by.
            bound = Q * EPS * math.hypot(*z) * min(length.values())
            least = 0 if side == 0 else min(off.values())
            assert side == 0 or least > 1e-3, "answers with noise lie beside the span"
            for name in solvers:
                assert off[name] <= least + bound, "%s: %g is beyond %g + %g" % (name, off[name], least, bound)
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
