"""A black box behind a process, in ten lines: `crease learn 'exec:python3 tests/children/answer.py' --inputs 3 --outputs 2`."""
import struct, sys  # noqa: E401

NEURONS = [((1, -0.5, 0.25), 0.5, (1, -0.5)), ((-0.75, 1, 0.5), -0.25, (0.5, 1)), ((0.5, 0.5, -1), 0.125, (-1, 0.75))]

def answer(x):  # [p] from [d]: your function
    hidden = [max(0.0, sum(a * b for a, b in zip(w, x)) + bias) for w, bias, _ in NEURONS]
    return [sum(h * u[o] for h, (_, _, u) in zip(hidden, NEURONS)) for o in range(2)]

while len(head := sys.stdin.buffer.read(16)) == 16:
    n, d = struct.unpack("<qq", head)
    x = struct.unpack(f"<{n * d}d", sys.stdin.buffer.read(8 * n * d))
    y = [value for i in range(n) for value in answer(x[i * d : (i + 1) * d])]
    sys.stdout.buffer.write(struct.pack(f"<qq{len(y)}d", n, len(y) // n, *y))
    sys.stdout.buffer.flush()
