"""The base class of operators: linear maps between arrays.

It checks user input before it reaches the kernels, and lists the methods that a kind defines.
"""

from collections.abc import Callable
from math import prod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from scipy.sparse import issparse
from scipy.sparse.linalg import LinearOperator

from dhop.closed.terms import Term
from dhop.matrix import sparse
from dhop.matrix.sparse import Rows
from dhop.runtime import arguments, notebook, workspace
from dhop.runtime.arguments import DTYPES
from dhop.runtime.memory import in_units

Array = NDArray[Any]

SCALARS = (int, float, complex, np.number)


class ArrayOperator(LinearOperator):
    """A linear map between arrays, of shape `dims` and of shape `dimsd`, over their C-order ravels.

    Subclasses define `apply`, on which all products of scipy's interface are based here. Input is
    checked before anything is computed, and never written to.

    They may also define `rows` and `columns` (for the explicit matrix and its exports), `terms`
    (for closed forms, preconditioners and the Gram matrix) and `bounds` (for tolerances, norms).

    Parameters
    ----------
    dtype : dtype
        One of float32, float64, complex64, complex128.
    dims, dimsd : tuple of int
        Shape of the arrays that the operator takes and of those that it gives.

    Attributes
    ----------
    workers : int or None
        Most threads to use, None for all processors.
    """

    # Attributes that PyLops needs.
    clinear: ClassVar[bool] = True
    explicit: ClassVar[bool] = False
    name: ClassVar[str | None] = None

    _read_only: ClassVar[frozenset[str]] = frozenset({"shape", "dtype", "dims", "dimsd", "workers"})

    workers: int | None = None

    def __init__(self, dtype: DTypeLike, dims: tuple[int, ...], dimsd: tuple[int, ...]) -> None:
        super().__init__(np.dtype(dtype), (prod(dimsd), prod(dims)))
        self.dims = dims
        self.dimsd = dimsd

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self._read_only and name in self.__dict__:
            raise AttributeError(f"{name} is read-only")
        super().__setattr__(name, value)

    def __repr__(self) -> str:
        M, N = self.shape
        return f"<{M}x{N} {self._description()}>"

    def _description(self) -> str:
        """Kind, shapes and settings, for `repr`."""
        return f"{type(self).__name__} {self.dims} -> {self.dimsd}, {self.dtype}"

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return type(self), self.args

    def _repr_html_(self) -> str:
        size = " x ".join(map(str, self.shape))
        facts = {"matrix": size, "arrays": f"{self.dims} to {self.dimsd}"} | self._facts()
        stored, entries = "not counted, `nnz` counts", self._known_entries()
        if entries is not None:
            index = sparse.index_dtype(self.shape, entries).itemsize
            nbytes = entries * (self.dtype.itemsize + index) + (self.shape[0] + 1) * index
            stored = (
                f"{entries:,} entries, {entries / self.shape[0]:.4g} a row; CSR takes "
                f"{in_units(nbytes)}"
            )
        facts |= {"dtype": str(self.dtype), "stored": stored}
        return notebook.card(f"{type(self).__name__} {size}", facts, self._picture())

    def _facts(self) -> dict[str, str]:
        """Settings for the table in notebooks."""
        return {"it is": repr(self)}

    def _picture(self) -> Array | None:
        """An image beside that table."""
        return None

    def _known_entries(self) -> int | None:
        """An upper bound of the entries of the explicit matrix, if a formula gives it."""
        return None

    def rows(self) -> Rows:
        """The rows of the explicit matrix, or a TypeError."""
        raise TypeError(f"{self!r} has no explicit matrix, it can only be multiplied with")

    def columns(self) -> Rows:
        """The columns of the explicit matrix, as rows of its transpose, or a TypeError."""
        raise TypeError(f"{self!r} has no explicit matrix, it can only be multiplied with")

    def terms(self, weights: Array | None = None) -> list[Term] | None:
        """Convolutions whose sum is ``A^H W A``, or None.

        `weights` are the diagonal of `W`, M real numbers, or None for ones.
        """
        return None

    def similar(self, weights: Array | None = None) -> list[Term] | None:
        """The terms, or those of a similar operator as a preconditioner; or None."""
        return self.terms(weights)

    def bounds(self) -> tuple[float, float]:
        """Upper bounds of the 1-norm and of the infinity norm: of absolute column and row sums."""
        raise TypeError(f"nothing is known of the size of {self!r}")

    def apply(self, x: Array, adjoint: bool, out: Array) -> None:
        """Write the products with the vectors in `x` into `out`.

        Both are contiguous, vector after vector, and of one dtype: one of the four, at least the
        operator's, and complex only if the operator's is. `x` is read-only.
        """
        raise NotImplementedError

    def apply_gram(self, x: Array, weights: Array | None, out: Array) -> None:
        """As `apply`, for ``A^H W A`` with the diagonal `weights` of `W`, None for ones."""
        M, N = self.shape
        y = workspace.empty((x.size // N * M,), x.dtype)
        self.apply(x, False, y)
        if weights is not None:
            frames = y.reshape(-1, M)
            frames *= weights.astype(y.real.dtype, copy=False)
        y.flags.writeable = False
        self.apply(y, True, out)

    def degrade(self, image: ArrayLike, out: Array | None = None) -> Array:
        """Apply the operator to an array: ``A @ x`` without the ravels.

        Parameters
        ----------
        image : array_like, shape `dims`
        out : ndarray, shape `dimsd`, optional
            C-contiguous array of the result's dtype that receives the result; it must not share
            memory with `image`.

        Returns
        -------
        ndarray, shape `dimsd`
            Of dtype ``numpy.result_type(A.dtype, image.dtype)``; `out` if that was given.

        Raises
        ------
        ValueError
            If a shape is wrong, or `out` is not contiguous and writeable or overlaps `image`.
        TypeError
            If `image` is not an array of numbers, has masked values or is sparse, or `out` has
            another dtype.

        Examples
        --------
        >>> import numpy as np
        >>> from dhop import DHOperator
        >>> A = DHOperator((4, 4), np.ones((1, 1)), 2)
        >>> A.degrade(np.arange(16.0).reshape(4, 4))
        array([[10., 18.],
               [42., 50.]])
        """
        return self._array_product(image, self.dims, self.dimsd, False, out)

    def backproject(self, image: ArrayLike, out: Array | None = None) -> Array:
        """Apply the adjoint to an array: ``A.H @ y`` without the ravels.

        Parameters
        ----------
        image : array_like, shape `dimsd`
        out : ndarray, shape `dims`, optional
            As for `degrade`.

        Returns
        -------
        ndarray, shape `dims`

        Raises
        ------
        ValueError, TypeError
            As for `degrade`.

        Examples
        --------
        >>> import numpy as np
        >>> from dhop import DHOperator
        >>> A = DHOperator((2, 4), np.ones((1, 1)), 2)
        >>> A.backproject([[1.0, 5.0]])
        array([[1., 1., 5., 5.],
               [1., 1., 5., 5.]])
        """
        return self._array_product(image, self.dimsd, self.dims, True, out)

    # scipy's public products with checks of our own: scipy strips masks, and its messages do not
    # name the lengths.

    def dot(self, x: Any) -> Any:
        if not isinstance(x, np.ndarray):
            if isinstance(x, SCALARS):
                return algebra().multiple(self, x)
            if isinstance(x, ArrayOperator):
                return algebra().product(self, x)
            if isinstance(x, LinearOperator):
                return super().dot(x)
        x = dense(x)
        if x.ndim == 0:
            return algebra().multiple(self, x[()])
        return self.matvec(x) if x.ndim == 1 else self.matmat(x)

    def __matmul__(self, x: Any) -> Any:
        # Saves 0.6 us in which scipy finds that an array is no scalar.
        if isinstance(x, np.ndarray):
            if x.ndim == 0:
                raise ValueError("a number is no operand of @; use *")
            return self.matvec(x) if x.ndim == 1 else self.dot(x)
        return super().__matmul__(x)

    def __rmul__(self, x: Any) -> Any:
        scalar = isinstance(x, SCALARS) or (isinstance(x, np.ndarray) and x.ndim == 0)
        return self.dot(x) if scalar else super().__rmul__(x)

    def __truediv__(self, x: Any) -> Any:
        scalar = isinstance(x, SCALARS) or (isinstance(x, np.ndarray) and x.ndim == 0)
        return self.dot(1 / x) if scalar else super().__truediv__(x)

    def __neg__(self) -> LinearOperator:
        return algebra().multiple(self, -1)

    def __add__(self, x: Any) -> Any:
        return algebra().total(self, x) if isinstance(x, ArrayOperator) else super().__add__(x)

    def matvec(self, x: ArrayLike) -> Array:
        x = self._checked(x, False, matrix=False)
        return self.multiply(x, self.shape[:1], False) if x.ndim == 1 else super().matvec(x)

    def rmatvec(self, x: ArrayLike) -> Array:
        x = self._checked(x, True, matrix=False)
        return self.multiply(x, self.shape[1:], True) if x.ndim == 1 else super().rmatvec(x)

    def matmat(self, X: ArrayLike) -> Array:
        return super().matmat(self._checked(X, False, matrix=True))

    def rmatmat(self, X: ArrayLike) -> Array:
        return super().rmatmat(self._checked(X, True, matrix=True))

    def _checked(self, x: ArrayLike, adjoint: bool, *, matrix: bool) -> Array:
        """`x` as an array of vectors of the right length, or an error with advice."""
        x = dense(x)
        length, side = (self.shape[0], "rows") if adjoint else (self.shape[1], "columns")
        if x.ndim < 2:
            fits = matrix or x.shape == (length,)
        else:
            fits = x.shape[-2] == length if matrix else length in (x.shape[-1], x.size)
        if not fits:
            advice = ""
            if x.shape == (self.dimsd if adjoint else self.dims):
                advice = f"; for an image use `{'backproject' if adjoint else 'degrade'}`"
            elif matrix and x.shape[-1] == length:
                advice = "; the vectors are the columns, transpose it"
            raise ValueError(
                f"the operator has {length} {side}, got an array of shape {x.shape}{advice}"
            )
        return x

    def _matvec(self, x: Array) -> Array:
        return self._vector_product(x, adjoint=False)

    def _rmatvec(self, x: Array) -> Array:
        return self._vector_product(x, adjoint=True)

    def _matmat(self, X: Array) -> Array:
        return self._vector_products(np.asarray(X).swapaxes(-1, -2), adjoint=False).swapaxes(-1, -2)

    def _rmatmat(self, X: Array) -> Array:
        return self._vector_products(np.asarray(X).swapaxes(-1, -2), adjoint=True).swapaxes(-1, -2)

    def _adjoint(self) -> LinearOperator:
        return algebra().Transpose(self, True)

    def _transpose(self) -> LinearOperator:
        return algebra().Transpose(self, self.dtype.kind != "c")

    def _vector_product(self, x: Array, adjoint: bool) -> Array:
        x = np.asarray(x)
        length = self.shape[0 if adjoint else 1]
        # scipy passes (length,), a batch (..., length) or a column (length, 1)
        return self._vector_products(x if x.shape[-1] == length else x.reshape(length), adjoint)

    def _vector_products(self, x: Array, adjoint: bool) -> Array:
        """Apply to the last axis of `x`."""
        return self.multiply(x, (*x.shape[:-1], self.shape[1 if adjoint else 0]), adjoint)

    def _array_product(
        self,
        image: ArrayLike,
        shape: tuple[int, ...],
        out_shape: tuple[int, ...],
        adjoint: bool,
        out: Array | None,
    ) -> Array:
        x = np.asarray(dense(image))
        if x.shape != shape:
            advice = ""
            if x.shape == (prod(shape),):
                advice = f"; for a vector use `{'A.H' if adjoint else 'A'} @ x`"
            raise ValueError(
                f"expected an array of shape {shape}, got one of shape {x.shape}{advice}"
            )
        if out is not None:
            _check_out(out, out_shape, np.result_type(self.dtype, x.dtype), x)
        return self.multiply(x, out_shape, adjoint, out)

    def multiply(
        self, x: Array, shape: tuple[int, ...], adjoint: bool, out: Array | None = None
    ) -> Array:
        """Multiply vectors of any layout, byte order and dtype; the result has this `shape`."""
        dtype = self.dtype
        if x.dtype != dtype:
            dtype = np.result_type(dtype, x.dtype)
            if dtype not in DTYPES:
                nearest = "complex128" if x.dtype.kind == "c" else "float64"
                raise TypeError(
                    f"arrays of dtype {x.dtype} are not supported; cast to {nearest} first"
                )
        if out is None:
            out = workspace.empty(shape, dtype)
        if x.size == 0:
            return out
        if dtype.kind == "c" and self.dtype.kind != "c":
            parts = workspace.empty((2, *shape), out.real.dtype)
            self.apply(native(x.real, parts.dtype), adjoint, parts[0].ravel())
            self.apply(native(x.imag, parts.dtype), adjoint, parts[1].ravel())
            out.real, out.imag = parts
        else:
            self.apply(native(x, dtype), adjoint, out.ravel())
        return out


def algebra() -> Any:
    """The module of expressions, which imports this one."""
    from dhop.operators import algebra

    return algebra


def dense(x: Any, name: str = "the operand") -> Array:
    """`x` as an ndarray of numbers, or an error with advice."""
    if type(x) is np.ndarray and x.dtype.kind in arguments.NUMBERS:  # the usual case
        return x
    if issparse(x):
        raise TypeError(
            "the operator multiplies dense arrays; for a sparse one use `A.to_sparse() @ X`, "
            "and for `A.H` `A.to_sparse().conj().T @ X`"
        )
    if isinstance(x, np.ma.MaskedArray):
        if np.ma.is_masked(x):
            raise TypeError(f"{name} has masked values; give them one with `.filled(value)`")
        x = x.data
    return arguments.numbers(name, x)


def native(x: Array, dtype: np.dtype[Any]) -> Array:
    """`x` as kernels need it: of this dtype, contiguous, aligned and read-only."""
    flags = x.flags
    if not (x.dtype == dtype and flags.c_contiguous and flags.aligned):
        x = x.astype(dtype, "C")
    x = x.ravel()  # a view of our own
    x.setflags(write=False)  # one type for the compiler
    return x


def _check_out(out: Any, shape: tuple[int, ...], dtype: np.dtype[Any], x: Array) -> None:
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be an ndarray, got {type(out).__name__}")
    if out.dtype != dtype or not out.dtype.isnative:
        raise TypeError(f"out must have the result's dtype {dtype}, got {out.dtype.str}")
    if out.shape != shape:
        raise ValueError(f"out has shape {out.shape}, the result has shape {shape}")
    if not (out.flags.c_contiguous and out.flags.aligned and out.flags.writeable):
        raise ValueError("out must be C-contiguous, aligned and writeable")
    if np.may_share_memory(out, x):
        raise ValueError("out must not share memory with the input")
