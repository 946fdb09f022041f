#!/usr/bin/env python3
"""Registers, spills and shared memory of every CUDA kernel, as ptxas reports them; exit 1 if one spills.

Compiles kernels/cuda/*.cu once more, to nothing: needs nvcc, no GPU. --write puts the table into
bench/README.md, under its own heading.
"""
import argparse
import concurrent.futures
import datetime
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
HEADING = "## Kernels: registers and spills"
FLAGS = ["-std=c++20", "-O3", "-DNDEBUG", "-fmad=false", "-Xcompiler=-ffp-contract=off", "-Xptxas=-v", "--cubin"]


def find_nvcc():
    for name in (os.environ.get("CUDACXX"), "nvcc", "/usr/local/cuda/bin/nvcc"):
        if name and shutil.which(name):
            return shutil.which(name)
    sys.exit("kernel_report: nvcc was not found (PATH, $CUDACXX, /usr/local/cuda)")


def compile_report(nvcc, arch, source, folder):
    """What ptxas says about one file."""
    command = [nvcc, *FLAGS, f"-arch=sm_{arch}", f'-DCREASE_CUDA_ARCHITECTURES="{arch}"', f"-I{ROOT}", f"-I{ROOT}/include",
               "-o", f"{folder}/{source.stem}", source]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit(f"kernel_report: {source.name} does not compile\n{run.stderr}")
    return run.stdout + run.stderr


def kernels_of(report):
    """(mangled name, registers, bytes of spills, bytes of static shared memory), one per kernel."""
    for part in re.split(r"Compiling entry function '", report)[1:]:
        spills = re.search(r"(\d+) bytes spill stores, (\d+) bytes spill loads", part)
        registers = re.search(r"Used (\d+) registers", part)
        shared = re.search(r"(\d+) bytes smem", part)
        if not spills or not registers:
            sys.exit("kernel_report: ptxas did not say what it usually says:\n" + part)
        yield part.split("'")[0], int(registers[1]), int(spills[1]) + int(spills[2]), int(shared[1]) if shared else 0


def plain_names(names):
    """C++ names without parameters, types and this project's namespace."""
    run = subprocess.run(["c++filt"], input="\n".join(names), capture_output=True, text=True, check=True)
    plain = []
    for name in run.stdout.splitlines():
        name = re.sub(r"^void ", "", name)
        name = name.replace("(anonymous namespace)::", "").replace("crease::", "")
        plain.append(re.sub(r"\((?:int|bool|long|unsigned int)\)", "", re.sub(r"\((?!int\)|bool\)|long\)|unsigned int\)).*", "", name)))
    return plain


def dynamic_shared(name):
    """What the launch asks for, in kernels/cuda/features.cu; empty where there is none."""
    shape = re.search(r"relu_features_kernel<FeatureShape<(\d+), (\d+)", name)
    if shape:
        return str(3 * (32 * int(shape[1]) + 32 * int(shape[2])) * 16 * 8)
    if name.startswith("gaussian_features_kernel"):
        return f"{3 * 128 * 16 * 8} + {128 * 16 * 8} per 16 inputs"
    return ""


def table(nvcc, arch):
    sources = sorted((ROOT / "kernels/cuda").glob("*.cu"))
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        reports = list(pool.map(lambda source: compile_report(nvcc, arch, source, folder), sources))
    kernels = [(source.stem, *kernel) for source, report in zip(sources, reports) for kernel in kernels_of(report)]
    if not kernels:
        sys.exit("kernel_report: no kernels were found")
    names = plain_names([kernel[1] for kernel in kernels])
    lines = ["| file | kernel | registers | spills | static shared | dynamic shared |", "|---|---|---|---|---|---|"]
    library = {}  # file: most registers, spills, most static shared memory, how many kernels
    for (file, _, registers, spills, shared), name in sorted(zip(kernels, names), key=lambda row: (row[0][0], row[1])):
        if name.startswith(("cub::", "thrust::")):
            most = library.get(file, (0, 0, 0, 0))
            library[file] = (max(most[0], registers), max(most[1], spills), max(most[2], shared), most[3] + 1)
            continue
        lines.append(f"| {file} | `{name}` | {registers} | {spills} | {shared or ''} | {dynamic_shared(name)} |")
    for file, (registers, spills, shared, count) in library.items():
        lines.append(f"| {file} | {count} kernels of CUB, the most of each | {registers} | {spills} | {shared or ''} | |")
    spilling = [name for kernel, name in zip(kernels, names) if kernel[3] > 0]
    return lines, spilling


def write(lines, nvcc, arch):
    version = re.search(r"V([\d.]+)", subprocess.run([nvcc, "--version"], capture_output=True, text=True).stdout)
    section = "\n".join([
        HEADING, "",
        f"`./dev bench registers --write` on {datetime.date.today()}, nvcc {version[1]}, sm_{arch}. A thread has at most 255 registers; spills and shared memory",
        "are in bytes. The command needs no GPU and fails where a kernel spills.", "", *lines, ""])
    readme = ROOT / "bench/README.md"
    text = readme.read_text() if readme.exists() else "# bench: measures both\n"
    old = re.search(rf"^{re.escape(HEADING)}\n.*?(?=^## |\Z)", text, re.M | re.S)
    rest = text[old.end():] if old else ""
    text = (text[:old.start()] if old else text.rstrip("\n") + "\n\n") + section + ("\n" + rest if rest else "")
    readme.write_text(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", default="90", help="GPU architecture, default 90")
    parser.add_argument("--write", action="store_true", help="put the table into bench/README.md")
    options = parser.parse_args()
    nvcc = find_nvcc()
    lines, spilling = table(nvcc, options.arch)
    print("\n".join(lines))
    if options.write:
        write(lines, nvcc, options.arch)
    if spilling:
        sys.exit("kernel_report: registers spill in " + ", ".join(spilling))


if __name__ == "__main__":
    main()
