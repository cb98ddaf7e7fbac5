"""Cases that go wrong on purpose, one for each outcome: what judges the others must tell them apart."""

from __future__ import annotations

import os

import torch

from .case import Case, Make, sequences


def passes(make: Make) -> None:
    make(3, 5)(sequences())


def refuses(make: Make) -> None:
    make(3, 5)([0.0])


def fails(make: Make) -> None:
    raise OSError("no such thing\nsecond line")


def wrong(make: Make) -> None:
    assert torch.equal(make(3, 5)(sequences())[0], torch.zeros(6, 4, 5))


def crashes(make: Make) -> None:
    os.abort()


PLANTED = {
    call.__name__: Case("planted", call.__name__, call, True) for call in (crashes, fails, passes, refuses, wrong)
}
