"""The result of a super-resolution."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dhop import metrics
from dhop.estimation.photometry import Photometry
from dhop.frames.layouts import inward, outward
from dhop.operators.stack import FrameStack
from dhop.reconstruction.history import Step
from dhop.reconstruction.posterior.statistics import PosteriorStatistics
from dhop.registration import Registration
from dhop.runtime import arguments, notebook
from dhop.runtime.extras import needed
from dhop.selection import BetaCurve

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dhop.reconstruction.posterior.uncertainty import Uncertainty
    from dhop.reconstruction.report.panels import Stretch

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Solution(PosteriorStatistics):
    """The result of `super_resolve`.

    Attributes
    ----------
    image : ndarray
        The super-resolved image, its channels where `channel_axis` said that they are.
    converged : bool
        Whether the norm of the gradient, relative to that at the zero image, is at most `rtol`, or
        what the rounding of the image may leave. It is computed anew for this image, in double
        precision; see "When it has converged" in docs/explanation/solving.md. If not, least squares
        return the image of least gradient, and others that of least objective.
        ``"richardson-lucy"`` has converged, too, when the residuals may be noise alone.
    iterations : int
    residual_norm : float
        Euclidean norm of all ``sqrt(w_i) (A_i x - y_i)`` together, the regulariser not included.
    solver : str
        The one that was used.
    beta : float
        The weight of the regulariser.
    beta_curve : BetaCurve or None
        How `beta` was chosen, if it was.
    shifts : ndarray, shape (F, 2)
        Of the frames, in low-resolution pixels.
    motion : list or None
        Where the pixels of the frames lie in frame 0, if they differ by more than shifts, or
        `factor` is no whole number; `shifts` are then those of their centres.
    psf : ndarray, or list of ndarray, or list of lists of ndarray
        Of sum one, of all frames, of each, or of each of its channels.
    photometry : Photometry
        Gains and offsets of the frames.
    registration : Registration or None
        How well each frame fits the others, if they were registered.
    notes : list of str
        What the caller was warned of.
    history : list of Step
        If channels have PSFs of their own, the steps of one channel after the other.
    operator : FrameStack
        The model of all frames, weights included. Channels come first in its `dims`.
    frames : ndarray, shape (F, m0, m1) or (F, C, m0, m1)
        The data.
    channel_axis : int or None
        The axis of the channels in `image`, if it is not the first.
    regulariser : str, ndarray or LinearOperator
    boundary : str or (str, str)
        By which the regulariser continues the image.
    nonnegative : bool
        Whether the image was not allowed to have negative values.
    bounds : (float, float) or None
        Least and largest value that the image was allowed to have.
    edge : float or None
        The size up to which total variation, or a penalty of starlets, is quadratic.
    target : ndarray or None
        The PSF that the image is wanted at, of sum one.
    estimate : ndarray or None
        If there is a `target`: the solution, which is convolved with it to give `image`.
        `residuals` are those of the estimate.
    weights : ndarray, of the shape of `frames`, or None
        Robustness weights of the pixels: one for inliers, less for outliers and for whole frames
        that do not fit. None for ``"gaussian"``.

    Examples
    --------
    >>> import numpy as np
    >>> from dhop import psf, super_resolve
    >>> solution = super_resolve(np.eye(16), psf.gaussian(5, 1.0), 2, beta=0.01)
    >>> solution.image.shape, solution.converged, solution.solver
    ((32, 32), True, 'direct')
    """

    image: Array
    converged: bool
    iterations: int
    residual_norm: float
    solver: str
    beta: float
    beta_curve: BetaCurve | None
    shifts: Array
    psf: Any = field(repr=False)
    photometry: Photometry = field(repr=False)
    registration: Registration | None = field(repr=False)
    notes: list[str] = field(repr=False)
    history: list[Step] = field(repr=False)
    operator: FrameStack = field(repr=False)
    frames: Array = field(repr=False)
    channel_axis: int | None = field(default=None, repr=False)
    motion: list[Any] | None = field(default=None, repr=False)
    regulariser: Any = field(default="laplacian", repr=False)
    boundary: Any = field(default="symmetric", repr=False)
    nonnegative: bool = field(default=False, repr=False)
    bounds: tuple[float, float] | None = field(default=None, repr=False)
    edge: float | None = field(default=None, repr=False)
    target: Array | None = field(default=None, repr=False)
    estimate: Array | None = field(default=None, repr=False)
    weights: Array | None = field(default=None, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """All but the cached posterior."""
        return {name: value for name, value in vars(self).items() if name != "_uncertainty"}

    def __repr__(self) -> str:
        state = "converged" if self.converged else "not converged"
        return (
            f"<Solution {self.image.shape} of {len(self.frames)} frames {self.frames.shape[1:]}, "
            f"{self.solver}, {self.iterations} iterations, {state}, beta {self.beta:.3g}>"
        )

    def _repr_html_(self) -> str:
        facts = {
            "image": " x ".join(map(str, self.image.shape)),
            "frames": f"{len(self.frames)} of {' x '.join(map(str, self.frames.shape[1:]))}",
            "solver": f"{self.solver}, {self.iterations} iteration{'s'[: self.iterations != 1]}",
            "converged": "yes" if self.converged else "no",
            "beta": f"{self.beta:.3g}"
            + (f", by {self.beta_curve.rule}" if self.beta_curve else ""),
            **({} if self.target is None else {"target": str(self.target.shape)}),
            **{f"note {number}": note for number, note in enumerate(self.notes, 1)},
        }
        seen = notebook.plane(inward(self.image, self.channel_axis))
        return notebook.card("Solution", facts, seen)

    def residuals(self) -> Array:
        """The weighted residuals ``sqrt(w_i) (y_i - gain_i A_i x - offset_i)``.

        Returns
        -------
        ndarray, of the shape of `frames`

        Examples
        --------
        >>> import numpy as np
        >>> from dhop import psf, super_resolve
        >>> solution = super_resolve(np.eye(16), psf.gaussian(5, 1.0), 2, beta=0.01)
        >>> norm = np.linalg.norm(solution.residuals())
        >>> bool(np.isclose(norm, solution.residual_norm))
        True
        """
        data = self.operator.data(self.photometry.corrected(self.frames))
        product = self.operator.matvec(inward(self.scene, self.channel_axis).reshape(-1))
        return np.asarray(data - product).reshape(self.frames.shape)

    def coverage(self) -> Array:
        """The weight of each pixel of the image in the frames: ``A^H W A`` of a constant scene.

        Returns
        -------
        ndarray, of the shape of `image`
            Zero where no frame has observed the scene.

        Examples
        --------
        >>> import numpy as np
        >>> from dhop import psf, super_resolve
        >>> weights = np.ones((16, 16))
        >>> weights[:8] = 0
        >>> solution = super_resolve(
        ...     np.eye(16), psf.gaussian(5, 1.0), 2, beta=0.01, weights=weights
        ... )
        >>> seen = solution.coverage()
        >>> bool(seen[0, 0] == 0), bool(seen[-1, 0] > 0)
        (True, True)
        """
        B = self.operator
        seen = B.rmatvec(B.matvec(np.ones(B.shape[1], B.dtype))).reshape(B.dims)
        return np.asarray(outward(seen[..., 0, :] if self._line else seen, self.channel_axis))

    @property
    def scene(self) -> Array:
        """The solution: the image, or the estimate if there is a `target`."""
        return self.image if self.estimate is None else self.estimate

    @cached_property
    def _uncertainty(self) -> "Uncertainty":
        from dhop.reconstruction.posterior.uncertainty import Uncertainty

        return Uncertainty(self)

    def metrics(self, truth: ArrayLike) -> dict[str, float]:
        """How near the image is to a known one, see `dhop.metrics.compare`.

        Parameters
        ----------
        truth : array_like, of the shape of `image`

        Returns
        -------
        dict
            ``"psnr"`` in decibels, ``"ssim"``, and ``"relative_rmse"``.

        Raises
        ------
        ValueError
            If the shapes differ or `truth` is constant.
        ImportError
            If scikit-image is not installed.

        Examples
        --------
        >>> import numpy as np
        >>> from dhop import DHOperator, psf, super_resolve
        >>> truth, blur = np.outer(np.hanning(32), np.hanning(32)), psf.gaussian(5, 1.0)
        >>> A = DHOperator(truth.shape, blur, 2, decimation="mean", boundary="symmetric")
        >>> solution = super_resolve(A.degrade(truth), blur, 2, beta=1e-6)
        >>> solution.metrics(truth)["psnr"] > 50
        True
        """
        images = (inward(np.asarray(each), self.channel_axis) for each in (self.image, truth))
        return metrics.compare(*images)

    def plot(self, deviation: Array | None = None, stretch: "Stretch" = "linear") -> "Figure":
        """Frames and result, residuals, convergence and the choice of `beta`, on one page.

        Images are shown beside a bicubic enlargement, volumes by their sections, and lines with
        the pixels of all frames where they lie. Of several frames, too, how they are shifted, or
        where they lie if they have moved, and how bright they are.

        Parameters
        ----------
        deviation : ndarray, of the shape of `image`, optional
            What `standard_deviation` returned, to be shown as well.
        stretch : {"linear", "asinh"}
            ``"asinh"`` shows faint and bright sources of a sky in one picture.

        Returns
        -------
        matplotlib.figure.Figure
            Save it by ``figure.savefig("report.png")``; a notebook shows it.

        Raises
        ------
        ImportError
            If matplotlib or, for images, scikit-image (``dhop[cli]``) is not installed.
        ValueError
            If `deviation` has another shape, or for another `stretch`.

        Examples
        --------
        >>> import numpy as np
        >>> from dhop import psf, super_resolve
        >>> super_resolve(np.eye(16), psf.gaussian(5, 1.0), 2, beta=0.01).plot()
        <Page size ...>
        """
        arguments.choice("stretch", stretch, ("linear", "asinh"))
        if deviation is not None and np.shape(deviation) != self.image.shape:
            raise ValueError(
                f"deviation must have the shape of the image, {self.image.shape}, got "
                f"{np.shape(deviation)}"
            )
        needed("matplotlib", "cli", "solution.plot()")
        if self._line:
            from dhop.reconstruction.report import lines

            return lines.report(self, deviation)
        if self.shifts.shape[1] == 3:
            from dhop.reconstruction.report import volumes

            return volumes.report(self, deviation, stretch)
        needed("skimage", "cli", "solution.plot()")
        from dhop.reconstruction.report.images import report

        return report(self, deviation, stretch)

    @property
    def _line(self) -> bool:
        """Whether it is of lines, which are solved as images of one row."""
        return len(self.operator.dims) > self.image.ndim
