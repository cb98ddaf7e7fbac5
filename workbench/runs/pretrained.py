"""A trained net as one file: safetensors with its weights, and a card that builds the net again and says what it is.

`pretrained(name)` opens those that come with the project, or a file of one's own; nothing in a file is run. All of the
card is one JSON text in the file's header, so that the same net gives the same bytes.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from .. import files
from ..config import Model, canonical_json, fault, parse_json
from ..errors import DataError, ParameterError, choices, quoted
from ..models.build import build, misfit, weights_sha256, without_values
from ..seeds import generator
from ..tasks import Scaler, Spec

KEY = "workbench"  # of the card among the header's texts
SUFFIX = ".safetensors"


class Card(BaseModel):
    """A file's account of its net: how it is built and reads, what it was trained on, how far, and how well it did.

    `test` and `valid` are the record's scores of these very weights, None where that step was not scored; `data` holds
    the hashes of what it learnt from, `licence` what may be done with that. `classes`: the names of its outputs, ()
    where they go without; `answer`: the change from answers in their own unit to the net's, of numbers that are scaled.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)
    format: Literal[1]
    name: Annotated[str, Field(pattern=r"^\w[\w .-]{0,79}$")]  # a file is called by it
    model: Model
    spec: Spec
    scaler: Scaler | None
    task: dict[str, Any]
    train: dict[str, Any]
    run: str
    seed: int
    step: int
    numerics: int
    test: dict[str, float] | None
    valid: dict[str, float] | None
    data: dict[str, str]
    licence: str
    weights_sha256: str
    classes: tuple[str, ...] = ()
    answer: Scaler | None = None

    def text(self) -> str:
        """The card as JSON, one text for one card."""
        tree = self.model_dump(mode="json", exclude={"model"}, exclude_defaults=True)
        return canonical_json(tree | {"model": self.model.model_dump(mode="json", exclude_defaults=True)})


def card_of(net: nn.Module) -> Card:
    """The card of a net that `pretrained` or `export.taken` gave; ParameterError for any other net."""
    card = getattr(net, "card", None)
    if not isinstance(card, Card):
        raise ParameterError(f"net: {type(net).__name__} has no card; a net of `wb.pretrained` is needed")
    return card


def folder() -> Path:
    """The folder of the weights that come with the project."""
    return files.published() / "weights"


def names() -> list[str]:
    """The nets that come with the project, sorted."""
    return sorted(path.name.removesuffix(SUFFIX) for path in folder().glob(f"*{SUFFIX}"))


def pretrained(name: str | Path) -> nn.Module:
    """A trained net in evaluation mode, by its name or from a file of `workbench export NAME --to safetensors`.

        net = wb.pretrained("seqmnist_plain6")
        net(x)                              x (T, B, inputs) -> (B, outputs)
        answer, state = net.step(x[0])      the same, one time step after the other

    `net.card` says what it is: task, recipe, score, data, and the scaler, whose `scale` and `shift` turn raw values
    into those that the net reads. ParameterError for a name that is not among them, DataError for a damaged file.
    """
    if isinstance(name, str | Path) and str(name).endswith(SUFFIX):
        return read(Path(name))
    if name not in (known := names()):
        raise ParameterError(f"name: {quoted(name)} received; choose one of {choices(known)}, or a *{SUFFIX} file")
    return read(folder() / f"{name}{SUFFIX}")


def packed(net: nn.Module) -> bytes:
    """A net and its card as the bytes of a file."""
    weights = {name: value.detach().cpu().contiguous() for name, value in net.state_dict().items()}
    content: bytes = save(weights, {KEY: card_of(net).text()})
    return content


def read(path: Path) -> nn.Module:
    """The net of a file, in evaluation mode; DataError where it is not whole, not ours, or not what its card says."""
    try:
        with safe_open(path, "pt") as file:
            said = (file.metadata() or {}).get(KEY)
            weights: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise ParameterError(f"name: {path} is not there") from None
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise DataError(f"{path}: not a safetensors file: {error}") from None
    if said is None:
        raise DataError(f"{path}: no card in its header; `workbench export NAME --to safetensors` writes one")
    card = _card(said, path)
    if card.model.kind == "dense" and sum(card.model.blocks) > len(weights):  # before it is built, if only in outline
        raise DataError(f"{path}: {len(weights)} tensors for {sum(card.model.blocks):,} layers")
    try:
        outline = without_values(card.model, card.spec)
    except (ParameterError, RuntimeError, ArithmeticError) as error:
        raise DataError(f"{path}: its card builds no net: {error}") from None
    kinds = {name: value.dtype for name, value in outline.state_dict().items()}
    if odd := next((n for n, value in weights.items() if value.dtype != kinds.get(n, value.dtype)), None):
        raise DataError(f"{path}: {odd} is {weights[odd].dtype}, {kinds[odd]} is needed")
    if reason := misfit(outline, weights, slack=math.inf):
        raise DataError(f"{path}: {reason}")
    net = build(card.model, card.spec, generator(0, "init"))  # whose values are replaced; torch's own stay undrawn
    net.load_state_dict(weights)
    if weights_sha256(net) != card.weights_sha256:
        raise DataError(f"{path}: altered: its weights do not give the hash in its card")
    net.card = card  # type: ignore[assignment]
    return net.eval()


def _card(text: str, path: Path) -> Card:
    try:
        parse_json(text, "card")  # which knows more that is no JSON
        card = Card.model_validate_json(text)
    except ValidationError as error:
        raise DataError(f"{path}: its card: {fault(error)}") from None
    except ParameterError as error:
        raise DataError(f"{path}: its card: {error}") from None
    for name, scaler, n in (("scaler", card.scaler, card.spec.inputs), ("answer", card.answer, card.spec.outputs)):
        numbers = () if scaler is None else (scaler.scale, scaler.shift)
        if any(len(part) != n or not all(map(math.isfinite, part)) for part in numbers) or 0 in sum(numbers[:1], ()):
            raise DataError(f"{path}: its card: {name}: {n} finite numbers of each kind are needed, no scale of 0")
    return card
