#!/usr/bin/env python3
"""Writes the seeds of the fuzzers, one folder a fuzzer: small files that are good, and each kind that is bad.

    tests/fuzz/make_seeds.py [FOLDER]        (default: this file's own)

Only what is missing from the standard library is made by hand; the same bytes every time.
"""

import io
import json
import struct
import sys
import zipfile
from pathlib import Path

HUGE = 1 << 60


def doubles(*numbers):
    return struct.pack(f"<{len(numbers)}d", *numbers)


def entry(shape, begin, end, dtype="F64"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def header_of(tensors, metadata=None):
    return json.dumps({**({"__metadata__": metadata} if metadata else {}), **tensors}).encode()


def whole(header, data):
    return struct.pack("<Q", len(header)) + header + data


def network(d=2, k=2, p=1, skip=False):
    """Header and data of a network, by the names of PyTorch."""
    shapes = {"0.weight": [k, d], "0.bias": [k], "2.weight": [p, k], "2.bias": [p]}
    if skip:
        shapes["skip.weight"] = [p, d]
    tensors, at = {}, 0
    for name, shape in shapes.items():
        count = 1
        for size in shape:
            count *= size
        tensors[name] = entry(shape, at, at + 8 * count)
        at += 8 * count
    return header_of(tensors, {"format": "crease", "activation": "relu"}), doubles(
        *(0.25 * i - 1 for i in range(at // 8))
    )


def safetensors_parts():
    """Header and data, good and bad."""
    types = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "U32": 4, "I16": 2, "U8": 1, "BOOL": 1}
    every, at = {}, 0
    for name, size in types.items():
        every[name] = entry([2], at, at + 2 * size, name)
        at += 2 * size
    x = entry([2, 1], 0, 16)
    return {
        "network": network(),
        "network_with_skip": network(3, 2, 2, True),
        "network_without_neurons": network(2, 0, 1),
        "network_of_a_power": (
            header_of({"0.weight": entry([1, 2], 0, 16), "2.weight": entry([1, 1], 16, 24)},
                      {"format": "crease", "activation": "relu", "power": "2.5"}),
            doubles(1, -2, 3),
        ),
        "types": (header_of(every), bytes(range(at))),
        "matrix": (header_of({"x": x}), doubles(1, -2)),
        "not_finite": (header_of({"x": x}), doubles(float("nan"), float("inf"))),
        "empty_tensor": (header_of({"x": entry([0, 3], 0, 0)}), b""),
        "huge_shape": (header_of({"x": entry([HUGE, 4], 0, 16)}), doubles(1, 2)),
        "huge_empty_shape": (header_of({"x": entry([0, HUGE], 0, 0)}), b""),
        "huge_network": (
            header_of({"0.weight": entry([0, HUGE], 0, 0), "2.weight": entry([HUGE, 0], 0, 0)}),
            b"",
        ),
        "huge_network_skip": (
            header_of({"0.weight": entry([0, HUGE], 0, 0), "2.weight": entry([1, 0], 0, 0),
                       "skip.weight": entry([1], 0, 8)}),
            doubles(1),
        ),
        "overlap": (header_of({"x": x, "y": x}), doubles(1, 2)),
        "hole": (header_of({"x": entry([1], 8, 16)}), doubles(1, 2)),
        "backwards": (header_of({"x": entry([1], 16, 8)}), doubles(1, 2)),
        "unknown_type": (header_of({"x": entry([1], 0, 8, "C64")}), doubles(1)),
        "twice": (b'{"x":{"dtype":"F64","shape":[1],"data_offsets":[0,8]},"x":{}}', doubles(1)),
        "deep": (b'{"x":[[[[[[[[]]]]]]]]}', b""),
        "not_json": (b"{]", b""),
        "large_integer": (header_of({"x": entry([1], 0, 8, "I64")}), struct.pack("<q", 2**62 + 1)),
        "metadata_no_string": (b'{"__metadata__":{"a":1}}', b""),
        "unicode": ('{"\\ud83d\\ude00":{"dtype":"F64","shape":[],"data_offsets":[0,8]}}'.encode(), doubles(1)),
    }  # fmt: skip


def npy(header, data, version=1):
    text = header.encode()
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + length + text + data


def npy_dictionary(descr="<f8", fortran=False, shape="(2,)"):
    return f"{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n"


def npy_files():
    numbers = doubles(1, 2)
    return {
        "float64": npy(npy_dictionary(), numbers),
        "swapped": npy(npy_dictionary(">f8"), numbers),
        "float16": npy(npy_dictionary("<f2", False, "(8,)"), numbers),
        "bool": npy(npy_dictionary("|b1", False, "(16,)"), numbers),
        "int64": npy(npy_dictionary("<i8"), numbers),
        "fortran": npy(npy_dictionary("<f8", True, "(1, 2)"), numbers),
        "version_2": npy(npy_dictionary(), numbers, 2),
        "scalar": npy(npy_dictionary(shape="()"), doubles(3)),
        "empty": npy(npy_dictionary(shape="(0, 5)"), b""),
        "huge_shape": npy(npy_dictionary(shape=f"({HUGE}, 4)"), numbers),
        "huge_empty_fortran": npy(npy_dictionary("<f8", True, f"(0, {HUGE}, {HUGE})"), b""),
        "structured": npy("{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,)}", numbers),
        "no_magic": b"NUMPY" + numbers,
        "truncated": npy(npy_dictionary(), numbers)[:-9],
        "header_too_long": b"\x93NUMPY\x02\x00\xff\xff\xff\xff{",
        "header_alone": npy_dictionary("<f8", True, "(3, 4, 5)").encode(),
    }


def zipped(members, method=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)  # 1 January 1980: the same bytes every time
            info.compress_type = method
            archive.writestr(info, data)
    return buffer.getvalue()


def archives():
    x = npy_files()["float64"]
    matrix = npy(npy_dictionary(shape="(2, 1)"), doubles(1, 2))
    weights = {
        "0.weight.npy": npy(npy_dictionary(shape="(1, 2)"), doubles(1, 2)),
        "0.bias.npy": npy(npy_dictionary(shape="(1,)"), doubles(0.5)),
        "2.weight.npy": npy(npy_dictionary(shape="(1, 1)"), doubles(3)),
    }
    good = zipped({"x.npy": matrix, "y.npy": x})
    bomb = zipped(
        {"x.npy": npy(npy_dictionary("|b1", False, "(100000,)"), bytes(100000))}, zipfile.ZIP_DEFLATED
    )
    wrong_sum = bytearray(good)
    wrong_sum[good.index(doubles(1, 2))] ^= 1
    return {
        "stored": good,
        "network": zipped(weights),
        "network_of_a_power": zipped(
            {**weights, "0.bias.npy": npy(npy_dictionary(shape="(1,)"), doubles(0)),
             "power.npy": npy(npy_dictionary(shape="()"), doubles(2.5))}
        ),
        "deflated": zipped({"x.npy": matrix}, zipfile.ZIP_DEFLATED),
        "bomb": bomb,
        "empty": zipped({}),
        "no_array": zipped({"x.txt": b"text"}),
        "truncated": good[:-30],
        "wrong_checksum": bytes(wrong_sum),
        "claims_too_much": good.replace(
            struct.pack("<II", len(matrix), len(matrix)), struct.pack("<II", len(matrix), 0x7FFFFFFF)
        ),
    }


def replies():
    """Sizes and piece as reply_fuzz.cpp reads them, then the bytes of a reply."""
    good = struct.pack("<qq", 2, 1) + doubles(1, 2)
    starts = {"at_once": bytes([1, 0, 63]), "in_pieces": bytes([1, 0, 4])}
    bodies = {
        "good": good,
        "short": good[:-3],
        "long": good + b"\n",
        "huge": struct.pack("<qq", 1 << 62, 1 << 62),
        "text": b"Traceback (most recent call last)",
    }
    return {f"{body}_{start}": a + b for body, b in bodies.items() for start, a in starts.items()}


def seeds():
    """Fuzzer -> name -> bytes."""
    parts = safetensors_parts()
    whole_files = {name: whole(*part) for name, part in parts.items()}
    whole_files["short"] = b"\x01\x02"
    whole_files["length_too_long"] = struct.pack("<Q", HUGE) + b"{}"
    whole_files["truncated"] = whole_files["network"][:-5]
    whole_files["nothing"] = b""
    files = {**whole_files, **{f"zip_{name}": data for name, data in archives().items()}}
    of_matrix = ("matrix", "not_finite", "empty_tensor", "huge_empty_shape", "zip_stored", "zip_deflated", "zip_bomb")
    return {
        "tensors": files,
        "safetensors": {name: header + b"\n" + data for name, (header, data) in parts.items()},
        "npy": npy_files(),
        "reply": replies(),
        "network": {name: data for name, data in files.items() if "network" in name},
        "matrix": {name: files[name] for name in of_matrix},
    }


def main():
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent
    for fuzzer, files in seeds().items():
        (folder / fuzzer).mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            (folder / fuzzer / name).write_bytes(data)


if __name__ == "__main__":
    main()
