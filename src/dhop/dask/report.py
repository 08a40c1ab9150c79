"""The middle of a chunked solution, in memory: for pictures of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dhop.dask.frame_operators import of_images
from dhop.dask.operator import dask
from dhop.dask.regions import SIDE
from dhop.frames import layouts, motions
from dhop.operators.moved import frame_operator
from dhop.operators.stack import FrameStack
from dhop.reconstruction.solution import Solution

if TYPE_CHECKING:
    from dhop.dask.solution import ChunkedSolution

Array = NDArray[Any]


@dataclass(frozen=True, eq=False, repr=False)
class CentralRegion(Solution):
    """A part of a solution, to be looked at.

    Attributes
    ----------
    misfits : ndarray, of the shape of `frames`
        The residuals, which what lies around the part belongs to.
    """

    misfits: Array = field(kw_only=True)

    def residuals(self) -> Array:
        return self.misfits

    @classmethod
    def of(
        cls, solution: "ChunkedSolution", deviation: Any = None
    ) -> tuple["CentralRegion", Array | None]:
        """That of a solution, and of what belongs to it."""
        factor = of_images(solution.problem.operators[0])[0].operator.factor
        ndim = len(factor)
        shape, axis = solution.frames.shape[-ndim:], solution.channel_axis
        side = [min(SIDE[ndim], length) for length in shape]
        first = tuple((length - own) // 2 for length, own in zip(shape, side, strict=True))
        part = _index(first, side, (1,) * ndim)
        shown = _index(first, side, factor)
        images = [solution.image, solution.scene]
        images += [] if deviation is None else [deviation]
        inward = [layouts.inward(each, axis)[shown] for each in images]
        maps = [w[part] if getattr(w, "ndim", 0) else w for w in solution.problem.weights]
        trust = None if solution.weights is None else solution.weights[part]
        frames, misfits = solution.frames[part], solution.residuals()[part]
        given = dask.compute(inward, frames, misfits, maps, trust)
        (image, scene, *more), frames, misfits, maps, trust = given
        still = np.eye(ndim + 1)
        operators = []
        for each in solution.problem.operators:  # of which pictures need no more than how bright
            B = each.near
            center = tuple((k - 1) // 2 for k in B.psf.shape)
            options = {"decimation": B.decimation, "boundary": B.boundary, "dtype": B.dtype}
            operators.append(
                frame_operator(
                    scene.shape, B.psf, factor, tuple(side), still, center=center, **options
                )
            )
        alike = all(np.ndim(w) == 0 and w == 1 for w in maps)
        moved = solution.motion and [
            motions.cut(each, first, tuple(side)) for each in solution.motion
        ]
        kept = {each.name: getattr(solution, each.name) for each in fields(Solution)}
        kept |= {
            "image": layouts.outward(image, axis),
            "estimate": None if solution.estimate is None else layouts.outward(scene, axis),
            "frames": frames,
            "operator": FrameStack(operators, None if alike else [np.asarray(w) for w in maps]),
            "motion": moved,
            "weights": trust,
        }
        return cls(**kept, misfits=misfits), layouts.outward(more[0], axis) if more else None


def _index(first: tuple[int, ...], side: list[int], factor: Sequence[float]) -> tuple[Any, ...]:
    """That of a part of a frame, or of an image of which so many pixels are one of a frame."""
    ends = zip(first, side, factor, strict=True)
    return (..., *(slice(round(f * start), round(f * (start + size))) for start, size, f in ends))
