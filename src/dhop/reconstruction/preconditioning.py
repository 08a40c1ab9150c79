"""Inverses that are near the curvature of objectives, for maps of weights."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.iteration.steps import Product
from dhop.operators.stack import FrameStack
from dhop.reconstruction.objective import inverse_near
from dhop.reconstruction.pixel_noise import differ
from dhop.reconstruction.problem import Problem

Array = NDArray[Any]

RATIOS = 1e-3, 1e3  # of the weights around a pixel of the image to their mean


def inverse_for_maps(problem: Problem) -> Product | None:
    """An inverse near the problem's, where weights differ near that of their means.

    The inverse for a map of weights iterates itself, which is worth it for masks alone. Where these
    are `v` times their mean the data bend the objective `v` times as much, and the prior does not:
    between both, the root of `v` is put half before and half behind the inverse. That halves the
    iterations.
    """
    B = problem.operator
    weights = B.weights or []
    if not any(map(differ, weights)):
        return inverse_near(problem)
    means = [np.asarray(np.mean(weight)) for weight in weights]
    near = inverse_near(replace(problem, operator=FrameStack(B.operators, means)))
    if near is None:
        return None
    around, even = _seen(B, weights), _seen(B, means)
    ratios = np.divide(around, even, out=np.ones(even.shape), where=even > 0).clip(*RATIOS)
    scale = (ratios**-0.25).astype(B.dtype)
    return lambda r: scale * near(scale * r)


def _seen(B: FrameStack, weights: Sequence[Array]) -> Array:
    """What each pixel of the image sends to pixels of the frames, times their weights."""
    maps = [np.broadcast_to(w, A.shape[0]) for w, A in zip(weights, B.operators, strict=True)]
    return np.asarray(FrameStack(B.operators).rmatvec(np.concatenate(maps)))
