"""The record of iterations."""

from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

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
