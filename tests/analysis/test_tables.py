"""The results for readers: one headline, the abstract, what is decided and what is not, in every format."""

import json
import re

import pandas as pd
import pytest

import workbench as wb
from workbench.analysis import html, tables, verdicts
from workbench.paper import claims as every


def test_every_summary_begins_with_the_number_of_claims_by_word_zeroes_too(results):
    first = tables.summary(results)
    words = tables.words_of(results)
    assert set(words) == {claim.id for claim in every.claims()}
    counts = verdicts.tally([*words.values(), *results.loc[results["claim"].isna(), "verdict"]])
    assert first.startswith(f"{len(words)} claims of the paper and its logs")
    assert all(f"{word} {n}" in first for word, n in counts.items())
    assert sum(n for word, n in counts.items() if word not in ("reference", "no claim")) == len(words)
    assert "cannot be tried here 35 (32: NTU RGB+D must be asked for" in first
    for format_ in ("text", "markdown", "latex", "html"):
        assert first in tables.render(results, format_).partition("\n")[0], format_
    assert isinstance(json.loads(tables.render(results, "json")), list)
    shown = repr(tables.headline(results))
    assert [f"{word} {n}" in shown for word, n in counts.items()] == [True] * len(counts)


def test_a_claim_counts_once_by_the_papers_own_schedule_where_that_has_an_answer(results):
    words = tables.words_of(results)
    assert words["table2-seqmnist_plain6"] == "reproduced"  # and its cycle is not reached
    assert words["table2-seqmnist_dense"] == "reached"  # undecided so far under the paper's own
    assert words["table2-seqmnist_plain12"] == "not reached"
    assert words["table2-permmnist_dense"] == "not reproduced"
    assert words["table2-permmnist_plain6"] == "undecided"
    assert words["table2-seqmnist_res"] == "under way"
    assert words["table2-permmnist_res"] == "not run"  # older records do not count
    assert set(tables.DECIDING) == set(verdicts.WORDS) - {"reference", "no claim"}


@pytest.mark.parametrize("width", [80, 120])
def test_a_stranger_sees_in_a_minute_what_holds(results, monkeypatch, width):
    """The counts, the abstract's sentences, claims with an answer, every undecided one with its reason, the rest."""
    monkeypatch.setenv("COLUMNS", str(width))
    text = tables.render(results, "text")
    headline, *rest = text.splitlines()
    assert headline == tables.summary(results)
    assert max(map(len, rest)) <= width
    titles = [line.rstrip(":") for line in rest if line.endswith(":") and not line.startswith(" ")]
    assert titles[:4] == [
        "The abstract, sentence by sentence",
        "Claims with an answer",
        "Begun, and what would decide it",
        "Not run, and why",
    ]
    undecided = tables.begun(results)
    rows = results[results["claim"].notna() & results["verdict"].isin(("undecided", "under way"))]
    assert len(undecided) == len(rows) > 5
    assert undecided["note"].str.len().gt(0).all()
    assert not undecided["note"].str.contains("set aside|hours|examples seen").any()
    flat = " ".join(text.split())
    assert "NaN" not in flat
    assert re.search("[012] of 3 seeds, (one|two|three) more needed", flat)
    assert "rows of older records, which decide nothing" in flat
    open_ = tables.not_run(results)
    assert f"{open_.loc[open_['why'] == 'NTU RGB+D must be asked for', 'claims'].sum()}" == "32"


def test_a_part_of_the_experiments_names_each_of_them(store, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    text = tables.render(wb.results_table(["adding_indrnn_T100", "permmnist_dense"]), "text")
    assert "The abstract" not in text
    assert {"adding_indrnn_T100", "permmnist_dense"} <= set(text.replace(",", " ").split())


def test_the_abstract_has_a_cycle_once_it_has_begun_and_a_sentence_once(results):
    table = tables.abstract(results)
    cycles = table[table["test"].str.contains("_cycle:")]
    assert "reached" in set(cycles["verdict"])
    assert "not run" not in set(cycles["verdict"])
    shown = tables.once(table)
    assert shown.loc[shown["sentence"] != "", "sentence"].tolist() == list(every.ABSTRACT)
    assert len(shown) == len(table)


def test_no_format_cuts_a_name_or_shows_a_gap_as_nan(results):
    longest = max((n for joined in results["experiment"] for n in [joined]), key=len)
    assert len(longest) > 50  # where pandas would cut it
    for format_ in tables.FORMATS:
        text = tables.render(results, format_)
        if format_ == "text":  # which goes on below
            continue
        assert longest in text.replace("\\_", "_"), format_
        assert "nan" not in text.lower().replace("permanent", ""), format_


def test_older_records_are_shown_apart_and_have_no_verdict(results):
    older = tables.older(results)
    assert older["experiment"].tolist() == ["permmnist_res"]
    assert "verdict" not in older
    assert "decides nothing" in older["note"].item()
    assert isinstance(html.table(older), html.Html)
    assert isinstance(tables.answered(results), pd.DataFrame)


@pytest.mark.parametrize(
    ("claim", "name", "numbers", "ours", "theirs"),
    [
        ("table2-seqmnist_plain6", "seqmnist_plain6", (0.926667, 0.809271, 1.044062, 1.0), "0.9267 [0.8093, 1.044]",
         "1"),
        ("log-5097-ptbword_dense-dynamic", "ptbword_dense", (50.0, None, None, 50.968), "50", "50.968"),
        ("fig4-indrnn-T1000", "adding_indrnn_T1000", (1.0, 0.292402, 1.0, 1.0), "1 [0.2924, 1] of the seeds", "solved"),
        ("fig4-irnn-T1000", "adding_irnn_T1000", (None, None, None, 0.0), "", "not solved"),
        ("fig4-indrnn_before_lstm-T100", "adding_indrnn_T100", (0.88, None, None, None), "0.88 of the pairs",
         "before adding_lstm_T100"),
        ("abstract-better-seqmnist-lstm", "seqmnist_plain6_cycle", (1.0, None, None, None), "1 of the pairs",
         "below seqmnist_lstm_cycle"),
        ("fig2-1_layer-T256", "timing", (14.03521, 12.47515, 15.790361, 4.3), "14.04 [12.48, 15.79]", "4.3 times"),
        ("abstract-faster", "timing", (26.5, 24.1, 29.2, 10.0), "26.5 [24.1, 29.2]", "over 10 times"),
        ("table1-no_explosion", "bounds", (1.2e-8, None, None, 1e-7), "1.2e-08", "at most 1e-07"),
        ("abstract-no_vanishing", "adding_indrnn_T1000", (1.0, 0.292402, 1.0, 0.1), "1 [0.2924, 1] of the seeds",
         "0.1 to 10"),
        ("abstract-21_layers", "ptbchar_res21_T50", (None, None, None, 1.36), "", "below 1.36"),
        ("fig5-long_memory_above", "ntu_cs_plain6", (None, None, None, 0.5), "", "at least 0.5"),
        (None, "seqmnist_lstm", (2.0, None, None, 1.8), "2", "1.8"),
    ],
)  # fmt: skip
def test_our_number_and_theirs_are_said_in_the_words_of_the_claims_kind(claim, name, numbers, ours, theirs):
    row = dict(zip(("ours", "low", "high", "paper"), numbers, strict=True)) | {"claim": claim, "experiment": name}
    assert (tables.ours(row), tables._theirs(row)) == (ours, theirs)


def test_what_is_no_claim_of_the_papers_has_no_number_of_the_papers(store):
    """A row that a published number stands beside is a claim or a reference, never `no claim`."""
    table = wb.results_table()
    assert table.loc[table["verdict"] == "no claim", "paper"].isna().all()


def test_no_row_of_the_cpu_speaks_of_cudnn():
    results = wb.results_table(["timing"])
    rows = list(zip(tables.readable(results)["experiment"], tables.readable(results)["metric"], strict=True))
    own, theirs = ([metric for who, metric in rows if who == f"timing on {where}"] for where in ("the CPU", "a GPU"))
    assert own == [metric.replace("cuDNN's", "torch's") for metric in theirs]
    assert sum("cuDNN's" in metric for metric in theirs) == 6
    assert not any("cuDNN" in said for said in tables.answered(results)["test"])
