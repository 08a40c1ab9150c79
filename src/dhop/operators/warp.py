"""Warps: an image interpolated at other positions."""

from collections.abc import Callable, Sequence
from functools import cached_property
from math import prod
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from dhop.matrix import merging
from dhop.matrix.sparse import Rows
from dhop.matrix.warp import WarpColumns, WarpRows
from dhop.methods.warp import WarpPlan
from dhop.model.boundary import BOUNDARIES, BOUNDARY_NAMES, BOUNDARY_NOTE, Boundary
from dhop.model.warping import Warp
from dhop.operators.base import dense
from dhop.operators.normal import NormalOperator
from dhop.runtime import arguments

Array = NDArray[Any]
Conserve: TypeAlias = Literal["brightness", "flux"]

# Absolute sums of the cubic spline through one pixel, along an axis: the largest over positions a
# pixel apart, and the sum of linear splines that bound it everywhere.
ROW, COLUMN = 1.5491, 1.7393
KINDS = {1: "a signal", 2: "an image", 3: "a volume"}


class WarpOperator(NormalOperator):
    r"""An image at other positions: ``(W x)[p]`` is the spline of `x` at ``coordinates(p)``.

    The spline goes through the pixels of ``ext(x)``, the image continued by `boundary`: the cubic
    B-spline with its prefilter, or the linear one. It is what `scipy.ndimage.affine_transform` and
    `map_coordinates` compute, here with an exact adjoint and an explicit matrix. Where all
    positions are those of pixels (turns by 90 degrees, flips, shifts by whole pixels), `W` copies
    these, and nothing is rounded.

    Pixel ``(i, j)`` is at position ``(i, j)``: integers are centres of pixels. Signals and volumes
    are warped as images are.

    Parameters
    ----------
    dims : sequence of int
        Shape of the image. Axes before those that `coordinates` warps are a batch of images.
    dimsd : sequence of int
        Shape of the result, with the same batch.
    coordinates : array_like
        A 3 x 3 matrix that takes ``(row, column, 1)`` of the result to the image, an affine or a
        projective map. Or an array of shape ``(2, m0, m1)``, the rows and the columns. Of a volume
        a 4 x 4 matrix that takes ``(plane, row, column, 1)``, or an array ``(3, m0, m1, m2)``; of a
        signal, which has one axis, a 2 x 2 matrix or an array ``(1, m)``. Copied.
    order : {3, 1}
        Of the spline.
    boundary : str or sequence of str
        As for `DHOperator`. Where the image is continued by zeros, the spline is zero from 12
        pixels beyond the outermost ones on (from 1 if linear).
    conserve : {"brightness", "flux"}
        Whether values are kept, or sums. ``"flux"`` multiplies by the area, or the volume, of the
        image that a pixel of the result covers: the Jacobian determinant. For an array of positions
        it comes from central differences.
    dtype : dtype
        float64 or float32. Positions are float64 in either.
    workers : int, optional
        Most threads a product uses; by default as many as there are processors.

    Attributes
    ----------
    coordinates : ndarray of float64
        Read-only.
    inside : ndarray of bool, of the shape of the result
        Which pixels of the result lie on the image, not on what continues it.
    warped : int
        Number of warped axes, which are the last ones.
    order, boundary, conserve, workers
        As they were given; a boundary for each warped axis.

    Raises
    ------
    ValueError, TypeError
        For arguments out of range or of the wrong kind, positions that are not finite, or a
        projective map whose horizon lies within the result.

    Notes
    -----
    The filter of a cubic spline reaches over the whole image, and falls off by 0.27 a pixel.
    Products and rows of the explicit matrix end where no bit changes: 28 pixels from a position in
    float64, 14 in float32. In a volume that is so along each axis, and a row has 175,616 entries in
    float64. For the matrix of a large volume take ``order=1``, whose rows have 8. With a cubic
    spline a NaN spreads over the whole result.

    Examples
    --------
    Twice as fine, between pixels:

    >>> import numpy as np
    >>> from dhop import WarpOperator
    >>> W = WarpOperator((1, 4), (1, 7), np.diag([1, 0.5, 1]), order=1)
    >>> W @ np.array([0.0, 2.0, 4.0, 6.0])
    array([0., 1., 2., 3., 4., 5., 6.])
    >>> turn = WarpOperator((2, 2), (2, 2), [[0, 1, 0], [-1, 0, 1], [0, 0, 1]])
    >>> turn.degrade([[1.0, 2.0], [3.0, 4.0]])
    array([[2., 4.],
           [1., 3.]])
    """

    _read_only = NormalOperator._read_only | {
        "coordinates", "warped", "order", "boundary", "conserve"
    }  # fmt: skip

    def __init__(
        self,
        dims: Sequence[int],
        dimsd: Sequence[int],
        coordinates: ArrayLike,
        *,
        order: Literal[1, 3] = 3,
        boundary: Boundary | Sequence[Boundary] = "constant",
        conserve: Conserve = "brightness",
        dtype: DTypeLike = np.float64,
        workers: int | None = None,
    ) -> None:
        dims, dimsd = arguments.shape("dims", dims), arguments.shape("dimsd", dimsd)
        self.coordinates, axes = _checked(coordinates, dimsd)
        if len(dims) < axes or dims[:-axes] != dimsd[:-axes]:
            raise ValueError(
                f"dims and dimsd must have {axes} axes that are warped, and the same ones before, "
                f"got {dims} and {dimsd}"
            )
        if arguments.integer("order", order) not in (1, 3):
            raise ValueError(f"order must be 1 or 3, got {order!r}")
        self.order: Literal[1, 3] = order
        self.boundary = arguments.choices(
            "boundary", boundary, axes, BOUNDARIES, BOUNDARY_NAMES, BOUNDARY_NOTE
        )[:axes]
        self.conserve: Conserve = arguments.choice("conserve", conserve, get_args(Conserve))
        self.workers = None if workers is None else arguments.positive("workers", workers)
        kind = arguments.operator_dtype(dtype, np.zeros(0))
        if kind.kind == "c":
            raise TypeError(f"dtype must be float32 or float64, got {kind}")
        super().__init__(kind, dims, dimsd)
        self.warped = axes
        self.warp = warp_of(
            dims[-axes:], dimsd[-axes:], self.coordinates, order, self.boundary,
            conserve == "flux",
        )  # fmt: skip

    @property
    def mapped(self) -> bool:
        """Whether the coordinates are an array of positions, not a matrix."""
        return len(self.coordinates) == self.warped

    @property
    def inside(self) -> NDArray[np.bool_]:
        """Which pixels of the result lie on pixels of the image."""
        size = np.array([[axis.size] for axis in self.warp.warped])
        found = self.warp.located
        on = ((found >= -0.5) & (found <= size - 0.5)).all(axis=0)
        return np.broadcast_to(on.reshape(self.dimsd[-self.warped :]), self.dimsd)

    def settings(self) -> dict[str, Any]:
        """The keyword arguments that build this operator again."""
        names = "order", "conserve", "dtype", "workers"
        rules = self.boundary if self.warped > 1 else self.boundary[0]
        return {name: getattr(self, name) for name in names} | {"boundary": rules}

    def of_one_image(self) -> "WarpOperator":
        """The operator of one image of a batch."""
        return self._with()

    def _with(self, **settings: Any) -> "WarpOperator":
        """The operator of one image with other settings."""
        dims, dimsd = self.dims[-self.warped :], self.dimsd[-self.warped :]
        return WarpOperator(dims, dimsd, self.coordinates, **self.settings() | settings)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _rebuild, (self.dims, self.dimsd, self.coordinates, self.settings())

    def _description(self) -> str:
        boundary = sorted(set(self.boundary), key=self.boundary.index)
        what = "positions" if self.mapped else "matrix"
        return (
            f"WarpOperator {self.dims} -> {self.dimsd}, {what}, order {self.order}, "
            f"{'/'.join(boundary)}, {self.conserve}, {self.dtype}"
        )

    def _facts(self) -> dict[str, str]:
        return {"spline": f"order {self.order}, {self.conserve} is kept"}

    @cached_property
    def _plan(self) -> WarpPlan:
        return WarpPlan(self.warp)

    def apply(self, x: Array, adjoint: bool, out: Array) -> None:
        pixels, outputs = self.warp.pixels, self.warp.outputs
        images = x.reshape(-1, outputs if adjoint else pixels)
        results = out.reshape(-1, pixels if adjoint else outputs)
        multiply = self._plan.adjoint if adjoint else self._plan.forward
        for image, result in zip(images, results, strict=True):
            multiply(image, result, self.workers)

    def rows(self) -> Rows:
        return self._each(WarpRows(self.warp, self.dtype))

    def columns(self) -> Rows:
        return self._each(WarpColumns(self.warp, self.dtype))

    def _each(self, rows: Rows) -> Rows:
        """The rows of all images of a batch, from those of one."""
        images = prod(self.dims[: -self.warped])
        return rows if images == 1 else merging.diagonal_of([rows] * images, self.dtype)

    def bounds(self) -> tuple[float, float]:
        area = float(self.warp.area.max())
        if self.warp.taps < 4:
            return float(self.column_sums().max()), area
        # The linear spline of an image among zeros ends before the cubic one does.
        reaching = ["edge" if each == "constant" else each for each in self.boundary]
        linear = self._with(order=1, boundary=reaching if self.warped > 1 else reaching[0])
        return COLUMN**self.warped * linear.bounds()[0], ROW**self.warped * area


def _checked(coordinates: Any, dimsd: tuple[int, ...]) -> tuple[Array, int]:
    """A matrix or positions as a read-only copy in float64, and the number of warped axes."""
    given = dense(coordinates, "coordinates")
    axes = _axes(given.shape)
    shape = dimsd[-axes:]
    if given.shape not in ((axes + 1, axes + 1), (axes, *shape)) or len(shape) < axes:
        ways = [
            f"of {kind} a {n + 1} x {n + 1} matrix or an array of shape {(n, *dimsd[-n:])}"
            for n, kind in KINDS.items()
            if n <= len(dimsd)
        ]
        raise ValueError(f"coordinates must be {', '.join(ways)}; got {given.shape}")
    if given.dtype.kind == "c":
        raise TypeError("coordinates must be real")
    array = np.array(given, dtype=np.float64)
    if not np.isfinite(array).all():
        raise ValueError("coordinates must be finite")
    array.flags.writeable = False
    return array, axes


def _axes(shape: tuple[int, ...]) -> int:
    """The number of axes that a matrix or an array of positions of this shape warps."""
    matrix = len(shape) == 2 and shape[0] == shape[1] > 1
    return min(max(shape[0] - 1 if matrix else len(shape) - 1, 1), 3)


def warp_of(
    dims: tuple[int, ...],
    dimsd: tuple[int, ...],
    coordinates: Array,
    order: int,
    boundary: tuple[Boundary, ...],
    flux: bool,
) -> Warp:
    """The warp of an image or a volume, or of a signal as an image of one row."""
    if len(dims) == 1:
        dims, dimsd, boundary = (1, *dims), (1, *dimsd), ("symmetric", *boundary)
        if coordinates.shape == (2, 2):
            matrix = np.eye(3)
            matrix[1:, 1:] = coordinates
            coordinates = matrix
        else:
            coordinates = np.stack([np.zeros_like(coordinates), coordinates])
    return Warp.build(dims, dimsd, coordinates, order=order, boundary=boundary, flux=flux)


def _rebuild(
    dims: tuple[int, ...], dimsd: tuple[int, ...], coordinates: Array, settings: dict[str, Any]
) -> WarpOperator:
    return WarpOperator(dims, dimsd, coordinates, **settings)
