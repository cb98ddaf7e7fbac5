"""Study of a notebook: its checked parameters, the records that it shows, their tables."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from .. import files
from ..analysis import html, paper_tables, tables
from ..analysis.claims import results_table
from ..analysis.learning_curves import parity_table
from ..analysis.verdicts import SEARCH
from ..errors import ParameterError
from ..files import make_folder
from ..paper.reader_names import reader_names
from ..runs.jobs.notebook_parameters import at_hand, check, find, parameters, planned
from ..runs.planned_run import PlannedRun, take
from ..runs.record import Record

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from .live_training import Offer


class Study:
    """Study of a notebook: `wb.Study(globals())` right after its parameters cell.

    Checks the parameters. Where `records` is `published` it says what is recorded, one's own or published, and offers
    to train the rest; where it is `own`, or the notebook has no such parameter, it trains what one's own store lacks.
    """

    def __init__(self, scope: Mapping[str, Any]):
        pd.set_option("display.max_colwidth", None)  # names and notes are shown whole
        name = scope.get("notebook")  # every notebook names itself in its parameters cell
        if not isinstance(name, str):
            raise ParameterError("notebook: the parameters cell must name the notebook; run that cell first")
        self.path = find(name)
        known = parameters(self.path)
        given = {n: scope[n] for n in known if n in scope}
        if "study" not in scope:  # first run in this kernel: only parameters can have been set so far
            plain = (bool, int, float, str, list, dict)
            ours = {"In", "Out"}  # IPython's
            given |= {n: v for n, v in scope.items() if n[0] != "_" and type(v) in plain and n not in ours}
        self.name = name
        checked = check(self.path, given)
        self.own: bool = checked.get("records", "own") == "own"
        self.values = at_hand(checked) if self.own else checked  # a record is shown whether its data are here or not
        self.budget: str = self.values.get("budget", "quick")
        self.device: str = self.values.get("device", "auto")
        self.planned = planned(self.values)
        self._records: list[Record] | None = None
        self.offer: Offer | None = None
        if _in_a_notebook():
            from .first_picture import FirstPicture

            FirstPicture().show()
        if not self.own:
            self._offer()

    def _offer(self) -> None:
        """Say what is recorded and offer to train the rest; NothingRecorded where there is nothing to show."""
        from .live_training import NothingRecorded, Offer

        self.offer = Offer(self.planned, self.records, self.device)
        self.offer.show()
        if not self.records:
            raise NothingRecorded("The notebook stops here: press the button to train it, then run all cells again.")

    @property
    def records(self) -> list[Record]:
        """The runs of this notebook, with every further seed of its experiments that is recorded and scored, of the
        newest numerics: tables count them too. Under `own` the first look trains what is planned and not recorded."""
        if self._records is None:
            self._records = self._with_further_seeds(take(self.planned, self.device, own=self.own))
        return self._records

    def _with_further_seeds(self, taken: list[Record]) -> list[Record]:
        if self.budget == "smoke" or not self.experiments:
            return taken
        found: list[Record] = []
        for name in self.experiments:
            runs = [PlannedRun(name, self.budget, seed) for seed in range(SEARCH)]  # type: ignore[arg-type]
            seeds = {run: record for run in runs if (record := run.found(own=self.own)) is not None}
            newest = max((record.numerics for record in seeds.values()), default=0)
            found += [r for run, r in seeds.items() if run in self.planned or (r.numerics == newest and r.budgets)]
        shown = {record.id for record in found}
        return [*found, *(record for record in taken if record.id not in shown)]

    def live(self) -> None:
        """Train what is not recorded with its curves drawn as they go; nothing to show if all is recorded already.

        Where published records are shown, the button that trains is put here too.
        """
        if self.offer is not None:
            self.offer.show_button()
        elif all(run.recorded() for run in self.planned):
            print(f"all {len(self.planned)} runs are recorded already; they are shown below")
        else:
            from .live_training import train_live

            self._records = self._with_further_seeds(train_live(self.planned, self.device))

    def of(self, name: str) -> list[Record]:
        """The records shown of one experiment, a seed each."""
        return [record for record in self.records if record.experiment == name]

    def trained(self, name: str = "") -> list[Record]:
        """The records shown, or those of one experiment, whose weights are here; where there are none it says so."""
        found = [record for record in (self.of(name) if name else self.records) if record.run.checkpoints()]
        if not found:
            print("The records shown here hold no weights, which this needs: a run of your own keeps them.")
        return found

    def runs(self) -> html.Html:
        """A row a run: how far it came, its scores, its cost."""
        return html.table(self.rows().map(_short))

    def rows(self) -> pd.DataFrame:
        """`runs` as a DataFrame; `stopped` is a run before its end of which no checkpoint is here to go on from."""
        scores = [f"{part}_{name}" for part in ("test", "valid") for name in "mse accuracy bpc perplexity".split()]
        wanted = ["experiment", "net", "seed", "status", "step", *scores, "wall_s", "device", "whose"]
        names = reader_names([record.experiment for record in self.records])
        shown = pd.DataFrame(
            {
                **record.row,
                "net": names[record.experiment],
                "whose": "published" if record.published else "own",
                "status": "stopped" if record.status == "pending" and record.step else record.status,
            }
            for record in self.records
        )
        return shown[[column for column in wanted if column in shown]]

    def parity(self) -> pd.DataFrame:
        """Ours beside the official log at equal steps; empty where there is no log, or at the smoke budget."""
        return parity_table([] if self.budget == "smoke" else self.records)

    @property
    def experiments(self) -> list[str]:
        """The names of the experiments shown as they are, each once."""
        plain = [run.experiment for run in self.planned if not run.changes]
        return list(dict.fromkeys([*plain, *self.values.get("longer", [])]))

    def results(self) -> pd.DataFrame:
        """Ours beside the paper's as a DataFrame, of the records shown; at the smoke budget, whose nets are too small
        to compare, only what was run."""
        return self.rows() if self.budget == "smoke" else tables.readable(results_table(self.experiments, own=self.own))

    def table(self, name: str = "") -> html.Html:
        """`results` for a page; with the `name` of a table or figure of the paper, in its shape."""
        if name and self.budget != "smoke":
            return paper_tables.table(results_table(paper_tables.experiments(name), own=self.own), name)
        return html.table(tables.in_words(self.results()))

    def save(self, figure: go.Figure, name: str) -> go.Figure:
        """Write a figure to results/figures/NAME_BUDGET.html, and give it back to be shown."""
        folder = make_folder(files.results() / "figures")
        figure.write_html(folder / f"{name}_{self.budget}.html", include_plotlyjs="directory")
        return figure


def _short(value: Any) -> Any:
    """A number as a table shows it; anything else as it is."""
    if isinstance(value, float) and value == value:
        return f"{value:,.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else value


def _in_a_notebook() -> bool:
    """Say whether a notebook's kernel runs this, not a script, a test or a terminal."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None
