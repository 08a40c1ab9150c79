"""Blur and decimate, as a matrix-free linear operator and as an explicit sparse matrix."""

from importlib import import_module
from typing import Any

from dhop import cautions, motion, psf, testing
from dhop.images import imread, imwrite
from dhop.matrix.loading import load_matrix
from dhop.operators.blur_decimate import DHOperator
from dhop.operators.diagonal import DiagonalOperator
from dhop.operators.spectrum import singular_values
from dhop.operators.stack import FrameStack
from dhop.operators.warp import WarpOperator
from dhop.reconstruction.regularisers import regulariser_operator
from dhop.reconstruction.solution import Solution
from dhop.runtime.parallel import workers
from dhop.super_resolution import super_resolve

__all__ = [
    "DHOperator",
    "DiagonalOperator",
    "FrameStack",
    "Solution",
    "WarpOperator",
    "cautions",
    "imread",
    "imwrite",
    "load_matrix",
    "motion",
    "psf",
    "regulariser_operator",
    "singular_values",
    "super_resolve",
    "testing",
    "workers",
]

LATER = ("dask", "plots")  # modules of extras, which are imported when somebody asks for them


def __getattr__(name: str) -> Any:
    if name in LATER:
        return import_module(f"dhop.{name}")
    if name == "__version__":
        from importlib.metadata import version

        return version("dhop")
    raise AttributeError(f"module 'dhop' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *LATER, "__version__"])
