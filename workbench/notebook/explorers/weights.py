"""A trained net as the site's scripts take it: batch norm folded into the matrices that follow it, in base64.

Behind a recurrence y = h * s + c with s = gain / sqrt(variance + eps) and c = bias - mean * s, constants once trained.
What follows is W y + b = (W s) h + (b + W c): the layers then stand bare, see net.js. A neuron says nothing where y is
0, so where h is -c / s, which is carried as `still`. Numbers become float32.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from ...errors import ParameterError
from ...models.baselines.torch_rnns import Baseline
from ...models.layer import Unit
from ...models.norms import BatchNorm
from ...models.plain import Plain
from ...runs.record import encode

Arrays = dict[str, Any]  # "kind" and tensors: W, b, and u or R, still (N,) with u


def folded(net: nn.Module) -> tuple[list[Arrays], Arrays]:
    """Layers and readout of a net in evaluation mode, as net.js has them, in float64.

    Raises ParameterError for anything but a plain IndRNN with ReLU, an LSTM or an RNN-tanh that answer once.
    """
    if isinstance(net, Plain) and net.head is None:
        return _plain(net)
    if isinstance(net, Baseline) and type(net.rnn) in (nn.LSTM, nn.RNN):
        return [_torch(layer) for layer in (net.rnn, *net.above)], _affine(net.readout, None)
    raise ParameterError(f"net: {type(net).__name__} received; a plain IndRNN, an LSTM or an RNN-tanh is needed")


def packed(net: nn.Module) -> dict[str, Any]:
    """The same as JSON can hold it."""
    layers, readout = folded(net)
    return {"layers": [_packed(layer) for layer in layers], "readout": _packed(readout)}


def _plain(net: Plain) -> tuple[list[Arrays], Arrays]:
    found: list[Arrays] = []
    norm: BatchNorm | None = None
    for layer in net.layers:
        assert isinstance(layer, Unit)
        over_sequence = layer.bn is None or (type(layer.bn) is BatchNorm and layer.norm == "after")
        if layer.activation != "relu" or not over_sequence:
            raise ParameterError(
                f"net: {layer.activation} and batch norm {layer.norm} received; relu and after are needed"
            )
        affine, u = _affine(layer.fc, norm), layer.u.detach().double()
        norm, still = cast("BatchNorm | None", layer.bn), torch.zeros_like(u)
        if norm is not None:
            s, c = _scale(norm)
            still = -c / s
        found.append({"kind": "indrnn", **affine, "u": u, "still": still})
    return found, _affine(net.readout, norm)


def _affine(linear: Any, norm: BatchNorm | None) -> Arrays:
    """W and b of a linear map behind a batch norm."""
    W, b = linear.weight.detach().double(), linear.bias.detach().double()
    if norm is None:
        return {"W": W, "b": b}
    s, c = _scale(norm)
    return {"W": W * s, "b": b + W @ c}


def _scale(norm: BatchNorm) -> tuple[Tensor, Tensor]:
    """Batch norm in evaluation as y = h s + c -> s, c (N,)."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    s = norm.weight.detach().double() * (norm.running_var.double() + norm.eps).rsqrt()
    return s, norm.bias.detach().double() - norm.running_mean.double() * s


def _torch(layer: Any) -> Arrays:
    """One of torch's recurrent layers; its two biases are one."""
    own = {name: value.detach().double() for name, value in layer.named_parameters()}
    kind = "lstm" if isinstance(layer, nn.LSTM) else "rnn_tanh"
    if kind == "rnn_tanh" and layer.nonlinearity != "tanh":
        raise ParameterError(f"net: nonlinearity {layer.nonlinearity} received; tanh is needed")
    return {
        "kind": kind,
        "W": own["weight_ih_l0"],
        "b": own["bias_ih_l0"] + own["bias_hh_l0"],
        "R": own["weight_hh_l0"],
    }


def _packed(part: Arrays) -> dict[str, str]:
    return {name: value if isinstance(value, str) else encode(value) for name, value in part.items()}
