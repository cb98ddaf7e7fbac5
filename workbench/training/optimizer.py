"""The optimizer of a net: Adam or AdamW, its groups of parameters, and whether stored moments can be its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..config import Train
from ..models.layer import recurrences
from ..models.norms import Norm

MATRICES = nn.Linear, nn.Embedding, nn.Conv1d, nn.Conv2d  # what has one `weight`, which decays


def optimizer(net: nn.Module, train: Train, recorded_on: torch.device | None = None) -> torch.optim.Optimizer:
    """Adam or AdamW, with weight decay on matrices and kernels (and, if asked, the norms' gains), never on u or a bias.

    These are `weight`s of layers: a matrix that is a parameter by itself, as the LRU's and S5's, does not decay.
    A group's `factor` times the schedule's rate is its rate. Where steps are recorded on a device, it lies there.
    """
    decayed: list[Tensor] = []
    found = recurrences(net).values()
    of_u: list[Tensor] = [] if train.u_lr == 1 else [one.u for one in found]
    recurrent = {one.layer for one in found}
    for module in net.modules():
        if isinstance(module, MATRICES) or (isinstance(module, Norm) and train.decay_gains):
            decayed.append(module.weight)
        elif isinstance(module, nn.RNNBase) or module in recurrent:
            decayed += [p for name, p in module.named_parameters(recurse=False) if name.startswith("weight")]
    chosen = {id(p) for p in (*decayed, *of_u)}
    rest = [p for p in net.parameters() if id(p) not in chosen and p.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": decayed, "weight_decay": train.weight_decay, "factor": 1.0},
        {"params": rest, "weight_decay": 0.0, "factor": 1.0},
    ]
    if of_u:
        groups.append({"params": of_u, "weight_decay": 0.0, "factor": train.u_lr})
    for group in groups:
        group["params"] = list(dict.fromkeys(group["params"]))  # of tied ones each once
        group["lr"] = train.lr if recorded_on is None else torch.tensor(train.lr, device=recorded_on)
    kind = torch.optim.Adam if train.optimizer == "adam" else torch.optim.AdamW
    return kind(groups, betas=(0.9, 0.999), eps=1e-8, fused=True, capturable=recorded_on is not None)


def moments_misfit(optimizer: torch.optim.Optimizer, stored: Mapping[str, Any]) -> str | None:
    """Reason why an optimizer's stored state cannot belong to these parameters: a count, a shape; None if it can."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    counts = [len(group["params"]) for group in stored["param_groups"]]
    if counts != [len(group["params"]) for group in optimizer.param_groups]:
        return f"the optimizer holds {counts} parameters"
    for index, moments in stored["state"].items():
        if not 0 <= index < len(parameters) or moments.keys() != {"step", "exp_avg", "exp_avg_sq"}:
            return f"parameter {index} with {', '.join(moments)} is none of Adam's here"
        for name, value in moments.items():
            wanted = torch.Size() if name == "step" else parameters[index].shape
            if value.shape != wanted or not value.is_floating_point():
                found = f"{value.dtype} of shape {tuple(value.shape)}"
                return f"{name} of parameter {index} is {found}, a number of shape {tuple(wanted)} is needed"
    return None
