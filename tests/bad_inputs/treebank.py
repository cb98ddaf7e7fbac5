"""Texts."""

# ruff: noqa: E501  (a case is a line)
from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from workbench.tasks import treebank

from .case import DATA, Case


def words(here: Path) -> object:
    return treebank.read(here, "word")


def characters(here: Path) -> object:
    return treebank.read(here, "char")


def treebank_of(**changed: bytes | None) -> dict[str, bytes | None]:
    """The three texts of a treebank, some of them changed."""
    texts: dict[str, bytes | None] = dict.fromkeys(("train", "valid", "test"), b" a bb \n c \n")
    return {f"ptb.{split}.txt": text for split, text in (texts | changed).items()}


# fmt: off
TREEBANK_CASES: dict[str, tuple[Callable[[Path], object], Mapping[str, bytes | None], tuple[str, ...]]] = {
    "a treebank with a byte order mark": (words, treebank_of(train=b"\xef\xbb\xbfa b\n"), ("ptb.train.txt: byte 0", "byte order mark found", "without a byte order mark expected")),
    "a treebank in UTF-16": (words, treebank_of(valid="a b\n".encode("utf-16")), ("ptb.valid.txt: byte 0", "UTF-16 found", "UTF-8")),
    "a treebank in UTF-16 without a mark": (words, treebank_of(train=b" a \n" + "b\n".encode("utf-16-le")), ("ptb.train.txt: line 2", "zero byte", "UTF-8")),
    "a treebank that is no UTF-8": (words, treebank_of(test=b" a bb \n \xe9t\xe9 \n"), ("ptb.test.txt: byte 8", "0xe9 found", "UTF-8 expected")),
    "a treebank cut inside a character": (characters, treebank_of(train="é".encode()[:1]), ("ptb.train.txt: byte 0", "0xc3 found", "UTF-8 expected")),
    "a treebank with CRLF": (words, treebank_of(train=b" a \n bb \r\n"), ("ptb.train.txt: line 2", "carriage return found", "newlines alone")),
    "an empty treebank": (words, treebank_of(train=b""), ("ptb.train.txt: byte 0", "empty file found", "text expected")),
    "an empty test text": (characters, treebank_of(test=b""), ("ptb.test.txt: byte 0", "empty file found")),
    "a treebank with an empty vocabulary": (words, treebank_of(train=b"\n \n"), ("ptb.train.txt: line 1", "2 empty lines found", "text expected")),
    "a validation text of empty lines": (words, treebank_of(valid=b"\n"), ("ptb.valid.txt: line 1", "1 empty lines found")),
    "a word that training lacks": (words, treebank_of(valid=b" a \n a dog \n"), ("ptb.valid.txt: line 2", "'dog' found", "one of the 4 words of ptb.train.txt")),
    "a character that training lacks": (characters, treebank_of(test=b" a Z \n"), ("ptb.test.txt: line 1", "'Z' found", "one of the 5 characters of ptb.train.txt")),
    "a folder in place of a treebank": (words, treebank_of(train=None), ("ptb.train.txt: cannot be read", "directory")),
    "a treebank without its test text": (words, {k: v for k, v in treebank_of().items() if "test" not in k}, ("ptb.test.txt: cannot be read", "No such file")),
}
CASES = [Case(n, "Data", "file", call, DATA, says, files=files) for n, (call, files, says) in TREEBANK_CASES.items()]
# fmt: on
