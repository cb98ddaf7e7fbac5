"""playground.html, made whole: trained nets, the scripts that run them, and words, in one file that needs no network.

Written anew it carries the newest nets; those that have no weights at hand are left out.
"""

from __future__ import annotations

import html
import json
from pathlib import Path
from string import Template
from typing import Any

from ....config import Pixels
from ....errors import MissingData, ParameterError
from ....files import check_place, make_folder, publish
from ...explorers.base import NAMES
from ...explorers.trained_nets import TrainedNet, trained_net
from .weights import packed

HERE = Path(__file__).parent
NETS = ("net.js", "adding.js", "reading.js")  # what a worker runs too
SCREEN = ("strokes.js", "charts.js", "digits.js", "changes.js", "training.js", "page.js")
READERS = (("seqmnist_plain6", "seqmnist_lstm"), ("seqdigits_plain6", "seqdigits_lstm"))  # an IndRNN, beside it a rival


def write_playground(folder: Path, home: str | None = None) -> Path:
    """Write playground.html into a folder, made if missing -> its path; `home` is the address of a page to go back to.

    Raises ParameterError where no trained IndRNN is at hand.
    """
    pictures, cards = [], []
    for names in READERS:
        known = [net for net in map(trained_net, names) if net.record is not None]
        known = [net for net in known if _complete(net)]
        if known and known[0].config.model.has_u:
            pictures.append(_picture(known))
            cards += [_card(net) for net in known]
    if not pictures:
        raise ParameterError(f"playground: none of {', '.join(names[0] for names in READERS)} has weights at hand")
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


def _complete(net: TrainedNet) -> bool:
    """Say whether its batch norm can be given clean statistics: that takes training images."""
    try:
        return net.net is not None
    except MissingData:
        return False


def _picture(nets: list[TrainedNet]) -> dict[str, Any]:
    """The nets that read one kind of picture, as the page takes them."""
    task = nets[0].config.task
    assert isinstance(task, Pixels)
    side = round(task.pixels**0.5)
    rivals = "".join(f", {NAMES[net.config.model.kind]} beside it" for net in nets[1:])
    carried = [{"name": net.experiment, "says": _says(net), **packed(net.net)} | {"kind": _kind(net)} for net in nets]
    levels = 16 if task.source == "digits" else 256
    return {
        "title": f"{side} \u00d7 {side}, {task.length} steps{rivals}",
        "side": side,
        "levels": levels,
        "nets": carried,
    }


def _kind(net: TrainedNet) -> str:
    return "indrnn" if net.config.model.has_u else net.config.model.kind


def _says(net: TrainedNet) -> str:
    model, test = net.config.model, _score(net)
    layers = f"{model.depth} layers" if model.depth > 1 else "one layer"
    return f"{layers} of {model.hidden} neurons; right on {test} test images"


def _score(net: TrainedNet) -> str:
    assert net.record is not None
    row = net.record.row
    if "test_accuracy" not in row:
        return "an unknown share of the"
    return f"{100 * row['test_accuracy']:.1f} % of {row['test_n']:,}"


def _card(net: TrainedNet) -> str:
    """A row of the page's table of nets."""
    assert net.record is not None
    model, row, task = net.config.model, net.record.row, net.config.task
    assert isinstance(task, Pixels)
    data = {"mnist": "MNIST", "digits": "the optical digits of scikit-learn"}[task.source]
    weights = sum(p.numel() for p in net.net.parameters() if p.requires_grad)
    cells = (
        f"<code>{net.experiment}</code>",
        f"{data}, {task.length} steps",
        f"{NAMES[model.kind]}, depth {model.depth}, width {model.hidden}",
        f"{weights:,}",
        f"{row['step']:,} steps of {net.config.train.batch} images, seed {net.seed}",
        _score(net),
    )
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _read(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")
