#!/usr/bin/env python3
"""Least squares and feature building against what a user would pick instead, on the same data, in one run.

The program crease_peers makes the data and times our solvers, LAPACK's drivers and, on a GPU, cuSOLVER's; this script times
NumPy, SciPy, PyTorch and CuPy on the same matrices, and judges every solution by one and the same residual. Rounds alternate
between all of them and turn their order round each time; a ratio is of two times of one round. Exit status 1 if a solution of
ours is worse than the bound of a backward stable solver, 2 if nothing could be measured.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

OURS = ("stream", "analytic", "qr")
SIDES = ("in the span", "noise 1e-3")
EPS = 2.0 ** -52
PAUSE = 0.05  # seconds between two measurements: idle threads of a BLAS go to sleep first


def arguments():
    parser = argparse.ArgumentParser(prog="./dev bench peers", description=__doc__.split("\n")[0])
    parser.add_argument("--program", required=True, help="crease_peers (./dev bench peers gives it)")
    parser.add_argument("--q", type=int, nargs="+", default=[512, 1024, 2048], help="feature columns; rows are 4 q (512 1024 2048)")
    parser.add_argument("--repeats", type=int, default=5, help="rounds (5)")
    parser.add_argument("--once", type=float, default=4, metavar="F",
                        help="peers slower than F times the fastest peer are measured in the first round alone (4)")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="of the solvers, e.g. stream dgels")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of every contender (all cores)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", help="file for the results, JSON lines")
    return parser.parse_args()


class Ours:
    """crease_peers in its own process: one line there, one line back."""

    def __init__(self, options, folder):
        self.process = subprocess.Popen([options.program, options.device, str(options.threads), folder],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.device = self.reply()["device"]

    def reply(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit("peers: crease_peers ended with %s" % self.process.wait())
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self.reply()

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def modules(threads, missing):
    """NumPy, and those of SciPy, PyTorch and CuPy that are there; the others are named in `missing`."""
    import numpy
    found = {"numpy": numpy}
    for name, module in (("scipy", "scipy.linalg"), ("torch", "torch"), ("cupy", "cupy")):
        try:
            found[name] = __import__(module, fromlist=["linalg"])
        except ImportError as error:
            missing[name] = str(error)
    if "torch" in found:
        found["torch"].set_num_threads(threads)
    return found


def timed(work, wait=lambda: None):
    wait()
    start = time.perf_counter()
    result = work()
    wait()
    return time.perf_counter() - start, result


def cpu_peers(found, z, y):
    """name -> function(side) -> (seconds, coefficients)."""
    np = found["numpy"]
    peers = {"numpy": lambda side: timed(lambda: np.linalg.lstsq(z, y[:, side], rcond=None)[0])}
    if "scipy" in found:
        for driver in ("gelsd", "gelsy"):
            peers["scipy " + driver] = lambda side, driver=driver: timed(
                lambda: found["scipy"].lstsq(z, y[:, side], lapack_driver=driver)[0])
    if "torch" in found:
        torch = found["torch"]
        z_torch, y_torch = torch.from_numpy(z), torch.from_numpy(y)
        for driver in ("gels", "gelsy", "gelsd"):
            def solve(side, driver=driver):
                seconds, solution = timed(lambda: torch.linalg.lstsq(z_torch, y_torch[:, side:side + 1], driver=driver).solution)
                return seconds, solution[:, 0].numpy()
            peers["torch " + driver] = solve
    return peers


def cuda_peers(found, missing, z, y):
    peers = {}
    if "torch" in found and found["torch"].cuda.is_available():
        torch = found["torch"]
        z_torch, y_torch = torch.from_numpy(z).cuda(), torch.from_numpy(y).cuda()

        def by_torch(side):
            work = lambda: torch.linalg.lstsq(z_torch, y_torch[:, side:side + 1], driver="gels").solution
            seconds, solution = timed(work, torch.cuda.synchronize)
            return seconds, solution[:, 0].cpu().numpy()
        by_torch(0)  # its libraries start up
        peers["torch gels"] = by_torch
    elif "torch" in found:
        missing["torch"] = "this PyTorch sees no GPU"
    if "cupy" in found:
        cupy = found["cupy"]
        z_cupy, y_cupy = cupy.asarray(z), cupy.asarray(y)

        def by_cupy(side):
            work = lambda: cupy.linalg.lstsq(z_cupy, y_cupy[:, side], rcond=None)[0]
            seconds, solution = timed(work, cupy.cuda.Device().synchronize)
            return seconds, cupy.asnumpy(solution)
        by_cupy(0)
        peers["cupy"] = by_cupy
    return peers


def spread(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "count": len(values)}


def show(ratio, digits=2):
    text = "%.*f" % (digits, ratio["median"])
    if ratio["count"] > 1:
        text += " [%.*f, %.*f]" % (digits, ratio["min"], digits, ratio["max"])
    return text + (" (%.*f)" % (digits, ratio["least_over_least"]) if "least_over_least" in ratio else "")


def rounds(contenders, repeats, once, is_ours):
    """contenders: name -> function() -> (seconds, result). Returns name -> seconds of each round, and the last results."""
    times, results, failed = {name: {} for name in contenders}, {}, {}
    for number in range(repeats):
        names = [name for name in contenders if name not in failed]
        if number > 0:
            fastest = min(times[name][0] for name in names if not is_ours(name) and 0 in times[name])
            names = [name for name in names if is_ours(name) or times[name][0] <= once * fastest]
        for name in names if number % 2 == 0 else reversed(names):
            time.sleep(PAUSE)
            try:
                times[name][number], results[name] = contenders[name]()
            except Exception as error:  # a peer that fails is reported, and the others go on
                failed[name] = str(error)
    return {name: t for name, t in times.items() if t}, results, failed


def ratios(times, reference):
    """times over those of `reference`, round by round; and the least over the least, which a busy machine disturbs least."""
    shared = [number for number in times if number in reference]
    ratio = spread([times[number] / reference[number] for number in shared])
    ratio["least_over_least"] = min(times.values()) / min(reference.values())
    return ratio


class Report:
    def __init__(self, path):
        self.file = open(path, "w", encoding="utf-8") if path else None
        self.bad = []

    def line(self, **record):
        if self.file:
            self.file.write(json.dumps(record) + "\n")
            self.file.flush()


def judge(np, z, y, solutions):
    """|Z c - y| / |y| of each, and what a backward stable solver may be off by: q eps |Z|_F |c| / |y|, c the shortest of them."""
    size = np.linalg.norm(y)
    shortest = min(np.linalg.norm(c) for c in solutions.values())
    bound = z.shape[1] * EPS * np.linalg.norm(z) * shortest / size
    return {name: np.linalg.norm(z @ c - y) / size for name, c in solutions.items()}, bound


def least_squares(options, ours, found, missing, folder, q, report):
    np = found["numpy"]
    shape = ours.ask("data %d %d" % (q, options.seed))
    z = np.fromfile(folder + "/z.f64").reshape(shape["n"], q)
    y = np.fromfile(folder + "/y.f64").reshape(shape["n"], 2)
    others = cuda_peers(found, missing, z, y) if options.device == "cuda" else cpu_peers(found, z, y)
    own = OURS + (("cusolver_gels", "cusolver_irsxgels") if options.device == "cuda" else ("dgels", "dgelsy", "dgelsd"))

    def ask(name, side):
        answer = ours.ask("solve %s %d" % (name, side))
        return answer["seconds"], np.fromfile(answer["coefficients"])

    for side, meaning in enumerate(SIDES):
        contenders = {name: (lambda name=name: ask(name, side)) for name in own}
        contenders.update({name: (lambda work=work: work(side)) for name, work in others.items()})
        if options.only:
            contenders = {name: work for name, work in contenders.items() if name in options.only}
        is_ours = lambda name: name in OURS
        times, results, failed = rounds(contenders, options.repeats, options.once, is_ours)
        if not any(is_ours(name) for name in times) or all(is_ours(name) for name in times):
            sys.exit("peers: nothing to compare: %s" % failed)
        judged, bound = judge(np, z, y[:, side], results)
        least = min(judged.values())
        peer = min((name for name in times if not is_ours(name)), key=lambda name: statistics.median(times[name].values()))
        best = min((name for name in times if is_ours(name)), key=lambda name: statistics.median(times[name].values()))
        print("\nleast squares, q = %d columns, n = %d rows, y %s (%s)" % (q, shape["n"], meaning, ours.device))
        print("  %-18s %-28s %-30s %10s   %s" % ("", "seconds", "time / " + best, "residual", "over the least"))
        for name in sorted(times, key=lambda name: statistics.median(times[name].values())):
            seconds, ratio = spread(list(times[name].values())), ratios(times[name], times[best])
            residual, excess = judged[name], judged[name] - least
            verdict = "" if excess <= bound else "  beyond %.1e" % bound
            if verdict and is_ours(name):
                report.bad.append("%s at q = %d, y %s" % (name, q, meaning))
            print("  %-18s %-28s %-30s %10.3e   %8.1e%s" % (("* " if is_ours(name) else "  ") + name, show(seconds, 4),
                                                       show(ratio), residual, excess, verdict))
            report.line(kind="least_squares", q=q, n=shape["n"], y=meaning, device=ours.device, threads=options.threads,
                        name=name, ours=is_ours(name), seconds=list(times[name].values()), over=best, ratio=ratio,
                        residual=residual, over_least=excess, bound=bound)
        for name, why in failed.items():
            print("    %-16s failed: %s" % (name, why))
            report.line(kind="least_squares", q=q, y=meaning, name=name, failed=why)
            if is_ours(name):
                report.bad.append("%s at q = %d, y %s: %s" % (name, q, meaning, why))
        for name in OURS:
            if name in times:
                faster = ratios(times[peer], times[name])
                equal = judged[name] <= judged[peer] + EPS  # y itself is rounded by as much
                print("    %s is %s times as fast as the fastest peer (%s), residual %s" %
                      (name, show(faster), peer, "equal or better" if equal else "%.1e worse" % (judged[name] - judged[peer])))
                report.line(kind="speedup", q=q, y=meaning, device=ours.device, name=name, peer=peer, ratio=faster, equal_or_better=bool(equal))


def features(options, ours, found, missing, folder, q, report, d=256):
    np = found["numpy"]
    n = 4 * q
    ours.ask("sample %d %d %d" % (n, q, d))
    x, w, b = (np.fromfile("%s/%s.f64" % (folder, name)).reshape(shape) for name, shape in (("x", (n, d)), ("w", (q, d)), ("b", (q,))))
    expected = np.maximum(x @ w.T + b, 0)
    contenders = {name: (lambda name=name: (ours.ask("%s %d %d %d" % (name, n, q, d))["seconds"], None)) for name in ("features", "gemm")}
    torch = found.get("torch")
    if torch and (options.device == "cpu" or torch.cuda.is_available()):
        move = (lambda a: torch.from_numpy(a).cuda()) if options.device == "cuda" else torch.from_numpy
        x_torch, w_torch, b_torch = move(x), move(w), move(b)
        wait = torch.cuda.synchronize if options.device == "cuda" else (lambda: None)

        def by_torch():
            calls = 5
            work = lambda: torch.relu(x_torch @ w_torch.T + b_torch)
            work()
            seconds, _ = timed(lambda: [work() for _ in range(calls)] and None, wait)
            return seconds / calls, None
        contenders["torch"] = by_torch
    times, _, failed = rounds(contenders, options.repeats, float("inf"), lambda name: name == "features")
    made = np.fromfile(folder + "/features.f64").reshape(n, q)
    # Both sums of d + 1 terms are within (d + 1) eps of the terms' own sum.
    off = np.max(np.abs(made - expected) / (np.abs(x) @ np.abs(w).T + np.abs(b)))
    right = bool(off <= 2 * (d + 1) * EPS)
    print("\nfeatures relu(x W^T + b), n = %d, k = %d, d = %d (%s)" % (n, q, d, ours.device))
    print("  %-18s %-28s %s" % ("", "seconds", "time / features"))
    for name in sorted(times, key=lambda name: statistics.median(times[name].values())):
        print("  %-18s %-28s %s" % (name, show(spread(list(times[name].values())), 5), show(ratios(times[name], times["features"]))))
    for name, why in failed.items():
        print("    %-16s failed: %s" % (name, why))
    over = ratios(times["features"], times["gemm"])
    print("    features take %s times the bare GEMM; off by %.1e of the terms' sum%s" % (show(over), off, "" if right else ": wrong"))
    if not right:
        report.bad.append("features at q = %d" % q)
    for name, seconds in times.items():
        report.line(kind="features", n=n, k=q, d=d, device=ours.device, threads=options.threads, name=name, seconds=list(seconds.values()),
                    ratio=ratios(seconds, times["features"]))
    report.line(kind="features_over_gemm", n=n, k=q, d=d, device=ours.device, ratio=over, error=off)


def libraries():
    """The linear algebra that this process has loaded."""
    with open("/proc/self/maps", encoding="utf-8") as maps:
        paths = {line.split()[-1] for line in maps if any(word in line for word in ("blas", "mkl", "cublas"))}
    return sorted({os.path.basename(path) for path in paths})


def main():
    options = arguments()
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(options.threads)  # before NumPy is loaded
    missing = {}
    try:
        found = modules(options.threads, missing)
    except ImportError as error:
        sys.exit("peers: %s" % error)
    report = Report(options.out)
    with tempfile.TemporaryDirectory(prefix="crease-peers-") as folder:
        ours = Ours(options, folder)
        versions = {name: getattr(sys.modules[name], "__version__", "?") for name in found}
        load = os.getloadavg()[0]
        print("%s, %d threads each; %s; %s; load %.1f" % (time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), options.threads,
              ", ".join("%s %s" % pair for pair in versions.items()), ", ".join(libraries()), load))
        report.line(kind="run", time=time.time(), threads=options.threads, repeats=options.repeats, device=ours.device, versions=versions,
                    libraries=libraries(), load=load)
        for q in options.q:
            least_squares(options, ours, found, missing, folder, q, report)
            features(options, ours, found, missing, folder, q, report)
        ours.end()
    load = os.getloadavg()[0]
    print("\nRatios are medians [least, most] over interleaved rounds, (least time over least time); * is ours; load at the end %.1f." % load)
    for name, why in missing.items():
        if name != "cupy" or options.device == "cuda":
            print("not measured: %s (%s)" % (name, why))
            report.line(kind="not_measured", name=name, why=why)
    for what in report.bad:
        print("WRONG: " + what)
    report.line(kind="end", load=load, wrong=report.bad)
    return 1 if report.bad else 0


if __name__ == "__main__":
    sys.exit(main())
