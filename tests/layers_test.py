#!/usr/bin/env python3
"""The layer law of src/README.md: who may include what, who may ask an oracle, which names are refused,
and that every kernel is emulated.

    layers_test.py ROOT            checks the checkout at ROOT; prints file:line of every violation
    layers_test.py --planted ROOT  plants one violation after another in a copy and sees each caught
"""

import posixpath
import re
import shutil
import sys
import tempfile
from pathlib import Path, PurePosixPath

SOURCE = {".hpp", ".cpp", ".cu", ".cuh"}
ROOMS = ("include", "kernels", "src", "tests", "bench")

# A file's layer, and the layers it may include. include/crease <- kernels <- src/stages <-
# {src/learners, src/oracles} <- src/cli; a backend is included by nobody else. Kernels (the .cuh of
# kernels/cuda, but for the launch shapes) see no CUDA header, so that tests can emulate them.
LAUNCHES = "kernels/cuda/support.cuh"
KERNELS = "kernels/cuda/*.cuh"
LAYERS = {
    "include/crease": {"include/crease"},
    "kernels": {"include/crease", "kernels"},
    "kernels/cpu": {"include/crease", "kernels", "kernels/cpu"},
    "kernels/cuda": {"include/crease", "include/crease/cuda.hpp", "kernels", "kernels/cuda", KERNELS},
    KERNELS: {"include/crease", "kernels", KERNELS},
    "src": {"include/crease", "kernels", "src"},
    "src/files": {"include/crease", "src/files"},
    "src/stages": {"include/crease", "kernels", "src", "src/stages"},
    "src/learners": {"include/crease", "kernels", "src", "src/stages", "src/learners"},
    "src/oracles": {"include/crease", "kernels", "src", "src/stages", "src/oracles"},
    "src/cli": {"include/crease", "include/crease/cuda.hpp", "kernels", "src", "src/files",
                "src/stages", "src/learners", "src/oracles", "src/cli"},
}  # fmt: skip
CUDA_ROOMS = {"kernels/cuda", "include/crease/cuda.hpp"}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
CUDA_HEADER = re.compile(r"^(cuda|cublas|cusolver|curand|cusparse|thrust/|cub/|device_launch|nccl)")
ASKS = re.compile(r"(?:\.|->)\s*(answer(?:_lines?|_fan)?)\s*\(")
MAY_ASK = ("src/stages/ask.cpp", "src/oracles/")  # an oracle may ask the one that it wraps
KERNEL = re.compile(
    r"__global__\s+(?:__launch_bounds__\([^)]*\)\s*)?void\s+(?:__launch_bounds__\([^)]*\)\s*)?"
    r"(\w+)\s*\([^)]*\)\s*\{(\s*\})?"
)
REFUSED_NAME = re.compile(r"(?:^|[_.])(utils?|common|misc|detail|internal)(?:[_.]|$)")


def layer_of(path):
    """The layer of a file given by its path from the root, or None where no law applies."""
    if path == "include/crease/cuda.hpp":
        return path
    if path == "src/stages.hpp":  # the page of that room
        return "src/stages"
    if PurePosixPath(path).match(KERNELS) and path != LAUNCHES:
        return KERNELS
    folder = str(PurePosixPath(path).parent)
    while folder != ".":
        if folder in LAYERS:
            return folder
        folder = str(PurePosixPath(folder).parent)
    return None


def without_comments(text):
    """The text with comments and the insides of strings blanked, line by line as before."""
    pattern = r"""//[^\n]*|/\*.*?\*/|'(?:\\.|[^'\\\n])'|"(?:\\.|[^"\\\n])*\""""

    def blank(found):
        if found[0].startswith('"'):
            return found[0] if is_include(text, found.start()) else '""'
        return "0" if found[0].startswith("'") else "\n" * found[0].count("\n")

    return re.sub(pattern, blank, text, flags=re.DOTALL)


def is_include(text, position):
    line = text[text.rfind("\n", 0, position) + 1 : position]
    return re.fullmatch(r"\s*#\s*include\s*", line) is not None


def target_of(root, path, bracket, name):
    """The path from the root of the file that an include means; None where it is none of ours."""
    if bracket == "<":
        candidates = ["include/" + name]
    else:
        beside = posixpath.normpath(f"{posixpath.dirname(path)}/{name}")
        candidates = [beside, name, "include/" + name]
        if name.startswith("."):
            return beside
    for candidate in candidates:
        if (root / candidate).is_file():
            return candidate
    if name.startswith("crease/"):
        return "include/" + name
    return name if name.split("/")[0] in ROOMS else None


def check_file(root, path):
    layer = layer_of(path)
    if layer is None:
        return
    allowed = LAYERS.get(layer, LAYERS["include/crease"])
    text = without_comments((root / path).read_text(encoding="utf-8"))
    for number, line in enumerate(text.splitlines(), 1):
        include = INCLUDE.match(line)
        if include:
            bracket, name = include.groups()
            target = target_of(root, path, bracket, name)
            if target is None:
                if CUDA_HEADER.match(name) and layer not in CUDA_ROOMS:
                    yield f"{path}:{number}: {layer} must not see CUDA ({name})"
            elif layer_of(target) not in allowed:
                yield f"{path}:{number}: {layer} must not include {target}"
        for call in ASKS.findall(line):
            if not path.startswith(MAY_ASK):
                yield f"{path}:{number}: only src/stages/ask.cpp calls an oracle ({call})"


def kernels_never_emulated(root):
    """Every kernel stands in a .cuh and is named by a test that emulates it; an empty one need not."""
    tests = sorted((root / "tests/kernels").glob("*_emulated_test.cpp"))
    named = set(re.findall(r"\w+", "".join(test.read_text(encoding="utf-8") for test in tests)))
    for file in sorted((root / "kernels/cuda").glob("*.cu*")):
        path = file.relative_to(root).as_posix()
        text = without_comments(file.read_text(encoding="utf-8"))
        found = list(KERNEL.finditer(text))
        if len(found) != len(re.findall(r"\b__global__\b", text)):
            yield f"{path}:1: a kernel is not written as `__global__ void name(...) {{`"
        for kernel in found:
            name, is_empty = kernel.groups()
            line = text.count("\n", 0, kernel.start()) + 1
            if is_empty:
                continue
            if file.suffix == ".cu":
                yield f"{path}:{line}: {name} belongs in a .cuh, which tests can emulate"
            elif name not in named:
                yield f"{path}:{line}: no tests/kernels/*_emulated_test.cpp runs {name}"


def violations(root):
    root = root.resolve()
    checked = 0
    for room in ROOMS:
        for file in sorted((root / room).rglob("*")):
            path = file.relative_to(root).as_posix()
            if "__pycache__" in path:
                continue
            for part in {file.stem, file.name} if file.is_file() else {file.name}:
                if REFUSED_NAME.search(part):
                    yield f"{path}:1: a name that says nothing of what is in here"
                    break
            if file.is_file() and file.suffix in SOURCE and room not in ("tests", "bench"):
                checked += 1
                yield from check_file(root, path)
    yield from kernels_never_emulated(root)
    if checked == 0:
        yield f"{root}:1: no source file was found"


# Each: where, what is planted, and a word of the complaint it must raise.
PLANTED = [
    ("include/crease/planted.hpp", '#include "kernels/ops.hpp"', "must not include"),
    ("include/crease/planted.hpp", "#include <cuda_runtime.h>", "must not see CUDA"),
    ("include/crease/planted.hpp", "#include <crease/cuda.hpp>", "must not include"),
    ("kernels/planted.cpp", '#include "kernels/cpu/planted_device.hpp"', "must not include"),
    ("kernels/cpu/planted.cpp", '#include "src/stages/ask.hpp"', "must not include"),
    ("kernels/cuda/planted.cu", '#include "src/matrix.hpp"', "must not include"),
    ("kernels/cpu/planted.cpp", '#include "../cuda/planted.cuh"', "must not include"),
    ("kernels/cuda/planted.cuh", "#include <cuda_runtime.h>", "must not see CUDA"),
    ("kernels/cuda/planted.cuh", '#include "kernels/cuda/support.cuh"', "must not include"),
    ("kernels/cuda/planted.cuh", '#include "kernels/cuda/ops.hpp"', "must not include"),
    ("kernels/cpu/planted.cpp", '#include "kernels/cuda/indexing.cuh"', "must not include"),
    ("kernels/cuda/planted.cu", "__global__ void f(int n) { run(n); }", "belongs in a .cuh"),
    ("kernels/cuda/planted.cuh", "__global__ void f(int n) { run(n); }", "runs f"),
    ("kernels/cuda/planted.cuh", "__global__ void\n__launch_bounds__(32) f() { run(); }", "runs f"),
    ("kernels/cuda/planted.cuh", "__global__ auto f() -> void { run(); }", "is not written as"),
    ("src/stages/planted.cpp", '#include "kernels/cuda/support.cuh"', "must not include"),
    ("src/stages/planted.cpp", '#  include "src/learners/planted.hpp"', "must not include"),
    ("src/stages/planted.cpp", "#include <crease/cuda.hpp>", "must not include"),
    ("src/learners/planted.cpp", '#include "src/oracles/planted.hpp"', "must not include"),
    ("src/learners/planted.cpp", "#include <cublas_v2.h>", "must not see CUDA"),
    ("src/files/planted.cpp", '#include "src/cli/planted.hpp"', "must not include"),
    ("src/learners/planted.cpp", "void f() { oracle.answer(d, x, y); }", "calls an oracle"),
    ("src/stages/planted.cpp", "bool f() { return o->answer_fan(d, fan, y); }", "calls an oracle"),
    ("src/cli/planted.cpp", "auto g = [&] { o\n  .answer_line (d, line, t, y); };", "calls an oracle"),
    ("src/stages/string_utils.hpp", "#pragma once", "says nothing"),
    ("kernels/detail/planted.hpp", "#pragma once", "says nothing"),
    ("tests/support/common.hpp", "#pragma once", "says nothing"),
]
# What the law allows and a careless check would not.
ALLOWED = [
    ("src/learners/planted.cpp", '// oracle.answer(d, x, y); #include "src/cli/x.hpp"'),
    ("src/stages/planted.cpp", '/*\n#include "src/cli/x.hpp"\n*/'),
    ("src/stages/planted.cpp", 'const char* text = "never call o.answer(x)";'),
    ("src/oracles/planted.cpp", "void f() { inner_->answer(d, x, y); }"),
    ("src/cli/planted.cpp", "#include <crease/cuda.hpp>"),
    ("src/stages/planted.cpp", "const char quote = '\"'; // o.answer(x)"),
    ("src/stages/planted.cpp", "#include <cmath>"),
    ("kernels/cuda/planted.cu", "#include <cuda_runtime.h>"),
    ("kernels/cuda/planted.cu", '#include "kernels/cuda/indexing.cuh"'),
    ("kernels/cuda/planted.cuh", '#include "kernels/cuda/indexing.cuh"\n#include <crease/matrix.hpp>'),
    ("kernels/cuda/planted.cu", "__global__ void f() {}  // to see whether kernels start"),
]


def planted(root):
    """Failures of the check itself: a planted violation that it missed, or an allowed line refused."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for room in ROOMS[:3]:
            shutil.copytree(root / room, copy / room)
        before = set(violations(copy))
        for path, text, complaint in [*PLANTED, *((path, text, None) for path, text in ALLOWED)]:
            file = copy / path
            made = [parent for parent in file.parents if not parent.exists()]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("// planted\n" + text + "\n", encoding="utf-8")
            raised = set(violations(copy)) - before
            file.unlink()
            for parent in made:
                parent.rmdir()
            yield from misjudged(path, text, complaint, raised)


def misjudged(path, text, complaint, raised):
    """What the check made of one planted line, where it is wrong."""
    if complaint is None and raised:
        yield f"{path}: {text!r} is allowed, but raised {sorted(raised)}"
    if complaint and not any(
        v.startswith(path.rsplit("/", 1)[0]) and complaint in v for v in raised
    ):
        yield f"{path}: {text!r} should be caught with '{complaint}', raised {sorted(raised)}"


def main(arguments):
    if len(arguments) == 2 and arguments[0] == "--planted":
        found = list(planted(Path(arguments[1])))
        print(f"layers: {len(PLANTED)} violations planted, {len(ALLOWED)} allowed lines tried")
    elif len(arguments) == 1:
        found = list(violations(Path(arguments[0])))
    else:
        print(__doc__, file=sys.stderr)
        return 2
    for line in found:
        print(line)
    print("layers: " + (f"{len(found)} violations" if found else "the law holds"))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
