"""Lengths of transforms."""

import numpy as np
import pytest

from dhop import DHOperator
from dhop.methods.transform_lengths import next_length, transform_length


def test_next_length():
    """No other length of 2, 3 and 5 lies in between."""
    smooth = sorted(2**a * 3**b * 5**c for a in range(10) for b in range(7) for c in range(5))
    for least in range(1, 500):
        assert next_length(least) == next(length for length in smooth if length >= least)


@pytest.mark.parametrize(
    ("size", "boundary", "length"),
    [
        (60, "wrap", 20),  # the period
        (69, "wrap", 25),  # 23 transforms badly: the 25 places that are read
        (61, "wrap", 24),  # no period; 22 places are read
        (60, "constant", 24),
        (60, "symmetric", 24),
    ],
)
def test_transform_length(size, boundary, length):
    A = DHOperator((size, 1), np.ones((7, 1)), (3, 1), boundary=boundary)
    rows = A.model.rows
    assert transform_length(rows) == length
    assert length == rows.period or length >= rows.round_places
