"""What a photo of each class counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fledged.fitting.plan import class_weights


@given(counts=st.lists(st.integers(0, 1000), min_size=1, max_size=20).filter(any))
def test_class_weights_give_every_class_the_same_and_a_photo_one_on_average(counts: list[int]) -> None:
    weights = class_weights(counts)
    sums = [weight * n for weight, n in zip(weights, counts, strict=True) if n]
    assert sums == pytest.approx([sum(counts) / len(sums)] * len(sums))
    assert sum(sums) == pytest.approx(sum(counts))
    assert all(weight == 0 for weight, n in zip(weights, counts, strict=True) if not n)
