"""The boundary rules, alone, against `numpy.pad`."""

import numpy as np
import oracle
import pytest
from numpy.testing import assert_array_equal

from dhop.model.boundary import extended_index

HUGE = 10**12


@pytest.mark.parametrize("boundary", oracle.BOUNDARIES)
@pytest.mark.parametrize("size", range(1, 8))
class TestExtendedIndex:
    def test_is_numpy_pad(self, size, boundary):
        """However far the axis is continued, over several folds."""
        for before in range(23):
            for after in (0, 1, 22 - before, 40):
                actual = extended_index(size, -before, size + after, boundary)
                assert_array_equal(actual, oracle.extended(size, -before, size + after, boundary))
                assert np.issubdtype(actual.dtype, np.integer)

    def test_any_range_is_a_slice_of_the_longest(self, size, boundary):
        """Ranges inside the axis, wholly left of it, wholly right of it, and empty ones."""
        reach = 16
        longest = oracle.extended(size, -reach, reach, boundary)
        for start in range(-reach, reach):
            for stop in range(start, reach + 1):
                actual = extended_index(size, start, stop, boundary)
                assert_array_equal(actual, longest[start + reach : stop + reach])

    def test_far_away(self, size, boundary):
        """Periodic rules repeat; the others have settled. No memory, no overflow."""
        period = {"wrap": size, "symmetric": 2 * size, "reflect": max(1, 2 * size - 2)}
        for sign in (-1, 1):
            far = sign * HUGE // period.get(boundary, 1) * period.get(boundary, 1)
            near = far if boundary in period else 0
            actual = extended_index(size, far, far + 20, boundary)
            if boundary in period:
                assert_array_equal(actual, extended_index(size, far - near, 20, boundary))
            else:
                settled = {"constant": -1, "edge": 0 if sign < 0 else size - 1}[boundary]
                assert_array_equal(actual, settled)
