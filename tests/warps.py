"""The slow dense reference of warps: SciPy's splines of unit images that NumPy has continued."""

import numpy as np
import oracle
from scipy import ndimage

from dhop import WarpOperator

MARGIN = 50  # pixels on either side, after which no spline knows of a border
MODES = {"symmetric": "reflect", "reflect": "mirror", "wrap": "grid-wrap", "edge": "nearest"}
ZERO_FROM = {1: 1, 3: 12}  # pixels outside an image that zeros surround


def positions(matrix, shape):
    """Where a matrix takes the pixels of a shape to, an array for each axis."""
    pixels = np.indices(shape, float)
    ones = np.ones((1, *shape))
    *found, w = np.tensordot(np.asarray(matrix, float), np.concatenate([pixels, ones]), 1)
    return np.stack(found) / w


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


def camera(dims, blur, factor, shape, places, center, decimation, boundary, ratio=None):
    """``D H W`` of dense matrices, on a fine grid with a wide margin.

    `places` takes rows and columns of a frame to those of frame 0, of which `ratio` pixels of the
    scene, by default as many as of the grid, are one.
    """
    ratio = factor if ratio is None else ratio
    margin = [factor[k] * (2 + blur.shape[k] // factor[k]) for k in (0, 1)]
    size = [f * m + 2 * e for f, m, e in zip(factor, shape, margin, strict=True)]
    middle = [0.0 if decimation == "sample" else (f - 1) / 2 for f in factor]
    fine = np.indices(size).astype(float)
    low = [(u - e - o) / f for u, e, o, f in zip(fine, margin, middle, factor, strict=True)]
    origin = [0.0 if decimation == "sample" else (f - 1) / 2 for f in ratio]
    scene = [f * p + o for f, p, o in zip(ratio, places(*low), origin, strict=True)]
    W = matrix(dims, np.stack(scene), 3, boundary)
    A = oracle.matrix(size, blur, factor, center=center, decimation=decimation)
    first = [e // f for e, f in zip(margin, factor, strict=True)]
    whole = A.reshape(size[0] // factor[0], size[1] // factor[1], -1)
    kept = whole[first[0] : first[0] + shape[0], first[1] : first[1] + shape[1]]
    return kept.reshape(shape[0] * shape[1], -1) @ W


def assert_same_bits(dims, shape, coordinates, x, y, eps):
    """Products of any number of workers, which are each other's transposes and the matrix's."""
    options = {"boundary": "symmetric", "dtype": x.dtype}
    products = []
    for workers in (1, 2, 3, 7):
        W = WarpOperator(dims, shape, coordinates, workers=workers, **options)
        products.append((W.degrade(x), W.backproject(y)))
    for each in products[1:]:
        for one, other in zip(each, products[0], strict=True):
            np.testing.assert_array_equal(one, other)
    forward, back = products[0]
    scale = np.linalg.norm(x) * np.linalg.norm(y) * eps
    assert abs(np.vdot(forward, y) - np.vdot(back, x)) < scale
    linear = WarpOperator(dims, shape, coordinates, order=1, **options)
    S = linear.to_sparse()
    np.testing.assert_allclose(linear.backproject(y).ravel(), S.T @ y.ravel(), atol=100 * eps)
    np.testing.assert_allclose(linear.degrade(x).ravel(), S @ x.ravel(), atol=100 * eps)


def lines(size, places, order, boundary):
    """Along one axis: for each of some places, what each of `size` pixels is worth."""
    padded = np.pad(np.eye(size), [(0, 0), (MARGIN, MARGIN)], mode=boundary)
    found = np.stack([
        ndimage.map_coordinates(line, places[None] + MARGIN, order=order, mode="mirror")
        for line in padded
    ], axis=-1)  # fmt: skip
    if boundary == "constant":
        reach = ZERO_FROM[order]
        found[(places < -reach) | (places > size - 1 + reach)] = 0
    return found


def volume_matrix(dims, places, order, boundary):
    """As `matrix`, of volumes: splines of several axes are products of such along each."""
    axes = [
        lines(*each, order, rule)
        for *each, rule in zip(dims, places.reshape(3, -1), boundary, strict=True)
    ]
    return np.einsum("pi,pj,pk->pijk", *axes).reshape(len(axes[0]), -1)


def affine(rng, dims, shape, least=0.5, most=2.0):
    """A random affine map of scales from `least` to `most`, centre nearly onto centre."""
    count = len(dims)
    (u, _, v) = np.linalg.svd(rng.standard_normal((count, count)))
    linear = u @ np.diag(np.exp(rng.uniform(np.log(least), np.log(most), count))) @ v
    found = about_centres(linear, dims, shape)
    found[:-1, -1] += rng.uniform(-2, 2, count)
    return found


def turned(degrees, dims, shape):
    """A turn about the centres."""
    angle = np.deg2rad(degrees)
    linear = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return about_centres(linear, dims, shape)


def about_centres(linear, dims, shape):
    """A linear map that takes the centre of a shape to that of another."""
    found = np.eye(len(dims) + 1)
    found[:-1, :-1] = linear
    found[:-1, -1] = (np.array(dims) - 1) / 2 - linear @ ((np.array(shape) - 1) / 2)
    return found
