"""Pages of explorers that compute in the browser (site/alive.js), so that all of their controls answer there.

Such a page holds fewer frames than places of its controls, and beside them the data from which the browser makes the
rest: `tests/browser/test_alive.py` holds what it makes to the explorer's own view.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...analysis.figures.style import BLUE, GREEN, INK, ORANGE, PINK, YELLOW
from ...analysis.statistics import Interval
from ...models.plain import Plain
from ...runs.record import encode
from . import own_records
from .base import Choice, Control, ExplorerBase
from .edits import BLANK
from .trained_nets import TESTED, TrainedNet, scored
from .weights import packed

PAINT = {"blue": BLUE, "orange": ORANGE, "green": GREEN, "pink": PINK, "yellow": YELLOW, "ink": INK}
Offered = Callable[[Control], Control]


def living(
    content: ExplorerBase,
    sweep: tuple[str, ...],
    data: dict[str, Any],
    offered: Offered = lambda control: control,
    clicked: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Everything that a page of this explorer needs for all of its controls.

    `sweep` names the controls whose frames it begins from, `leading` those that change what others allow, `controls`
    has them, as `offered` there, for each place of the leading ones, `data` is what alive.js computes from; a click on
    a point gives its number to the control of the `clicked` name, and `sets` others. Records of one's own sequences
    are in none.
    """

    def there(control: Control) -> Control:
        if isinstance(control, Choice):
            known = {value: words for value, words in control.options.items() if value not in own_records.found()}
            control = replace(control, options=known)
        return offered(control)

    held = {}
    for at in places(content, content.leading, {}, there):
        key = ",".join(str(at[name]) for name in content.leading)
        held[key] = [there(control).spec() for control in content.at(at).values()]
    common = {"name": content.name, "sweep": sweep, "leading": content.leading, "clicked": clicked}
    return {**common, "controls": held, "data": data}


def places(
    content: ExplorerBase, names: Sequence[str], at: Mapping[str, Any], offered: Offered = lambda control: control
) -> Iterator[dict[str, Any]]:
    """Values of all controls for each place of those named, each with the positions that those before it allow."""
    at = content.settle(at)
    if not names:
        yield at
        return
    for position in offered(content.at(at)[names[0]]).positions():
        yield from places(content, names[1:], {**at, names[0]: position}, offered)


def examined(
    content: ExplorerBase,
    records: Mapping[str, str],
    nets: Mapping[str, TrainedNet],
    costs: Callable[[TrainedNet, int], Sequence[Interval] | None],
    data: dict[str, Any],
) -> dict[str, Any]:
    """`living` of the neurons of nets, by the record whose words are given: those of images, as large as the first.

    `costs`: what silencing each neuron of a layer changes.
    """
    sizes = {record: [len(u) for u in net.weights[0].values()] for record, net in nets.items()}
    first = next(iter(sizes.values()))
    held = {
        record: _with_examples(net) | {"costs": [_ends(costs(net, layer)) for layer in range(len(first))]}
        for record, net in nets.items()
        if net.config.task.name == "pixels" and isinstance(net.net, Plain) and sizes[record] == first
    }

    def offered(control: Control) -> Control:
        if not isinstance(control, Choice) or control.name != "record":
            return control
        return replace(control, options={record: records[record] for record in held}, help="")

    clicked = {"name": "neuron", "sets": {"u": None, "silent": False}}
    data = {**data, "nets": held, "blank": BLANK["pixels"], "paint": PAINT}
    return living(content, (), data, offered, clicked)


def _ends(costs: Sequence[Interval] | None) -> list[tuple[float, float | None, float | None]] | None:
    return None if costs is None else [(cost.mean, cost.low, cost.high) for cost in costs]


def _with_examples(net: TrainedNet) -> dict[str, Any]:
    """A net and the test examples that its explorers score it on."""
    batch = net.batch(TESTED)
    words = {"origin": net.origin, "scored": scored(net.answers, net.target), "steps": len(batch.x)}
    asked = {"x": encode(batch.x), "y": batch.y.tolist(), "answers": net.answers.tolist(), "order": net.order.tolist()}
    return {**packed(net.net), **words, **asked}
