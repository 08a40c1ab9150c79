"""The slow dense reference of warps: SciPy's splines of unit images that NumPy has continued."""

import numpy as np
from scipy import ndimage

MARGIN = 50  # pixels on either side, after which no spline knows of a border
MODES = {"symmetric": "reflect", "reflect": "mirror", "wrap": "grid-wrap", "edge": "nearest"}
ZERO_FROM = {1: 1, 3: 12}  # pixels outside an image that zeros surround


def positions(matrix, shape):
    """Rows and columns that a 3 x 3 matrix takes the pixels of a shape to, (2, *shape)."""
    r, c = np.mgrid[: shape[0], : shape[1]].astype(float)
    p0, p1, w = (a * r + b * c + t for a, b, t in np.asarray(matrix, float))
    return np.stack([p0 / w, p1 / w])


def matrix(dims, places, order, boundary, area=1.0):
    """Dense `W` for positions that are less than `MARGIN - 10` from the image."""
    pixels = np.eye(dims[0] * dims[1]).reshape(-1, *dims)
    widths = [(0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN)]
    images = np.pad(pixels, widths, mode=boundary)
    columns = [
        ndimage.map_coordinates(image, places + MARGIN, order=order, mode="mirror")
        for image in images
    ]
    if boundary == "constant":
        reach = ZERO_FROM[order]
        far = [(p < -reach) | (p > n - 1 + reach) for p, n in zip(places, dims, strict=True)]
        columns = [np.where(far[0] | far[1], 0, column) for column in columns]
    return np.stack([(area * column).ravel() for column in columns], axis=1)


def affine(rng, dims, shape, least=0.5, most=2.0):
    """A random affine map of scales from `least` to `most`, centre nearly onto centre."""
    (u, _, v) = np.linalg.svd(rng.standard_normal((2, 2)))
    linear = u @ np.diag(np.exp(rng.uniform(np.log(least), np.log(most), 2))) @ v
    middle = (np.array(dims) - 1) / 2 + rng.uniform(-2, 2, 2)
    found = np.eye(3)
    found[:2, :2] = linear
    found[:2, 2] = middle - linear @ ((np.array(shape) - 1) / 2)
    return found


def turned(degrees, dims, shape):
    """A turn about the centres."""
    angle = np.deg2rad(degrees)
    linear = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    found = np.eye(3)
    found[:2, :2] = linear
    found[:2, 2] = (np.array(dims) - 1) / 2 - linear @ ((np.array(shape) - 1) / 2)
    return found
