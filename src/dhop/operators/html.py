"""HTML of operators for notebooks, made without a product or a matrix."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.matrix import sparse
from dhop.operators.algebra import Scaled, Transpose
from dhop.operators.base import ArrayOperator
from dhop.operators.blur_decimate import DHOperator
from dhop.operators.diagonal import DiagonalOperator
from dhop.operators.field import ModesOperator
from dhop.operators.stack import FrameStack
from dhop.operators.warp import WarpOperator
from dhop.runtime import notebook
from dhop.runtime.memory import in_units

Array = NDArray[Any]


def card(A: ArrayOperator) -> str:
    """HTML of an operator, with a picture of its PSF if it has one."""
    facts = {"matrix": _times(A.shape), "arrays": f"{A.dims} to {A.dimsd}"}
    inner: Any = A
    if isinstance(A, FrameStack):
        inner = A.operators[0]
        facts["frames"] = f"{len(A.operators)}{'' if A.weights is None else ', weighted'}"
    while isinstance(inner, Transpose | Scaled):
        inner = inner.operator
    if isinstance(inner, DHOperator):
        facts |= _of_blur(inner)
    elif isinstance(inner, WarpOperator):
        facts["spline"] = f"order {inner.order}, {inner.conserve} is kept"
    elif inner is not A:
        facts["the first"] = repr(inner)
    elif not isinstance(A, DiagonalOperator):
        facts["it is"] = repr(A)
    facts |= {"dtype": str(A.dtype), "stored": _cost(A)}
    return notebook.card(f"{type(A).__name__} {_times(A.shape)}", facts, _picture(inner))


def _of_blur(A: DHOperator) -> dict[str, str]:
    psf = _times(A.psf.shape) if isinstance(A.psf, np.ndarray) else repr(A.psf)
    return {
        "psf": psf,
        "factor": ", ".join(map(str, A.factor)) + f", {A.decimation}",
        "boundary": ", ".join(dict.fromkeys(A.boundary)),
        "method": A.method,
    }


def _picture(A: Any) -> Array | None:
    if isinstance(A, DiagonalOperator) and len(A.dims) > 1:
        return notebook.plane(A.diagonal.reshape(A.dims))
    if not isinstance(A, DHOperator):
        return None
    psf: Any = A.psf
    return notebook.plane(psf) if isinstance(psf, np.ndarray) else psf.mosaic


def _cost(A: Any) -> str:
    entries = _entries(A)
    if entries is None:
        return "not counted, `nnz` counts"
    rows = A.shape[0]
    index = sparse.index_dtype(A.shape, entries).itemsize
    size = entries * (A.dtype.itemsize + index) + (rows + 1) * index
    return f"{entries:,} entries, {entries / rows:.4g} a row; CSR takes {in_units(size)}"


def _entries(A: Any) -> int | None:
    """Upper bound of the entries of the explicit matrix, if a formula gives it."""
    if isinstance(A, FrameStack):
        found = [_entries(each) for each in A.operators]
        return None if None in found else sum(each for each in found if each is not None)
    if isinstance(A, Transpose | Scaled):
        return _entries(A.operator)
    if isinstance(A, DiagonalOperator):
        return A.shape[0]
    return A.nnz if isinstance(A, DHOperator) and not isinstance(A, ModesOperator) else None


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
