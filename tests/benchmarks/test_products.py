"""Products against every peer that is installed, in turn, cell by cell.

    python -m pytest -m bench tests/benchmarks --benchmark-json=benchmarks.json

Two cells for every pair of a size and a PSF by default, the other parameters in turn; all cells,
which takes hours, with DHOP_BENCH=full.
"""

import grid
import numpy as np
import pytest

from dhop import DHOperator
from dhop.cli import timing as bench

pytest.importorskip("pytest_benchmark")
pytestmark = [
    pytest.mark.bench,
    pytest.mark.timeout(1800),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

SLOW = 0.5  # seconds; a slower peer is left out


@pytest.mark.parametrize("adjoint", [False, True], ids=["A", "AH"])
@pytest.mark.parametrize(grid.NAMES, grid.cells())
def test_product(benchmark, shape, width, factor, dtype, kind, boundary, adjoint):
    arguments, options = grid.operator_arguments(shape, width, factor, dtype, kind, boundary)
    A = DHOperator(*arguments, **options)
    dims = A.dims
    image = np.random.default_rng(1).random(A.dimsd if adjoint else dims).astype(dtype)
    mine = A.backproject if adjoint else A.degrade
    expected = mine(image)
    peers = bench.peers(A, adjoint)
    for name in list(peers):
        seconds = bench.interleaved({name: peers[name]}, image, rounds=1)[name]
        result = np.asarray(peers[name](image)).reshape(expected.shape)
        assert np.abs(result - expected).max() < 2e-4 * np.abs(expected).max(), name
        if seconds > SLOW:
            del peers[name]
    rivals = {f"dhop {name}": each for name, each in bench.methods(A, adjoint).items()}
    if A.method != "direct" and np.prod(dims) * width**2 > 2e10:
        del rivals["dhop direct"]
    if A.method != "separable" and kind != "gaussian":
        del rivals["dhop separable"]
    times = bench.interleaved({"dhop": mine, **rivals, **peers}, image, rounds=5, seconds=0.5)
    benchmark.extra_info.update(
        shape=dims, width=width, factor=factor, dtype=dtype, kind=kind, boundary=boundary,
        adjoint=adjoint, method=A.method, times=times,
    )  # fmt: skip
    benchmark.pedantic(mine, (image,), rounds=3, warmup_rounds=1)
