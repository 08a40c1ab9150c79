"""Blur and decimate, as a matrix-free linear operator and as an explicit sparse matrix."""

from dhop import cautions, psf, testing
from dhop.export import load_matrix
from dhop.frames import FrameStack
from dhop.images import imread, imwrite
from dhop.operator import DHOperator
from dhop.parallel import workers
from dhop.regularisers import regulariser_operator
from dhop.solution import Solution
from dhop.spectrum import singular_values
from dhop.super_resolution import super_resolve

__all__ = [
    "DHOperator",
    "FrameStack",
    "Solution",
    "cautions",
    "imread",
    "imwrite",
    "load_matrix",
    "psf",
    "regulariser_operator",
    "singular_values",
    "super_resolve",
    "testing",
    "workers",
]
