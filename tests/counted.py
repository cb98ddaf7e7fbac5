"""Operators and bytes of a piece of work, by name, as a device would have them: without a device.

Each operator of ATen that launches counts one (a few two: `LAUNCHES`), with the bytes of the tensors that go in and
come out; so does each launch of a Triton kernel, counted at the launcher; views and memory that is only had are free.
Products are not computed, so nothing should depend on their values. A recorded step of version 0.1 had 192 and 2.51 GB.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager

from stand_ins import stand_in
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

FREE = {  # they launch nothing: views, memory, and what only looks at sizes
    "empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "detach", "alias", "view", "_unsafe_view",
    "t", "transpose", "permute", "expand", "select", "slice", "split", "split_with_sizes", "unbind", "unsqueeze",
    "squeeze", "as_strided", "lift_fresh", "is_same_size", "view_as", "_reshape_alias", "unflatten",
    "_local_scalar_dense",
}  # fmt: skip
LAUNCHES = {  # operators that launch twice on a device: sums and then what follows from them, or zeros and a copy
    "native_batch_norm": 2, "native_batch_norm_backward": 2, "_foreach_norm": 2, "select_backward": 2,
    "nll_loss_backward": 2,
}  # fmt: skip
WRITES = {  # of a kernel's tensors, those that it writes; reads are all others, and `BOTH`
    "states": (3, 4),
    "gradients": (5, 6, 7, 12),
    "normalize": (5, 6, 7, 8, 9),
    "weigh": (4,),
    "find": (4, 5, 6, 7),
}
BOTH = {"normalize": (7, 8, 9), "find": (7,)}


class Count(TorchDispatchMode):
    """The operators (name -> how often) and the bytes (name -> how many) of all that is done inside."""

    def __init__(self):
        super().__init__()
        self.operators, self.bytes = Counter(), Counter()
        self.at_work = False

    def __enter__(self):
        self.at_work = True
        return super().__enter__()

    def __exit__(self, *error):
        self.at_work = False
        return super().__exit__(*error)

    def note(self, name, reads, writes):
        self.operators[name] += LAUNCHES.get(name, 1)
        self.bytes[name] += size(reads) + size(writes)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.name().removeprefix("aten::").partition(".")[0]
        if func.namespace == "profiler":
            return func(*args, **(kwargs or {}))
        product = name in ("mm", "addmm")
        if product:
            left, right = args[-2:]
            found = left.new_empty(left.shape[0], right.shape[1])
        else:
            found = func(*args, **(kwargs or {}))
        given = [v for v in tree_leaves((args, kwargs)) if isinstance(v, Tensor)]
        made = [v for v in tree_leaves(found) if isinstance(v, Tensor)]
        copied = name != "_to_copy" or made[0].dtype != given[0].dtype
        if name not in FREE and copied:
            mutated = given[:1] if name.endswith("_") or not made else made
            filled = name in ("zero_", "fill_", "zeros", "zeros_like", "new_zeros", "ones_like", "bernoulli_", "full")
            self.note(name, [] if filled else given, mutated)
        return found

    @property
    def total(self):
        return sum(self.operators.values()), sum(self.bytes.values())

    def table(self):
        """All by name, those that move the most first."""
        rows = sorted(self.operators, key=lambda name: -self.bytes[name])
        lines = [f"{name:40} {self.operators[name]:5} {self.bytes[name] / 1e6:10.2f} MB" for name in rows]
        operators, moved = self.total
        return "\n".join([*lines, f"{'in all':40} {operators:5} {moved / 1e6:10.2f} MB"])


def size(tensors):
    """Bytes of tensors, each piece of memory once; what is broadcast is read once."""
    pieces = {}
    for tensor in tensors:
        numbers = 1
        for length, stride in zip(tensor.shape, tensor.stride(), strict=True):
            numbers *= length if stride else 1
        place = tensor.data_ptr(), tensor.dtype
        pieces[place] = max(pieces.get(place, 0), numbers * tensor.element_size())
    return sum(pieces.values())


@contextmanager
def counting(monkeypatch):
    """A counter to enter, while the Triton engine takes tensors of the CPU and its kernels are counted, not run."""
    count = Count()

    def launched(name, on, run):
        writes = WRITES[name]
        reads = [tensor for i, tensor in enumerate(on.tensors) if i not in writes or i in BOTH.get(name, ())]
        if count.at_work:
            count.note(name, reads, [on.tensors[i] for i in writes])

    stand_in(monkeypatch, launched)
    monkeypatch.setattr("workbench.recurrence.observers._modes", lambda: 0)  # a device sees no mode either
    yield count
