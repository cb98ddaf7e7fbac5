"""playground.html, made whole: trained nets, the scripts that run them, and words, in one file that needs no network.

Written anew it carries the newest weights: those published, or a record's; nets that have none are left out.
"""

from __future__ import annotations

import html
import json
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

from torch import nn

from ....analysis.handwriting import FRAMES
from ....config import Model, Pixels
from ....errors import ParameterError
from ....files import check_place, make_folder, publish
from ....runs.pretrained import card_of, names, pretrained
from ...explorers.base import NAMES
from ...explorers.nets import MNIST
from ...explorers.trained_nets import trained_net
from ...explorers.weights import packed

HERE = Path(__file__).parent
NETS = ("net.js", "adding.js", "reading.js")  # what a worker runs too
SCREEN: tuple[str, ...] = ("../../explorers/elements.js", "strokes.js", "charts.js", "digits.js", "pad.js")
SCREEN += ("changes.js", "training.js", "page.js")


def write_playground(folder: Path, home: str | None = None) -> Path:
    """Write playground.html into a folder, made if missing -> its path; `home` is the address of a page to go back to.

    Raises ParameterError where no trained IndRNN is at hand.
    """
    pictures, cards = [], []
    together = readers()
    for nets in together:
        known = [net for net in map(_trained, nets) if net is not None]
        if known and known[0].model.has_u:
            pictures.append(_picture(known))
            cards += [_card(net) for net in known]
    if not pictures:
        raise ParameterError(f"playground: none of {', '.join(first for first, _ in together)} has weights at hand")
    page = Template(_read("page.html")).substitute(
        style=_read("page.css"),
        home=f' · <a href="{html.escape(home)}">the study</a>' if home else "",
        cards="\n".join(cards),
        data=json.dumps(pictures, separators=(",", ":"), ensure_ascii=False).replace("</", "<\\/"),
        nets="\n".join(map(_read, NETS)),
        screen="\n".join(map(_read, SCREEN)),
    )
    check_place("out", folder)
    make_folder(folder)
    path = folder / "playground.html"
    publish(path, page.encode(), replace=True)
    return path


def readers() -> tuple[tuple[str, str], ...]:
    """Names of the nets that read pictures: an IndRNN, beside it a rival; of MNIST the best with published weights."""
    mnist = next((name for name in MNIST if name in names()), MNIST[-1])
    return (mnist, "seqmnist_lstm"), ("seqdigits_plain6", "seqdigits_lstm")


class _Trained(NamedTuple):
    """A net in evaluation mode, and what it is."""

    name: str
    net: nn.Module
    model: Model
    task: Pixels
    seed: int
    step: int
    test: dict[str, float] | None


def _trained(name: str) -> _Trained | None:
    """The published weights of a name, else those of a record; None where there are none."""
    if name in names():
        net = pretrained(name)
        card = card_of(net)
        return _Trained(name, net, card.model, Pixels(**card.task), card.seed, card.step, card.test)
    of = trained_net(name)
    if of.record is None:
        return None
    assert isinstance(of.config.task, Pixels)
    reached = {row["step"]: row.get("test") for row in of.record.budgets}
    return _Trained(name, of.net, of.config.model, of.config.task, of.seed, of.step, reached.get(of.step))


def _picture(nets: list[_Trained]) -> dict[str, Any]:
    """The nets that read one kind of picture, as the page takes them."""
    task = nets[0].task
    side = round(task.pixels**0.5)
    rivals = "".join(f", {NAMES[of.model.kind]} beside it" for of in nets[1:])
    carried = [{"name": of.name, "kind": _kind(of), "says": _says(of), **packed(of.net)} for of in nets]
    title = f"{side} \u00d7 {side}, {task.length} steps{rivals}"
    return {"title": title, "side": side, "frame": FRAMES[task.source]._asdict(), "nets": carried}


def _kind(of: _Trained) -> str:
    return "indrnn" if of.model.has_u else of.model.kind


def _says(of: _Trained) -> str:
    layers = f"{of.model.depth} layers" if of.model.depth > 1 else "one layer"
    right = "" if of.test is None else f"; right on {_score(of)} test images"
    return f"{layers} of {of.model.hidden} neurons{right}"


def _score(of: _Trained) -> str:
    return "not scored" if of.test is None else f"{100 * of.test['accuracy']:.1f} % of {of.test['n']:,.0f}"


def _card(of: _Trained) -> str:
    """A row of the page's table of nets."""
    data = {"mnist": "MNIST", "digits": "the optical digits of scikit-learn"}[of.task.source]
    cells = (
        f"<code>{of.name}</code>",
        f"{data}, {of.task.length} steps",
        f"{NAMES[of.model.kind]}, depth {of.model.depth}, width {of.model.hidden}",
        f"{sum(p.numel() for p in of.net.parameters() if p.requires_grad):,}",
        f"{of.step:,} steps, seed {of.seed}",
        _score(of),
    )
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _read(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")
