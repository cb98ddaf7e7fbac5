"""Digits read again and again: the same pixels, so many times over."""

import pytest
import torch

from workbench import tasks
from workbench.config import Pixels
from workbench.errors import ParameterError


@pytest.mark.parametrize("permuted", [False, True])
def test_a_repeated_image_is_the_image_repeated(permuted):
    once = tasks.load(Pixels(name="pixels", source="digits", permuted=permuted), 0, 4)
    thrice = tasks.load(Pixels(name="pixels", source="digits", permuted=permuted, repeats=3), 0, 4)
    assert thrice.spec.steps == 3 * 64
    assert torch.equal(thrice.batch(5).x, once.batch(5).x.repeat(3, 1, 1))
    assert torch.equal(thrice.batch(5).y, once.batch(5).y)
    assert thrice.drawn() == once.drawn()


def test_a_field_with_its_default_leaves_old_identities_alone():
    assert "repeats" not in Pixels(name="pixels").model_dump(exclude_defaults=True)
    with pytest.raises(ParameterError, match="repeats"):
        Pixels(name="pixels", repeats=0)
