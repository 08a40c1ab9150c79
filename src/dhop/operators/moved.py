"""Frames of a camera that has moved: ``D H W``."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property, partial
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.closed.terms import Term
from dhop.frames.motions import (
    Grid,
    Motion,
    as_shift,
    checked_motions,
    crossings,
    cut,
    displacement,
)
from dhop.matrix import facts
from dhop.matrix.field import FieldRows
from dhop.matrix.sparse import ModelRows, Rows
from dhop.methods.products import Products
from dhop.model.axis import Axis
from dhop.model.boundary import Boundary
from dhop.model.decimation import Decimation
from dhop.model.field import FieldModel
from dhop.model.geometry import Model, Rules
from dhop.model.shifting import shift
from dhop.operators.algebra import Product
from dhop.operators.blur_decimate import DHOperator
from dhop.operators.field import field_products
from dhop.operators.normal import NormalOperator
from dhop.operators.warp import WarpOperator
from dhop.psf.arrays import resample
from dhop.psf.field import Field
from dhop.runtime import arguments

Array = NDArray[Any]

LATTICE = 256  # lines along each axis of a frame, at most, that tell where its parts lie


class CameraOperator(NormalOperator):
    """Blur and decimation of a fine grid just large enough for the pixels of a frame.

    Parameters
    ----------
    batch : tuple of int
        Axes before the images.
    grid : Grid
    psf : ndarray or Field
        On the fine pixels, counted from where the frame begins.
    dtype : dtype
    workers : int or None

    Attributes
    ----------
    axes, factor : tuple of int
        The axes of the images, and fine pixels in one of the frame along each.
    """

    def __init__(
        self,
        batch: tuple[int, ...],
        grid: Grid,
        psf: Array | Field,
        dtype: np.dtype[Any],
        workers: int | None,
    ) -> None:
        dims = (*batch, *grid.size)
        super().__init__(dtype, dims, (*batch, *grid.shape))
        self.args = (batch, grid, psf, dtype, workers)
        self.workers = workers
        self.factor = grid.fine
        self.axes = tuple(range(len(batch), len(dims)))
        zeros: Boundary = "constant"
        last = tuple(k - 1 for k in psf.shape)
        rules = Rules(grid.decimation, (zeros,) * psf.ndim, last, (0,) * psf.ndim, self.axes, dtype)
        self.tabulated: FieldModel | None = None
        if isinstance(psf, Field):
            nodes = tuple(
                each + first for each, first in zip(psf.positions, grid.first, strict=True)
            )
            whole = FieldModel.build(dims, psf.stamps, nodes, grid.fine, rules)
            self.model = _trimmed(whole.model, grid)
            self.tabulated = replace(whole, model=self.model)
            self.products = field_products(self.tabulated, "auto", workers)
        else:
            self.model = _trimmed(Model.build(dims, psf, grid.fine, rules), grid)
            self.products = Products(self.model, "auto", workers)

    def apply(self, x: Array, adjoint: bool, out: Array) -> None:
        self.products.apply(x, "adjoint" if adjoint else "forward", out)

    def rows(self) -> Rows:
        return self._entries(transposed=False)

    def columns(self) -> Rows:
        return self._entries(transposed=True)

    def _entries(self, *, transposed: bool) -> Rows:
        if self.tabulated is not None:
            return FieldRows(self.tabulated, transposed=transposed)
        return ModelRows(self.model, transposed=transposed)

    def bounds(self) -> tuple[float, float]:
        model = self.model if self.tabulated is None else self.tabulated.largest
        return facts.column_norm(model), facts.row_norm(model)


class MovedOperator(Product):
    """A frame whose pixels lie anywhere in the scene, seen through a PSF that moves with it.

    The scene is warped onto a fine grid of the frame's own, which is blurred and decimated.

    Parameters
    ----------
    dims : tuple of int
        Shape of the scene; axes before those of the PSF are a batch.
    psf : ndarray or Field
        On pixels of which a whole number, `factor` or the next above, are one of the frame. A field
        belongs to the camera: its positions are such pixels of the frame, not of the scene.
    factor : tuple of float
        Pixels of the scene in one of the frame.
    shape : tuple of int
        Of the frame.
    motion
        As `dhop.frames.motions` has it.
    center : tuple of int
        Of the PSF.
    decimation, boundary, dtype, workers
        As for `DHOperator`; the scene is what the boundary continues.
    order : {3, 1}
        Of the spline.

    Examples
    --------
    >>> import numpy as np
    >>> A = MovedOperator((4, 6), np.ones((1, 1)), (2.0, 2.0), (2, 3), np.eye(3), center=(0, 0))
    >>> A.degrade(np.arange(24.0).reshape(4, 6))
    array([[14., 22., 30.],
           [62., 70., 78.]])
    """

    def __init__(
        self,
        dims: tuple[int, ...],
        psf: Array | Field,
        factor: tuple[float, ...],
        shape: tuple[int, ...],
        motion: Any,
        *,
        center: tuple[int, ...],
        decimation: Decimation = "sum",
        boundary: Boundary | Sequence[Boundary] = "constant",
        order: Any = 3,
        dtype: Any = np.float64,
        workers: int | None = None,
    ) -> None:
        self._scene = dims
        self._given = psf, factor, shape, motion
        self._settings = {
            "center": center, "decimation": decimation, "boundary": boundary, "order": order,
            "dtype": dtype, "workers": workers,
        }  # fmt: skip
        grid = self._grid = Grid.build(shape, factor, psf.shape, center, decimation)
        if decimation == "sum" and factor != grid.fine:  # over pixels of the scene
            area = prod(factor) / prod(grid.fine)
            psf = psf.scaled(area) if isinstance(psf, Field) else psf * area
        camera = CameraOperator(dims[: -len(shape)], grid, psf, np.dtype(dtype), workers)
        warp = WarpOperator(
            dims, camera.dims, grid.coordinates(motion), order=order, boundary=boundary,
            dtype=np.dtype(dtype), workers=workers,
        )  # fmt: skip
        super().__init__(camera, warp)
        self.workers = workers

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _rebuild, (self._scene, self._given, self._settings)

    def of_one_image(self) -> "MovedOperator":
        """The operator of one image of a batch."""
        shape = self._given[2]
        return MovedOperator(self._scene[-len(shape) :], *self._given, **self._settings)

    @property
    def factor(self) -> tuple[float, ...]:
        """Pixels of the scene in one of the frame, along each axis of an image."""
        return self._given[1]

    @property
    def seen(self) -> NDArray[np.bool_]:
        """Which pixels of the frame have their centres on the scene."""
        _, _, shape, motion = self._given
        return self._grid.seen(motion, self._scene[-len(shape) :])

    def part(
        self, box: Sequence[tuple[int, int]]
    ) -> tuple[Callable[[], "MovedOperator"], tuple[slice, ...]]:
        """What sees a part of the scene: the operator, which is still to be made, and its pixels.

        Parameters
        ----------
        box : sequence of (int, int)
            First pixel and end of the part along each axis of an image. It is continued by the
            boundary, so what the frame shows beyond it is not that: see `seen`.
        """
        psf, factor, _, motion = self._given
        pixels = self._pixels_near(box)
        first = tuple(each.start for each in pixels)
        size = tuple(each.stop - each.start for each in pixels)
        if isinstance(psf, Field):
            steps = zip(psf.positions, first, self._grid.fine, strict=True)
            psf = Field(psf.stamps, [places - f * start for places, start, f in steps])
        origin = tuple(start / f for (start, _), f in zip(box, factor, strict=True))
        dims = *self._scene[: -len(box)], *(stop - start for start, stop in box)
        moved = cut(motion, first, size, origin)
        return partial(MovedOperator, dims, psf, factor, size, moved, **self._settings), pixels

    def _pixels_near(self, box: Sequence[tuple[int, int]]) -> tuple[slice, ...]:
        """Rows and columns of the frame with all centres that lie in a box; a pixel if none do."""
        lines, places = self._lattice
        axes = range(1, places.ndim)
        steps = [np.abs(np.diff(places, axis=axis)) for axis in axes]
        reach = sum(step.max(axis=tuple(axes), initial=0.0) for step in steps)
        ends = zip(places, box, reach, strict=True)
        near = np.all([(at >= a - r) & (at <= b + r) for at, (a, b), r in ends], axis=0)
        found = []
        for axis, some in enumerate(lines):
            on = np.flatnonzero(near.any(axis=tuple(k for k in range(near.ndim) if k != axis)))
            first, last = (max(on[0] - 1, 0), min(on[-1] + 1, some.size - 1)) if on.size else (0, 0)
            found.append(slice(int(some[first]), int(some[last]) + 1))
        return tuple(found)

    @cached_property
    def _lattice(self) -> tuple[list[Array], Array]:
        """Some lines along each axis of the frame, and where their crossings lie in the scene."""
        _, _, shape, motion = self._given
        lines = [np.unique(np.linspace(0, m - 1, min(m, LATTICE)).astype(int)) for m in shape]
        return lines, self._grid.in_scene(crossings(motion, lines))

    def still(self) -> DHOperator:
        """A similar operator: a shift instead of the motion, and a whole factor.

        The shift is that of the frame's middle, reduced to less than a pixel of the scene.
        """
        psf, factor, shape, motion = self._given
        if isinstance(psf, Field):
            psf = psf.mean
        center = self._settings["center"]
        if factor != self._grid.fine:
            old, new = ([1 / f for f in each] for each in (self._grid.fine, factor))
            psf = resample(psf, old, new, center=center)
            center = tuple((k - 1) // 2 for k in psf.shape)
        move = displacement(motion, shape, (0.5,) * len(shape)) * factor
        moved, origin = shift(psf, (move - np.rint(move)).tolist(), center)
        options = {name: self._settings[name] for name in ("decimation", "boundary", "dtype")}
        whole = tuple(max(1, round(f)) for f in factor)
        return DHOperator(self._scene, moved, whole, center=origin, **options)

    @property
    def crowd(self) -> float:
        """How many pixels of the frame one of `still` stands for, where the camera has not zoomed.

        Sums over pixels of the scene count by the squares of how many these are.
        """
        share = prod(self.still().factor) / prod(self.factor)
        return 1 / share if self._settings["decimation"] == "sum" else share

    def similar(self, weights: Array | None = None) -> list[Term] | None:
        """The terms of `still`."""
        _, factor, shape, motion = self._given
        near = self.still()
        if near.dimsd == self.dimsd:
            return near.terms(weights)
        # Each of its pixels has the weights of those of the frame that lie there.
        whole = near.factor
        given = np.broadcast_to(1.0 if weights is None else weights, self.shape[0])
        blocks = near.dimsd[-len(shape) :]
        weight_density = self._grid.weight_density(motion, whole, blocks, given.reshape(-1, *shape))
        if self._settings["decimation"] == "sum":
            weight_density *= (prod(factor) / prod(whole)) ** 2
        return near.terms(weight_density.reshape(-1))


def moved_frames(
    dims: Sequence[int],
    psf: Any,
    factor: float | Sequence[float],
    motion: Sequence[Motion],
    *,
    shape: Sequence[int] | None,
    center: int | Sequence[int] | None,
    decimation: Decimation,
    dtype: Any,
    **options: Any,
) -> tuple[list[NormalOperator], list[NDArray[np.bool_]]]:
    """The operators of frames, and which of their pixels have their centres on the scene.

    Arguments as for `dhop.FrameStack.from_motion`, which are checked.
    """
    size = arguments.shape("dims", dims)
    blur = psf if isinstance(psf, Field) else arguments.psf_array(psf, most=3)
    if isinstance(psf, Field) and center is not None:
        raise ValueError("the psfs of a field are centred, give no center")
    scene = size[-blur.ndim :]
    steps = arguments.each("factor", factor, blur.ndim, arguments.positive_real)
    pixels = None if shape is None else arguments.shape("shape", shape)
    if len(scene) < blur.ndim or (pixels and len(pixels) != blur.ndim):
        raise ValueError(
            f"the psf has {blur.ndim} axes, and so must dims and shape, got {size} and {shape}"
        )
    pixels = pixels or tuple(int(n / f) for n, f in zip(scene, steps, strict=True))
    count = len(arguments.sequence("motion", motion, "matrices, arrays of positions or callables"))
    moves = checked_motions(motion, count, pixels)
    origin = (
        tuple((k - 1) // 2 for k in blur.shape)
        if center is None
        else arguments.integers("center", center, blur.ndim)
    )
    kind = arguments.operator_dtype(dtype, blur)
    frames = [
        frame_operator(
            size, blur, steps, pixels, each, center=origin, decimation=decimation, dtype=kind,
            **options,
        )
        for each in moves
    ]  # fmt: skip
    grid = Grid.build(pixels, steps, (1,) * blur.ndim, (0,) * blur.ndim, decimation)
    return frames, [grid.seen(each, scene) for each in moves]


def frame_operator(
    dims: tuple[int, ...],
    psf: Array | Field,
    factor: tuple[float, ...],
    shape: tuple[int, ...],
    motion: Any,
    *,
    center: tuple[int, ...],
    **options: Any,
) -> NormalOperator:
    """The operator of a frame; a pure shift becomes part of the PSF.

    Arguments as for `MovedOperator`.
    """
    move = as_shift(motion)
    fits = tuple(f * m for f, m in zip(factor, shape, strict=True)) == dims[-len(shape) :]
    if move is not None and fits and all(f == int(f) for f in factor):
        distance = (move * factor).tolist()
        moved, origin = (
            psf.moved(distance) if isinstance(psf, Field) else shift(psf, distance, center)
        )
        own = {name: value for name, value in options.items() if name != "order"}
        return DHOperator(dims, moved, tuple(map(int, factor)), center=origin, **own)
    return MovedOperator(dims, psf, factor, shape, motion, center=center, **options)


def _trimmed(model: Model, grid: Grid) -> Model:
    """The model without outputs that are not pixels of the frame."""
    before = len(model.axes) - len(grid.shape)  # a line is an image of one row
    axes = [
        _first(axis, count) for axis, count in zip(model.axes[before:], grid.shape, strict=True)
    ]
    return replace(model, axes=(*model.axes[:before], *axes))


def _first(axis: Axis, outputs: int) -> Axis:
    """The axis with its first outputs only."""
    return replace(axis, outputs=outputs, factor=axis.factor if outputs > 1 else 1)


def _rebuild(dims: Any, given: Any, settings: dict[str, Any]) -> MovedOperator:
    return MovedOperator(dims, *given, **settings)
