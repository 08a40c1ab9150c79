"""Random fields of lines, images and volumes, and their dense matrices."""

import numpy as np
import oracle

from dhop import psf


def dense(dims, field, factor, axes, **options):
    """The definition: the matrix of each PSF, its columns times the hat of its node."""
    total = 0
    for node in np.ndindex(field.stamps.shape[: field.ndim]):
        weight = np.ones(dims)
        for k, nodes, axis in zip(node, field.positions, axes, strict=True):
            hat = np.interp(np.arange(dims[axis]), nodes, np.eye(nodes.size)[k])
            weight = weight * np.expand_dims(hat, [a for a in range(len(dims)) if a != axis])
        matrix = oracle.matrix(dims, field.stamps[node], factor, axes=axes, **options)
        total = total + matrix * weight.ravel()
    return total


def case(ndim, seed, batch=True):
    """Integers at nodes that are 1, 2 or 4 pixels apart: every interpolation is exact."""
    rng = np.random.default_rng(10 * ndim + seed)
    factor = tuple(rng.integers(1, 3, ndim).tolist())
    dims = tuple(rng.integers(6 - ndim, 13 - 2 * ndim, ndim).tolist())
    grid = tuple(rng.integers(1, 4, ndim).tolist())
    dtype = (np.float64, np.complex128, np.float32)[seed % 3]
    stamps = oracle.integers(rng, (*grid, *rng.integers(1, 4, ndim)), dtype, bound=3) * 64
    nodes = [
        np.cumsum(2 ** rng.integers(0, 3, size)) - rng.integers(0, 4) for size in grid
    ]  # fmt: skip
    options = {
        "decimation": ("sum", "sample", "mean")[seed % 3],
        "boundary": tuple(rng.choice(oracle.BOUNDARIES, ndim).tolist()),
        "phase": tuple(int(rng.integers(f)) for f in factor),
    }
    axes = tuple(range(ndim))
    if batch and seed % 2:  # before lines, anywhere among and behind others, of axes in any order
        place = seed // 2 % ndim + 1 if ndim > 1 else 0
        dims = (*dims[:place], 2, *dims[place:])
        axes = tuple(rng.permutation([axis for axis in range(ndim + 1) if axis != place]).tolist())
        dims = tuple(size if axis == place else max(size, 3) for axis, size in enumerate(dims))
    return dims, psf.Field(stamps, nodes), factor, options | {"axes": axes}
