"""Preconditioners for objectives whose weights differ from pixel to pixel."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.iteration.steps import Product
from dhop.operators.stack import FrameStack
from dhop.reconstruction.pixel_noise import differ
from dhop.reconstruction.problem import Problem

Array = NDArray[Any]

RATIOS = 1e-3, 1e3  # of the weights around a pixel of the image to their mean


def inverse_for_maps(problem: Problem) -> Product | None:
    """The product with an approximate inverse; for differing weights scaled from that of the means.

    The inverse for a map of weights iterates itself, which is worth it for masks alone. Where the
    weights are `v` times their mean, so is the curvature of the data term, but not that of the
    prior. As a compromise the inverse of the means is scaled by ``v**-0.25`` on either side, which
    halves the iterations.
    """
    B = problem.operator
    weights = B.weights or []
    if not any(map(differ, weights)):
        return problem.nearest_inverse()
    means = [np.asarray(np.mean(weight)) for weight in weights]
    near = replace(problem, operator=FrameStack(B.operators, means)).nearest_inverse()
    if near is None:
        return None
    own, mean = _on_image(B, weights), _on_image(B, means)
    ratios = np.divide(own, mean, out=np.ones(mean.shape), where=mean > 0).clip(*RATIOS)
    scale = (ratios**-0.25).astype(B.dtype)
    return lambda r: scale * near(scale * r)


def _on_image(B: FrameStack, weights: Sequence[Array]) -> Array:
    """The weights of the frames projected onto the pixels of the image."""
    maps = [np.broadcast_to(w, A.shape[0]) for w, A in zip(weights, B.operators, strict=True)]
    return np.asarray(FrameStack(B.operators).rmatvec(np.concatenate(maps)))
