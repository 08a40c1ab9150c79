"""Blur and decimate, as a matrix-free linear operator and as an explicit sparse matrix.

Names are imported on first access.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dhop import cautions, motion, psf, testing
    from dhop import dask as dask
    from dhop import jax as jax
    from dhop import plots as plots
    from dhop import raw as raw
    from dhop import torch as torch
    from dhop.images import imread, imwrite
    from dhop.matrix.loading import load_matrix
    from dhop.operators.blur_decimate import DHOperator
    from dhop.operators.diagonal import DiagonalOperator
    from dhop.operators.spectrum import singular_values
    from dhop.operators.stack import FrameStack
    from dhop.operators.warp import WarpOperator
    from dhop.reconstruction.regularisers import guided_regulariser, regulariser_operator
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
    "guided_regulariser",
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

HOMES = {
    "DHOperator": "operators.blur_decimate",
    "DiagonalOperator": "operators.diagonal",
    "FrameStack": "operators.stack",
    "Solution": "reconstruction.solution",
    "WarpOperator": "operators.warp",
    "guided_regulariser": "reconstruction.regularisers",
    "imread": "images",
    "imwrite": "images",
    "load_matrix": "matrix.loading",
    "regulariser_operator": "reconstruction.regularisers",
    "singular_values": "operators.spectrum",
    "super_resolve": "super_resolution",
    "workers": "runtime.parallel",
}
# some of them need extras
MODULES = ("cautions", "dask", "jax", "motion", "plots", "psf", "raw", "testing", "torch")


def __getattr__(name: str) -> Any:
    if name in MODULES:
        return import_module(f"dhop.{name}")
    if name == "__version__":
        from importlib.metadata import version

        return version("dhop")
    if name not in HOMES:
        raise AttributeError(f"module 'dhop' has no attribute {name!r}")
    from dhop.runtime.signatures import shorten

    found = globals()[name] = shorten(getattr(import_module(f"dhop.{HOMES[name]}"), name))
    return found


def __dir__() -> list[str]:
    return sorted({*__all__, *MODULES, "__version__"})
