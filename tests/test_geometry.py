"""What an axis tells of itself, against its windows."""

import numpy as np
import pytest

from dhop.model.axis import Axis
from dhop.model.boundary import BOUNDARIES


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("factor", [1, 2, 5])
@pytest.mark.parametrize("taps", [1, 4, 30])
def test_reads(taps, factor, boundary):
    for center in (0, taps // 2, -9, 40):
        axis = Axis.build(
            17, taps, factor, decimation="sum", phase=0, center=center, boundary=boundary
        )
        assert axis.reads == np.count_nonzero(axis.windows >= 0)
