"""The counter of kernels and bytes on a recorded step of version 0.1's six-layer net; prints its table.

PYTHONPATH=SOURCES_OF_0.1:tests TRITON_INTERPRET=1 python tests/version_01.py
"""

import sys
from types import ModuleType, SimpleNamespace

import torch

sys.modules["stand_ins"] = SimpleNamespace(stand_in=None)  # those are of the present kernels
from counted import Count  # noqa: E402
from workbench.train import Trainer, trainer  # noqa: E402

from workbench import paper, recurrence  # noqa: E402
from workbench.models import set_backend  # noqa: E402
from workbench.recurrence import gpu  # noqa: E402
from workbench.tasks import pixels  # noqa: E402

WRITES = {"states": (3,), "gradients": (5, 6, 7)}
count = Count()


class Kernel:
    """A Triton kernel that is counted and not run."""

    def __init__(self, name):
        self.name = name

    def __getitem__(self, grid):
        return self.launched

    def launched(self, *given, **constants):
        tensors, writes = [v for v in given if isinstance(v, torch.Tensor)], WRITES[self.name]
        if count.at_work:
            reads = [tensor for i, tensor in enumerate(tensors) if i not in writes]
            count.note(self.name, reads, [tensors[i] for i in writes])


def main():
    gpu._installed, trainer.wanted = lambda: True, lambda *_: True
    part = torch.zeros(800, 784, dtype=torch.uint8), torch.zeros(800, dtype=torch.int64)
    pixels.mnist = lambda: pixels.Images(part, part, 256)
    one = Trainer(paper.experiment("seqmnist_plain6").config, 0, backend="torch")  # it looks for a real Triton
    language = ModuleType("triton.language")
    language.float64 = language.float32 = None
    sys.modules.update({"triton": ModuleType("triton"), "triton.language": language})
    recurrence.kernels = sys.modules["workbench.recurrence.kernels"] = SimpleNamespace(
        **{name: Kernel(name) for name in WRITES}
    )
    set_backend(one.net, "triton")
    one.net.train()
    batch = one.task.batch(0)
    one._apply(one._learn(batch))  # Adam makes its moments
    held = batch._replace(x=batch.x.clone(), y=batch.y.clone())
    with count:
        held.x.copy_(batch.x)
        held.y.copy_(batch.y)
        tried = one._learn(held)
        torch.isfinite(torch.stack(torch._foreach_norm(tried.gradients))).all()  # as its `advance` asks
        one._apply(tried)
    print(count.table())


main()
