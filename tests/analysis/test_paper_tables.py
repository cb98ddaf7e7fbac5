"""The paper's tables in the paper's shape."""

import re

import pytest

import workbench as wb
from workbench.analysis import paper_tables
from workbench.errors import ParameterError
from workbench.paper import claims as every
from workbench.paper.published import TABLES, published


@pytest.mark.parametrize(("stem", "name"), TABLES.items())
def test_every_printed_number_has_its_cell_and_every_claim_of_a_table_is_in_one(stem, name):
    cells = list(paper_tables._cells(name))
    printed = [row for row in published(stem) if row["source"] == f"paper v2 {name}"]
    assert [cell.printed for cell in cells] == [row["value"] for row in printed]
    assert len({(cell.row, cell.column) for cell in cells}) == len(cells)
    claimed = {cell.claim: cell for cell in cells if cell.claim}
    assert set(claimed) == {claim.id for claim in every.claims() if claim.place == name}
    for claim in (c for c in every.claims() if c.id in claimed):
        cell = claimed[claim.id]
        assert float(cell.printed) == claim.value
        assert claim.experiments[0].startswith(paper_tables._COLUMNS.get(cell.column, ""))


def test_the_figures_claims_have_their_cells_too():
    solved = [cell.claim for cell in paper_tables._cells("Fig. 4")]
    of_paper = [claim for claim in every.claims() if claim.kind == "solved" and "2018" not in claim.place]
    assert sorted(solved) == sorted(claim.id for claim in of_paper)
    ratios = [cell.claim for cell in paper_tables._cells("Fig. 2")]
    assert sorted(ratios) == sorted(c.id for c in every.claims() if c.kind == "ratio" and not c.abstract)


def cell(shown, row, column):
    """The words of one cell of a table."""
    heads = re.findall(r"<th scope=\"col\"[^>]*>(.*?)</th>", shown)
    line = next(line for line in re.findall(r"<tr>(.*?)</tr>", shown) if f">{row}</th>" in line)
    found = re.findall(r"<td[^>]*>(.*?)</td>", line)[heads.index(column) - 1]
    return " ".join(re.sub("<[^>]*>", " ", found).split())


def test_ours_stand_in_the_papers_cells_with_verdicts_in_words(results):
    shown = paper_tables.table(results, "Table 2")
    assert cell(shown, "IndRNN (6 layers)", "sequential MNIST") == (
        "1.0 ours 1 [0.8758, 1.124] \u2713 reproduced cycle 1.5 [1.252, 1.748] \u2717 not reached"
    )
    assert cell(shown, "dense-IndRNN", "permuted MNIST").endswith("\u2717 not reproduced")
    assert cell(shown, "res-IndRNN (12 layers)", "sequential MNIST") == "0.61 ours \u2026 under way"
    assert cell(shown, "LSTM", "sequential MNIST") == "1.8 ours 2 [1.752, 2.248] at step 1,000"  # quoted: no verdict
    assert cell(shown, "LSTM", "permuted MNIST") == "12"
    assert cell(shown, "RNN-path", "permuted MNIST") == ""
    assert cell(shown, "res-IndRNN (12 layers)", "permuted MNIST") == "2.98"  # older records alone: blank
    assert cell(paper_tables.table(results, "Fig. 4"), "IndRNN (2 layers)", "T = 1,000").startswith("solved ours 1 [")
    assert "nan" not in shown.lower()


def test_nothing_is_beside_the_printed_numbers_before_anything_has_begun(store, monkeypatch):
    monkeypatch.setattr("workbench.analysis.counting.records", lambda own=False, of=None: [])
    table = wb.results_table()
    for name in paper_tables._CAPTIONS:
        assert "ours" not in paper_tables.table(table, name).partition("<thead>")[2], name
    with pytest.raises(ParameterError, match="name: 'Table 9' is unknown; choose one of"):
        paper_tables.table(table, "Table 9")
