"""A Triton kernel: the few numbers that a training step is judged by, in one launch. Importing this imports triton."""
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, no-any-return"

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def find(
    norms, loss, output, y, told, bad, wrong, in_a_row, n, B, C,
    BLOCK: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, CLASSES: tl.constexpr, GIVE_UP: tl.constexpr,
):  # fmt: skip
    """told (3,): the loss, the right answers, the root of the sum of the squares of n norms, in float64.

    An answer is right where the first of the largest of output (B, C) is that of y (B,); without CLASSES none is.
    wrong: are loss and norm not both finite, or were GIVE_UP steps in a row so before? bad: the same as 1.0 or 0.0, as
    the optimizer asks for it. in_a_row (), int32: how many steps were wrong, up to this one.
    """
    at = tl.arange(0, BLOCK)
    each = tl.load(norms + at, mask=at < n, other=0).to(tl.float64)
    norm = tl.sqrt(tl.sum(each * each, axis=0))
    value = tl.load(loss).to(tl.float64)
    tl.store(told, value)
    right = 0
    if CLASSES:
        row = tl.arange(0, ROWS)
        column = tl.arange(0, COLUMNS)
        inside = (row[:, None] < B) & (column[None, :] < C)
        values = tl.load(output + row[:, None] * C + column[None, :], mask=inside, other=float("-inf")).to(tl.float32)
        right = tl.sum((tl.argmax(values, axis=1) == tl.load(y + row, mask=row < B, other=-1)).to(tl.int32), axis=0)
    tl.store(told + 1, right)
    tl.store(told + 2, norm)
    before = tl.load(in_a_row)
    finite = (tl.abs(value) + norm < float("inf")) & (before < GIVE_UP)
    tl.store(in_a_row, tl.where(finite, 0, before + 1))
    tl.store(bad, tl.where(finite, 0.0, 1.0))
    tl.store(wrong, finite == 0)
