"""The nets of the paper, from their config."""

from __future__ import annotations

from torch import Generator, Tensor, nn

from ..config import Model
from ..tasks.contract import Spec
from . import bounds
from .layer import Linear, Unit


class Plain(nn.Module):
    """n times (FC, recurrence, batch norm, dropout), then a readout of the last time step.

    x (T, B, M) -> (B, outputs). The last layer's u starts in `near_one` where the config asks for it, since only
    long memory reaches the one step that is read (Li et al. 2019, section 3.2).
    """

    def __init__(self, model: Model, spec: Spec, generator: Generator | None = None):
        super().__init__()
        u_max = None if model.gamma is None else bounds.bound(spec.steps, model.gamma)
        units = []
        for index in range(model.depth):
            u_range = (0.0, 1.0 if u_max is None else u_max)
            if model.last_near_one and index == model.depth - 1:
                u_range = bounds.near_one(spec.steps, 2.0 if model.gamma is None else model.gamma)
            units.append(
                Unit(
                    spec.inputs if index == 0 else model.hidden,
                    model.hidden,
                    u_range=u_range,
                    bound=u_max,
                    norm=model.norm,
                    dropout=model.dropout,
                    activation=model.activation,
                    init=model.init,
                    generator=generator,
                )
            )
        self.layers = nn.ModuleList(units)
        self.readout = Linear(model.hidden, spec.outputs, init=model.readout_init, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        out: Tensor = self.readout(x[-1])
        return out
