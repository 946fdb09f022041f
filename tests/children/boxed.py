"""A smooth black box of 3 inputs that answers where no input is larger than LIMIT, and NaN elsewhere: `boxed.py LIMIT`."""
import math, struct, sys  # noqa: E401

LIMIT = float(sys.argv[1])
NEURONS = [((1, -0.5, 0.25), 0.5, 1), ((-0.75, 1, 0.5), -0.25, 0.5), ((0.5, 0.5, -1), 0.125, -0.75)]

def answer(x):
    if max(map(abs, x)) > LIMIT:
        return math.nan
    return sum(u * math.tanh(sum(a * b for a, b in zip(w, x)) + bias) for w, bias, u in NEURONS)

while len(head := sys.stdin.buffer.read(16)) == 16:
    n, d = struct.unpack("<qq", head)
    x = struct.unpack(f"<{n * d}d", sys.stdin.buffer.read(8 * n * d))
    y = [answer(x[i * d : (i + 1) * d]) for i in range(n)]
    sys.stdout.buffer.write(struct.pack(f"<qq{n}d", n, 1, *y))
    sys.stdout.buffer.flush()
