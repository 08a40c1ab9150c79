"""The blur-and-decimate operator."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from dhop.closed.terms import Term
from dhop.matrix import facts
from dhop.matrix.sparse import ModelRows, Rows, block_width
from dhop.methods.products import Products
from dhop.model.boundary import BOUNDARIES, BOUNDARY_NAMES, BOUNDARY_NOTE, Boundary
from dhop.model.decimation import DECIMATION_NAMES, Decimation, low_resolution
from dhop.model.field import FieldModel
from dhop.model.geometry import Model, Rules
from dhop.operators.normal import NormalOperator
from dhop.psf.field import Field
from dhop.psf.modes import Modes
from dhop.runtime import arguments, notebook

Array = NDArray[Any]
Method: TypeAlias = Literal["auto", "direct", "separable", "fft"]
Integers: TypeAlias = int | Sequence[int]


class DHOperator(NormalOperator):
    r"""Blur by a point spread function, then decimate: ``A = D H`` as a `LinearOperator`.

    Neither `D` nor `H` nor their product is formed. Per axis, with ``ext(x)`` the image continued
    past its ends by `boundary`,

    .. math::

        (H x)_i = \sum_k \mathrm{psf}_k \, \mathrm{ext}(x)_{i + \mathrm{center} - k}, \qquad
        (D z)_j = \sum_{r < \mathrm{factor}} z_{\mathrm{phase} + \mathrm{factor}\, j + r},

    the block sum being replaced by the block mean or by the sample ``r = 0`` as `decimation` says.
    The blur is a true convolution; for a matrix that was built from the unflipped PSF, a
    correlation, pass ``psf[::-1, ::-1]``.

    Parameters
    ----------
    dims : sequence of int
        Shape of the high-resolution array. Axes outside `axes` are a batch: each of its images is
        blurred and decimated in the same way.
    psf : array_like, of one, two or three axes, or `dhop.psf.Field` or `dhop.psf.Modes`
        Point spread function. Odd or even, of any content, also larger than the image. Copied.
        Lines such as spectra have one of one axis, images two, volumes three. With a field every
        pixel is blurred with the PSF of its own place, and the operator is a `FieldOperator`, a
        kind of `DHOperator`.
    factor : int or sequence of int
        Decimation factor, high-resolution pixels per low-resolution pixel. One for all axes of
        `psf` or one for each, as for `boundary`, `center` and `phase`.
    decimation : {"sum", "mean", "sample"}
        Sum or mean over blocks of `factor` pixels, a partial last block being left out, or every
        `factor`-th pixel.
    boundary : str or sequence of str
        ``"constant"`` (zeros outside), ``"wrap"``, ``"symmetric"``, ``"reflect"`` or ``"edge"``,
        as in `numpy.pad`.
    center : int or sequence of int, optional
        Index of the PSF's origin, ``(K - 1) // 2`` by default. It may lie outside the PSF, which
        shifts the image by whole pixels.
    phase : int or sequence of int
        Pixel where the first block or sample starts, ``0 <= phase < factor``.
    axes : int or sequence of int, optional
        Axes of `dims` that the axes of `psf` belong to; by default the last ones.
    method : {"auto", "direct", "separable", "fft"}
        Algorithm of the products. ``"direct"`` multiplies and adds every non-zero tap.
        ``"separable"`` takes the folded PSF as a short sum of products of one factor for each axis.
        ``"fft"`` multiplies spectra. ``"auto"`` takes the one that should be fastest.
    dtype : dtype, optional
        float32, float64, complex64 or complex128; by default that of `psf` if it is one of these,
        else float64 (float32 for float16).
    workers : int, optional
        Most threads a product uses; by default as many as there are processors.

    Attributes
    ----------
    shape : (int, int)
        ``(prod(dimsd), prod(dims))``. Vectors are C-order ravels.
    dims, dimsd : tuple of int
        Shape of the high-resolution and of the low-resolution array.
    dtype : dtype
    psf : ndarray
        The PSF as it was given, read-only.
    factor, phase, center, axes : tuple of int
        One for each axis of `psf`.
    boundary : tuple of str
    decimation : str
    method : str
        The algorithm of products with arrays of the operator's dtype.
    nnz : int
        Entries that the explicit matrix stores.
    blur_operator, decimation_operator : DHOperator
        `H` and `D` alone.

    Raises
    ------
    ValueError, TypeError
        For arguments out of range or of the wrong kind, or if no output pixel is left.

    Examples
    --------
    A box blur of three pixels, then sums over pairs of pixels:

    >>> import numpy as np
    >>> from dhop import DHOperator
    >>> A = DHOperator((1, 6), np.ones((1, 3)), (1, 2))
    >>> A
    <3x6 DHOperator (1, 6) -> (1, 3), psf (1, 3), factor (1, 2), sum, constant, direct, float64>
    >>> A @ np.arange(6.0)
    array([ 4., 15., 21.])
    >>> A.to_sparse().toarray()
    array([[2., 2., 1., 0., 0., 0.],
           [0., 1., 2., 2., 1., 0.],
           [0., 0., 0., 1., 2., 2.]])
    """

    _read_only = NormalOperator._read_only | {
        "psf", "factor", "decimation", "boundary", "center", "phase", "axes"
    }  # fmt: skip

    tabulated: FieldModel | None = None  # of a PSF that varies

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Make a `FieldOperator` for a field, and a `ModesOperator` for modes."""
        given = args[1] if len(args) > 1 else kwargs.get("psf")
        if cls is DHOperator and isinstance(given, Field | Modes):
            from dhop.operators import field

            cls = field.kind_of(given)
        return super().__new__(cls)

    def __init__(
        self,
        dims: Sequence[int],
        psf: ArrayLike | Field | Modes,
        factor: Integers,
        *,
        decimation: Decimation = "sum",
        boundary: Boundary | Sequence[Boundary] = "constant",
        center: Integers | None = None,
        phase: Integers = 0,
        axes: Integers | None = None,
        method: Method = "auto",
        dtype: DTypeLike | None = None,
        workers: int | None = None,
    ) -> None:
        dims = arguments.shape("dims", dims)
        self.psf: Any = self._checked_psf(psf)
        ndim = self.psf.ndim
        self.axes = arguments.axes(axes, len(dims), ndim)
        self.factor = arguments.integers("factor", factor, ndim)
        self.phase = arguments.integers("phase", phase, ndim)
        self.center = (
            tuple((size - 1) // 2 for size in self.psf.shape)
            if center is None
            else arguments.integers("center", center, ndim)
        )
        self.decimation: Decimation = arguments.choice(
            "decimation", decimation, get_args(Decimation), DECIMATION_NAMES
        )
        self.boundary = arguments.choices(
            "boundary", boundary, ndim, BOUNDARIES, BOUNDARY_NAMES, BOUNDARY_NOTE
        )
        self._asked: Method = arguments.choice("method", method, get_args(Method))
        self.workers = None if workers is None else arguments.positive("workers", workers)

        dimsd = low_resolution(
            dims, self.axes, self.factor, self.phase, self.center, self.decimation
        )
        super().__init__(arguments.operator_dtype(dtype, self.psf), dims, dimsd)
        self._tabulate()

    def _checked_psf(self, psf: Any) -> Any:
        return arguments.psf_array(psf, most=3)

    def _tabulate(self) -> None:
        """Tabulate the model, and prepare products."""
        self.model = Model.build(self.dims, self.psf, self.factor, self._rules())
        self.products = Products(self.model, self._asked, self.workers)

    def _rules(self) -> Rules:
        return Rules(self.decimation, self.boundary, self.center, self.phase, self.axes, self.dtype)

    @property
    def method(self) -> str:
        """The algorithm of products with arrays of the operator's dtype, as chosen by ``"auto"``.

        Arrays of a higher precision may be multiplied by another: the taps that a float32 operator
        rounded are not separable in float64.
        """
        return self.products.method(self.dtype)

    def settings(self) -> dict[str, Any]:
        """The keyword arguments that build this operator again."""
        return self._rules()._asdict() | {"workers": self.workers, "method": self._asked}

    def of_one_image(self) -> "DHOperator":
        """The operator of one image of a batch."""
        kept = sorted(self.axes)
        dims = [self.dims[axis] for axis in kept]
        settings = self.settings() | {"axes": tuple(map(kept.index, self.axes))}
        return DHOperator(dims, self.psf, self.factor, **settings)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _rebuild, (self.dims, self.psf, self.factor, self.settings())

    def _description(self) -> str:
        boundary = sorted(set(self.boundary), key=self.boundary.index)
        psf = f"psf {self.psf.shape}" if isinstance(self.psf, np.ndarray) else repr(self.psf)
        what = (
            f"{psf}, factor {self.factor}, {self.decimation}, "
            f"{'/'.join(boundary)}, {self.method}, {self.dtype}"
        )
        return f"{type(self).__name__} {self.dims} -> {self.dimsd}, {what}"

    def _facts(self) -> dict[str, str]:
        plain = isinstance(self.psf, np.ndarray)
        return {
            "psf": " x ".join(map(str, self.psf.shape)) if plain else repr(self.psf),
            "factor": f"{', '.join(map(str, self.factor))}, {self.decimation}",
            "boundary": ", ".join(dict.fromkeys(self.boundary)),
            "method": self.method,
        }

    def _picture(self) -> Array | None:
        plain = isinstance(self.psf, np.ndarray)
        return notebook.plane(self.psf) if plain else self.psf.mosaic

    def _known_entries(self) -> int | None:
        return self.nnz

    def warmup(self, dtype: DTypeLike | None = None) -> None:
        """Compile and prepare what products need, by one product and one adjoint of zeros.

        Do it before products are timed, or before processes are forked that would otherwise all do
        it again.

        Parameters
        ----------
        dtype : dtype, optional
            Of the arrays that will be multiplied; the operator's by default.

        Raises
        ------
        TypeError
            If arrays of that dtype cannot be multiplied.

        Examples
        --------
        >>> import numpy as np
        >>> DHOperator((4, 4), np.ones((3, 3)), 2).warmup()
        """
        dtype = self.dtype if dtype is None else dtype
        self.degrade(np.zeros(self.dims, dtype))
        self.backproject(np.zeros(self.dimsd, dtype))

    def apply(self, x: Array, adjoint: bool, out: Array) -> None:
        self.products.apply(x, "adjoint" if adjoint else "forward", out)

    def apply_gram(self, x: Array, weights: Array | None, out: Array) -> None:
        if weights is None:
            self.products.apply(x, "gram", out)
        else:
            super().apply_gram(x, weights, out)

    @property
    def blur_operator(self) -> "DHOperator":
        """The blur `H` alone, from `dims` to `dims`: ``D @ H`` is this operator."""
        settings = self.settings() | {"decimation": "sample", "phase": 0}
        return DHOperator(self.dims, self.psf, 1, **settings)

    @property
    def decimation_operator(self) -> "DHOperator":
        """The decimation `D` alone, from `dims` to `dimsd`: ``D @ H`` is this operator."""
        settings = self.settings() | {"center": 0}
        return DHOperator(self.dims, np.ones((1,) * self.psf.ndim), self.factor, **settings)

    def _column_squares(self) -> Array:
        diagonal = facts.gram_diagonal(self.model).lines()
        before, between, after = self.model.sides
        shape = before, diagonal.shape[0], between, diagonal.shape[1], after
        spread = np.broadcast_to(diagonal[:, None, :, None], shape)
        return spread.reshape(-1)

    def _entry_norm(self, ord: float | str) -> float:
        if ord == "fro":
            return facts.frobenius_norm(self.model)
        return self.bounds()[0 if ord == 1 else 1]

    def rows(self) -> Rows:
        return ModelRows(self.model)

    def columns(self) -> Rows:
        return ModelRows(self.model, transposed=True)

    def blocks(self) -> Rows:
        return ModelRows(self.model, width=block_width(self.model))

    def terms(self, weights: Array | None = None) -> list[Term] | None:
        return [Term(self.model, weights, tuple(sorted(self.axes)))]

    def bounds(self) -> tuple[float, float]:
        return facts.column_norm(self.model), facts.row_norm(self.model)


def _rebuild(
    dims: tuple[int, ...], psf: Any, factor: tuple[int, ...], settings: dict[str, Any]
) -> DHOperator:
    return DHOperator(dims, psf, factor, **settings)
