"""The operators of frames on chunked scenes.

A blur is computed a chunk at a time. What is made of several steps is chunked in each: a warp and a
blur for frames that have moved, an operator for each channel where these have PSFs of their own.
"""

from collections.abc import Sequence
from functools import cached_property
from itertools import product
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dhop.dask.operator import Chunks, DaskArray, DaskDHOperator, da
from dhop.dask.warp import DaskWarpOperator
from dhop.frames import motions
from dhop.frames.motions import Grid
from dhop.operators.blur_decimate import DHOperator
from dhop.operators.channels import ChannelOperator
from dhop.operators.moved import MovedOperator

ChunkedOperator: TypeAlias = "DaskDHOperator | DaskMovedOperator | DaskChannelOperator"


def chunked(operators: Sequence[Any], chunks: Any) -> list[ChunkedOperator]:
    """The operators of frames, on scenes of the same chunks; those that are one stay one.

    Parameters
    ----------
    operators : sequence
        What `dhop.reconstruction.frame_operators.operators` returns.
    chunks : int or tuple
        Of the scene, as for `DaskDHOperator`.
    """
    still = _near(operators[0])
    sizes = DaskDHOperator(
        operators[0].dims, np.ones((1,) * len(still.axes)), still.factor, chunks=chunks,
        decimation="sample", dtype=still.dtype,
    ).chunks  # fmt: skip
    made: dict[int, ChunkedOperator] = {}
    return [made.setdefault(id(A), _chunked(A, sizes)) for A in operators]


def _chunked(A: Any, chunks: Chunks) -> ChunkedOperator:
    if isinstance(A, ChannelOperator):
        return DaskChannelOperator(A, chunks)
    if isinstance(A, MovedOperator):
        return DaskMovedOperator(A, chunks)
    return DaskDHOperator(A.dims, A.psf, A.factor, chunks=chunks, **A.settings())


def of_images(A: ChunkedOperator) -> list[Any]:
    """The operators of each channel, or the one that is that of all."""
    return A.each if isinstance(A, DaskChannelOperator) else [A]


def _near(A: Any) -> DHOperator:
    """What a single image is seen by, or nearly."""
    if isinstance(A, ChannelOperator):
        return _near(A.operators[0])
    return A.still() if isinstance(A, MovedOperator) else A


class _Composed:
    """An operator on chunked scenes that is made of others.

    Parameters
    ----------
    operator : MovedOperator or ChannelOperator
        That in memory.
    chunks : tuple of tuple of int
        Of the scene.

    Attributes
    ----------
    operator : MovedOperator or ChannelOperator
    dims, dimsd : tuple of int
    chunks, chunksd : tuple of tuple of int
    image_axes : tuple of int
    crowd : float
        That of `MovedOperator`.
    """

    chunksd: Chunks
    image_axes: tuple[int, ...]
    crowd: float

    def __init__(self, operator: MovedOperator | ChannelOperator, chunks: Chunks) -> None:
        self.operator = operator
        self.dims, self.dimsd, self.chunks = operator.dims, operator.dimsd, chunks


class DaskMovedOperator(_Composed):
    """`dhop.operators.moved.MovedOperator` of chunked scenes.

    The chunks of the fine grid of the frame are as large as those of the scene.
    """

    def __init__(self, operator: MovedOperator, chunks: Chunks) -> None:
        super().__init__(operator, chunks)
        sides = tuple(max(sizes) for sizes in chunks)
        self._camera = DaskDHOperator.of(operator.left, sides)
        self._warp = DaskWarpOperator.of(operator.right, chunks, self._camera.chunks)
        self.chunksd, self.image_axes = self._camera.chunksd, self._camera.image_axes
        self.crowd = operator.crowd

    @cached_property
    def near(self) -> DHOperator:
        """What a frame sees that has only been shifted."""
        return _near(self.operator)

    def degrade(self, image: DaskArray) -> DaskArray:
        """The frame of a scene."""
        return self._camera.degrade(self._warp.degrade(image))

    def backproject(self, image: DaskArray) -> DaskArray:
        """The product of the adjoint with a frame."""
        return self._warp.backproject(self._camera.backproject(image))


class DaskChannelOperator(_Composed):
    """`dhop.operators.channels.ChannelOperator` of chunked scenes, channels first.

    Attributes
    ----------
    each : list
        The operators of the channels.
    """

    def __init__(self, operator: ChannelOperator, chunks: Chunks) -> None:
        super().__init__(operator, chunks)
        self.each: list[Any] = [_chunked(A, chunks[1:]) for A in operator.operators]
        self.chunksd = (chunks[0], *self.each[0].chunksd)
        self.image_axes = tuple(axis + 1 for axis in self.each[0].image_axes)
        self.crowd = self.each[0].crowd

    @cached_property
    def near(self) -> DHOperator:
        """What all channels would be seen by with the PSF of the first."""
        A = _near(self.operator)
        return DHOperator(self.dims, A.psf, A.factor, **A.settings() | {"axes": self.image_axes})

    def degrade(self, image: DaskArray) -> DaskArray:
        """The frame of a scene."""
        products = [A.degrade(one) for A, one in zip(self.each, image, strict=True)]
        return da.stack(products).rechunk({0: self.chunksd[0]})

    def backproject(self, image: DaskArray) -> DaskArray:
        """The product of the adjoint with a frame."""
        products = [A.backproject(one) for A, one in zip(self.each, image, strict=True)]
        return da.stack(products).rechunk({0: self.chunks[0]})


def centres_on_scene(motion: Any, grid: Grid, scene: tuple[int, ...], chunks: Chunks) -> Any:
    """Which pixels of a frame have their centres on the scene: True, or a Dask array.

    Parameters
    ----------
    motion
        As `dhop.frames.motions` has it.
    grid : Grid
        Of the frame, for any PSF.
    scene : tuple of int
        Its rows and columns, or those of a volume or a line.
    chunks : tuple of tuple of int
        Of the array.
    """
    origin = (0,) * len(grid.shape)

    def seen(first: tuple[int, ...], size: tuple[int, ...]) -> NDArray[np.bool_]:
        part = motions.cut(motion, first, size, origin)
        return grid._replace(shape=size).seen(part, scene)

    def block(block_info: Any = None) -> NDArray[np.bool_]:
        ends = block_info[None]["array-location"]
        first = tuple(start for start, _ in ends)
        return seen(first, tuple(stop - start for start, stop in ends))

    if motions.is_matrix(motion):
        # What has its corners on the scene has all of it there.
        last = [(0, length - 1) for length in grid.shape]
        if all(seen(corner, (1,) * len(last)).all() for corner in product(*last)):
            return True
    elif not callable(motion):
        return da.from_array(grid.seen(motion, scene), chunks=chunks)  # NaN of what is nowhere
    return da.map_blocks(block, chunks=chunks, dtype=bool, meta=np.empty((0,) * len(chunks), bool))
