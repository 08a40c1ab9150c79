"""Products against every peer that is installed, in turn, cell by cell.

    python -m pytest -m bench tests/benchmarks --benchmark-json=benchmarks.json

Two cells for every pair of a size and a PSF by default, the other parameters in turn; all cells,
which takes hours, with DHOP_BENCH=full.
"""

import os
from itertools import product

import numpy as np
import pytest

from dhop import DHOperator, bench, psf

pytest.importorskip("pytest_benchmark")
pytestmark = [
    pytest.mark.bench,
    pytest.mark.timeout(1800),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

SIZES = [256, 800, 2048, 4096]
SHAPES = [(n, n) for n in SIZES] + [(n, n * 2 // 3) for n in SIZES]
WIDTHS = [3, 9, 21, 51, 99, 201]
FACTORS = [1, 2, 3, 4, 8]
DTYPES = ["float32", "float64"]
KINDS = ["gaussian", "dense", "motion"]
BOUNDARIES = ["constant", "wrap", "symmetric"]
SLOW = 0.5  # seconds; a slower peer is left out


def blur(kind, width):
    """A PSF of `width` pixels: separable, measured-like without structure, or a streak."""
    if kind == "gaussian":
        return psf.gaussian(width, width / 6)
    if kind == "motion":
        streak = np.zeros((width, width))
        line = psf.motion((width - 3) / np.cos(0.5) * 0.99 if width > 3 else 1.0, np.rad2deg(0.5))
        top, left = ((width - n) // 2 for n in line.shape)
        streak[top : top + line.shape[0], left : left + line.shape[1]] = line
        return streak
    speckle = 1 + 0.3 * np.random.default_rng(0).standard_normal((width, width))
    return psf.normalise(psf.gaussian(width, width / 5) * speckle)


def cells():
    every = list(product(SHAPES, WIDTHS, FACTORS, DTYPES, KINDS, BOUNDARIES))
    if os.environ.get("DHOP_BENCH") == "full":
        return every
    chosen = []
    for k, (shape, width) in enumerate(product(SHAPES, WIDTHS)):
        rest = list(product(FACTORS, DTYPES, KINDS, BOUNDARIES))
        # steps coprime to the number of combinations visit them all evenly
        chosen += [(shape, width, *rest[(37 * (2 * k + i) + 7) % len(rest)]) for i in range(2)]
    return chosen


@pytest.mark.parametrize("adjoint", [False, True], ids=["A", "AH"])
@pytest.mark.parametrize(("shape", "width", "factor", "dtype", "kind", "boundary"), cells())
def test_product(benchmark, shape, width, factor, dtype, kind, boundary, adjoint):
    dims = tuple(n // factor * factor for n in shape)
    options = {"decimation": "mean", "boundary": boundary, "dtype": dtype}
    A = DHOperator(dims, blur(kind, width), factor, **options)
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
