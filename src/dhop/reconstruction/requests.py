"""The losses, priors and bounds that a caller asks for, checked against each other."""

from typing import TYPE_CHECKING, Any, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse.linalg import LinearOperator

from dhop.frames import layouts
from dhop.frames.masks import each_weight
from dhop.operators.base import dense
from dhop.reconstruction import losses, penalties
from dhop.runtime import arguments

if TYPE_CHECKING:
    from dhop.reconstruction.plug_and_play import Denoiser
    from dhop.reconstruction.variational import Variational

Array = NDArray[Any]


class Request(NamedTuple):
    """The arguments of `dhop.super_resolve` that ask for more than least squares."""

    loss: losses.Name
    threshold: float | None
    background: ArrayLike
    gain: float
    read_noise: float
    regulariser: Any
    bounds: tuple[float, float] | None
    nonnegative: bool
    solver: str
    denoiser: "Denoiser | None"

    @property
    def plain(self) -> bool:
        """Whether it is least squares."""
        return self.loss == "gaussian" and self.prior is None and self.bounds is None

    @property
    def prior(self) -> penalties.Name | None:
        """The prior, if it is not quadratic."""
        named = isinstance(self.regulariser, str)
        return self.regulariser if named and self.regulariser in get_args(penalties.Name) else None

    @property
    def box(self) -> tuple[float, float]:
        """Least and largest value that an image may have."""
        low, high = (-np.inf, np.inf) if self.bounds is None else _pair(self.bounds)
        positive = self.nonnegative or self.loss == "poisson"
        return max(low, 0.0) if positive else low, high

    @property
    def limits(self) -> tuple[float, float] | None:
        """The `box`, None if it is unbounded."""
        return self.box if np.isfinite(self.box).any() else None

    def check(self) -> None:
        """Refuse unknown names, numbers out of range, and what does not go together."""
        arguments.choice("loss", self.loss, get_args(losses.Name))
        if self.threshold is not None:
            if self.loss not in ("huber", "l1"):
                raise ValueError('threshold is for loss="huber" and "l1"')
            if not arguments.real("threshold", self.threshold) > 0:
                raise ValueError(f"threshold must be positive, got {self.threshold!r}")
        others = np.ndim(self.background) or self.background != 0, self.gain != 1, self.read_noise
        if self.loss != "poisson" and any(others):
            raise ValueError('background, gain and read_noise are for loss="poisson"')
        if not arguments.real("gain", self.gain) > 0:
            raise ValueError(f"gain must be positive, got {self.gain!r}")
        if arguments.real("read_noise", self.read_noise) < 0:
            raise ValueError(f"read_noise must not be negative, got {self.read_noise!r}")
        if self.bounds is not None:
            low, high = _pair(self.bounds)
            if not low < high:
                raise ValueError(f"bounds must be (low, high) with low < high, got {self.bounds!r}")
            if (self.nonnegative or self.loss == "poisson") and -np.inf < low < 0:
                one = "nonnegative=True" if self.nonnegative else 'loss="poisson"'
                if high <= 0:
                    raise ValueError(
                        f"bounds={self.bounds!r} and {one} leave no value, for these are negative"
                    )
                raise ValueError(
                    f"bounds={self.bounds!r} allow negative values, {one} does not: give "
                    f"bounds=(0, {high:g}), or leave one of them out"
                )
        if self.denoiser is not None:
            if not callable(self.denoiser):
                raise TypeError(f"denoiser must be callable, got {self.denoiser!r}")
            if not self.plain or self.nonnegative:
                raise ValueError(
                    "a denoiser takes the place of a prior: it goes with loss='gaussian', a "
                    "regulariser of squares that it begins with, and no bounds"
                )
        if self.plain and self.solver in ("reweighted", "quasi-newton", "richardson-lucy"):
            raise ValueError(
                f"solver={self.solver!r} is for other losses or priors than squares: give loss= "
                "or regulariser= too"
            )

    def check_for_chunks(self) -> None:
        """Refuse what works in memory only."""
        if self.denoiser is not None:
            raise ValueError(
                "a denoiser needs the whole image: solve for a part of the frames in memory, or "
                'give one of the priors, as regulariser="huber-tv"'
            )
        if isinstance(self.regulariser, LinearOperator):
            raise TypeError(
                "a regulariser that is an operator needs the whole image: in chunks give a name or "
                "a PSF"
            )
        others = "reweighted", "quasi-newton", "richardson-lucy"
        own = ("projected" if self.nonnegative else "cg",)
        if self.solver not in ("auto", *(own if self.plain else others)):
            raise ValueError(
                f"solver={self.solver!r} needs the whole image; in chunks give solver='auto', or "
                "solve for a part of the frames in memory"
            )

    def variational(
        self, frames: Array, weights: list[Array] | None, axis: int | None, changes: bool
    ) -> "tuple[Variational, Array, list[Array] | None] | None":
        """What solves it, and frames and weights for approximate least squares; None if plain.

        `axis` is that of the channels, and `changes` tells whether photometry is fitted.
        """
        if self.plain:
            return None
        from dhop.reconstruction.photon_noise import PhotonNoise
        from dhop.reconstruction.variational import Variational

        low, high = self.box
        maps = each_weight(weights, len(frames))
        photon_noise, own = None, weights
        if not low < high:
            raise ValueError(f"bounds {self.bounds!r} leave no value that is not negative")
        if self.loss == "poisson":
            if changes:
                raise ValueError('loss="poisson" counts photons: it does not go with photometry')
            back = background_map(dense(self.background, "background"), frames.shape, axis)
            photon_noise = PhotonNoise.checked(back, self.gain, self.read_noise)
            if back.any():
                frames = np.subtract(frames, back, out=np.empty_like(frames), casting="same_kind")
            own = photon_noise.weights(frames, maps)
        solver = Variational(
            self.loss, self.threshold, self.prior, (low, high), photon_noise, maps, self.solver
        )
        return solver, frames, own


def _pair(bounds: Any) -> tuple[float, float]:
    try:
        low, high = (float(each) for each in bounds)
    except (TypeError, ValueError):
        raise TypeError(f"bounds must be two numbers (low, high), got {bounds!r}") from None
    if np.isnan(low) or np.isnan(high):
        raise ValueError(f"bounds must be numbers, got {bounds!r}")
    return low, high


def background_map(array: Any, shape: tuple[int, ...], axis: int | None) -> Any:
    """The background of each pixel of the frames, an array of NumPy or Dask.

    It is given as a number, one map, or one for each frame.
    """
    count, plane, whole = shape[0], shape[-2:], layouts.outward_shape(shape[1:], axis)
    if array.dtype.kind == "c" or not bool(np.isfinite(array).all()):
        raise ValueError("background must be real and finite")
    array = array.astype(np.float64)
    if array.shape == whole:
        array = layouts.inward(array, axis)
    elif array.shape == (count, *whole):
        array = np.stack([layouts.inward(each, axis) for each in array])
    elif array.shape == (count, *plane):
        array = array.reshape(count, *(1,) * (len(shape) - 3), *plane)
    elif array.shape not in ((), plane):
        raise ValueError(
            f"background must be a number, a map of {whole} or one for each frame, got an array "
            f"of shape {array.shape}"
        )
    return np.broadcast_to(array, shape)
