"""Targets of fuzzing: readers of bytes that others made. Each gives data or one of our own errors, and nothing else.

A target takes any bytes, puts them before the real reader and uses what it returns as the rest of the package does.
`make fuzz` (coverage-guided) and tests/fuzz/test_readers.py (the kept seeds and changes of them) run the same ones.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import math
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from workbench.config import Config, canonical_json, run_id
from workbench.errors import DataError, ParameterError, StoreError, WorkbenchError
from workbench.runs import checkpoint, events, lock, record, status
from workbench.runs.folder import Run
from workbench.tasks import pixels, sequences, treebank
from workbench.tasks.skeletons import ntu_file
from workbench.training import Trainer

CORPUS = Path(__file__).parent / "corpus"
SEAL = "seal"  # stands in a record for the check or the id that its content gives
PARTS = {  # of a record: its files, and the byte that stands before each
    "spec.json": b"\x1c",
    "chance.json": b"\x1d",
    "events.jsonl": b"\x1e",
    "result.json": b"\x1f",
    "troubles.jsonl": b"\x1a",
}
WHOLE = "done"  # the seed of `record` that its edits begin with
JSON_VALUES: list[Any] = [
    None,
    True,
    -1,
    0,
    1.5,
    2**63,
    1e400,
    "",
    "x",
    "\ud800",
    "../x",
    "AAAA",
    [],
    {},
    [[]],
    {"": 1},
]
TENSORS = [
    *(torch.tensor(math.nan), torch.zeros(1), torch.zeros(2, 2), torch.ones((), dtype=torch.int64), torch.zeros(0)),
    *(
        torch.full((2,), 1e30),
        torch.ones(2, dtype=torch.complex64),
        torch.eye(2).to_sparse(),
        torch.empty(2, device="meta"),
    ),
    *((), (1, 2), -math.inf, b"", {1: torch.zeros(2)}),
]
NOWHERE = "0" * 16
_REST = {"cost": {}, "events": {"bytes": 0, "sha256": "0" * 64}}  # of a checkpoint
_ID = re.compile("[0-9a-f]{16}")
TINY = Config.parse(
    {
        "task": {"name": "adding", "length": 4},
        "model": {"kind": "plain", "hidden": 2, "norm": "after", "gamma": 2.0},
        "train": {"batch": 2, "steps": 5, "evaluate_every": 1},
    }
)


def idx(content: bytes, folder: Path) -> None:
    """An IDX file, gzipped or not."""
    path = folder / "file"
    path.write_bytes(content)
    for dims in (1, 3):
        with contextlib.suppress(DataError):
            array = pixels.read_idx(path, dims, cap=65_536)
            assert array.dtype == np.uint8
            assert array.ndim == dims
            assert 0 < array.size < 65_536


def skeleton(content: bytes, folder: Path) -> None:
    """A .skeleton file, and the two bodies of it that are kept."""
    with contextlib.suppress(DataError):
        found = ntu_file.parse(content, "fuzzed")
        assert found.shape[2:] == (ntu_file.JOINTS, 3)
        assert np.isfinite(found).all()
        assert ntu_file.actors(found).shape[1:] == (2, ntu_file.JOINTS, 3)


def text(content: bytes, folder: Path) -> None:
    """The three texts of the treebank, cut out of the bytes at 0x1c, by words and by characters."""
    cut = [*content.split(b"\x1c", 2), b"a\n", b"a\n"]
    for split, part in zip(treebank.SPLITS, cut, strict=False):
        (folder / f"ptb.{split}.txt").write_bytes(part)
    for unit in ("word", "char"):
        with contextlib.suppress(DataError):
            tokens, vocabulary = treebank.read.__wrapped__(folder, unit)
            assert all(0 <= int(t.min()) <= int(t.max()) < len(vocabulary) for t in tokens.values())


def own_sequences(content: bytes, folder: Path) -> None:
    """Sequences of one's own in a format that the first byte names, and what a net would read of them."""
    kinds: dict[bytes, tuple[str, dict[str, Any]]] = {
        b"Z": (".npz", {}),
        b"N": (".npy", {}),
        b"C": (".csv", {"target": "y"}),
        b"L": (".csv", {"target": "y", "sequence": "s", "time": "t"}),
        b"T": (".ts", {}),
        b"W": ("", {}),
    }
    suffix, fields = kinds.get(content[:1], (".ts", {}))
    path = folder / f"x{suffix}" if suffix else folder / "waves" / "a" / "a.wav"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(folder / "y.npy", np.arange(4) % 2)
    path.write_bytes(content[1:])
    if not suffix:  # a second recording, of another class
        path.with_name("b").mkdir(exist_ok=True)
        path.with_name("b").joinpath("b.wav").write_bytes(content[1:])
        path = folder / "waves"
    with contextlib.suppress(DataError, ParameterError):
        config = sequences.Sequences(name="sequences", path=str(path), missing="previous", **fields)
        found = sequences.found(config)
        assert all(len(found.read(row)) == found.lengths[row] for row in range(len(found.lengths)))
        task = sequences.SequencesTask(found, config, 0, 1)
        batch = task.batch(0)
        assert bool(torch.isfinite(batch.x).all())
        assert 0 <= int(batch.y[0]) < task.spec.outputs


def a_record(content: bytes, folder: Path) -> None:
    """A run's folder but for its checkpoints, each file behind the byte that `PARTS` gives it, or, behind `E`, edits of
    a whole one; a check that reads `seal` becomes the right one, so that a forger's records are tried too."""
    if content[:1] == b"E":
        content = _joined(edited(_split(seeds("record")[WHOLE]), content[1:], JSON_VALUES))
    run = Run(laid_out(content, folder))
    mine = record.Record(run)
    readers: tuple[Callable[[], object], ...] = (
        mine.verify,
        lambda: mine.status,
        lambda: mine.config,
        lambda: mine.changes,
        lambda: mine.worth,
        lambda: mine.curve,
        lambda: mine._repr_html_(),
        mine.recurrent_weights,
        run.drawn,
        lambda: lock.quarantined(run),
    )
    for read in readers:
        with contextlib.suppress(StoreError):
            read()
    row = status._summary(run)  # a damaged record is a row, not an error
    assert json.loads(json.dumps(row))["status"]


def a_checkpoint(content: bytes, folder: Path) -> None:
    """A checkpoint: bytes as they are; behind `P`, a pickle within a file that is otherwise whole; behind `E`, edits of
    a whole one's state. It is read, taken up by a trainer, and trained a step further."""
    if content[:1] == b"P":
        content = with_pickle(content[1:])
    elif content[:1] == b"E":
        state = torch.load(io.BytesIO(begun()), weights_only=True)
        content = checkpoint.pack(edited(state, content[1:], [*JSON_VALUES, *TENSORS]))[0]
    path, trainer = path_of(content), Trainer(TINY, 0)
    with contextlib.suppress(WorkbenchError):
        state = checkpoint.unpack(content, path)
        trainer.load(state["trainer"])
        assert all(bool(torch.isfinite(w).all()) for w in trainer.net.state_dict().values())
        trainer.advance()
        checkpoint.pack(trainer.state())


def edited(tree: Any, edits: bytes, values: list[Any]) -> Any:
    """A tree of dicts and lists with some of its nodes replaced or deleted: three bytes an edit, which node and what
    by; an odd end is left out."""
    for at in range(0, len(edits) - 2, 3):
        nodes = list(_nodes(tree))
        if not nodes:
            break
        holder, key = nodes[int.from_bytes(edits[at : at + 2], "big") % len(nodes)]
        which = edits[at + 2] % (len(values) + 1)
        if isinstance(holder, tuple):
            continue
        if which == len(values):
            del holder[key]
        else:
            holder[key] = copy.deepcopy(values[which])
    return tree


def _nodes(tree: Any) -> Iterator[tuple[Any, Any]]:
    """(holder, key) of every node below the root, in order."""
    held = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list | tuple) else ()
    for key, value in list(held):
        yield tree, key
        yield from _nodes(value)


def _split(content: bytes) -> dict[str, list[Any]]:
    """The files of a record as trees, a list of lines each."""
    return {name: [json.loads(line) for line in part.split(b"\n") if line] for name, part in _files(content).items()}


def _joined(files: dict[str, Any]) -> bytes:
    """The inverse of `_split`, of whatever the edits have made of it."""
    lines = {name: part if isinstance(part, list) else [part] for name, part in files.items()}
    return b"".join(
        PARTS[name] + b"\n".join(json.dumps(line).encode() for line in part) + b"\n" for name, part in lines.items()
    )


def _files(content: bytes) -> dict[str, bytes]:
    """The texts behind the marks of `PARTS`."""
    marks = {mark: name for name, mark in PARTS.items()}
    parts = re.split(b"([" + b"".join(marks) + b"])", content)
    return {marks[mark]: part for mark, part in zip(parts[1::2], parts[2::2], strict=True)}


def laid_out(content: bytes, root: Path) -> Path:
    """The folder of a record whose files the bytes hold."""
    files = {n: b"\n".join(_sealed(line) for line in part.split(b"\n")) for n, part in _files(content).items()}
    files["spec.json"], name = _named(files.get("spec.json", b""))
    shutil.rmtree(root / "runs", ignore_errors=True)
    folder = root / "runs" / name
    folder.mkdir(parents=True)
    for file_name, part in files.items():
        (folder / file_name).write_bytes(part)
    return folder


def _named(spec: bytes) -> tuple[bytes, str]:
    """A spec whose id is right where it reads `seal`, and the name of its folder."""
    try:
        held = json.loads(spec)
        if held["id"] == SEAL:
            held["id"] = run_id(Config.parse(held["config"]), held["seed"], held["data"])
            held["check"] = events.digest({k: v for k, v in held.items() if k != "check"})
        return canonical_json(held).encode(), str(held["id"]) if _ID.fullmatch(str(held["id"])) else NOWHERE
    except (ValueError, TypeError, KeyError, RecursionError, ParameterError):
        return spec, NOWHERE


def _sealed(line: bytes) -> bytes:
    """A line of JSON with the check that its content gives, where it reads `seal`."""
    if SEAL.encode() not in line:
        return line
    try:
        held = json.loads(line)
        if held["check"] not in (SEAL, SEAL + "-16"):
            return line
        check = events.digest({k: v for k, v in held.items() if k != "check"})
        return canonical_json({**held, "check": check if held["check"] == SEAL else check[:16]}).encode()
    except (ValueError, TypeError, KeyError, RecursionError):
        return line


def path_of(content: bytes) -> Path:
    """The name that says a checkpoint's bytes are whole."""
    return Path(f"ck-1-{checkpoint.digest(content)}.pt")


def with_pickle(pickled: bytes) -> bytes:
    """The bytes of the tiny run's checkpoint with another pickle in it; its checksums are right."""
    whole, out = zipfile.ZipFile(io.BytesIO(begun())), io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as made:
        for member in whole.infolist():
            held = whole.read(member)
            made.writestr(member.filename, pickled if member.filename.endswith("data.pkl") else held)
    return out.getvalue()


@cache
def begun() -> bytes:
    """The checkpoint of the tiny run after a step."""
    trainer = Trainer(TINY, 0)
    trainer.advance()
    trainer.evaluation()
    content, _ = checkpoint.pack({"id": NOWHERE, "config": TINY.model_dump(), "trainer": trainer.state()} | _REST)
    return content


TARGETS: dict[str, Callable[[bytes, Path], None]] = {
    "idx": idx,
    "skeleton": skeleton,
    "text": text,
    "sequences": own_sequences,
    "record": a_record,
    "checkpoint": a_checkpoint,
}


@cache
def seeds(target: str) -> dict[str, bytes]:
    """The kept inputs of a target, by name."""
    with zipfile.ZipFile(CORPUS / f"{target}.zip") as pack:
        return {name: pack.read(name) for name in sorted(pack.namelist())}


def keep(target: str, more: dict[str, bytes]) -> None:
    """Add to the kept inputs of a target; the same inputs give the same file."""
    kept = seeds(target) | more
    with zipfile.ZipFile(CORPUS / f"{target}.zip", "w") as pack:
        for name in sorted(kept):
            pack.writestr(zipfile.ZipInfo(name), kept[name], zipfile.ZIP_DEFLATED)
    seeds.cache_clear()
