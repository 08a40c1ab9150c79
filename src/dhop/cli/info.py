"""``dhop info``."""

from typing import Any

import numpy as np

from dhop import DHOperator
from dhop.cli.extrapolation import Extrapolated
from dhop.cli.options import Boundary, Decimation, Dtype, Factor, Json, Psf, Size, new_operator
from dhop.cli.prediction import duration
from dhop.cli.terminal import extent, show
from dhop.matrix.sparse import FORMATS
from dhop.operators.spectrum import singular_values
from dhop.runtime.memory import in_units


def info(
    size: Size,
    factor: Factor,
    psf: Psf,
    boundary: Boundary = "constant",
    decimation: Decimation = "sum",
    dtype: Dtype = "float32",
    as_json: Json = False,
) -> None:
    """Tell what an operator and its matrix would be: sizes, memory, method, time, conditioning.

    Nothing large is built. Times are predicted for one core of a machine of 2024; measure yours
    with `dhop bench`.

    \b
    Examples:
      dhop info --size 800 800 --factor 2 --psf gaussian:sigma=3
      dhop info --size 800 800 --factor 2 --psf psf.fits --json
    """
    A = Extrapolated.of(
        size,
        lambda dims: new_operator(
            dims, psf, factor, boundary=boundary, decimation=decimation, dtype=dtype
        ),
    )
    small, nnz = A.small, A.nnz
    nbytes = {format: A.nbytes(format) for format in FORMATS}
    conditioning = _conditioning(small, alone=not any(A.missing))
    facts = {
        "dims": A.dims,
        "dimsd": A.dimsd,
        "shape": A.shape,
        "psf": small.psf.shape,
        "dtype": small.dtype.name,
        "nnz": nnz,
        "nbytes": nbytes,
        "method": small.method,
        "predicted_seconds": A.seconds,
        **conditioning,
    }
    lines = {
        "image": f"{extent(A.dims)} -> {extent(A.dimsd)}",
        "psf": f"{extent(small.psf.shape)}, sum {small.psf.sum():.6g}",
        "operator": f"{extent(A.shape)}, {small.dtype}",
        "method": small.method,
        "predicted time": ", ".join(f"{k} {duration(v)}" for k, v in A.seconds.items()),
        "nonzeros": f"{nnz:,}, {nnz / A.shape[0]:.4g} a row",
        "explicit matrix": ", ".join(f"{k} {in_units(v)}" for k, v in nbytes.items()),
        "singular values": _spread(conditioning),
    }
    show(lines, facts, as_json)


def _conditioning(A: DHOperator, alone: bool) -> dict[str, Any]:
    """The extreme singular values and their quotient; None where they are unknown, and why.

    The largest is at most the root of the largest absolute row sum times the largest column sum.
    This bound is that of any size; the values are those of `A` `alone`.
    """
    bound = float(np.sqrt(A.norm(np.inf) * A.norm(1)))
    try:
        if not alone:
            raise ValueError("such a large matrix has too many singular values")
        values = singular_values(A)
    except ValueError as error:
        unknown = {"largest": None, "smallest": None, "condition": None, "unknown": str(error)}
        return unknown | {"norm_bound": bound}
    largest, smallest = float(values[0]), float(values[-1])
    known = smallest > np.finfo(A.dtype).eps * largest
    return {
        "largest": largest,
        "smallest": smallest,
        "condition": largest / smallest if known else None,
        "unknown": None if known else f"singular to the rounding of {A.dtype}",
        "norm_bound": bound,
    }


def _spread(conditioning: dict[str, Any]) -> str:
    largest, smallest, condition = (conditioning[k] for k in ("largest", "smallest", "condition"))
    if condition is not None:
        return f"{largest:.4g} to {smallest:.4g}, condition number {condition:.4g}"
    if smallest is not None:
        return f"{largest:.4g} to {smallest:.4g}, {conditioning['unknown']}"
    return f"at most {conditioning['norm_bound']:.4g}; {conditioning['unknown']}"
