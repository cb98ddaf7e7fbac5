"""Images read one pixel a step, row by row: sequential and permuted MNIST, and scikit-learn's digits.

A pixel of value v out of m becomes 2 v / m - 1, as the official code has it (m = 256 for MNIST, so the largest is
0.992). The permutation, one for all images, and the held-out 5 % come from the seed.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..config import Pixels
from ..errors import DataError, reading
from ..seeds import Stream, generator
from . import download
from .contract import Batch, Scaler, Spec, Split

HELD_OUT = {"mnist": 0.05, "digits": 0.1}  # of the training images, for validation: 3,000 of MNIST, 144 of the digits
DIGITS_SHA256 = "65e5b4619795efb40c1082f4c350c049e4ad552200d369b6ae99e21eef5e72c5"  # of images and labels
DIGITS_TEST = 360  # the last of scikit-learn's 1,797, hence other writers than most of the training images


class Images(NamedTuple):
    """uint8 images (n, pixels) and int64 labels (n,) of both parts; the value that a pixel is divided by."""

    train: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]
    levels: int


def spec(config: Pixels) -> Spec:
    """The task seen from a net."""
    return Spec(inputs=1, outputs=10, steps=config.length, target="class")


class PixelsTask:
    """x (pixels * repeats, B, 1) in [-1, 1]; y (B,): the digit."""

    def __init__(self, config: Pixels, seed: int, batch_size: int):
        images = digits() if config.source == "digits" else mnist()
        self.spec = spec(config)
        self.seed, self.batch_size = seed, batch_size
        self.order = torch.arange(config.pixels)
        self.permuted, self.repeats = config.permuted, config.repeats
        if config.permuted:
            order = seed if config.permutation is None else config.permutation
            self.order = torch.randperm(config.pixels, generator=generator(order, "permutation"))
        n = len(images.train[0])
        shuffled = torch.randperm(n, generator=generator(seed, "split"))
        held_out = round(n * HELD_OUT[config.source])
        self.rows: dict[Split, Tensor] = {
            "valid": shuffled[:held_out].sort().values[: config.limit],
            "train": shuffled[held_out:].sort().values[: config.limit],
            "test": torch.arange(len(images.test[0]))[: config.limit],
        }
        self.images = images
        ink, way = (16, 255)[config.source == "mnist"], ", in the order of the run's permutation" * config.permuted
        self.scaler = Scaler((2 / images.levels,), (-1.0,), f"a pixel, 0 (paper) to {ink} (ink){way}")
        self.picked = Stream(seed, self.rows["train"], batch_size).picked
        self.batches_per_epoch = len(self.rows["train"]) / batch_size

    def batch(self, step: int) -> Batch:
        return self._read("train", self.picked(step))

    def resident(self, device: torch.device) -> ResidentPixels:
        """The training images on a device."""
        return ResidentPixels(self, device)

    def clean(self, index: int) -> Batch:
        rows = self.rows["train"]
        picked = torch.randint(len(rows), (self.batch_size,), generator=generator(self.seed, "clean", index))
        return self._read("train", rows[picked])

    def examples(self, split: Split, size: int) -> Iterator[Batch]:
        for rows in self.rows[split].split(size):
            yield self._read("test" if split == "test" else "train", rows)

    def drawn(self) -> dict[str, Any]:
        split = {"valid": self.rows["valid"].tolist()}
        return {**split, "permutation": self.order.tolist()} if self.permuted else split

    def _read(self, part: str, rows: Tensor) -> Batch:
        pixels, labels = self.images.train if part == "train" else self.images.test
        x = pixels[rows][:, self.order].T.contiguous().to(torch.float32)
        x = x if self.repeats == 1 else x.repeat(self.repeats, 1)
        return Batch(x.mul_(2 / self.images.levels).sub_(1).unsqueeze(-1), labels[rows])


class ResidentPixels:
    """Training images of a task as uint8 (pixels, n) on a device, in the order in which they are read: 47 MB."""

    def __init__(self, task: PixelsTask, device: torch.device):
        pixels, labels = task.images.train
        self.rows, self.repeats = task.picked, task.repeats
        self.pixels, self.labels = pixels[:, task.order].T.contiguous().to(device), labels.to(device)
        self.least, self.levels = torch.tensor(-1.0, device=device), task.images.levels

    def batch(self, rows: Tensor) -> Batch:
        """x (pixels * repeats, B, 1) float32 and y (B,) of rows (B,), all on the device."""
        x = torch.add(self.least, self.pixels.index_select(1, rows), alpha=2 / self.levels)
        x = x if self.repeats == 1 else x.repeat(self.repeats, 1)
        return Batch(x.unsqueeze(-1), self.labels.index_select(0, rows))


def hashes(config: Pixels) -> dict[str, str]:
    """The hashes of the images a run reads: part of its name."""
    return {"digits": DIGITS_SHA256} if config.source == "digits" else download.hashes("mnist")


def mnist() -> Images:
    """MNIST from its four IDX files, found and verified at each use, read once."""
    return _read_mnist(download.locate("mnist"))


@lru_cache(maxsize=1)
def _read_mnist(folder: Path) -> Images:
    parts = []
    for part, n in (("train", 60_000), ("t10k", 10_000)):
        images = read_idx(folder / f"{part}-images-idx3-ubyte.gz", dims=3, cap=n * 784 + 16)
        labels = read_idx(folder / f"{part}-labels-idx1-ubyte.gz", dims=1, cap=n + 8)
        parts.append(_paired(images.reshape(len(images), -1), labels, f"{folder / part}"))
    return Images(parts[0], parts[1], 256)


@lru_cache(maxsize=1)
def digits() -> Images:
    """scikit-learn's 8 x 8 digits (UCI optical digits), 1,437 to train and 360 to test."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images, labels = _paired(bunch.data.astype(np.uint8), bunch.target, "scikit-learn digits")
    split = len(images) - DIGITS_TEST
    content = hashlib.sha256(images.numpy().tobytes() + labels.numpy().tobytes()).hexdigest()
    if content != DIGITS_SHA256:
        raise DataError(f"scikit-learn digits: SHA-256 {content[:16]}... found, {DIGITS_SHA256[:16]}... expected")
    return Images((images[:split], labels[:split]), (images[split:], labels[split:]), 16)


def _paired(images: np.ndarray, labels: np.ndarray, origin: str) -> tuple[Tensor, Tensor]:
    if len(images) != len(labels):
        raise DataError(f"{origin}: {len(images)} images but {len(labels)} labels; the counts must agree")
    if labels.max() > 9:
        raise DataError(f"{origin}: label {labels.max()} found, 0 to 9 expected")
    return torch.from_numpy(images), torch.from_numpy(labels.astype(np.int64))


def read_idx(path: Path, dims: int, cap: int) -> np.ndarray:
    """An IDX file of unsigned bytes with `dims` dimensions, gzipped or not -> uint8 array.

    Reads at most `cap` bytes. Raises DataError with place, expected and found for anything else: another magic
    number, type or number of dimensions, a body shorter or longer than its header says, a broken gzip stream.
    """
    with reading(path, EOFError, zlib.error):
        with path.open("rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rb") if zipped else path.open("rb") as stream:
            content = stream.read(cap + 1)
    header = 4 + 4 * dims
    if len(content) < header:
        raise DataError(f"{path}: byte 0: {len(content)} bytes found, a header of {header} expected")
    if content[:3] != b"\0\0\x08" or content[3] != dims:
        raise DataError(f"{path}: byte 0: magic {content[:4].hex()} found, {bytes([0, 0, 8, dims]).hex()} expected")
    shape = tuple(int.from_bytes(content[4 + 4 * i : 8 + 4 * i], "big") for i in range(dims))
    size = int(np.prod(shape, dtype=object))
    if 0 in shape or header + size > cap:
        raise DataError(f"{path}: byte 4: dimensions {shape} found, none 0 and at most {cap - header} bytes expected")
    if len(content) != header + size:
        raise DataError(f"{path}: byte {header}: {len(content) - header} bytes of data found, {size} expected")
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape).copy()


task = PixelsTask
