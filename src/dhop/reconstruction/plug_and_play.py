"""Plug and play: a denoiser as prior."""

import time
from collections.abc import Callable
from math import sqrt
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dhop.frames import layouts
from dhop.iteration.steps import norm
from dhop.reconstruction.history import Step
from dhop.reconstruction.problem import Problem
from dhop.reconstruction.solvers import Callback, SolverResult
from dhop.runtime.progress import Progress, reporting

Array = NDArray[Any]
Denoiser: TypeAlias = Callable[[Array, float], Array]

LEVELS = np.geomspace(8, 0.7, 12)  # times the noise: levels of the denoiser
DATA_WEIGHT = 2.0  # of the frames, relative to the inverse of their noise variance
DAMPED = 0.7  # of the denoised image, and at last of the result; the rest is the one before
ROUGH = 1e-3  # tolerance of the least squares


def plug_and_play(
    problem: Problem,
    first: SolverResult,
    denoise: Denoiser,
    variance: float,
    axis: int | None,
    *,
    callback: Callback | None,
    progress: Progress,
) -> SolverResult:
    r"""Improve an image by half-quadratic splitting: denoising and least squares in turn.

    The level of the denoiser falls from step to step, and each is followed by

    .. math:: \min_x \frac{\gamma}{2} \|B x - y\|^2 + \frac12 \|x - z\|^2,

    where `z` is the denoised image, damped. The result is a mean of the last image and the first,
    which errs less than either. Images have their channels on `axis` for the denoiser. The
    `variance` is that of the noise of a pixel of weight one; zero leaves the image as it is.

    References
    ----------
    K. Zhang, Y. Li, W. Zuo, L. Zhang, L. Van Gool and R. Timofte, "Plug-and-play image restoration
    with deep denoiser prior", IEEE Trans. Pattern Anal. Mach. Intell. 44 (2022) 6360-6376,
    https://doi.org/10.1109/TPAMI.2021.3088914.
    """
    if not variance:
        return first
    B = problem.operator
    y = B.data(problem.frames)
    begin, history = time.perf_counter(), list(first.history)
    start = image = first.x.reshape(B.dims)
    weights = np.concatenate([np.ravel(w) for w in B.weights or [np.ones(1)]])
    # Of a constant image: frames that are sums of its pixels are brighter.
    gain = float(np.mean(B.operators[0].matvec(np.ones(B.shape[1], B.dtype))))
    noise = sqrt(variance / float(np.mean(weights[weights > 0]))) / (gain or 1.0)
    with reporting(progress, len(LEVELS), "plug and play") as advance:
        for level in noise * LEVELS:
            clean = _denoised(denoise, image, float(level), axis)
            damped = (DAMPED * clean + (1 - DAMPED) * image).astype(image.dtype)
            gamma = DATA_WEIGHT * (float(level) * gain) ** 2 / variance
            new = B.prox_l2(damped, y, gamma, rtol=ROUGH)
            change = norm((new - image).ravel()) / (norm(new.ravel()) or 1.0)
            image = new
            step = Step(len(history) + 1, change, time.perf_counter() - begin)
            history.append(step)
            advance(1)
            if callback is not None:
                callback(Step(step.iteration, change, step.seconds, image))
    image = (DAMPED * image + (1 - DAMPED) * start).astype(start.dtype)
    residual_norm = norm(y - B.matvec(image.ravel()))
    return first._replace(
        x=image.reshape(-1), solver="plug-and-play", history=history, residual_norm=residual_norm
    )


def _denoised(denoise: Denoiser, image: Array, level: float, axis: int | None) -> Array:
    given = layouts.outward(image, axis)
    clean = np.asarray(denoise(given.copy(), level))
    if clean.shape != given.shape or clean.dtype.kind != "f" or not np.isfinite(clean).all():
        raise ValueError(
            f"the denoiser must give finite floating-point numbers of shape {given.shape}, got "
            f"{clean.dtype} of shape {clean.shape}"
        )
    return np.asarray(layouts.inward(clean, axis))
