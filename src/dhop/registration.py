"""How far the scene has moved from frame to frame; needs scikit-image (``dhop[cli]``)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from dhop.arguments import sequence
from dhop.extras import needed
from dhop.linear import dense
from dhop.masks import filled

Array = NDArray[Any]

UPSAMPLING = 20  # of the phase correlation
TAPER = 0.3  # part of the frame over which the window falls to zero, for borders do not correspond
SMOOTH = 0.5  # pixels of the Gaussian before the refinement, which takes differences
STEPS = 5


def estimate_shifts(
    frames: ArrayLike, weights: Sequence[ArrayLike] | None = None
) -> NDArray[np.float64]:
    r"""Register the frames of a burst against the first of them.

    scikit-image's `phase_cross_correlation` of the tapered frames finds the shift to about 1/20
    pixel. Least squares refines it: steps of Gauss and Newton for
    :math:`\min_d \|y_i(r) - y_0(r - d)\|^2` over the common interior (B. D. Lucas and T. Kanade,
    "An iterative image registration technique", Proc. IJCAI 1981, 674-679).

    Parameters
    ----------
    frames : array_like, shape (F, m0, m1)
        Real, and finite where they have a weight.
    weights : sequence of (float or array_like), optional
        A number or a map for each frame; where it is zero, the nearest pixel that has a weight
        stands in.

    Returns
    -------
    ndarray, shape (F, 2)
        ``(dy, dx)``: the scene in frame `i` appears `dy` rows further down and `dx` columns further
        right than in frame 0, in pixels of the frames.

    Raises
    ------
    ValueError, TypeError
        If the frames are not real or not finite, or the weights do not fit.
    ImportError
        If scikit-image is not installed.

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
    skimage = needed("skimage.registration", "cli", "registration")
    stack = dense(frames, "frames")
    if stack.ndim != 3 or stack.size == 0 or stack.dtype.kind == "c":
        raise ValueError(f"frames must be real, of shape (F, m0, m1), got {stack.shape}")
    stack = stack.astype(np.float64)
    if weights is not None:
        stack = _without_gaps(stack, weights)
    largest = np.abs(stack).max()
    if not np.isfinite(largest):
        raise ValueError("frames must be finite where they have a weight")
    stack = stack / (largest or 1.0)
    window = np.outer(*(scipy.signal.windows.tukey(size, TAPER) for size in stack.shape[1:]))
    tapered = (stack - stack.mean(axis=(1, 2), keepdims=True)) * window
    smooth = scipy.ndimage.gaussian_filter(stack, SMOOTH, axes=(1, 2))
    shifts = np.zeros((len(stack), 2))
    for i in range(1, len(stack)):
        if not (tapered[0].any() and tapered[i].any()):
            continue  # a constant frame has not moved
        pair = tapered[0], tapered[i]
        back, *_ = skimage.phase_cross_correlation(*pair, upsample_factor=UPSAMPLING)
        shifts[i] = _refined(smooth[0], smooth[i], -back)
    return shifts


def _without_gaps(stack: Array, weights: Any) -> Array:
    given = [dense(each, "each of weights") for each in sequence("weights", weights, "arrays")]
    shapes = [each.shape for each in given]
    if len(given) != len(stack) or not set(shapes) <= {(), stack.shape[1:]}:
        raise ValueError(f"weights of shapes {shapes} do not fit frames of {stack.shape}")
    return np.stack([filled(frame, each) for frame, each in zip(stack, given, strict=True)])


def _refined(reference: Array, frame: Array, shift: Array) -> Array:
    """Least-squares improvement of `shift`; the given one if that leads astray."""
    given = shift
    for _ in range(STEPS):
        margin = 4 + int(np.ceil(np.abs(shift).max()))
        inner = (slice(margin, -margin),) * 2
        moved = scipy.ndimage.shift(reference, shift, order=3, mode="nearest")
        slopes = [-slope[inner].ravel() for slope in np.gradient(moved)]
        if slopes[0].size < 16:
            return given
        step = np.linalg.lstsq(np.stack(slopes, 1), (frame - moved)[inner].ravel())[0]
        shift = shift + step
    return shift if np.abs(shift - given).max() < 1 else given
