"""An explorer on the screen: one widget that holds the values, draws the view and runs what takes long in a thread.

The browser draws controls and figures of its own (panel.js), plain HTML that a keyboard and a screen reader know, and
sends the next change only after the last is drawn, so that a slider never queues. The plotting library is sent once a
page and is no part of the widget's state, which stays at kilobytes (a FigureWidget stores five megabytes each).
"""

from __future__ import annotations

import contextlib
import html
import os
import threading
import time
from collections.abc import Mapping
from typing import Any

import anywidget
import plotly.graph_objects as go
import traitlets

from ...errors import ParameterError, Stopped, WorkbenchError, choices, quoted, told
from ...runs.asked import pinned_threads
from .base import HERE, Exercise, ExplorerBase, Job, View, code, panels, parameters, plotly_library, script

MOST = 8  # figures of an explorer
REDRAW = 0.25  # seconds between two pictures of work under way
IDLE: dict[str, Any] = {"state": "idle", "label": "", "share": None, "said": ""}


class Turned(traitlets.Any):
    """A trait of a control's name: what is set is checked as the control checks it."""

    def validate(self, obj: Explorer, value: Any) -> Any:
        assert self.name is not None
        return obj.content.at(obj.values)[self.name].check(value)


class Explorer(anywidget.AnyWidget):
    """An explorer with its values: `set(gamma=2.0)` turns a control, `figures` is what is seen, `reset()` starts anew.

    Every control is also a trait of its name, which may be observed and linked as any widget's; `value` holds them all.
    """

    _esm = script()
    _css = HERE / "panel.css"
    title = traitlets.Unicode().tag(sync=True)
    look = traitlets.Unicode().tag(sync=True)
    controls: Any = traitlets.List().tag(sync=True)
    values = traitlets.Dict().tag(sync=True)
    panels: Any = traitlets.List().tag(sync=True)
    said = traitlets.Unicode().tag(sync=True)
    complaints = traitlets.Dict().tag(sync=True)
    work = traitlets.Dict(IDLE).tag(sync=True)
    exercises: Any = traitlets.List().tag(sync=True)
    presets: Any = traitlets.List().tag(sync=True)
    see = traitlets.Unicode().tag(sync=True)  # what the exercise says whose values hold
    app = traitlets.Bool().tag(sync=True)  # alone on its page, whose address may say its state
    value = traitlets.Dict()
    answered = traitlets.Dict().tag(sync=True)  # the last message of a page that was dealt with
    busy = False  # whether long work is under way
    shown: View

    def __init__(self, content: ExplorerBase, **values: Any):
        accepted, complaints = content.check(values, content.settle(values))
        if complaints:
            raise ParameterError(next(iter(complaints.values())))
        self.content, self.started = content, content.settle(accepted)
        self.drawing = threading.RLock()
        self.worker: threading.Thread | None = None
        self.stopping = threading.Event()
        self.tried: tuple[dict[str, Any], Exercise] = ({}, Exercise("", {}))  # the last exercise, and its values
        named = {"exercises": [one.label for one in content.exercises], "presets": [p.label for p in content.presets]}
        app = os.environ.get("SERVER_SOFTWARE", "").startswith("voila")
        self.values = self.started  # what the traits of the controls are checked beside
        self.add_traits(**{name: Turned(value).tag(sync=True) for name, value in self.started.items()})
        super().__init__(title=content.title, look=content.look, app=app, **named)
        self.observe(self._linked, list(self.started))
        self.on_msg(self._received)
        self.redraw()

    # --- what a program or a test does ---

    @property
    def figures(self) -> dict[str, go.Figure]:
        """The figures by name, as they are now."""
        return {name: panel.picture.figure() for name, panel in self.shown.panels.items()}

    def set(self, **values: Any) -> None:
        """Turn controls; ParameterError, and nothing changed, where a value does not fit."""
        accepted, complaints = self.content.check(values, self.values)
        if complaints:
            raise ParameterError(next(iter(complaints.values())))
        self._turn(accepted)

    def reset(self) -> None:
        """All controls as they were at first."""
        self._turn(self.started)

    def exercise(self, label: str) -> None:
        """Turn all controls to where an exercise or a preset has them; ParameterError where none has this label."""
        one = self.content.exercise(label)
        self.tried = self.content.settle(one.values), one
        self._turn(self.tried[0])

    def start(self) -> None:
        """Begin the long work that is offered now, if any, in a thread."""
        if self.shown.job is None or self.busy:
            return
        self.stopping.clear()
        self.busy = True
        self.work = {"state": "running", "label": "Stop", "share": None, "said": "starting ..."}
        self.worker = threading.Thread(target=self._labour, args=(self.shown.job,), daemon=True)
        self.worker.start()

    def stop(self) -> None:
        """Ask the work under way to stop; what it recorded stays."""
        if self.busy:
            self.work = {**self.work, "state": "stopping", "said": "stopping ..."}
            self.stopping.set()

    def wait(self, seconds: float | None = None) -> None:
        """Until the work under way has ended."""
        if self.worker is not None:
            self.worker.join(seconds)

    def code(self) -> str:
        """The call that opens this explorer at these values."""
        return code(self.content, self.values)

    def parameters(self) -> str:
        """The command that executes this explorer's notebook at these values."""
        return parameters(self.content, self.values)

    def snapshot(self) -> None:
        """Show the figures as ordinary outputs, which stay in the notebook and need no kernel.

        At once where nobody looks on (papermill), else as they are when the button is pressed that is shown first. Not
        in an app (Voila), where nothing stays and plotly's renderer fails: there it says so.
        """
        from IPython.display import HTML, display
        from ipywidgets import Button, Layout

        if self.app:
            display(HTML("<p>In a notebook, not in this app.</p>"))
        elif not looked_on():
            for figure in self.figures.values():
                display(figure)
        else:
            button = Button(description="Keep the figures as they are now", layout=Layout(width="auto"))
            display(button)
            places = [display(HTML(""), display_id=True) for _ in range(MOST)]

            def keep(_: Any) -> None:
                shown = [*self.figures.values(), *[HTML("")] * MOST]
                for place, figure in zip(places, shown, strict=False):
                    place.update(figure)

            button.on_click(keep)

    def close(self) -> None:
        """Take it off every page, and stop its work, which nobody could stop any more."""
        self.stop()
        super().close()

    # --- what the browser asks for ---

    def _received(self, _: Any, message: Mapping[str, Any], buffers: Any = None) -> None:
        """One message of a page: {"do": ..., "page", "turn"}; each is answered, whatever becomes of it.

        The answer is part of the state, whose changes arrive in order; a message of its own could overtake the view.
        """
        try:
            _check_message(message)
            match message["do"]:
                case "set":
                    accepted, complaints = self.content.check(message["values"], self.values)
                    self._turn(accepted, complaints)
                case "click":
                    self._turn(self.content.clicked(message["figure"], message["point"], self.values))
                case "reset":
                    self.reset()
                case "exercise":
                    self.exercise(message["label"])
                case "start":
                    self.start()
                case "stop":
                    self.stop()
                case "code" | "parameters" as kind:
                    self.send({"what": "text", "page": message["page"], "text": getattr(self, kind)()})
                case "html":
                    from ..site.static_page import page

                    file = {"what": "file", "page": message["page"], "file": f"explore_{self.content.name}.html"}
                    self.send(file, [page(self.content, self.values)])
                case "plotly":
                    self.send({"what": "plotly"}, [plotly_library()])
                    return
        except Exception as error:
            self.complaints = {"": told(error)}
            if not isinstance(error, WorkbenchError):
                raise
        finally:
            named = message if isinstance(message, Mapping) else {}
            self.answered = {"page": named.get("page"), "turn": named.get("turn")}

    def _turn(self, values: Mapping[str, Any], keep: Mapping[str, str] | None = None) -> None:
        with self.drawing:
            self.redraw(self.content.settle({**self.values, **values}))
            self.complaints = dict(keep or {})

    def _linked(self, change: Any) -> None:
        """Turn the control whose trait was set from outside."""
        if change.new != self.values[change.name]:
            self._turn({change.name: change.new})

    def redraw(self, values: Mapping[str, Any] | None = None) -> None:
        """Draw the view of some values, which hold from then on unless it fails, or of those that hold."""
        with self.drawing, pinned_threads(1), self.hold_sync():
            values = self.values if values is None else values
            view = self.content.view(**values)
            self.values = self.content.settle({**values, **view.sets})
            self.shown = view
            self.controls = [control.spec() for control in self.content.at(self.values).values()]
            self.panels = panels(view)
            self.said = view.said
            self.see = self.tried[1].seen(view) if self.values == self.tried[0] else ""
            self.value = self.values
            for name in list(self.values):
                setattr(self, name, self.values[name])
            if not self.busy:
                self.work = {**self.work, "state": "idle", "label": view.job.label if view.job else ""}
            self.content.forget()

    def _labour(self, job: Job) -> None:
        """The thread's part: the job, its progress in words, and at the end what became of it."""
        drawn = 0.0

        def tell(share: float | None, said: str) -> None:
            nonlocal drawn
            if time.monotonic() - drawn < REDRAW:
                return
            if not self.stopping.is_set():
                self.work = {"state": "running", "label": "Stop", "share": share, "said": said}
            self.redraw()
            drawn = time.monotonic()

        try:
            job.run(tell, self.stopping)
            said = "done"
        except Stopped:
            said = "stopped; what was recorded is kept, and it goes on from there"
        except Exception as error:
            said = f"failed: {told(error)}"
        self.busy = False
        self.work = {"state": "idle", "label": "", "share": None, "said": said}
        with contextlib.suppress(WorkbenchError):
            self.redraw()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """The widget; where none can be shown (a printed page, a code host), a line that says how to see it."""
        bundle = super()._repr_mimebundle_(**kwargs)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        if data is not None:
            data["text/plain"] = f"{self.title}: {self.said}"
            data["text/html"] = f"<p><b>{html.escape(self.title)}</b> {html.escape(self.said)} Needs a kernel.</p>"
        return bundle


def looked_on() -> bool:
    """Say whether a person runs this cell: papermill and nbclient, which execute notebooks, allow no input."""
    from IPython import get_ipython

    return bool(getattr(getattr(get_ipython(), "kernel", None), "_allow_stdin", False))


NEEDS: dict[str, dict[str, type]] = {  # what each message of a page must hold
    "set": {"values": Mapping},
    "click": {"figure": str, "point": Mapping},
    "code": {"page": str},
    "parameters": {"page": str},
    "html": {"page": str},
    "plotly": {},
    "reset": {},
    "exercise": {"label": str},
    "start": {},
    "stop": {},
}


def _check_message(message: Any) -> None:
    """ParameterError for what no page of ours sends."""
    do = message.get("do") if isinstance(message, Mapping) else message
    if not isinstance(do, str) or do not in NEEDS:
        raise ParameterError(f"do: {quoted(do)} received; choose one of {choices(NEEDS)}")
    for name, kind in NEEDS[do].items():
        if not isinstance(message.get(name), kind):
            raise ParameterError(f"{do}: {name} {quoted(message.get(name))} received; {kind.__name__} is needed")
