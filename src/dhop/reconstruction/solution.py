"""What a solver found, and how."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dhop import metrics
from dhop.estimation.photometry import Photometry
from dhop.frames.layouts import inward
from dhop.operators.stack import FrameStack
from dhop.registration import Registration
from dhop.runtime.extras import needed
from dhop.selection import BetaCurve

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[Any]


@dataclass(frozen=True)
class Step:
    """The state after an iteration.

    Attributes
    ----------
    iteration : int
        From 1 on.
    residual : float
        Norm of the gradient of what is minimised, relative to that at the zero image; as the
        iteration has it, but computed anew where it claims to be done. Of photon counts relative to
        that at an even image; of plug and play the change of the image, relative to it.
    seconds : float
        Since the iterations began.
    image : ndarray or None
        The present iterate, of the shape of the result, to be copied if it is to be kept. None in a
        `Solution`, and from ``"lsqr"`` and ``"lsmr"``, which do not give it away.
    loss, prior : float or None
        The parts of what is minimised, with their weights, where losses or priors are not
        quadratic. The others do not need them.
    """

    iteration: int
    residual: float
    seconds: float
    image: Array | None = field(default=None, repr=False)
    loss: float | None = None
    prior: float | None = None

    @property
    def objective(self) -> float | None:
        """What is minimised, if its parts are known."""
        return None if self.loss is None or self.prior is None else self.loss + self.prior


@dataclass(frozen=True, eq=False)
class Solution:
    """What `super_resolve` found.

    Attributes
    ----------
    image : ndarray
        The super-resolved image, its channels where `channel_axis` said that they are.
    converged : bool
        Whether the norm of the gradient of what is minimised, computed anew for this image in
        double precision and relative to that at the zero image, is at most `rtol`, or what the
        rounding of the image may leave: see "When it has converged" in docs/explanation/solving.md.
        If not, the image is the one of the least gradient that was met, or where more than squares
        is minimised the last one, of the least objective. ``"richardson-lucy"`` has converged, too,
        when what is left of the residuals may be noise alone.
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
    psf : ndarray, or list of ndarray, or list of lists of ndarray
        That was used, of sum one, of all frames, of each, or of each of its channels.
    photometry : Photometry
        Gains and offsets of the frames.
    registration : Registration or None
        How well each frame fits the others, if they were registered.
    notes : list of str
        What the caller was warned of.
    history : list of Step
        Of one channel after the other where these have PSFs of their own.
    operator : FrameStack
        The model of all frames, weights included. Channels come first in its `dims`.
    frames : ndarray, shape (F, m0, m1) or (F, C, m0, m1)
        The data.
    channel_axis : int or None
        The axis of the channels in `image`, if it is not the first.
    weights : ndarray, of the shape of `frames`, or None
        How much the loss trusts each pixel of the frames: one where it fits, less for outliers and
        for whole frames that do not fit. None for ``"gaussian"``, which trusts all.

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
    weights: Array | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        state = "converged" if self.converged else "not converged"
        return (
            f"<Solution {self.image.shape} of {len(self.frames)} frames {self.frames.shape[1:]}, "
            f"{self.solver}, {self.iterations} iterations, {state}, beta {self.beta:.3g}>"
        )

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
        product = self.operator.matvec(inward(self.image, self.channel_axis).reshape(-1))
        return np.asarray(data - product).reshape(self.frames.shape)

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

    def plot(self) -> "Figure":
        """Frames, bicubic enlargement, result, residuals, convergence and the choice of `beta`.

        Returns
        -------
        matplotlib.figure.Figure
            Save it by ``figure.savefig("report.png")``; a notebook shows it.

        Raises
        ------
        ImportError
            If matplotlib or scikit-image (``dhop[cli]``) is not installed.

        Examples
        --------
        >>> import numpy as np
        >>> from dhop import psf, super_resolve
        >>> super_resolve(np.eye(16), psf.gaussian(5, 1.0), 2, beta=0.01).plot()
        <Page size ...>
        """
        needed("matplotlib", "cli", "solution.plot()")
        needed("skimage", "cli", "solution.plot()")
        from dhop.reconstruction.report import report

        return report(self)
