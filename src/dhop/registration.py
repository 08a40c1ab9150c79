"""How far the scene has moved from frame to frame of a burst, and which frames show it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dhop.cautions import RegistrationWarning, warn
from dhop.estimation import groups
from dhop.estimation.burst import Burst, Match
from dhop.estimation.groups import Kind
from dhop.operators.base import dense
from dhop.operators.checks import frame_weight
from dhop.runtime import arguments
from dhop.runtime.progress import Progress, reporting
from dhop.runtime.signatures import shorten

Array = NDArray[Any]
Model: TypeAlias = Kind | Literal["auto"]

MODELS: tuple[Model, ...] = (*get_args(Kind), "auto")


@dataclass(frozen=True, eq=False)
class Registration:
    """Where and how the frames of a burst show the scene of one of them, the `reference`.

    Frame `i` at `p` is about ``gains[i]`` times the reference at ``motions[i] p``, plus
    ``offsets[i]``.

    Attributes
    ----------
    shifts : ndarray of float64, shape (F, 2)
        ``(dy, dx)``: the scene in frame `i` appears `dy` rows further down and `dx` columns further
        right than in the reference, in pixels of the frames; in the middle of frame `i`, if it is
        turned. Zero for frames that do not fit.
    gains, offsets : ndarray of float64, shape (F,)
        1 and 0 for the reference and for frames that do not fit.
    quality : ndarray of float64, shape (F,)
        Correlation, from 0 to 1, of the details of the frame and of the reference, as they lie on
        each other.
    fits : ndarray of bool, shape (F,)
        Whether the frame shows the same scene: its details agree with those of the reference
        better than those of any other scene would at the best of all shifts.
    reference : int
        0, unless most frames do not fit frame 0 and do fit another.
    motions : ndarray of float64, shape (F, 3, 3)
        Where the pixels of the frames lie in the reference, see `dhop.motion`. The identity for
        frames that do not fit.
    model : {"shift", "euclidean", "similarity", "affine", "projective"}
        What the motions are.
    """

    shifts: NDArray[np.float64]
    gains: NDArray[np.float64]
    offsets: NDArray[np.float64]
    quality: NDArray[np.float64]
    fits: NDArray[np.bool_]
    reference: int
    motions: NDArray[np.float64]
    model: Kind


@shorten
def register(
    frames: ArrayLike,
    weights: Sequence[ArrayLike] | None = None,
    *,
    model: Model = "shift",
    progress: Progress = None,
) -> Registration:
    """Register the frames of a burst against the first of them.

    Masked cross-correlation finds shifts up to half a frame, turns up to 24 degrees and scales
    between 0.77 and 1.3. Least squares, with a gain and an offset for each frame and weights that
    leave out what does not agree, makes them exact. Illumination, hot pixels, dead lines and cosmic
    rays do not look like motions.

    Parameters
    ----------
    frames : array_like, shape (F, m0, m1)
        Real, and finite where they have a weight.
    weights : sequence of (float or array_like), optional
        A number or a map for each frame. Only pixels with a weight in both frames take part.
    model : {"shift", "euclidean", "similarity", "affine", "projective", "auto"}
        What differs from frame to frame: the shift; a turn too; a scale too; any linear map; any
        map that keeps lines straight, as of a plane seen from elsewhere. ``"auto"`` takes the
        simplest that explains the frames: one that has the least Bayesian information criterion
        (the parameters of each frame times the logarithm of its independent pixels against the
        logarithm of what is left unexplained), or differs from that by less than 0.03 pixels.
    progress : callable or True, optional
        Called as ``progress(done, total)``; True shows a bar on the terminal (needs rich) or in a
        notebook.

    Returns
    -------
    Registration

    Raises
    ------
    ValueError, TypeError
        If the frames are not real or not finite, the weights do not fit, or the model is none.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.ndimage import gaussian_filter
    >>> from dhop.registration import register
    >>> scene = gaussian_filter(np.random.default_rng(0).random((70, 70)), 2)
    >>> other = np.random.default_rng(1).random((60, 60))
    >>> found = register([scene[5:65, 5:65], 2 * scene[3:63, 6:66] + 1, other])
    >>> found.shifts.round(2) + 0.0
    array([[ 0.,  0.],
           [ 2., -1.],
           [ 0.,  0.]])
    >>> found.gains.round(2), found.fits
    (array([1., 2., 1.]), array([ True,  True, False]))
    """
    arguments.choice("model", model, MODELS)
    burst = Burst(*_checked(frames, weights))
    count = len(burst.frames)
    rounds = 2 if model == "auto" else 1
    with reporting(progress, rounds * count, "registering") as advance:
        kind = burst.kind(burst.usable[0], advance) if model == "auto" else model
        found, reference = _matched(burst, kind, advance)
    motions, gains, offsets = np.stack([np.eye(3)] * count), np.ones(count), np.zeros(count)
    fits = np.zeros(count, bool)
    for i in burst.fitting(found):
        gain, offset = burst.photometry(i, reference, found[i])
        fits[i] = np.isfinite(gain) and np.isfinite(offset)
        if fits[i]:
            motions[i], gains[i], offsets[i] = found[i].matrix, gain, offset
    middle = groups.center(burst.frames.shape[1:])
    moved = motions @ [*middle, 1]
    shifts = middle - moved[:, :2] / moved[:, 2:]
    quality = np.array([found[i].quality if i in found else 0.0 for i in range(count)])
    return Registration(shifts, gains, offsets, quality, fits, reference, motions, kind)


def left_out(found: Registration, outliers: Sequence[int]) -> str:
    """What is to be said of frames that do not fit and are not used."""
    names = ", ".join(map(str, outliers))
    return f"frames {names} do not show the scene of frame {found.reference}; they are left out"


def _matched(
    burst: Burst, kind: Kind, advance: Callable[[int], None]
) -> tuple[dict[int, Match], int]:
    """How frames match frame 0, or another if most of them match that."""
    most = len(burst.usable) / 2
    found = burst.against(0, kind, advance)
    fitting = burst.fitting(found)
    rest = [i for i in burst.usable if i not in fitting]
    while len(rest) > most >= len(fitting):
        others = burst.against(rest[0], kind, lambda amount: None)
        if len(burst.fitting(others)) > most:
            return others, rest[0]
        rest = [i for i in rest if i not in burst.fitting(others)]
    return found, 0


@shorten
def estimate_shifts(
    frames: ArrayLike, weights: Sequence[ArrayLike] | None = None
) -> NDArray[np.float64]:
    """The shifts that `register` finds, with a warning if frames do not fit.

    Parameters
    ----------
    frames, weights
        As for `register`.

    Returns
    -------
    ndarray, shape (F, 2)
        ``(dy, dx)``: the scene in frame `i` appears `dy` rows further down and `dx` columns further
        right than in frame 0, in pixels of the frames; zero if it does not fit.

    Raises
    ------
    ValueError, TypeError
        As `register`.

    Warns
    -----
    RegistrationWarning
        If frames that have a weight do not show the scene of the others.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.ndimage import gaussian_filter
    >>> from dhop.registration import estimate_shifts
    >>> scene = gaussian_filter(np.random.default_rng(0).random((70, 70)), 2)
    >>> estimate_shifts([scene[5:65, 5:65], scene[3:63, 6:66]]).round(2) + 0.0
    array([[ 0.,  0.],
           [ 2., -1.]])
    """
    return _warned(frames, weights, "shift", "shifts are taken to be zero").shifts


@shorten
def estimate_motion(
    frames: ArrayLike, model: Model = "euclidean", weights: Sequence[ArrayLike] | None = None
) -> NDArray[np.float64]:
    """The motions that `register` finds, with a warning if frames do not fit.

    Parameters
    ----------
    frames, model, weights
        As for `register`.

    Returns
    -------
    ndarray, shape (F, 3, 3)
        Where the pixels of the frames lie in frame 0, see `dhop.motion`; the identity for frames
        that do not fit.

    Raises
    ------
    ValueError, TypeError
        As `register`.

    Warns
    -----
    RegistrationWarning
        If frames that have a weight do not show the scene of the others.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.ndimage import gaussian_filter, rotate
    >>> from dhop.registration import estimate_motion
    >>> scene = gaussian_filter(np.random.default_rng(0).random((90, 90)), 2)
    >>> frames = [image[15:75, 15:75] for image in (scene, rotate(scene, 10, reshape=False))]
    >>> motion = estimate_motion(frames, "euclidean")[1]
    >>> float(np.degrees(np.arctan2(motion[0, 1], motion[0, 0])).round(1))
    10.0
    """
    return _warned(frames, weights, model, "motions are taken to be none").motions


def _warned(frames: ArrayLike, weights: Any, model: Model, instead: str) -> Registration:
    """Register, and name the frames that do not fit."""
    found = register(frames, weights, model=model)
    _, seen = _checked(frames, weights)
    outliers = [str(i) for i, each in enumerate(seen) if each.any() and not found.fits[i]]
    if outliers:
        warn(
            f"of the frames {', '.join(outliers)} do not show the scene of frame "
            f"{found.reference}; their {instead}",
            RegistrationWarning,
        )
    return found


def _checked(frames: Any, weights: Any) -> tuple[Array, list[Array]]:
    stack = dense(frames, "frames")
    if stack.ndim != 3 or stack.size == 0 or stack.dtype.kind == "c":
        raise ValueError(f"frames must be real, of shape (F, m0, m1), got {stack.shape}")
    if weights is None:
        seen = [np.ones(stack.shape[1:], bool)] * len(stack)
    else:
        given = [
            frame_weight(each, number)
            for number, each in enumerate(arguments.sequence("weights", weights, "arrays"))
        ]
        shapes = [each.shape for each in given]
        if len(given) != len(stack) or not set(shapes) <= {(), stack.shape[1:]}:
            raise ValueError(f"weights of shapes {shapes} do not fit frames of {stack.shape}")
        seen = [np.broadcast_to(each != 0, stack.shape[1:]) for each in given]
    for frame, each in zip(stack, seen, strict=True):
        if not np.isfinite(frame[each]).all():
            raise ValueError("frames must be finite where they have a weight")
    return stack, seen
