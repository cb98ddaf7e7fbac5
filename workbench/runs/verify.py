"""Records verified: every hash, and some computed again up to their first evaluation, to see that they come out alike.

A record of the present numerics comes out bit for bit where this process has its arithmetic; elsewhere its first losses
come out within NEAR. What no other computation can be expected to equal (an older numerics, another device, several
processes, data that are not here) is named and left out.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import torch

from .. import recurrence
from ..errors import DataError, RunError, StoreError, WorkbenchError
from ..progress import notices
from ..tasks import data_hashes
from ..training import Trainer
from .arithmetic import arithmetic
from .asked import pinned_threads
from .provenance import NUMERICS
from .record import Record, found, records
from .train_and_record import FIRST_LOSSES, evaluation_row, recordable

SAMPLE, SECONDS = 12, 60.0  # records, and processor seconds that the first evaluation of each may have cost
NEAR = 1e-4  # relative


def verify(everything: bool, say: Callable[[str], None]) -> None:
    """Compare every hash, then `repeat`; StoreError for damaged records, RunError for some that came out different."""
    complaints = damaged()
    for line in complaints:
        say(line)
    if complaints:
        raise StoreError(f"{len(complaints)} records do not verify")
    if different := repeat(everything):
        raise RunError(f"{len(different)} records came out different: {'; '.join(different)}")


def damaged() -> list[str]:
    """Re-read every record and check every hash; a line for each that is damaged, none if all is well."""
    complaints = []
    for _, run in found():
        try:
            Record(run).verify()
        except StoreError as error:
            complaints.append(str(error))
    return complaints


def repeat(
    everything: bool = False, say: Callable[[str], None] = lambda line: print(line, file=notices())
) -> list[str]:
    """Compute SAMPLE of the records again, chosen at random from the cheap ones, or each one that can be.

    `say` is told of each, and what was left out. -> a line for each that came out different
    """
    reasons = {record: unlike(record) for record in records()}
    able = [record for record, reason in reasons.items() if reason is None]
    cheap = [record for record in able if _cost(record) < SECONDS]
    chosen = able if everything else random.sample(cheap, min(SAMPLE, len(cheap)))
    left_out = Counter(reason for reason in reasons.values() if reason is not None)
    left_out["takes longer than a minute (--all)"] = 0 if everything else len(able) - len(cheap)
    for reason, count in left_out.items():
        if count:
            say(f"not computed again: {count} records: {reason}")
    complaints = []
    for record in chosen:
        name = f"{record.experiment} seed {record.seed} ({record.id})"
        try:
            alike, said = compare(record)
        except WorkbenchError as error:
            alike, said = False, f"cannot be computed again: {error}"
        say(f"{name}: {said}")
        if not alike:
            complaints.append(f"{name}: {said}")
    alike_count = len(chosen) - len(complaints)
    say(f"{alike_count} of {len(chosen)} records computed again came out alike, of {len(able)} that can")
    return complaints


def unlike(record: Record) -> str | None:
    """Reason why a record cannot be expected to come out alike here; None where it can."""
    if record.numerics != NUMERICS:
        return f"of numerics {record.numerics}, and this version computes under {NUMERICS}"
    if not record.losses or (where := _where(record)) is None:
        return "not evaluated yet"
    if where.get("ranks", 1) != 1:
        return "computed by several processes"
    if _device(where["device"]) is None:
        return f"computed on {where['device']}, which is not here"
    try:
        here = data_hashes(record.config.task)
    except DataError:
        return f"the data of {record.config.task.name} are not here"
    return None if here == record.spec["data"] else f"other data of {record.config.task.name} are here"


def compare(record: Record) -> tuple[bool, str]:
    """Compute a record again up to its first evaluation -> whether it came out alike, and how."""
    where = _where(record) or {}
    losses, row = again(record)
    recorded = record.losses[: len(losses)]  # an evaluation may come before the last of them
    first = {name: value for name, value in record.evaluations[0].items() if name not in ("event", "cost", "check")}
    if losses == recorded and row == first:
        return True, "bit for bit"
    exact = where.get("arithmetic") == arithmetic() and where["torch"] == torch.__version__ and "earlier" not in where
    if exact and where["device"].startswith("CPU"):
        part = "first losses" if losses != recorded else "first evaluation"
        return False, f"other bits under the same numerics and arithmetic, in its {part}"
    if near(losses, recorded):
        return True, f"first losses within {NEAR:g}; of another arithmetic, torch or device, so no more is promised"
    return False, f"first losses {losses} are not within {NEAR:g} of the recorded {recorded}"


def near(ours: Sequence[float | None], theirs: Sequence[float | None]) -> bool:
    """Say whether losses are within NEAR of others; one that is not finite equals only such a one."""
    return len(ours) == len(theirs) and all(
        a == b if a is None or b is None else abs(a - b) <= NEAR * abs(b) for a, b in zip(ours, theirs, strict=True)
    )


def again(record: Record) -> tuple[list[float | None], dict[str, Any]]:
    """The first losses and the first evaluation's row of a record, computed here, with its threads and engine."""
    where = _where(record) or {}
    engine = where["backend"] if recurrence.unavailable(where["backend"]) is None else "auto"
    device = _device(where["device"]) or "cpu"
    trainer = Trainer(
        record.config, record.seed, device=device, backend=engine, graphs="on" if where.get("graphs") else "off"
    )
    losses: list[float | None] = []
    with pinned_threads(record.spec["threads"]):
        while not trainer.due:
            loss = recordable({"loss": trainer.advance()})["loss"]
            losses += [loss] * (trainer.step <= FIRST_LOSSES)
        return losses, evaluation_row(trainer)


def _where(record: Record) -> dict[str, Any] | None:
    """The provenance of a record's first evaluation: that of the first scores after it; None where there are none."""
    first = min((e["step"] for e in record.evaluations), default=math.inf)
    return next((scored["provenance"] for scored in record.budgets if scored["step"] >= first), None)


def _device(name: str) -> str | None:
    """The device of that name here, as torch calls it; None if it is not here."""
    if name.startswith("CPU"):
        return "cpu"
    return "cuda" if torch.cuda.is_available() and torch.cuda.get_device_name() == name else None


def _cost(record: Record) -> float:
    """Processor seconds that a record took to its first evaluation."""
    return float(record.evaluations[0].get("cost", {}).get("cpu_s", 0.0))
