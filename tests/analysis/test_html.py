"""Tables and verdicts on a page: whole, in words and in colours that can be read."""

import pandas as pd
import pytest

from workbench.analysis import html, verdicts


def luminance(colour):
    """Relative luminance of #rrggbb (WCAG 2.2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(weight * p for weight, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("word", verdicts.WORDS)
def test_a_verdict_is_worded_and_its_colour_can_be_read(word):
    shown = html.verdict(word)
    assert word in repr(html.Html(shown))
    if word in html.LOOKS:
        mark, colour = html.LOOKS[word]
        assert f"background-color:{colour};color:#ffffff" in shown
        assert f"{mark} {word}" in shown
        assert 1.05 / (luminance(colour) + 0.05) >= 4.5


def test_verdicts_are_told_apart_without_the_colour():
    assert {html.LOOKS[word][0] for word in ("reproduced", "reached")} == {"\u2713"}
    assert {html.LOOKS[word][0] for word in ("not reproduced", "not reached")} == {"\u2717"}
    assert set(html.LOOKS) < set(verdicts.WORDS)


def test_a_table_is_whole_without_empty_columns_and_nan():
    name = "adding_indrnn_T1000, " * 10
    frame = pd.DataFrame(
        {"experiment": [name, "<b>"], "ours": [None, 1.5], "nothing": [None, float("nan")], "verdict": ["reached", ""]}
    )
    text = html.table(frame)
    assert name.strip() in text
    assert "..." not in text
    assert "nothing" not in text
    assert "nan" not in text.lower()
    assert "None" not in text
    assert "&lt;b&gt;" in text
    assert "<b>" not in text
    assert text.count("background-color") == 1
    assert "a caption" in repr(html.grid(["a"], [["b"]], "a caption"))
    assert text._repr_html_() == text
    assert html.table(frame[:0]) == "<p>None yet.</p>\n"


def test_counts_have_every_word_zeroes_too():
    said = repr(html.counts(verdicts.tally(["reached"]), "117 claims:", "35 cannot be tried"))
    assert said.startswith("117 claims: \u2713 reproduced 0 , \u2713 reached 1 , \u2717 not reproduced 0 ,")
    assert said.endswith("no claim 0, 35 cannot be tried")
