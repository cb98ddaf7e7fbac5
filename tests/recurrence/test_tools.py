"""Tools that count, spread or take apart what a net does."""

from __future__ import annotations

import subprocess
import sys
from typing import ClassVar

import pytest
import torch
from torch.nn.utils._per_sample_grad import call_for_per_sample_grads
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode

import workbench as wb
from workbench import recurrence
from workbench.recurrence import layer, normalize, recur

ENGINES = ["auto", *(e for e in recurrence.available() if e != "triton")]


@pytest.mark.parametrize("engine", ENGINES)
def test_floating_point_operations_are_counted(engine, rng):
    """A product and a sum a step; twice as many backward. The matrix products are PyTorch's to count."""
    net, x = wb.IndRNN(3, 4, backend=engine), torch.randn(5, 2, 3, generator=rng).requires_grad_()
    with FlopCounterMode(display=False) as counter:
        net(x)[0].sum().backward()
    steps, product = 5 * 2 * 4, 2 * 5 * 2 * 3 * 4
    assert counter.get_total_flops() == 2 * steps + 4 * steps + 3 * product


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("settings", [{}, {"num_layers": 2, "bidirectional": True}, {"bias": False}])
def test_every_sequence_has_its_own_gradient(settings, engine, rng):
    net, x = wb.IndRNN(3, 4, backend=engine, **settings), torch.randn(5, 5, 3, generator=rng)
    call_for_per_sample_grads(net, batch_first=False)(x)[0].square().sum().backward()
    weights = list(net.parameters())
    for b in range(5):
        alone = torch.autograd.grad(net(x[:, b : b + 1])[0].square().sum(), weights)
        assert_close([w.grad_sample[b] for w in weights], list(alone))


class Like:
    """No tensor, but it answers for one."""

    asked: ClassVar[list] = []

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        cls.asked.append(func)
        return "answer"


def test_a_tensor_like_answers_for_itself():
    like, u = Like(), torch.rand(4)
    assert recur(like, u) == layer(like, torch.rand(4, 4), None, u) == normalize(like, None) == "answer"
    assert like.asked == [recur, layer, normalize]


SPREAD = """
import os, sys, torch
import torch.distributed as dist
from torch.distributed.tensor import Replicate, Shard, distribute_tensor, init_device_mesh
from workbench.recurrence import recur
rank = int(sys.argv[1])
dist.init_process_group("gloo", init_method="file://" + sys.argv[2], rank=rank, world_size=2)
mesh = init_device_mesh("cpu", (2,))
draw = torch.Generator().manual_seed(0)
a, u, h0 = (torch.randn(*s, generator=draw) for s in ((5, 4, 6), (6,), (4, 6)))
for engine in sys.argv[3:]:
    whole = [v.clone().requires_grad_() for v in (a, u, h0)]
    h = recur(*whole, backend=engine)
    grads = torch.autograd.grad(h.square().sum(), whole)
    for cut in ((Shard(1), Replicate(), Shard(0)), (Shard(2), Shard(0), Shard(1)), (Replicate(),) * 3):
        parts = [distribute_tensor(v, mesh, [c]).requires_grad_() for v, c in zip((a, u, h0), cut)]
        ours = recur(*parts, backend=engine)
        torch.testing.assert_close(ours.full_tensor(), h)
        if engine != "loop":
            assert ours.placements == (cut[0],), ours.placements
        ours.square().sum().backward()
        for p, g in zip(parts, grads):
            torch.testing.assert_close(p.grad.full_tensor(), g)
dist.destroy_process_group()
"""


@pytest.mark.skipif("not torch.distributed.is_available()", reason="this PyTorch is built without torch.distributed")
def test_tensors_spread_over_two_processes_give_the_whole_answer(tmp_path):
    command = [sys.executable, "-c", SPREAD]
    meeting = str(tmp_path / "meeting")
    ranks = [subprocess.Popen([*command, str(r), meeting, *ENGINES], stderr=subprocess.PIPE) for r in range(2)]
    for rank in ranks:
        _, said = rank.communicate(timeout=300)
        assert rank.returncode == 0, said.decode()[-2000:]
