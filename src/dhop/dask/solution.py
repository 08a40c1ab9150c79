"""What a solver found, in chunks."""

from dataclasses import dataclass, field
from typing import NoReturn

from dhop.dask.operator import DaskArray, da
from dhop.dask.problem import Problem
from dhop.frames import layouts
from dhop.reconstruction.solution import Solution


@dataclass(frozen=True, eq=False, repr=False)
class ChunkedSolution(Solution):
    """A `dhop.Solution` in chunks: `image` and `frames` are Dask arrays, `operator` has no weights.

    Attributes
    ----------
    problem : Problem
        The least squares that `image` is of, with the weights that a loss ended with, of frames
        that are as bright as the first one.
    """

    problem: Problem = field(kw_only=True)

    @property
    def _uncertainty(self) -> NoReturn:
        """Refused: the methods that use it work in memory."""
        raise TypeError(
            "the uncertainty of a solution in chunks is not computed; solve for a part in memory"
        )

    def residuals(self) -> DaskArray:
        """The weighted residuals ``sqrt(w_i) (y_i - A_i x)``, not yet computed."""
        image = layouts.inward(self.image, self.channel_axis)
        return da.stack(self.problem.residuals(image)).astype(self.frames.dtype)
