"""What a solver found, in chunks."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn, get_args

from dhop.dask.deviations import Deviations
from dhop.dask.operator import DaskArray, da
from dhop.dask.problem import Problem
from dhop.frames import layouts
from dhop.reconstruction.penalties import Name as Prior
from dhop.reconstruction.solution import Solution
from dhop.runtime import arguments
from dhop.runtime.progress import Progress

if TYPE_CHECKING:
    from dhop.reconstruction.uncertainty import What


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
            "of a solution in chunks standard_deviation alone is computed; for more solve for a "
            "part in memory"
        )

    def standard_deviation(
        self,
        noise: float | None = None,
        what: "What" = "posterior",
        *,
        probes: int = 64,
        progress: Progress = None,
        return_error: bool = False,
    ) -> DaskArray:
        """How far each pixel of the image may be from the scene, see `Solution`; a Dask array.

        It is computed block by block, with what lies around: pixels that are correlated farther
        than 16 pixels of the frames are not, here. `return_error` and `progress` are for memory.
        """
        if return_error or progress is not None:
            raise ValueError("return_error and progress work in memory only")
        arguments.choice("what", what, ("posterior", "noise"))
        arguments.positive("probes", probes)
        if isinstance(self.regulariser, str) and self.regulariser in get_args(Prior):
            raise ValueError(
                f"deviations of {self.regulariser!r} work in memory only: solve for a part there"
            )
        if not self.beta > 0:
            raise ValueError("without a regulariser, beta=0, nothing is known of the scene itself")
        free = None
        if self.bounds is not None:
            image = layouts.inward(self.scene, self.channel_axis)
            free = (image > self.bounds[0]) & (image < self.bounds[1])
        blocks = Deviations(self.problem, self.regulariser, self.boundary, free, self.target)
        if noise is None:
            noise = blocks.noise(self.residual_norm)
        elif not arguments.real("noise", noise) >= 0:
            raise ValueError(f"noise must not be negative, got {noise!r}")
        found = blocks.of_pixels(noise, what, probes)
        return layouts.outward(found.rechunk(self.problem.operators[0].chunks), self.channel_axis)

    def plot(self, *_: Any, **__: Any) -> NoReturn:
        """Refused: a report shows all of an image at once."""
        raise TypeError("a report is of a solution in memory: solve for a part of the frames there")

    def residuals(self) -> DaskArray:
        """The weighted residuals ``sqrt(w_i) (y_i - A_i x)``, not yet computed."""
        image = layouts.inward(self.scene, self.channel_axis)
        return da.stack(self.problem.residuals(image)).astype(self.frames.dtype)
