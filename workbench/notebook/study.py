"""Study of a notebook: its checked parameters, the records that it shows, their tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .. import files
from ..errors import ParameterError
from ..files import make_folder
from ..runs.jobs.notebook_parameters import at_hand, check, find, parameters, planned
from ..runs.record import Record

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go


class Study:
    """Study of a notebook: `wb.Study(globals())` right after its parameters cell.

    Checks the parameters, then trains what is not recorded yet. `records` are the runs shown, `experiments` first.
    """

    def __init__(self, scope: Mapping[str, Any]):
        import pandas as pd

        pd.set_option("display.max_colwidth", None)  # names and notes are shown whole
        name = _notebook_name(scope)
        self.path = find(name)
        known = parameters(self.path)
        given = {n: scope[n] for n in known if n in scope}
        if "study" not in scope:  # first run in this kernel: only parameters can have been set so far
            plain = (bool, int, float, str, list, dict)
            strangers = [
                n for n, v in scope.items() if not n.startswith("_") and type(v) in plain and n not in _IPYTHON
            ]
            given |= {n: scope[n] for n in strangers}
        self.name = name
        self.values = at_hand(check(self.path, given))
        self.budget: str = self.values.get("budget", "quick")
        self._records: list[Record] | None = None

    @property
    def records(self) -> list[Record]:
        """The runs of this notebook; the first look trains those that are not recorded."""
        if self._records is None:
            device = self.values.get("device", "auto")
            self._records = [planned_run.train(device) for planned_run in planned(self.values)]
        return self._records

    def live(self) -> None:
        """Train what is not recorded with its curves drawn as they go; nothing to show if all is recorded already."""
        runs = planned(self.values)
        if all(run.recorded() for run in runs):
            print(f"all {len(runs)} runs are recorded already; they are shown below")
            return
        from .live_training import LiveTraining

        self._records = LiveTraining(runs, self.values.get("device", "auto")).train()

    def runs(self) -> pd.DataFrame:
        """A row a run: how far it came, its scores, its cost."""
        import pandas as pd

        scores = [f"{part}_{name}" for part in ("test", "valid") for name in "mse accuracy bpc perplexity".split()]
        wanted = ["experiment", "seed", "status", "step", *scores, "wall_s", "device"]
        shown = pd.DataFrame([record.summary for record in self.records])
        return shown[[column for column in wanted if column in shown]]

    def parity(self) -> pd.DataFrame:
        """Ours beside the official log at equal steps; empty where there is no log, or at the smoke budget."""
        from ..analysis.learning_curves import parity_table

        return parity_table([] if self.budget == "smoke" else self.records)

    @property
    def experiments(self) -> list[str]:
        """The names of the experiments shown as they are, each once."""
        return list(
            dict.fromkeys(planned_run.experiment for planned_run in planned(self.values) if not planned_run.changes)
        )

    def table(self) -> pd.DataFrame:
        """Ours beside the paper's; at the smoke budget, whose nets are too small to compare, only what was run."""
        from ..analysis.claims import results_table
        from ..analysis.tables import readable

        if self.budget != "smoke":
            return readable(results_table(self.experiments, own=True))
        return self.runs()

    def save(self, figure: go.Figure, name: str) -> go.Figure:
        """Write a figure to results/figures/NAME_BUDGET.html, and give it back to be shown."""
        folder = make_folder(files.results() / "figures")
        figure.write_html(folder / f"{name}_{self.budget}.html", include_plotlyjs="directory")
        return figure


_IPYTHON = ("In", "Out")


def _notebook_name(scope: Mapping[str, Any]) -> str:
    """Every notebook names itself in its parameters cell: `notebook: str = "fig4_adding"`."""
    name = scope.get("notebook")
    if not isinstance(name, str):
        raise ParameterError("notebook: the parameters cell must name the notebook; run that cell first")
    return name
