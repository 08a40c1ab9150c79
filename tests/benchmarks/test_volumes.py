"""Products of volumes against SciPy's convolutions, in turn.

    python -m pytest -m bench tests/benchmarks/test_volumes.py --benchmark-json=volumes.json

64 x 256 x 256 numbers of float32, with zeros outside; 256 x 256 x 256 too with DHOP_BENCH=full.
"""

import os
from functools import reduce

import numpy as np
import pytest
from scipy import ndimage, signal

from dhop import DHOperator, psf
from dhop.cli import timing as bench

pytest.importorskip("pytest_benchmark")
pytestmark = [pytest.mark.bench, pytest.mark.timeout(1800)]

RNG = np.random.default_rng(0)
SIZES = [(64, 256, 256)] + [(256, 256, 256)] * (os.environ.get("DHOP_BENCH") == "full")
PSFS = {
    "Gaussian, 21 x 15 x 15": psf.gaussian((21, 15, 15), (3.0, 2.0, 2.0)),
    "dense, 5 x 5 x 5": RNG.random((5, 5, 5)),
    "dense, 9 x 15 x 15": RNG.random((9, 15, 15)),
    "dense, 15 x 31 x 31": RNG.random((15, 31, 31)),
    "profile times plane, 31 x 31 x 31": np.multiply.outer(np.hanning(33)[1:-1],
                                                           RNG.random((31, 31))),
}  # fmt: skip
FACTORS = [(1, 1, 1), (1, 2, 2), (2, 2, 2)]


def blurs(kernel):
    """The convolution with zeros outside, as each function of SciPy does it."""
    found = {
        "scipy fftconvolve": lambda x: signal.fftconvolve(x, kernel, "same"),
        "scipy oaconvolve": lambda x: signal.oaconvolve(x, kernel, "same"),
    }
    middle = [each // 2 for each in kernel.shape]
    lines = [
        kernel[tuple(slice(None) if a == axis else middle[a] for a in range(3))]
        for axis in range(3)
    ]
    scale = kernel[tuple(middle)] ** 2
    if np.allclose(reduce(np.multiply.outer, lines), scale * kernel, rtol=1e-4):
        lines[0] = lines[0] / scale

        def by_axis(x):
            for axis, line in enumerate(lines):
                x = ndimage.convolve1d(x, line, axis, mode="constant")
            return x

        found["scipy ndimage"] = by_axis
    return found


def peers(A, adjoint):
    """Blur and sum of blocks, or the other way round with the PSF turned."""
    kernel, factor = A.psf.astype(np.float32), A.factor

    def summed(z):
        n = [size // f for size, f in zip(A.dims, factor, strict=True)]
        blocks = z.reshape(n[0], factor[0], n[1], factor[1], n[2], factor[2])
        return blocks.sum(axis=(1, 3, 5)) if max(factor) > 1 else z

    def spread(y):
        for axis, f in enumerate(factor):
            y = y.repeat(f, axis) if f > 1 else y
        return y

    if adjoint:
        found = blurs(kernel[::-1, ::-1, ::-1])
        return {name: lambda y, blur=blur: blur(spread(y)) for name, blur in found.items()}
    return {name: lambda x, blur=blur: summed(blur(x)) for name, blur in blurs(kernel).items()}


@pytest.mark.parametrize("adjoint", [False, True], ids=["A", "AH"])
@pytest.mark.parametrize("factor", FACTORS, ids=str)
@pytest.mark.parametrize("kind", PSFS)
@pytest.mark.parametrize("dims", SIZES, ids=str)
def test_volume(benchmark, dims, kind, factor, adjoint):
    A = DHOperator(dims, PSFS[kind], factor, dtype=np.float32)
    mine = A.backproject if adjoint else A.degrade
    image = np.random.default_rng(1).random(A.dimsd if adjoint else dims, np.float32)
    expected, others = mine(image), peers(A, adjoint)
    for name, product in others.items():
        assert np.abs(product(image) - expected).max() < 2e-4 * np.abs(expected).max(), name
    times = bench.interleaved({"dhop": mine, **others}, image, rounds=5, seconds=3.0)
    benchmark.extra_info.update(
        shape=dims, factor=factor, kind=kind, adjoint=adjoint, method=A.method, times=times
    )
    benchmark.pedantic(mine, (image,), rounds=3, warmup_rounds=1)
