"""The bidirectional net: every layer reads the sequence both ways, each way with neurons of its own."""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn

from ..config import Model
from ..errors import ParameterError
from ..tasks.contract import Spec
from .net import Parts, Stack, register
from .sequence import Span, turned

FIELDS = "depth hidden activation norm norm_kind norm_gain gamma u_max start last_near_one init".split()


@register("bidirectional", *FIELDS, "dropout_over")
class Bidirectional(Stack):
    """`depth` layers of two units of `hidden` neurons: one reads forward, one backward; the next reads both.

    Each answers from where it has read all: the forward unit at a sequence's end, the backward one at its beginning.
    """

    whole = "a bidirectional net reads a sequence from its end too"

    def __init__(self, model: Model, spec: Spec, generator: Generator | None = None):
        super().__init__()
        if spec.target == "token":
            raise ParameterError("model.kind: 'bidirectional' received; a language net must not read ahead")
        parts = Parts(model, spec, generator)
        self.layers = nn.ModuleList()
        for index in range(model.depth):
            inputs, last = 2 * model.hidden if index else spec.inputs, index == model.depth - 1
            dropout = model.dropout_last if last else None
            pair = [parts.unit(inputs, model.hidden, dropout, last=last) for _ in range(2)]
            self.layers.append(nn.ModuleList(pair))
        self.finish(parts, 2 * model.hidden, model.dropout_last)

    def through(self, x: Tensor, span: Span) -> Tensor:
        for index, pair in enumerate(self.layers):
            forward, backward = pair.children()
            back = backward(turned(x, span.ends), span)
            if index < len(self.layers) - 1 or self.each_step:
                back = turned(back, span.ends)  # else its last step, the sequence's first, stands where it is read
            x = torch.cat([forward(x, span), back], -1)
        return x
