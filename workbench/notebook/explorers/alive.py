"""Pages of explorers that compute in the browser (site/alive.js), so that all of their controls answer there.

Such a page holds fewer frames than places of its controls, and beside them the data from which the browser makes the
rest: `tests/browser/test_alive.py` holds what it makes to the explorer's own view.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from . import own_records
from .base import Choice, Control, ExplorerBase


def living(
    content: ExplorerBase,
    sweep: tuple[str, ...],
    data: dict[str, Any],
    offered: Callable[[Control], Control] = lambda control: control,
) -> dict[str, Any]:
    """Everything that a page of this explorer needs for all of its controls.

    `sweep` names the controls whose frames it begins from, `leading` those that change what others allow, `controls`
    has them, as `offered` there, for each place of the leading ones, `data` is what alive.js computes from. Records of
    one's own sequences are in none.
    """

    def there(control: Control) -> Control:
        if isinstance(control, Choice):
            known = {value: words for value, words in control.options.items() if value not in own_records.found()}
            control = replace(control, options=known)
        return offered(control)

    first = content.at({})
    places = itertools.product(*(there(first[name]).positions() for name in content.leading))
    held = {}
    for place in places:
        at = content.settle(dict(zip(content.leading, place, strict=True)))
        held[",".join(map(str, place))] = [there(control).spec() for control in content.at(at).values()]
    return {"name": content.name, "sweep": sweep, "leading": content.leading, "controls": held, "data": data}
