"""Bursts of frames whose scene, shifts and blur are known."""

import numpy as np
from skimage import data

from dhop import DHOperator, psf


def photograph(name="camera", size=240):
    """The middle of a photograph of scikit-image, in shades of grey from 0 to 1."""
    image = getattr(data, name)()
    grey = image if image.ndim == 2 else image[..., :3] @ [0.2125, 0.7154, 0.0721]
    first = [(n - size) // 2 for n in grey.shape]
    return grey[first[0] : first[0] + size, first[1] : first[1] + size] / 255


def burst(scene, blur, factor, noise, count, *, margin=0, seed=0, spread=0.5, boundary="symmetric"):
    """Frames of the middle of a scene, shifted at random, and their shifts."""
    rng = np.random.default_rng(seed)
    shifts = rng.uniform(-spread, spread, (count, 2))
    shifts[0] = 0
    cut = slice(margin // factor, scene.shape[0] // factor - margin // factor)
    frames = []
    for move in shifts * factor:
        moved, center = psf.shift(blur, move)
        A = DHOperator(
            scene.shape, moved, factor, center=center, decimation="mean", boundary=boundary
        )
        frames.append(A.degrade(scene)[cut, cut])
    return np.stack(frames) + noise * rng.standard_normal((count, *frames[0].shape)), shifts


def quality(image, truth, border=16):
    """Peak signal-to-noise ratio off the border, in decibels."""
    inner = (slice(border, -border),) * 2
    return -10 * np.log10(np.mean((image - truth)[inner] ** 2))
