"""Estimation of the point spread function from the frames."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dhop.cautions import PSFWarning, warn
from dhop.frames import layouts, observations
from dhop.frames.scene import Likelihood, Scene
from dhop.frames.spectra import Spectra
from dhop.frames.unit import exponent, times_power
from dhop.psf.optics import moffat
from dhop.psf.shapes import disk, gaussian, motion
from dhop.runtime.arguments import choice, each, numbers, positive

Array = NDArray[Any]
Family: TypeAlias = Literal["gaussian", "elliptic", "moffat", "disk", "motion"]

NARROWEST = 0.15  # high-resolution pixels: lower bound of the width
POINT = 0.25  # pixels of a frame: narrower PSFs become a point
WIDEST = 4.0  # pixels of a frame: upper bound of the width ...
SHORTEST = 6  # ... which is also at most this fraction of a frame
NOT_GAUSSIAN = ("disk", "motion")  # families without a Gaussian among their members
MIN_GAIN = 0.03  # of the log-likelihood, for each class of aliases, by which a family is better
# Initial angles of the search, in units of 45 degrees. The likelihood of a streak has many
# maxima, and a kink where the streak lies along an axis, in which a search gets stuck.
TURNS = (-1.75, -1.25, -0.75, -0.25, 0.25, 0.75, 1.25, 1.75)
# Photographs fall off towards their highest frequencies as if blurred by this many of their pixels.
# That blur is not to be removed, so it is subtracted from a single frame's estimate. Several frames
# show the frequencies beyond.
CAMERA_BLUR = 0.55
LEAST_BLUR = 0.07  # fraction of the square that is subtracted in any case


@dataclass(frozen=True)
class _Family:
    """A family of PSFs with a few parameters, fitted between bounds."""

    make: Callable[..., Array]
    starts: list[list[float]]
    others: list[tuple[float, float]]  # bounds of the parameters after the log of the width


FAMILIES: dict[str, _Family] = {
    "gaussian": _Family(lambda s: _gaussian(np.exp(s), np.exp(s), 0.0), [[0.15], [0.6]], []),
    "elliptic": _Family(
        lambda s, ratio, turn: _gaussian(np.exp(s), np.exp(s + ratio), 45 * turn),
        [[0.4, 0.3, turn] for turn in TURNS[::2]],
        [(-1.5, 1.5), (-2.0, 2.0)],
    ),
    "moffat": _Family(
        lambda s, beta: moffat(_size(6 * np.exp(s)), max(2.355 * np.exp(s), 0.3), np.exp(beta)),
        [[0.2, 1.0]],
        [(0.3, 2.3)],
    ),
    "disk": _Family(lambda s: disk(2 * np.exp(s)), [[0.2], [0.8], [1.5]], []),
    "motion": _Family(
        lambda s, turn: motion(3.46 * np.exp(s), 45 * turn),
        [[s, turn] for s in (0.4, 1.1) for turn in TURNS],
        [(-3.0, 3.0)],
    ),
}


def estimate(
    frames: ArrayLike,
    factor: int | Sequence[int],
    *,
    shifts: ArrayLike | None = None,
    weights: Any = None,
    family: Family = "gaussian",
    decimation: Literal["mean", "sum", "sample"] = "mean",
) -> Array:
    """Estimate the PSF of a family that fits the frames best.

    It maximises the likelihood of the frames' spectra, for a scene whose power spectrum is that of
    edges, see `dhop.frames.scene`. Several frames with different shifts show
    frequencies where the blur matters. A single frame hardly does, so its estimate is cautious: a
    point, unless the frame is blurred over more than about a pixel of its own.

    Choose the family yourself: frames determine the width well, but the shape only of a wide blur.
    A warning says if they do not.

    Parameters
    ----------
    frames : array_like, shape (m0, m1), (F, m0, m1) or (F, C, m0, m1)
    factor : int or (int, int)
        High-resolution pixels per low-resolution pixel.
    shifts : array_like, shape (F, 2), optional
        In low-resolution pixels, as for `dhop.super_resolve`; zeros by default.
    weights : sequence of (float or array_like), optional
        As for `dhop.super_resolve`.
    family : {"gaussian", "elliptic", "moffat", "disk", "motion"}
        ``"gaussian"`` is round, ``"elliptic"`` a Gaussian of two widths and an angle.
    decimation : {"mean", "sum", "sample"}
        How pixels of a frame form.

    Returns
    -------
    ndarray, of sum one
        In high-resolution pixels, with an odd number of them per axis.

    Raises
    ------
    ValueError, TypeError
        If shapes do not fit, the family is unknown, or frames are constant or too small.

    Warns
    -----
    dhop.cautions.PSFWarning
        If a round Gaussian is as likely as the disk or the streak that was found.

    Examples
    --------
    >>> import numpy as np
    >>> from dhop import DHOperator, psf
    >>> rng = np.random.default_rng(0)
    >>> scene = np.kron(rng.random((16, 16)), np.ones((16, 16)))
    >>> shifts = rng.uniform(-0.5, 0.5, (8, 2))
    >>> frames = []
    >>> for move in 2 * shifts:
    ...     blur, center = psf.shift(psf.gaussian(13, 1.5), move)
    ...     A = DHOperator(scene.shape, blur, 2, center=center, decimation="mean")
    ...     frames.append(A.degrade(scene) + 0.003 * rng.standard_normal(A.dimsd))
    >>> found = psf.estimate(frames, 2, shifts=shifts)
    >>> bool(abs(found - psf.gaussian(found.shape, 1.5)).max() < 0.02)
    True
    """
    stack = layouts.stacked(numbers("frames", frames))
    steps = each("factor", factor, 2, positive, "integer")
    moves = observations.checked_shifts(shifts, len(stack))
    maps = None if weights is None else layouts.weight_maps(weights, stack.shape, None)
    choice("decimation", decimation, ("mean", "sum", "sample"))
    stack = times_power(stack, -exponent(stack, maps))
    spectra = Spectra(stack, steps, moves, maps)
    psf, scene = fit_blur(spectra, decimation, family)
    # The other families contain a Gaussian.
    if family in NOT_GAUSSIAN and fit_blur(spectra, decimation)[1].cost - scene.cost < MIN_GAIN:
        message = (
            f"the frames hardly tell the family {family!r} from a round Gaussian, its numbers may "
            "be wrong; take more frames, or measure the psf"
        )
        warn(message, PSFWarning)
    return psf


def fit_blur(spectra: Spectra, decimation: str, family: Family = "gaussian") -> tuple[Array, Scene]:
    """The PSF of a family with the largest likelihood, and the model of the scene."""
    chosen = FAMILIES[choice("family", family, get_args(Family))]
    if not spectra.values.any():
        raise ValueError(
            "the psf cannot be estimated from frames that are constant, or of a few pixels only"
        )
    factor = max(spectra.factor)
    widest = max(min(WIDEST, max(spectra.tile) / SHORTEST) * factor, 2 * NARROWEST)
    likelihood = Likelihood(spectra, spectra.pixels(decimation))

    def transfer(parameters: Array) -> Array:
        return np.real(spectra.transfer(chosen.make(*parameters)))

    scene = likelihood.fit(
        transfer, chosen.starts, [(np.log(NARROWEST), np.log(widest)), *chosen.others]
    )
    width, *others = scene.parameters
    left = np.exp(2 * width) - _camera_blur(spectra) ** 2
    if left < (POINT * factor) ** 2:
        psf = np.ones((1, 1))
    else:
        psf = chosen.make(np.log(left) / 2, *others)
    return psf, scene


def given_blur(spectra: Spectra, decimation: str, psf: Array, center: Any = None) -> Scene:
    """The model of the scene for a known PSF."""
    transfer = spectra.transfer(psf, center)
    return Likelihood(spectra, spectra.pixels(decimation)).fit(lambda _: transfer, [[]], [])


def _camera_blur(spectra: Spectra) -> float:
    """Width of the camera's own blur, which is not removed, in high-resolution pixels."""
    factor = spectra.factor
    known = (len(spectra) - 1) / (factor[0] * factor[1])
    return CAMERA_BLUR * max(factor) * float(np.sqrt(max(1 - known, LEAST_BLUR)))


def _gaussian(down: float, along: float, angle: float) -> Array:
    widest = max(down, along)
    size = (_size(4 * down), _size(4 * along)) if angle == 0 else _size(4 * widest)
    return gaussian(size, (down, along), angle=angle)


def _size(reach: float) -> int:
    return 2 * int(np.ceil(reach)) + 1
