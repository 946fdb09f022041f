"""The rows of `./dev bench samples`, and what is wanted of them."""

EXACT = 1e-10  # largest parameter error of an exact one, and what "the same error" is for those below it
WORST = 1e-11  # ... that of the exact ones may not exceed
NOISE = 1.05  # times the error from the truth
TIME = 0.5  # times the prototype's
NARROW = 1e-3  # relative L2 error of a success
NARROW_NOISE = 1.15  # times sigma sqrt(k d / n)
SAME = 1.05  # Adam is there at so many times our error

SIZES = [(5, 5, 10), (10, 8, 20), (20, 20, 50), (3, 8, 20)]  # outputs, neurons, inputs
FEW = (1, 2, 4)  # times kd rows
MANY = (2000, 10000, 50000)
# Exact of five seeds at n = kd, 2kd, 4kd, 2e3, 1e4, 5e4; None: not in the table.
EXACT_COUNTS = {
    (5, 5, 10): (4, 5, 5, 5, 5, 5),
    (10, 8, 20): (5, 5, 5, 5, 5, 5),
    (20, 20, 50): (5, 5, 5, 5, 5, 5),
    (3, 8, 20): (2, 4, 5, 5, 5, 5),
    (2, 5, 10): (0, 5, 5, 5, 5, 5),
    (1, 3, 10): (None, None, None, 4, 5, 5),
}
# Neurons and seeds of the narrow table by inputs; successes wanted at n = 3kd and 4kd, of 64.
NARROW_SIZES = {10: ((2, 3, 4, 6), 10), 20: ((2, 4, 6), 5), 50: ((2, 4, 6), 3)}
NARROW_COUNTS = {3: 60, 4: 63}
NARROW_RUNS = 64
BLIND = [("blind2", 4, 50, 2000, 3), ("blind2", 4, 50, 10000, 3), ("blind2", 4, 50, 40000, 3),
         ("blind4", 6, 20, 1000, 2), ("blind4", 6, 20, 10000, 3), ("blind4", 6, 20, 100000, 3)]  # fmt: skip
PAIRS = {0.1: EXACT, 0.01: NARROW, 0.001: NARROW}  # angle -> the largest relative L2 error


def row(table, outputs, neurons, inputs, rows, seed, **more):
    options = {"outputs": outputs, "neurons": neurons, "inputs": inputs, "rows": rows, "seed": seed, **more}
    return {"table": table, "options": options, "prototype": True}


def exact_rows(seeds, brief):
    made = []
    for size, counts in EXACT_COUNTS.items():
        outputs, neurons, inputs = size
        several = [] if counts[0] is None else [f * neurons * inputs for f in FEW]
        for n in dict.fromkeys(several + list(MANY[: 1 if brief else None])):
            for seed in range(seeds):
                made.append(row("exact", *size, n, seed, held_out=0))
                # What a user of the learner gets who tells it nothing.
                made.append({**row("exact, held out", *size, n, seed), "prototype": False})
    return made


def noise_rows(seeds, brief):
    made = []
    for size in SIZES[:2] if brief else SIZES:
        for noise in (1e-2, 1e-1) if brief else (1e-3, 1e-2, 1e-1, 1.0):
            for n in (5000, 20000) if brief else (5000, 20000, 80000):
                for seed in range(min(seeds, 3)):
                    each = row("noise", *size, n, seed, noise=noise, held_out=0, from_truth=True)
                    # The prototype takes ten seconds of these at 20 neurons: once, and not everywhere.
                    many = size[1] == 20 and n > 20000 and noise not in (1e-2, 1.0)
                    made.append({**each, "prototype": seed == 0 and not many})
    return made


def gross_rows(brief):
    made = []
    for size in SIZES[:2] if brief else (SIZES[0], SIZES[1], SIZES[3]):
        for gross_size in (10.0, 100.0):
            for noise in (0.0, 0.01):
                errors = {"gross": 0.05, "gross_size": gross_size, "noise": noise, "held_out": 0}
                made.append(row("gross", *size, 20000, 0, **errors, robust=True, from_truth=noise > 0))
        plain = row("gross", *size, 20000, 0, gross=0.05, gross_size=10.0, held_out=0)
        made.append({**plain, "prototype": False})
    for share in () if brief else (0.1, 0.15, 0.2, 0.3):
        made.append(row("gross", 10, 8, 20, 20000, 0, gross=share, robust=True, held_out=0))
    return made


def power_rows(brief):
    return [
        row("powers", *size, 20000, 0, power=power, noise=noise, held_out=0, from_truth=noise > 0)
        for power in (2.0, 0.5)
        for size in (SIZES[:1] if brief else (SIZES[0], SIZES[1], SIZES[3]))
        for noise in (0.0, 0.01)
    ]


def input_rows(brief):
    changes = [{"input": "covariance"}, {"input": "uniform"}, {"input": "laplace"}, {"input": "t5"}, {"input": "signs"},
               {"input": "shifted"}, {"condition": 1e4}, {"condition": 1e8}, {"rank": 5}]  # fmt: skip
    return [row("inputs", 10, 8, 20, 20000, 0, held_out=0, **c) for c in changes[: 3 if brief else None]]


def narrow_row(table, family, neurons, inputs, rows, seed, **more):
    return row(table, 1, neurons, inputs, rows, seed, family=family, **more)


def narrow_rows(seeds, brief):
    made = []
    for inputs, (widths, count) in NARROW_SIZES.items():
        if brief and inputs == 50:
            continue
        for neurons in widths:
            for times in NARROW_COUNTS:
                for seed in range(min(count, seeds) if brief or seeds != 5 else count):
                    made.append(narrow_row("narrow", "mixed", neurons, inputs, times * neurons * inputs, seed))
    for family, neurons, inputs, rows, _ in BLIND[: 1 if brief else None]:
        made += [narrow_row("blind", family, neurons, inputs, rows, seed) for seed in range(3)]
    for family in ("same", "cancel"):
        for angle in list(PAIRS)[: 1 if brief else None]:
            made += [narrow_row("pairs", family, 4, 20, 20000, seed, angle=angle) for seed in range(4)]
    for neurons, inputs in ((2, 10),) if brief else ((2, 10), (4, 20)):
        for noise in (0.1, 0.5):
            for n in (4000, 20000):
                for seed in range(3):
                    made.append(narrow_row("narrow noise", "mixed", neurons, inputs, n, seed, noise=noise, from_truth=True))
    return made


def peer_rows(brief):
    made = [row("peers", *size, 20000, 0, noise=noise, held_out=0) for size in (SIZES[:2] if brief else SIZES) for noise in (0.0, 0.1)]
    if not brief:
        made += [row("peers", 2, 8, 20, 20000, 0, held_out=0), row("peers", 1, 5, 10, 50000, 0, held_out=0),
                 row("peers", 10, 8, 20, 640, 0, held_out=0)]  # fmt: skip
    narrow = [("mixed", 4, 20, 320, 0), ("mixed", 2, 10, 600, 0), ("mixed", 4, 20, 2400, 0), ("mixed", 6, 50, 9000, 0),
              ("same", 4, 20, 20000, 0.1), ("cancel", 4, 20, 20000, 0.01), ("blind2", 4, 20, 10000, 0), ("blind4", 6, 20, 100000, 0)]  # fmt: skip
    for family, neurons, inputs, n, angle in narrow[: 1 if brief else None]:
        made.append(narrow_row("peers", family, neurons, inputs, n, 0, **({"angle": angle} if angle else {})))
    return [{**each, "prototype": False, "adam": True} for each in made]


def rows_of(chosen, seeds, brief):
    made = []
    if chosen in (None, "two-layer"):
        made += exact_rows(seeds, brief) + noise_rows(seeds, brief) + gross_rows(brief) + power_rows(brief) + input_rows(brief)
    if chosen in (None, "narrow"):
        made += narrow_rows(seeds, brief)
    if chosen in (None, "peers"):
        made += peer_rows(brief)
    return made
