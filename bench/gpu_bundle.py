#!/usr/bin/env python3
"""Collects in one folder what `./dev gpu` needs on a machine without network: ./dev gpu-bundle FOLDER.

The folder is the repository's tracked files and `carried/`:
  commit            what was checked out; "+changes" where tracked files differ from it
  googletest/       GoogleTest's sources (Debian's package googletest), built on the spot
  prefix.tar.gz     include/, lib/ and CMake packages of every other dependency, from this machine:
                    OpenBLAS, LAPACKE, libzip and SQLite with the shared libraries they need, and headers.
                    The C and C++ runtime and OpenMP's are not among them: the compiler there has its own.
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

LIMIT = 40e6  # bytes: what travels
ROOT = pathlib.Path(__file__).resolve().parent.parent
HEADERS = ["CLI", "nlohmann", "Random123", "fmt", "lapack.h", "lapacke.h", "lapacke_config.h",
           "lapacke_mangling.h", "lapacke_utils.h", "cblas.h", "openblas_config.h", "zip.h", "zipconf.h",
           "sqlite3.h", "xxhash.h"]
LIBRARIES = ["openblas", "lapacke", "zip", "sqlite3", "fmt"]
CMAKE_PACKAGES = ["CLI11", "nlohmann_json", "fmt"]
# Part of the toolchain there, which is as new as the one here or newer (glibc 2.36, g++ 12).
TOOLCHAIN = re.compile(r"^(linux-vdso|ld-linux|lib(c|m|dl|rt|pthread|gcc_s|stdc\+\+|gomp)\.so)")
GOOGLETEST = pathlib.Path("/usr/src/googletest")


def fail(message):
    sys.exit(f"gpu-bundle: {message}")


def run(*command):
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def found(name, folders):
    for folder in folders:
        if (folder / name).exists():
            return folder / name
    fail(f"{name} was not found in {', '.join(map(str, folders))}: run ./dev setup")


def resolved(path):
    """A file's real place; a folder as it is."""
    return path.resolve() if path.is_file() else path


def libraries():
    """The files behind -lopenblas ... and all they need, as (name to be found by, file)."""
    files = {}
    for name in LIBRARIES:
        link = pathlib.Path(run("g++", f"-print-file-name=lib{name}.so").strip())
        if not link.is_absolute():
            fail(f"lib{name}.so was not found: run ./dev setup")
        files[link.name] = link.resolve()
        for line in run("ldd", str(link)).splitlines():
            match = re.match(r"\s*(\S+) => (/\S+)", line)
            if match and not TOOLCHAIN.match(match[1]):
                files[match[1]] = pathlib.Path(match[2]).resolve()
            elif "not found" in line:
                fail(f"{link}: {line.strip()}")
        soname = re.search(r"SONAME.*\[(\S+)\]", run("readelf", "-d", str(link)))
        files[soname[1]] = link.resolve()
    return files


def write_prefix(archive):
    triplet = run("g++", "-print-multiarch").strip()
    include = [pathlib.Path("/usr/include"), pathlib.Path("/usr/include") / triplet]
    cmake = [pathlib.Path("/usr/share/cmake"), pathlib.Path("/usr/lib") / triplet / "cmake"]
    with tempfile.TemporaryDirectory() as scratch, tarfile.open(archive, "w:gz", compresslevel=6) as tar:
        for name in HEADERS:
            tar.add(resolved(found(name, include)), f"include/{name}")
        # Where Debian's CMake packages look for their headers and libraries, from where they lie.
        for name in CMAKE_PACKAGES:
            folder = found(name, cmake)
            place = folder.relative_to("/usr").parent
            tar.add(folder, str(place / name))
        written = {}
        for name, file in sorted(libraries().items(), key=lambda item: (str(item[1]), item[0])):
            if file in written:
                link = tarfile.TarInfo(f"lib/{triplet}/{name}")
                link.type, link.linkname = tarfile.SYMTYPE, written[file]
                tar.addfile(link)
                continue
            written[file] = file.name
            stripped = pathlib.Path(scratch) / file.name
            shutil.copy(file, stripped)
            run("strip", "--strip-unneeded", str(stripped))
            tar.add(stripped, f"lib/{triplet}/{file.name}")
            if name != file.name:
                link = tarfile.TarInfo(f"lib/{triplet}/{name}")
                link.type, link.linkname = tarfile.SYMTYPE, file.name
                tar.addfile(link)


def commit():
    head = run("git", "rev-parse", "HEAD").strip()
    return head + ("+changes" if run("git", "status", "--porcelain", "-uno").strip() else "")


def size(folder):
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())


def main():
    parser = argparse.ArgumentParser(prog="./dev gpu-bundle", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path, help="new, empty, or an earlier bundle (replaced)")
    folder = parser.parse_args().folder.absolute()
    if ROOT == folder or ROOT in folder.parents and subprocess.run(
            ["git", "check-ignore", "-q", str(folder)], cwd=ROOT).returncode != 0:
        fail(f"{folder} lies among the repository's own files")
    if folder.exists() and any(folder.iterdir()):
        if not (folder / "carried" / "commit").is_file():
            fail(f"{folder} is neither empty nor a bundle")
        shutil.rmtree(folder)

    for name in run("git", "ls-files", "-z").split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    carried = folder / "carried"
    carried.mkdir()
    (carried / "commit").write_text(commit() + "\n")
    if not GOOGLETEST.is_dir():
        fail(f"{GOOGLETEST} is missing: it is Debian's package googletest")
    shutil.copytree(GOOGLETEST, carried / "googletest", ignore=shutil.ignore_patterns("test", "samples", "docs"))
    write_prefix(carried / "prefix.tar.gz")

    total = size(folder)
    print(f"gpu-bundle: {folder}: {total / 1e6:.1f} MB, of them {size(carried) / 1e6:.1f} MB in carried/; "
          "there: ./dev gpu")
    if total > LIMIT:
        fail(f"that is more than the {LIMIT / 1e6:.0f} MB that may travel")


if __name__ == "__main__":
    main()
