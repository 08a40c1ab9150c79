"""Warnings name the line that called the package, however deep inside they come from."""

import warnings

import numpy as np
import pytest

from dhop import DHOperator, FrameStack, cautions, psf, super_resolve
from dhop.registration import estimate_shifts

RNG = np.random.default_rng(0)
NOISE = RNG.random((2, 40, 40))


def chunked():
    da = pytest.importorskip("dask.array")
    super_resolve(da.from_array(NOISE, chunks=(1, 20, 40)), psf.gaussian(5, 1.0), 2, beta=0.1,
                  shifts="estimate")  # fmt: skip


CALLS = {
    "shifts": lambda: super_resolve(NOISE, psf.gaussian(5, 1.0), 2, beta=0.1),
    "counts": lambda: super_resolve(NOISE - 0.1, psf.gaussian(5, 1.0), 2, beta=1.0, loss="poisson"),
    "registration": lambda: estimate_shifts(NOISE),
    "psf": lambda: psf.estimate(NOISE[:1], 2, family="motion"),
    "prox": lambda: FrameStack([DHOperator((9, 9), np.ones((3, 3)), 2)]).prox_l2(
        RNG.random((9, 9)), RNG.random(16), 1e9, maxiter=1
    ),
    "chunks": chunked,
}


@pytest.mark.parametrize("name", CALLS)
def test_the_line_of_the_caller(name):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", cautions.Caution)
        CALLS[name]()
    ours = [each for each in caught if issubclass(each.category, cautions.Caution)]
    assert {each.filename for each in ours} == {__file__}
