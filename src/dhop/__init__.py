"""Blur and decimate, as a matrix-free linear operator and as an explicit sparse matrix."""

from dhop import cautions, psf, testing
from dhop.loading import load_matrix
from dhop.operators.blur_decimate import DHOperator
from dhop.operators.diagonal import DiagonalOperator
from dhop.operators.stack import FrameStack
from dhop.parallel import workers
from dhop.regularisers import regulariser_operator
from dhop.solution import Solution
from dhop.spectrum import singular_values
from dhop.super_resolution import super_resolve

__all__ = [
    "DHOperator",
    "DiagonalOperator",
    "FrameStack",
    "Solution",
    "cautions",
    "load_matrix",
    "psf",
    "regulariser_operator",
    "singular_values",
    "super_resolve",
    "testing",
    "workers",
]
