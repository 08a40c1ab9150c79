"""The grid of cases on which products are timed and their errors measured."""

import os
from itertools import product

import numpy as np

from dhop import psf

SIZES = [256, 800, 2048, 4096]
SHAPES = [(n, n) for n in SIZES] + [(n, n * 2 // 3) for n in SIZES]
WIDTHS = [3, 9, 21, 51, 99, 201]
FACTORS = [1, 2, 3, 4, 8]
DTYPES = ["float32", "float64"]
KINDS = ["gaussian", "dense", "motion"]
BOUNDARIES = ["constant", "wrap", "symmetric"]
NAMES = "shape", "width", "factor", "dtype", "kind", "boundary"


def blur(kind, width):
    """A PSF of `width` pixels: separable, measured-like without structure, or a streak."""
    if kind == "gaussian":
        return psf.gaussian(width, width / 6)
    if kind == "motion":
        streak = np.zeros((width, width))
        line = psf.motion((width - 1) / np.cos(0.5), np.rad2deg(0.5))
        top = (width - len(line)) // 2
        streak[top : top + len(line)] = line
        return streak
    speckle = 1 + 0.3 * np.random.default_rng(0).standard_normal((width, width))
    return psf.normalise(psf.gaussian(width, width / 5) * speckle)


def cells():
    """Two for every pair of a size and a PSF, the rest in turn; all of them by DHOP_BENCH=full."""
    every = list(product(SHAPES, WIDTHS, FACTORS, DTYPES, KINDS, BOUNDARIES))
    if os.environ.get("DHOP_BENCH") == "full":
        return every
    chosen = []
    for k, (shape, width) in enumerate(product(SHAPES, WIDTHS)):
        rest = list(product(FACTORS, DTYPES, KINDS, BOUNDARIES))
        # steps coprime to the number of combinations visit them all evenly
        chosen += [(shape, width, *rest[(37 * (2 * k + i) + 7) % len(rest)]) for i in range(2)]
    return chosen


def operator_arguments(shape, width, factor, dtype, kind, boundary):
    """Arguments of `DHOperator`; the factor divides the image, as other packages need it."""
    dims = tuple(n // factor * factor for n in shape)
    options = {"decimation": "mean", "boundary": boundary, "dtype": dtype}
    return (dims, blur(kind, width), factor), options
