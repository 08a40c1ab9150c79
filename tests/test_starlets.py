"""Starlets: the transform by SciPy's filters, the penalty by its definition, and what it gains."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import ndimage

from dhop import DHOperator, psf, super_resolve
from dhop.reconstruction.starlets import Starlet, gains, splines, wavelets

SHAPES = [
    ((7,), 1), ((3, 40), 1), ((12, 9), 2), ((2, 5, 6), 2), ((6, 3, 17), 3), ((1, 20), 2),
    ((1, 1), 2),
]  # fmt: skip
EDGE = 0.4


def transformed(image, ndim, count):
    """The coefficients of each scale, by SciPy's filters."""
    found, left = [], image
    for scale in range(count):
        line = np.zeros(4 * 2**scale + 1)
        line[:: 2**scale] = np.array([1, 4, 6, 4, 1]) / 16
        smooth = left
        for axis in range(image.ndim - ndim, image.ndim):
            smooth = ndimage.convolve1d(smooth, line, axis, mode="reflect")
        found.append(left - smooth)
        left = smooth
    return found


@pytest.mark.parametrize(("dims", "ndim"), SHAPES)
def test_one_to_three_dimensions(dims, ndim):
    rng = np.random.default_rng(0)
    x = rng.standard_normal(dims)
    penalty = Starlet.build(dims, ndim, EDGE)
    expected = transformed(x, ndim, len(penalty.smoothings))
    for found, own in zip(penalty.coefficients(x.ravel()), expected, strict=True):
        assert_allclose(found, own, atol=1e-14)
    channels = tuple(range(len(dims) - ndim))
    total = steep = 0.0
    for gain, own in zip(gains(dims[-ndim:]), expected, strict=True):
        size, t = np.sqrt((own**2).sum(channels)), gain * EDGE
        steep += size.mean()
        total += np.where(size < t, size**2 / 2 / t, size - t / 2).sum()
    cost = penalty.cost(x.ravel())
    assert_allclose(cost.value, total)
    assert_allclose(penalty.mean_cost(x.ravel()), steep)
    d = rng.standard_normal(x.size)
    h = 1e-6
    rise = penalty.cost(x.ravel() + h * d).value - penalty.cost(x.ravel() - h * d).value
    assert_allclose(2 * cost.slope @ d, rise / (2 * h), rtol=1e-6, atol=1e-9)


def test_gains_are_the_noise_of_the_scales():
    """In the middle of an image, where a coefficient is a sum of independent numbers."""
    unit = np.zeros((127, 127))
    unit[63, 63] = 1
    expected = [np.linalg.norm(each) for each in transformed(unit, 2, 4)]
    assert_allclose(gains((127, 127)), expected)
    assert_allclose(gains((127, 127)), [0.889, 0.2, 0.086, 0.041], rtol=0.01)  # as published
    assert_allclose(gains((1, 127)), [np.linalg.norm(w) for w in wavelets((1, 127))])
    assert_allclose(gains((9, 9, 9)), [np.linalg.norm(w) for w in wavelets((9, 9, 9))])


@pytest.mark.parametrize(
    ("side", "count"), [(1, 1), (4, 1), (5, 1), (8, 1), (9, 2), (17, 3), (33, 4), (10**6, 4)]
)
def test_scales_have_room(side, count):
    assert len(splines((2, side))) == count


@pytest.mark.parametrize(("dims", "ndim"), [((9, 10), 2), ((2, 6, 5), 2), ((3, 12), 1)])
def test_squares_touch_from_above(dims, ndim):
    rng = np.random.default_rng(0)
    x = rng.standard_normal(np.prod(dims))
    penalty = Starlet.build(dims, ndim, EDGE)
    majoriser = penalty.majoriser(penalty.sizes(x), np.float64)
    cost, S = penalty.cost(x), majoriser.S
    assert_allclose(S.rmatvec(S.matvec(x)), cost.slope, atol=1e-12)
    square = np.sum(S.matvec(x) ** 2)
    for _ in range(20):
        other = x + rng.standard_normal(x.size)
        above = np.sum(S.matvec(other) ** 2) - square
        assert penalty.cost(other).value - cost.value <= above + 1e-9
    matrix = S.toarray()
    if min(dims[-ndim:]) > 8:  # borders count little
        assert_allclose(np.sum(matrix**2) / x.size, majoriser.strength, rtol=0.3)


def sky():
    """Stars, a galaxy, and faint light, in four dithered exposures."""
    rng = np.random.default_rng(0)
    i, j = np.ogrid[:96, :96]
    scene = 0.3 * np.exp(-np.hypot(i - 60, (j - 40) / 0.6) / 8)
    scene = scene + 0.02 * np.exp(-((i - 25) ** 2 + (j - 70) ** 2) / 300)
    for y, x, flux in zip(*rng.uniform(4, 92, (2, 25)), 0.3 / rng.random(25), strict=True):
        scene += flux * np.exp(-((i - y) ** 2 + (j - x) ** 2))
    beam = psf.moffat(17, fwhm=4.0, beta=3.0)
    shifts = np.array([(0, 0), (0, 0.5), (0.5, 0), (0.5, 0.5)])
    frames = []
    for move in 2 * shifts:
        moved, center = psf.shift(beam, move)
        A = DHOperator((96, 96), moved, 2, center=center, decimation="mean", boundary="symmetric")
        frames.append(A.degrade(scene) + 0.01 * rng.standard_normal(A.dimsd))
    return scene, np.stack(frames), beam, shifts


@pytest.mark.parametrize(
    "frames", [np.full((2, 8, 8), 3.0), np.full((1, 1), 2.0), np.zeros((3, 3))]
)
def test_constant_and_tiny_frames(frames):
    solution = super_resolve(frames, psf.gaussian(5, 1.0), 2, regulariser="starlet")
    assert abs(solution.image - frames.flat[0]).max() < 1e-3


def test_a_sky():
    """Clearly better than the Laplacian and than total variation, each with its own weight."""
    scene, frames, beam, shifts = sky()

    def error(regulariser):
        solution = super_resolve(frames, beam, 2, shifts=shifts, regulariser=regulariser, rtol=1e-4)
        assert solution.converged
        assert solution.beta_curve.settled
        return np.linalg.norm(solution.image - scene) / np.linalg.norm(scene)

    found = error("starlet")
    assert found < 0.7 * error("laplacian")
    assert found < 0.85 * error("huber-tv")


def test_the_choice_scales_with_the_brightness():
    _, frames, beam, shifts = sky()
    one, other = (
        super_resolve(times * frames[:, :24, :24], beam, 2, shifts=shifts, regulariser="starlet")
        for times in (1, 1000)
    )
    assert_allclose(other.beta, 1000 * one.beta, rtol=0.05)
    assert_allclose(other.edge, 1000 * one.edge)
    assert abs(other.image / 1000 - one.image).max() < 0.02


def test_colours_keep_their_sources_together():
    """A star that one channel shows clearly helps one that shows it badly."""
    rng = np.random.default_rng(0)
    scene = np.zeros((48, 48))
    scene[rng.integers(4, 44, 8), rng.integers(4, 44, 8)] = 5
    frames = np.stack([scene, 0.1 * scene]) + 0.1 * rng.standard_normal((2, 48, 48))
    about = {"regulariser": "starlet", "beta": 0.4, "noise": 0.1, "rtol": 1e-5}
    both = super_resolve(frames, np.ones((1, 1)), 1, channel_axis=0, **about).image[1]
    alone = super_resolve(frames[1], np.ones((1, 1)), 1, **about).image
    assert np.mean((both - 0.1 * scene) ** 2) < np.mean((alone - 0.1 * scene) ** 2)


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["huber", "poisson"])
def test_other_losses(loss):
    scene, frames, beam, shifts = sky()
    if loss == "huber":
        frames = np.where(np.random.default_rng(5).random(frames.shape) < 0.01, 3.0, frames)
    else:
        frames = np.random.default_rng(5).poisson(300 * frames.clip(0) + 10) / 300
    more = {"background": 1 / 30, "gain": 1 / 300} if loss == "poisson" else {}
    errors = []
    for regulariser in ("starlet", "laplacian"):
        found = super_resolve(
            frames, beam, 2, shifts=shifts, loss=loss, regulariser=regulariser, rtol=1e-4, **more
        )
        errors.append(np.linalg.norm(found.image - scene))
    assert errors[0] < 0.8 * errors[1]


@pytest.mark.parametrize(
    ("options", "match"),
    [({"solver": "lsqr"}, "solver='lsqr'"), ({"beta": "gcv"}, "regularisers of squares")],
)
def test_refusals(options, match):
    with pytest.raises(ValueError, match=match):
        super_resolve(np.eye(8), np.ones((1, 1)), 1, regulariser="starlet", **options)
