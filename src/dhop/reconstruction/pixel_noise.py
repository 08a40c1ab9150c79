"""The noise variance of each pixel of the frames, where that is not the same all over."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.frames.masks import each_weight, surroundings
from dhop.frames.noise import growing_noise, quiet_noise
from dhop.reconstruction.preparation import Preparation

Array = NDArray[Any]


def with_noise_bound(known: Preparation) -> Preparation:
    """The same with the bound of the noise of a single frame whose weights differ.

    Its quiet parts are those of large weights, so the frame is first multiplied by their roots.
    Of several frames the noise is what they do not have in common.
    """
    if len(known.frames) > 1 or known.weights is None or not differ(known.weights[0]):
        return known
    each = known.weights[0][known.weights[0] > 0]
    spread = np.mean(each) * np.mean(1 / each)
    bound = np.sqrt(spread * reduced_chi_square(known.frames, known.weights))
    return replace(known, noise_bound=float(bound))


def reduced_chi_square(frames: Array, weights: Sequence[Array]) -> float:
    """The noise variance of quiet parts, relative to one over the weights; 0 without pixels.

    It is one where the weights are right.
    """
    found = [
        quiet_noise(np.sqrt(weight) * np.where(seen, frame, 0), seen) ** 2
        for frame, weight in zip(frames.astype(np.float64), weights, strict=True)
        if (seen := np.broadcast_to(weight > 0, frame.shape)).any()
    ]
    return float(np.median(found)) if found else 0.0


def variances(known: Preparation) -> Array:
    """The noise variance of each pixel of the frames, in their unit squared.

    Its mean is that of the spectra. It falls with the weights where these differ within a frame,
    and may grow with the brightness where they do not. Pixels without a weight have any.
    """
    usual = known.variance()
    weights = each_weight(known.weights, len(known.frames))
    found = np.empty(known.frames.shape)
    for own, frame, weight in zip(found, known.frames, weights, strict=True):
        seen = np.broadcast_to(weight > 0, frame.shape)
        if not seen.any():
            own[...] = 0
            continue
        if differ(weight):
            own[...] = np.divide(1, weight, out=np.zeros(weight.shape), where=weight > 0)
        else:
            noise = growing_noise(np.where(seen, frame, 0).astype(np.float64), seen)
            own[...] = noise.at(surroundings(frame, seen)) if noise.growing else 1.0
        mean = float(np.mean(weight, where=weight > 0)) * float(np.mean(own, where=seen))
        own *= usual / mean
    return found


def differ(weight: Array) -> bool:
    """Whether the pixels of a frame that have a weight have different ones."""
    each = weight[weight > 0]
    return bool(each.size) and bool(np.ptp(each) > 0)
