"""Records and checkpoints, one's own and those taken over."""

# ruff: noqa: E501  (a case is a line)
from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from workbench import files
from workbench.errors import StoreError
from workbench.runs import verify
from workbench.runs.bundle import adopt

from .case import NAN, PARAMETER, STORE, Case, refused, smoke, tiny_run


def write(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text)


def spec_with(**changes: Any) -> Callable[[Path], object]:
    def damage(folder: Path) -> None:
        spec = json.loads((folder / "spec.json").read_text())
        (folder / "spec.json").write_text(json.dumps({**spec, **changes}))

    return damage


def checkpoint(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    """The newest checkpoint changed, and named by its new hash: what a forger would do. Bytes replace all of it."""

    def damage(folder: Path) -> None:
        (path,) = folder.glob("ck-*.pt")
        state = torch.load(path, weights_only=True)
        content = change(state)
        if not isinstance(content, bytes):
            buffer = io.BytesIO()
            torch.save(state, buffer)
            content = buffer.getvalue()
        path.unlink()
        (folder / f"ck-1-{hashlib.sha256(content).hexdigest()[:16]}.pt").write_bytes(content)

    return damage


def of_another_run(state: dict[str, Any]) -> None:
    state["id"] = "0" * 16
    state["config"]["model"]["hidden"] = 8


def free_of_its_bound(state: dict[str, Any]) -> None:
    state["trainer"]["net"]["layers.1.u"].fill_(1.25)  # the bound is 2^(1/4) = 1.1892, ten learning rates 0.002


def of_another_shape(state: dict[str, Any]) -> None:
    state["trainer"]["net"]["layers.0.u"] = torch.zeros(7)


def claims_a_terabyte(state: dict[str, Any]) -> None:
    state["trainer"]["net"]["layers.0.u"] = torch.zeros(1).expand(10**12)


def without_a_weight(state: dict[str, Any]) -> None:
    del state["trainer"]["net"]["layers.0.u"]


def weights_alone(state: dict[str, Any]) -> None:
    state["trainer"] = {"net": state["trainer"]["net"], "best": None}


def without_optimizer(state: dict[str, Any]) -> None:
    state["trainer"]["optimizer"] = {}


def linked_elsewhere(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))
    folder.symlink_to(folder.with_name("elsewhere"))


def linked_to_itself(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.symlink_to(folder)


def link_inside(folder: Path) -> None:
    (folder / "notes.txt").symlink_to("/etc/hostname")


def read_only(_: Path) -> object:
    """A run where the disk takes nothing (permission bits do not bind an administrator)."""
    with patch.object(Path, "mkdir", side_effect=OSError(30, "Read-only file system")):
        return tiny_run(_)


def bundle(here: Path) -> object:
    """The prepared store, imported into another: whatever is wrong with it must be found before anything is copied."""
    with patch.object(files, "runs", lambda: here / "other" / "runs"):
        return adopt(here / "results")


def verify_all(_: Path) -> None:
    """`tables --verify`: the first complaint, as the error it would be."""
    for line in verify.damaged():
        raise StoreError(line)


# fmt: off
DAMAGES: dict[str, tuple[str, Callable[[Path], object], tuple[str, ...]]] = {  # id -> run, damage, fragments
    "a spec {}": ("begun", write("spec.json", "{}"), ("spec.json", "not a spec")),
    "an empty spec": ("begun", write("spec.json", ""), ("spec.json", "not JSON")),
    "a spec of one list": ("begun", write("spec.json", "[]"), ("spec.json", "not a spec")),
    "a spec of a newer schema": ("begun", spec_with(schema=99), ("spec.json", "schema 99 is newer", "update")),
    "a spec whose schema is text": ("begun", spec_with(schema="1"), ("spec.json", "not a spec")),
    "a spec with a wrong seed": ("begun", spec_with(seed=-1), ("spec.json", "seed", "greater than or equal to 0")),
    "a spec with wrong data": ("begun", spec_with(data=3), ("spec.json", "data", "dictionary")),
    "a spec with wrong threads": ("begun", spec_with(threads=0), ("spec.json", "threads", "greater than or equal to 1")),
    "a spec with another id": ("begun", spec_with(id="0" * 16), ("spec.json", "'0000000000000000'", "folder")),
    "a spec with a wrong config": ("begun", spec_with(config={"task": 1}, check=None), ("spec.json", "task: 1")),
    "a result {}": ("done", write("result.json", "{}"), ("result.json", "altered or not a result")),
    "an empty result": ("done", write("result.json", ""), ("result.json", "not JSON")),
    "a result of one list": ("done", write("result.json", "[]"), ("result.json", "altered or not a result")),
    "a result with half a character": ("done", write("result.json", '{"a": "\\ud800", "check": "x"}'), ("result.json", "not JSON", "surrogates")),
    "an event {}": ("begun", write("events.jsonl", "{}\n"), ("events.jsonl", "altered")),
    "an event of one list": ("begun", write("events.jsonl", "[]\n"), ("events.jsonl", "altered")),
    "an event with NaN": ("begun", write("events.jsonl", '{"a": NaN, "check": "x"}\n'), ("events.jsonl", "altered")),
    "an event of 100,000 brackets": ("begun", write("events.jsonl", "[" * 100_000 + "\n"), ("events.jsonl", "altered")),
    "a checkpoint of another run": ("begun", checkpoint(of_another_run), ("ck-1-", "a checkpoint of run 0000000000000000", "model.hidden 8, here 4")),
    "a checkpoint that torch cannot read": ("begun", checkpoint(lambda _: b"junk"), ("ck-1-", "cannot read it", torch.__version__)),
}
UNFIT = {  # checkpoints that are whole, but not of such a net: found when they are loaded
    "a checkpoint with u over its bound": (free_of_its_bound, ("step 1", "layers.1.u reaches 1.25", "0.002", "1.189")),
    "a checkpoint of another shape": (of_another_shape, ("step 1", "layers.0.u", "(7,)", "(4,) is needed")),
    "a checkpoint that lacks a weight": (without_a_weight, ("step 1", "layers.0.u is missing")),
    "a checkpoint of weights alone": (weights_alone, ("not the state of such a run", "optimizer")),
    "a checkpoint without optimizer": (without_optimizer, ("ck-1-", "not a checkpoint of a run", "optimizer")),
}
CASES = [
    *[Case(f"{n}, read by a run", "Store", "file", tiny_run, STORE, says, run=r, damage=d) for n, (r, d, says) in DAMAGES.items()],
    *[Case(f"{n}, imported", "Store", "file", bundle, STORE, says, run=r, damage=d) for n, (r, d, says) in DAMAGES.items()],
    *[Case(f"{n}, verified", "Store", "file", verify_all, STORE, says, run=r, damage=d) for n, (r, d, says) in DAMAGES.items()],
    *[Case(n, "Store", "file", tiny_run, STORE, says, run="begun", damage=checkpoint(c)) for n, (c, says) in UNFIT.items()],
    *refused("Store", "file", STORE,
        ("weights that are NaN, imported", bundle, ("ck-1-", "not finite"), {"run": "begun", "damage": checkpoint(lambda s: s["trainer"]["net"]["layers.0.u"].fill_(NAN))}),
        ("a checkpoint that claims a terabyte", bundle, ("ck-1-", "not finite"), {"run": "begun", "damage": checkpoint(claims_a_terabyte)}),
        ("a run's folder that is a link", tiny_run, ("a link", "never one"), {"run": "begun", "damage": linked_elsewhere}),
        ("a run's folder that is a link to itself", tiny_run, ("a link", "never one"), {"run": "begun", "damage": linked_to_itself}),
        ("a bundle with a link inside", bundle, ("notes.txt", "not a plain file"), {"run": "done", "damage": link_inside}),
        ("a bundle whose spec was rewritten", bundle, ("spec.json", "altered"), {"run": "done", "damage": spec_with(seed=5)}),
        ("results that are read-only", read_only, ("Read-only file system",)),
    ),
    *refused("Store", "cli", STORE,
        ("a file in the place of runs", smoke(), ("runs/", "Not a directory"), {"files": {"own/runs": "x"}, "env": {"WORKBENCH_RESULTS": "{here}/own"}}),
        ("a bundle that is not there", ("import", "{here}/nowhere"), ("nowhere: no runs there", "is needed")),
        ("a bundle that is a file", ("import", "{here}/bundle"), ("bundle", "cannot be read"), {"files": {"bundle": "x"}}),
        ("a bundle without runs", ("import", "{here}/bundle"), ("bundle: no runs there",), {"files": {"bundle/0123456789abcdeg/spec.json": "{}"}}),
        ("a bundle with an empty run", ("import", "{here}/bundle"), ("0123456789abcdef/spec.json", "not JSON"), {"files": {"bundle/0123456789abcdef/spec.json": ""}}),
        ("a bundle with a run of nothing", ("import", "{here}/bundle"), ("0123456789abcdef/spec.json", "missing"), {"files": {"bundle/0123456789abcdef": None}}),
        ("a bundle whose name has 300 characters", ("import", "b" * 300), ("bbb", "too long")),
    ),
    Case("a bundle whose name has a NUL", "Store", "cli", ("import", "a\0b"), PARAMETER, ("folder", "embedded null")),
]
# fmt: on
