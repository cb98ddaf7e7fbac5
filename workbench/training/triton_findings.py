"""A Triton kernel: the few numbers that a training step is judged by, in one launch. Importing this imports triton."""
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, no-any-return"

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def find(norms, loss, right, told, bad, wrong, n, BLOCK: tl.constexpr):
    """told (3,): the loss, the right answers, the root of the sum of the squares of n norms, in float64.

    wrong: are loss and norm not both finite? bad: the same as 1.0 or 0.0, as the optimizer asks for it.
    """
    at = tl.arange(0, BLOCK)
    each = tl.load(norms + at, mask=at < n, other=0).to(tl.float64)
    norm = tl.sqrt(tl.sum(each * each, axis=0))
    value = tl.load(loss).to(tl.float64)
    tl.store(told, value)
    tl.store(told + 1, tl.load(right).to(tl.float64))
    tl.store(told + 2, norm)
    finite = tl.abs(value) + norm < float("inf")
    tl.store(bad, tl.where(finite, 0.0, 1.0))
    tl.store(wrong, finite == 0)
