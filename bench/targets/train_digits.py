#!/usr/bin/python3
"""Trains digits.safetensors, beside this file: 64-32-10, ReLU, ten logits, on the scikit-learn digits;
and digits_64_128.safetensors: 64-128-1, by regression, whether the digit is at least 5.

    apt-get install python3-sklearn && bench/targets/train_digits.py [FOLDER]

1,347 of the 1,797 pictures (8 x 8 pixels) are trained on, 450 are held out; the seed is fixed. Pixels
are shifted and scaled by two constants for all of them, so that a typical input has the size of
N(0, I). The wide one sees all pictures, its pixels in [0, 1]: training leaves 5 of its 128 neurons
as good as dead (|u| |w| below 4e-6, their hyperplanes more than 12 from the origin). Other versions of
numpy or scikit-learn may give other weights.
"""

import json
import os
import struct
import sys
import warnings
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before numpy: the sums' order decides the last bits
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor

NEURONS = 32
WIDE = 128
SEED = 0


def write_safetensors(path, tensors, metadata):
    """float64, row-major; the header is JSON, padded to a multiple of 8 bytes."""
    header, data = {"__metadata__": metadata}, b""
    for name, tensor in tensors.items():
        raw = np.ascontiguousarray(tensor, dtype="<f8").tobytes()
        header[name] = {
            "dtype": "F64",
            "shape": list(tensor.shape),
            "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    Path(path).write_bytes(struct.pack("<Q", len(text)) + text + data)


def layers(model):
    """scikit-learn's output is coefs_[1]^T relu(coefs_[0]^T x + ...), of a classifier before its softmax."""
    return {
        "0.weight": model.coefs_[0].T,
        "0.bias": model.intercepts_[0],
        "2.weight": model.coefs_[1].T,
        "2.bias": model.intercepts_[1],
    }


def train_classifier(out):
    pixels, digit = load_digits(return_X_y=True)
    x = (pixels - pixels.mean()) / pixels.std()
    x_train, x_test, y_train, y_test = train_test_split(
        x, digit, test_size=450, random_state=SEED, stratify=digit
    )
    model = MLPClassifier((NEURONS,), activation="relu", alpha=1e-3, max_iter=400, random_state=SEED)
    model.fit(x_train, y_train)
    held_out = model.score(x_test, y_test)
    metadata = {
        "activation": "relu", "source": "train_digits.py", "held_out_accuracy": f"{held_out:.4f}"
    }  # fmt: skip
    write_safetensors(out, layers(model), metadata)
    print(f"{out}: 64-{NEURONS}-10, {held_out:.1%} of 450 held-out digits right")


def train_wide(out):
    pixels, digit = load_digits(return_X_y=True)
    model = MLPRegressor((WIDE,), activation="relu", alpha=1e-4, max_iter=60, random_state=SEED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 60 passes are not meant to converge
        model.fit(pixels / 16, (digit >= 5) * 2.0 - 1)
    write_safetensors(out, layers(model), {"activation": "relu", "source": "train_digits.py"})
    weights = np.linalg.norm(model.coefs_[0], axis=0)
    live = int((np.abs(model.intercepts_[0]) < 12 * weights).sum())
    print(f"{out}: 64-{WIDE}-1, {live} hyperplanes within 12 of the origin")


def main():
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    train_classifier(folder / "digits.safetensors")
    train_wide(folder / "digits_64_128.safetensors")


if __name__ == "__main__":
    main()
