"""A drawing becomes the pixels that its pen covers."""

import math

import pytest
import torch

from workbench.analysis import handwriting
from workbench.errors import ParameterError


def test_strokes_are_read_as_written():
    assert handwriting.strokes("30,20 70,20; 50,20 50,80") == [[(30, 20), (70, 20)], [(50, 20), (50, 80)]]
    assert handwriting.strokes("  ; ") == []
    assert handwriting.strokes("0,100") == [[(0, 100)]]


@pytest.mark.parametrize("wrong", ["3", "a,b", "1,2,3", "101,0", "0,-1", "1,2 3", "1.5,2"])
def test_what_is_no_drawing_is_refused(wrong):
    with pytest.raises(ParameterError, match="strokes: "):
        handwriting.strokes(wrong)


def test_a_drawing_has_a_limit():
    with pytest.raises(ParameterError, match="2,001 points received; at most 2,000"):
        handwriting.strokes(" ".join(["5,5"] * 2001))


@pytest.mark.parametrize("frame", handwriting.FRAMES.values(), ids=list(handwriting.FRAMES))
def test_the_ink_is_the_area_that_the_pen_covers(frame):
    """A line of length 40 and width w with round ends: 40 w + pi w^2 / 4 of the square's 100 * 100."""
    covered = float(handwriting.image([[(30, 50), (70, 50)]], frame, fit=False).mean()) * 100 * 100
    assert covered == pytest.approx(40 * frame.pen + math.pi * frame.pen**2 / 4, rel=0.05)


def test_an_image_is_dark_where_it_was_drawn_and_empty_elsewhere():
    frame = handwriting.Frame(10, 1.0, 9.0, False)
    image = handwriting.image([[(10, 90), (20, 90)]], frame, fit=False)
    assert image[8:, 1:2].min() > 0.3
    assert image[:8].max() == 0
    assert image[:, 3:].max() == 0
    for nothing in ([], [[(50, 50)]]):
        empty = handwriting.image(nothing, frame)
        assert (float(empty.sum()) > 0) == bool(nothing)


@pytest.mark.parametrize("frame", handwriting.FRAMES.values(), ids=list(handwriting.FRAMES))
@pytest.mark.parametrize("box", [(20, 10, 60, 90), (70, 60, 90, 80), (0, 45, 100, 55)])
def test_a_fitted_drawing_fills_its_room_wherever_it_was_drawn(frame, box):
    left, top, right, bottom = box
    stroke = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    (moved,) = handwriting.fitted([stroke], frame)
    width, height = (max(p[i] for p in moved) - min(p[i] for p in moved) + frame.pen for i in (0, 1))
    assert max(width, height) == pytest.approx(100 * frame.fill)
    ratio = (right - left) / (bottom - top)
    assert (width - frame.pen) / (height - frame.pen) == pytest.approx(ratio)
    image = handwriting.image([stroke], frame)
    inked = torch.stack([image.amax(1), image.amax(0)]) > 0
    wide = inked[0 if height > width else 1]
    assert int(wide.sum()) == pytest.approx(frame.side * frame.fill, abs=1)


def test_the_middle_of_mnists_ink_is_the_middle_of_its_image():
    heavy = [[(20, 20), (20, 80)], [(20, 80), (60, 80)], [(20, 78), (60, 78)], [(20, 70), (60, 70)]]
    image = handwriting.image(heavy, handwriting.FRAMES["mnist"])
    places = torch.arange(28)
    for ink in (image.sum(0), image.sum(1)):
        assert abs(float((ink * places).sum() / ink.sum()) - 13.5) <= 0.51
