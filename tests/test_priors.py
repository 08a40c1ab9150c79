"""Total variation: its slope, what it gains, and the choice of its weight."""

import warnings
from itertools import pairwise

import numpy as np
import pytest
from bursts import burst, photograph, quality
from numpy.testing import assert_allclose, assert_array_equal

from dhop import DHOperator, psf, super_resolve
from dhop.cautions import BetaWarning, PriorWarning, PSFWarning
from dhop.reconstruction import penalties
from dhop.reconstruction.penalties import Variation
from dhop.reconstruction.stein import Risk

BLUR = psf.gaussian(9, 1.0)
MARGIN = 16


def frames_of(name, count, size=80, noise=0.01):
    scene = photograph(name, size + 2 * MARGIN)
    frames, shifts = burst(scene, BLUR, 2, noise, count, margin=MARGIN, seed=3, boundary="constant")
    return frames, shifts, scene[MARGIN:-MARGIN, MARGIN:-MARGIN]


@pytest.mark.parametrize(
    ("dims", "axes"),
    [((7,), (0,)), ((3, 7), (1,)), ((5, 6), (0, 1)), ((3, 5, 6), (1, 2)), ((4, 3, 5), (0, 1, 2)),
     ((1, 6), (0, 1))],
)  # fmt: skip
def test_one_to_three_dimensions(dims, axes):
    """Value by its definition, pixel after pixel; slope by differences."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(dims)
    penalty = Variation(dims, axes, 0.4)
    total = 0.0
    rest = tuple(n for axis, n in enumerate(dims) if axis in axes)
    for at in np.ndindex(*rest):
        square = 0.0
        for k, axis in enumerate(axes):
            if at[k] + 1 < dims[axis]:
                here, there = [slice(None)] * len(dims), [slice(None)] * len(dims)
                for j, other in enumerate(axes):
                    here[other] = at[j]
                    there[other] = at[j] + (j == k)
                square += np.sum((x[tuple(there)] - x[tuple(here)]) ** 2)
        size = np.sqrt(square)
        total += size**2 / 0.8 if size < 0.4 else size - 0.2
    assert_allclose(penalty.cost(x.ravel()).value, total)
    d = rng.standard_normal(x.size)
    h = 1e-6
    rise = penalty.cost(x.ravel() + h * d).value - penalty.cost(x.ravel() - h * d).value
    assert_allclose(2 * penalty.cost(x.ravel()).slope @ d, rise / (2 * h), rtol=1e-6)


def test_the_bits_do_not_depend_on_the_threads(monkeypatch):
    rng = np.random.default_rng(0)
    x = rng.standard_normal(2 * 5 * 6 * 9)
    penalty = Variation((2, 5, 6, 9), (1, 2, 3), 0.4)
    value, slope = penalty.cost(x)
    for edges in ([0, 30], [0, 1, 7, 13, 30], list(range(31))):
        monkeypatch.setattr(penalties, "row_blocks", lambda *_, e=edges: list(pairwise(e)))
        found = penalty.cost(x)
        assert found.value == value
        assert_array_equal(found.slope, slope)
    x[200] = np.nan
    assert np.isnan(penalty.cost(x).value)


@pytest.mark.slow
@pytest.mark.parametrize(("count", "gain"), [(4, 0.4), (1, 0.3)])
def test_edges_are_kept(count, gain):
    """On average of three photographs, and nowhere much worse: the table of howto/losses.md."""
    gains = []
    for name in ("astronaut", "coffee", "moon"):
        frames, shifts, truth = frames_of(name, count)
        squares = super_resolve(frames, BLUR, 2, shifts=shifts)
        edges = super_resolve(frames, BLUR, 2, shifts=shifts, regulariser="huber-tv", rtol=1e-4)
        assert edges.converged
        gains.append(quality(edges.image, truth) - quality(squares.image, truth))
    assert np.mean(gains) > gain
    assert min(gains) > -0.2


@pytest.mark.slow
@pytest.mark.parametrize("regulariser", ["tv", "huber-tv"])
def test_the_choice_is_near_the_best(regulariser):
    frames, shifts, truth = frames_of("astronaut", 4, size=96)
    about = {"shifts": shifts, "regulariser": regulariser, "rtol": 1e-4}
    chosen = super_resolve(frames, BLUR, 2, **about)
    found = quality(chosen.image, truth)
    for power in (-2, -1, 1, 2):
        other = super_resolve(frames, BLUR, 2, beta=chosen.beta * 2.0**power, **about)
        assert quality(other.image, truth) < found + 0.15
    curve = chosen.beta_curve
    assert curve.settled
    assert curve.betas.min() < chosen.beta < curve.betas.max()


def test_the_choice_scales_with_the_brightness():
    frames, shifts, _ = frames_of("coffee", 4, size=64)
    about = {"shifts": shifts, "regulariser": "huber-tv", "rtol": 1e-6}
    one = super_resolve(frames, BLUR, 2, **about)
    other = super_resolve(1000 * frames, BLUR, 2, **about)
    assert_allclose(other.beta, 1000 * one.beta, rtol=0.05)
    assert abs(other.image / 1000 - one.image).max() < 0.02


def test_risk_of_a_linear_estimate():
    """Of shrinking it is known: the trace of a multiple of the identity."""
    rng = np.random.default_rng(0)
    truth = rng.standard_normal((1, 200, 200))
    frames = truth + 0.5 * rng.standard_normal(truth.shape)
    risk = Risk(
        lambda y, beta, x: (y / (1 + beta)).ravel(), lambda x: x, frames, np.ones(frames.shape),
        0.25, np.zeros(40000),
    )  # fmt: skip
    for beta in (0.1, 0.25, 1.0):
        error = np.mean((frames / (1 + beta) - truth) ** 2) / 0.25
        assert abs(risk(beta) - error) < 0.05


def test_risk_where_the_noise_differs():
    """Of shrinking again, in a norm that has weights of its own."""
    rng = np.random.default_rng(0)
    truth = rng.standard_normal((1, 200, 200))
    variances = np.where(np.arange(200) < 100, 0.04, 1.0)
    roots = np.where(np.arange(200) % 3, 1.0, 0.0) * np.ones(truth.shape)
    frames = truth + np.sqrt(variances) * rng.standard_normal(truth.shape)
    frames[roots == 0] = np.nan

    def solve(y, beta, x):
        return (np.where(roots > 0, y, 0) / (1 + beta * variances)).ravel()

    risk = Risk(solve, lambda x: x, frames, roots, variances, np.zeros(40000))
    for beta in (0.1, 0.5, 2.0):
        wrong = solve(frames, beta, None).reshape(truth.shape) - truth
        error = np.sum((roots * wrong) ** 2) / np.sum(roots**2 * variances)
        assert abs(risk(beta) - error) < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 4])
def test_a_psf_that_is_too_wide(count):
    """The risk trusts the PSF; what the best smooth image leaves unexplained tells otherwise."""
    scene = photograph("coins", 80 + 2 * MARGIN)
    frames, shifts = burst(
        scene, psf.gaussian(5, 0.5), 2, 0.003, count, margin=MARGIN, boundary="constant"
    )
    with pytest.warns(PSFWarning, match="hold detail"):
        image = super_resolve(
            frames, psf.gaussian(13, 1.7), 2, shifts=shifts, regulariser="huber-tv", rtol=1e-3
        ).image
    assert frames.min() - 0.3 < image.min()
    assert image.max() < frames.max() + 0.3


def test_colours_keep_their_edges_together():
    """An edge that one channel shows clearly helps one that shows it badly."""
    scene = np.zeros((48, 48))
    scene[12:36, 14:30] = 1
    rng = np.random.default_rng(0)
    A = {"regulariser": "huber-tv", "beta": 0.2, "noise": 0.05, "rtol": 1e-5}
    clear, weak = scene, 0.2 * scene
    frames = np.stack([clear, weak]) + 0.05 * rng.standard_normal((2, 48, 48))
    both = super_resolve(frames, BLUR, 1, channel_axis=0, **A).image[1]
    alone = super_resolve(frames[1], BLUR, 1, **A).image
    assert np.mean((both - weak) ** 2) < np.mean((alone - weak) ** 2)


@pytest.mark.slow
def test_outliers_and_edges_go_together():
    frames, shifts, truth = frames_of("astronaut", 8, size=96)
    struck = np.where(np.random.default_rng(5).random(frames.shape) < 0.01, 1.0, frames)
    about = {"shifts": shifts, "regulariser": "huber-tv", "rtol": 1e-4}
    clean = super_resolve(frames, BLUR, 2, **about)
    found = super_resolve(struck, BLUR, 2, loss="huber", **about)
    assert quality(found.image, truth) > quality(clean.image, truth) - 0.4
    assert 0.5 < found.beta / clean.beta < 2


@pytest.mark.slow
def test_bounds_alone():
    """Squares within bounds: the default regulariser, and its choice of beta."""
    frames, shifts, _ = frames_of("camera", 4, size=64)
    plain = super_resolve(frames, BLUR, 2, shifts=shifts)
    low, high = 0.1, 0.7
    solution = super_resolve(frames, BLUR, 2, shifts=shifts, bounds=(low, high))
    assert solution.beta == plain.beta
    assert solution.image.min() == low
    assert solution.image.max() == high
    inside = super_resolve(frames, BLUR, 2, shifts=shifts, bounds=(-9, 9), rtol=1e-9)
    exact = super_resolve(frames, BLUR, 2, shifts=shifts, rtol=1e-9)
    assert_allclose(inside.image, exact.image, rtol=0, atol=1e-6)
    positive = super_resolve(
        frames - 0.4, BLUR, 2, shifts=shifts, nonnegative=True, bounds=(0, 0.2), beta=1e-3
    )
    assert positive.image.min() == 0
    assert positive.image.max() == 0.2


@pytest.mark.parametrize("name", ["tv", "huber-tv", "starlet"])
def test_squares_that_predict_better(name):
    """Of slopes in few photons that is said, of the edges or stars that a prior is for not."""
    i, j = np.indices((80, 80))
    slopes = 20 * np.sin(i / 9) ** 2 * np.sin(j / 11) ** 2
    if name == "starlet":
        edges = np.zeros((80, 80))
        edges[np.random.default_rng(1).integers(4, 76, (2, 20)).tolist()] = 300
    else:
        edges = 20.0 * ((i // 20 + j // 20) % 2)
    for scene in (slopes, edges):
        A = DHOperator(scene.shape, BLUR, 2, decimation="mean", boundary="symmetric")
        counts = np.random.default_rng(0).poisson(A.degrade(scene).clip(0) + 5.0)
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            solution = super_resolve(
                counts, BLUR, 2, loss="poisson", background=5, regulariser=name, maxiter=1
            )
        said = [each for each in seen if each.category is PriorWarning]
        assert bool(said) == (scene is slopes)
        assert any("the Laplacian predicts" in note for note in solution.notes) == bool(said)


def test_constant_frames():
    with warnings.catch_warnings():
        warnings.simplefilter("error", BetaWarning)
        for name in ("tv", "huber-tv"):
            solution = super_resolve(np.full((2, 8, 8), 3.0), BLUR, 2, regulariser=name)
            assert abs(solution.image - 3).max() < 1e-3


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"bounds": (1, 0)}, "low < high"),
        ({"bounds": (0, np.nan)}, "bounds must be numbers"),
        ({"bounds": (-2, -1), "nonnegative": True}, "negative"),
        ({"bounds": (-1, 2), "nonnegative": True}, r"give bounds=\(0, 2\)"),
        ({"bounds": (-np.inf, -1), "nonnegative": True}, "leave no value"),
        ({"bounds": (0, 1), "solver": "direct"}, "solver='direct'"),
        ({"regulariser": "tv", "solver": "lsqr"}, "solver='lsqr'"),
        ({"regulariser": "tv", "beta": "gcv"}, "regularisers of squares"),
        ({"regulariser": "tv", "beta": -1.0}, "beta must not be negative"),
        ({"regulariser": "total"}, "regulariser"),
        ({"solver": "quasi-newton"}, "other losses or priors"),
    ],
)
def test_refusals(options, match):
    with pytest.raises(ValueError, match=match):
        super_resolve(np.eye(8), BLUR, 2, **{"beta": 0.1, **options})


def test_bounds_that_are_no_pair():
    with pytest.raises(TypeError, match="two numbers"):
        super_resolve(np.eye(8), BLUR, 2, beta=0.1, bounds=3)
