"""IDX files."""

# ruff: noqa: E501  (a case is a line)
from __future__ import annotations

import gzip
import math
from pathlib import Path
from unittest.mock import patch

import numpy as np

from workbench.tasks import download, pixels

from .case import DATA, Case, Link, refused


def idx(shape: tuple[int, ...], body: bytes | None = None, magic: bytes = b"\0\0\x08") -> bytes:
    """An IDX file of unsigned bytes; its body all zeros unless given."""
    header = magic + bytes([len(shape)]) + b"".join(n.to_bytes(4, "big") for n in shape)
    return header + (bytes(math.prod(shape)) if body is None else body)


def read(here: Path) -> object:
    return pixels.read_idx(here / "images", dims=3, cap=1000)


def images_without_labels(here: Path) -> object:
    """MNIST's four files under their names, the labels one short."""
    for part in ("train", "t10k"):
        (here / f"{part}-images-idx3-ubyte.gz").write_bytes(idx((3, 28, 28)))
        (here / f"{part}-labels-idx1-ubyte.gz").write_bytes(idx((2,)))
    with patch.object(download, "locate", lambda _: here):
        return pixels.mnist()


def label_out_of_range(_: Path) -> object:
    return pixels._paired(np.zeros((2, 64), np.uint8), np.array([3, 10]), "images")


PACKED = gzip.compress(idx((2, 3, 3)), mtime=0)
# fmt: off
IDX_CASES: dict[str, tuple[bytes | Link | None, tuple[str, ...]]] = {  # id -> content, fragments
    "an empty IDX file": (b"", ("images: byte 0", "0 bytes found", "header of 16")),
    "an IDX file of another type": (idx((2, 3, 3), magic=b"\0\0\x0d"), ("byte 0", "00000d03", "00000803 expected")),
    "an IDX file of another magic": (idx((2, 3, 3), magic=b"\1\0\x08"), ("byte 0", "01000803", "00000803 expected")),
    "labels in place of images": (idx((16,)), ("byte 0", "00000801", "00000803 expected")),
    "an IDX file with a dimension 0": (idx((0, 3, 3)), ("byte 4", "(0, 3, 3)", "none 0")),
    "an IDX file with a dimension 2**31": (idx((2**31, 2**31, 2**31), b"x"), ("byte 4", "2147483648", "at most 984 bytes")),
    "an IDX file short by one byte": (idx((2, 3, 3))[:-1], ("byte 16", "17 bytes of data found", "18 expected")),
    "an IDX file with a byte too many": (idx((2, 3, 3)) + b"x", ("byte 16", "19 bytes of data found", "18 expected")),
    "a gzip stream cut short": (PACKED[:-9], ("images", "cannot be read")),
    "a gzip stream with junk behind": (PACKED + b"junk", ("images", "cannot be read")),
    "a gzip stream with a changed byte": (PACKED[:12] + bytes([PACKED[12] ^ 255]) + PACKED[13:], ("images", "cannot be read")),
    "a gzip header and no more": (PACKED[:4], ("images", "cannot be read")),
    "a web page saved as data": (b"<!DOCTYPE html><html><body>404</body></html>", ("byte 0", "3c21444f", "00000803")),
    "a folder in place of data": (None, ("images", "cannot be read", "directory")),
    "a link to itself in place of data": (Link("images"), ("images", "cannot be read")),
}
CASES = [
    *[Case(n, "Data", "file", read, DATA, says, files={"images": content}) for n, (content, says) in IDX_CASES.items()],
    *refused("Data", "file", DATA,
        ("no file at all", read, ("images", "cannot be read", "No such file")),
        ("images and labels of different counts", images_without_labels, ("3 images but 2 labels", "must agree")),
        ("a label out of range", label_out_of_range, ("images: label 10 found, 0 to 9 expected",)),
    ),
]
# fmt: on
