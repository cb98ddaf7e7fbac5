"""An IndRNN for torch.jit.script: the same layers, written in the part of Python that TorchScript knows.

What is scripted and saved needs nothing but torch where it is loaded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..errors import ParameterError
from ..recurrence.activation import SLOPE
from ..recurrence.torch_ops import steps

if TYPE_CHECKING:
    from .indrnn import IndRNN


class ScriptedIndRNN(nn.Module):
    """Reads and answers like the `IndRNN` it is made of, whose weights it shares; it takes no PackedSequence."""

    def __init__(self, net: IndRNN):
        super().__init__()
        self.batch_first, self.dropout, self.hidden_size = net.batch_first, net.dropout, net.hidden_size
        suffixes = ("", "_reverse") if net.bidirectional else ("",)
        self.directions = len(suffixes)
        self.runs = nn.ModuleList(
            ScriptedRun(net, f"l{layer}{suffix}") for layer in range(net.num_layers) for suffix in suffixes
        )
        self.training = net.training

    def forward(self, x: Tensor, h0: Tensor | None = None, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As `IndRNN.forward`."""
        unbatched = x.dim() == 2
        if unbatched:
            x = x.unsqueeze(1)
        elif self.batch_first:
            x = x.transpose(0, 1)
        h = torch.zeros([len(self.runs), x.size(1), self.hidden_size], dtype=x.dtype, device=x.device)
        if h0 is not None:
            given = h0.unsqueeze(1) if unbatched else h0
            if given.shape != h.shape:
                raise ValueError(f"h0: shape {h0.shape} received; {h.shape} is needed, of a batch")
            h = given
        if lengths is not None and list(lengths.shape) != [x.size(1)]:
            raise ValueError(f"lengths: shape {lengths.shape} received; {x.size(1)} whole numbers needed")
        ends = torch.full([x.size(1)], x.size(0), device=x.device) if lengths is None else lengths.to(x.device)
        padding = (torch.arange(x.size(0), device=x.device).unsqueeze(1) >= ends).unsqueeze(-1)  # (T, B, 1)
        out = x.masked_fill(padding, 0)
        outs: list[Tensor] = []
        finals: list[Tensor] = []
        for k, run in enumerate(self.runs):
            if k > 0 and k % self.directions == 0:
                out = torch.cat(outs, -1)
                outs = []
                if self.training and self.dropout > 0:
                    out = out * nn.functional.dropout(torch.ones_like(out[0]), self.dropout)
            states, final = run(out, h[k], ends)
            outs.append(states.masked_fill(padding, 0))
            finals.append(final)
        out = torch.cat(outs, -1)
        h_n = torch.stack(finals)
        if unbatched:
            return out.squeeze(1), h_n.squeeze(1)
        return out.transpose(0, 1) if self.batch_first else out, h_n


class ScriptedRun(nn.Module):
    """One layer in one direction: x (T, B, M), h0 (B, N), ends (B,) -> h (T, B, N) and each final state (B, N)."""

    def __init__(self, net: IndRNN, name: str):
        super().__init__()
        self.weight: Tensor = getattr(net, f"weight_ih_{name}")
        self.u: Tensor = getattr(net, f"u_{name}")
        self.register_parameter("bias", getattr(net, f"bias_{name}"))
        self.backwards, self.activation, self.slope = name.endswith("_reverse"), net.activation, SLOPE

    def forward(self, x: Tensor, h0: Tensor, ends: Tensor) -> tuple[Tensor, Tensor]:
        """In time's own order, also where it runs backwards."""
        time = torch.arange(x.size(0), device=x.device).unsqueeze(1)
        turned = torch.where(time < ends, ends - 1 - time, time).unsqueeze(-1)  # (T, B, 1)
        if self.backwards:
            x = x.gather(0, turned.expand(x.shape))
        a = nn.functional.linear(x, self.weight, self.bias)  # type: ignore[arg-type]
        h = steps(a, self.u, h0, self.activation, self.slope)
        final = h.gather(0, (ends - 1).view(1, -1, 1).expand(1, -1, h.size(2))).squeeze(0)
        if self.backwards:
            h = h.gather(0, turned.expand(h.shape))
        return h, final


def scripted(net: IndRNN, forward: Callable[..., Any]) -> ScriptedIndRNN:
    """The module that torch.jit.script reads in place of an IndRNN, whose `forward` is this one."""
    if type(net).forward is not forward:
        raise ParameterError(f"net: {type(net).__name__} has a forward of its own; only IndRNN's can be scripted")
    return ScriptedIndRNN(net)
