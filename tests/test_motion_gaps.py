"""Maps of positions with gaps: pixels that are nowhere in frame 0."""

import moving
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dhop import FrameStack, motion, psf, super_resolve
from dhop.frames import motions

SHAPE = (60, 60)


def holed(matrix, shape):
    """An affine map with a gap and a missing border, and which pixels it has."""
    places = motions.centres(matrix, shape)
    known = np.ones(shape, bool)
    known[4:9, 6:12] = known[:, :3] = False
    return np.where(known, places, np.nan), places, known


def test_gaps_of_a_map_are_pixels_without_weight():
    matrix = moving.motions("affine", 2, (20, 24))[1]
    gaps, whole, known = holed(matrix, (20, 24))
    assert_array_equal(motion.positions(gaps, (20, 24)), gaps)
    options = {"shape": (20, 24), "boundary": "symmetric", "decimation": "mean"}
    dims, blur = (40, 48), psf.gaussian(5, 1.0)
    A = FrameStack.from_motion(dims, blur, 2, [gaps], **options)
    B = FrameStack.from_motion(dims, blur, 2, [whole], weights=[known], **options)
    assert_array_equal(A.weights[0], B.weights[0])
    assert not A.weights[0].reshape(known.shape)[~known].any()
    x = np.random.default_rng(0).standard_normal(dims)
    assert_allclose(A @ x.ravel(), B @ x.ravel(), atol=1e-9)
    frames = np.random.default_rng(1).standard_normal((2, 20, 24))
    still = np.eye(3)
    settings = {"beta": 0.1, "rtol": 1e-10}
    weights = [np.ones(known.shape), known.astype(float)]
    one = super_resolve(frames, blur, 2, motion=[still, gaps], **settings)
    two = super_resolve(frames, blur, 2, motion=[still, whole], weights=weights, **settings)
    assert_allclose(one.image, two.image, atol=1e-6)


def test_a_gap_in_the_middle_of_a_map():
    matrix = moving.motions("affine", 2, SHAPE)[1]
    places = motions.centres(matrix, SHAPE)
    gap = places.copy()
    gap[:, 20:40, 20:40] = np.nan
    assert_allclose(
        motions.displacement(gap, SHAPE, (0.5, 0.5)),
        motions.displacement(places, SHAPE, (0.5, 0.5)), atol=1e-9,
    )  # fmt: skip
    with pytest.raises(ValueError, match="NaN where pixels are nowhere"):
        super_resolve(np.ones((1, *SHAPE)), [[1.0]], 2, motion=[gap * np.nan], beta=1.0)
    with pytest.raises(ValueError, match="must be finite"):
        super_resolve(np.ones((1, *SHAPE)), [[1.0]], 2, motion=[gap + np.inf], beta=1.0)
