"""What a product costs, and the choice of ``method="auto"`` that follows.

Each method's time is a few constants, in nanoseconds on one core of a machine of 2024, times how
often the method does a thing. Only their ratios matter for the choice; the sums also tell how many
threads a product is worth.

- ``direct`` multiplies and adds every non-zero tap for every output, after splitting the image.
- ``separable`` multiplies and adds the column taps for every pixel of a decimated row and the row
  taps for every output, once for each term of the sum that the folded PSF is.
- ``fft`` transforms the phases of the continued image, and one low-resolution image back, whatever
  the PSF's content.

The cheapest is chosen, but of two that are nearly as cheap the first: `direct` multiplies with the
taps themselves, and the time of `fft` depends on what else is in the caches. And `direct` is chosen
if it takes far less than the call. The folded PSF is factorised only if a single term would win.
"""

from math import inf, log2
from typing import Any

import numpy as np

from dhop.geometry import Model

MULTIPLY = 0.025  # a multiply-add of the inner loops
SPARSE = 0.043  # the same where rows share no windows, since taps are missing
LINE = 0.02  # the same along columns and rows of the image
TOUCH = 0.25  # a pixel that is split into phases or gathered from them
BETWEEN = 0.32  # a number between the two passes of a term
TRANSFORM = 0.08  # a point of a Fourier transform, times the logarithm of their number
OUTER = 0.9  # a point that comes from an outer cache, and goes back
NEAR = 1e5  # points that do not
CALL = 4e4  # of the transforms of a product, whatever their size

ADVANTAGE = 0.9  # what a method must cost less, relative to those before it
SMALL = 1e3  # what is not worth a choice
PYTHON = 6e3  # what a product costs in Python, whatever its size

# Relative cost of the same operations in other dtypes.
ARITHMETIC = {"float32": 1.0, "float64": 1.9, "complex64": 4.0, "complex128": 8.0}
FOURIER = {"float32": 1.0, "float64": 2.0, "complex64": 2.2, "complex128": 3.7}


def direct(model: Model, dtype: np.dtype[Any]) -> float:
    """Nanoseconds of a product of one image by the direct method."""
    rows, columns = model.rows, model.columns
    taps = int(np.count_nonzero(model.taps))
    multiply = MULTIPLY if taps == model.taps.size else SPARSE
    products = taps * rows.outputs * columns.outputs
    return ARITHMETIC[dtype.name] * (multiply * products + TOUCH * rows.size * columns.size)


def separable(model: Model, dtype: np.dtype[Any], rank: int) -> tuple[float, float]:
    """Nanoseconds of a product of one image with `rank` terms, and of the adjoint."""
    rows, columns = model.rows, model.columns
    down = rows.taps * rows.outputs * columns.size
    along = columns.taps * columns.outputs * rows.outputs
    forward, adjoint = (
        ARITHMETIC[dtype.name] * rank * (LINE * (down + along) + BETWEEN * touched * columns.size)
        for touched in (rows.outputs, rows.size)
    )
    return forward, adjoint


def fft(model: Model, dtype: np.dtype[Any]) -> float:
    """Nanoseconds of a product of one image by transforms."""
    rows, columns = model.rows, model.columns
    # Places of a phase of the image, and of the result.
    small = (rows.period or rows.round_places) * (columns.period or columns.round_places)
    points = rows.factor * columns.factor * small
    transforms = TRANSFORM * (points + small) * log2(small + 1)
    return CALL + FOURIER[dtype.name] * (transforms + OUTER * max(0, points - NEAR))


def choose(model: Model, dtype: np.dtype[Any]) -> str:
    """The cheapest method for products in `dtype`."""
    costs = {"direct": direct(model, dtype), "separable": inf, "fft": fft(model, dtype)}
    if costs["direct"] < SMALL:
        return "direct"
    # In higher precision the rounded taps are what counts, and those are not separable.
    same = np.finfo(dtype).eps == np.finfo(model.dtype).eps
    most = min(ADVANTAGE * costs["direct"], costs["fft"] / ADVANTAGE)
    if same and sum(separable(model, dtype, 1)) / 2 < most:
        costs["separable"] = sum(separable(model, dtype, len(model.factors[0]))) / 2
    chosen = "direct"
    for method, time in costs.items():
        if time < ADVANTAGE * costs[chosen]:
            chosen = method
    return chosen
