"""Bursts of frames that move, made by SciPy alone from a photograph."""

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates, spline_filter
from skimage import data

MARGIN = 5  # high-resolution pixels around a frame, for its blur


def photograph(name="camera"):
    image = getattr(data, name)()
    return (image if image.ndim == 2 else image[..., :3] @ [0.2125, 0.7154, 0.0721]) / 255


def about_the_middle(linear, shift, shape):
    """The matrix of a linear map about the middle of a frame, and a shift after it."""
    matrix, middle = np.eye(3), (np.array(shape) - 1) / 2
    matrix[:2, :2] = linear
    matrix[:2, 2] = middle - linear @ middle + shift
    return matrix


def motions(kind, count, shape, *, turn=1.5, scale=0.05, shift=2.0, seed=0):
    """Random motions, the first of them none; `turn` in degrees."""
    rng = np.random.default_rng(seed)
    found = [np.eye(3)]
    for _ in range(count - 1):
        angle, size = np.radians(rng.uniform(-turn, turn)), 1 + rng.uniform(-scale, scale)
        linear = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        if kind == "shift":
            linear = np.eye(2)
        if kind not in ("shift", "euclidean"):
            linear = size * linear
        if kind in ("affine", "projective"):
            linear = linear @ (np.eye(2) + rng.uniform(-0.02, 0.02, (2, 2)))
        matrix = about_the_middle(linear, rng.uniform(-shift, shift, 2), shape)
        if kind == "projective":
            tilt = np.eye(3)
            tilt[2, :2] = rng.uniform(-0.03, 0.03, 2) / max(shape)
            center = about_the_middle(np.eye(2), (np.array(shape) - 1) / 2, shape)
            matrix = matrix @ center @ tilt @ np.linalg.inv(center)
        found.append(matrix / matrix[2, 2])
    return np.array(found)


def burst(scene, given, shape, *, factor=2, sigma=1.0, noise=0.01, seed=1):
    """Frames of the middle of a scene: splines of order 5, a Gaussian, means of blocks, noise."""
    size = np.array(shape) * factor
    start = (np.array(scene.shape) - size) // 2
    splines = spline_filter(scene, 5)
    rows, columns = np.meshgrid(*(np.arange(-MARGIN, n + MARGIN) for n in size), indexing="ij")
    frames = []
    for matrix in given:
        row, column, one = np.tensordot(
            matrix, [(rows + 0.5) / factor - 0.5, (columns + 0.5) / factor - 0.5, 1.0 + 0 * rows], 1
        )
        places = [
            (p / one + 0.5) * factor - 0.5 + s for p, s in zip((row, column), start, strict=True)
        ]
        fine = map_coordinates(splines, places, order=5, prefilter=False, mode="mirror")
        fine = gaussian_filter(fine, sigma)[MARGIN:-MARGIN, MARGIN:-MARGIN]
        blocks = fine.reshape(shape[0], factor, shape[1], factor)
        frames.append(blocks.mean(axis=(1, 3)))
    return np.array(frames) + noise * np.random.default_rng(seed).standard_normal(np.shape(frames))


def apart(one, other, shape):
    """Root mean square distance, over a frame, of where two motions take its pixels."""
    pixels = np.reshape([*np.indices(shape), np.ones(shape)], (3, -1))
    places = [(each @ pixels)[:2] / (each @ pixels)[2] for each in (one, other)]
    return float(np.sqrt(np.mean(np.sum(np.subtract(*places) ** 2, axis=0))))
