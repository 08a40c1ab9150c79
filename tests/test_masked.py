"""Frames whose pixels differ in weight, against dense matrices."""

import pickle

import numpy as np
import oracle
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dhop import DHOperator, FrameStack, psf
from dhop.closed import nearest_equations
from dhop.closed.masked import (
    MOST_WEIGHT,
    MaskedEquations,
    full_weight,
    masked_equations,
)
from dhop.psf.stencils import stencils

LEFT = 1e-7  # of the residual of the missing data
EPS = np.finfo(np.float64).eps
UNEVEN = np.random.default_rng(0).random((3, 4))
ROUND = psf.gaussian(5, 1.0)
# Those of which the equations are a closed form, but for the weights.
EXACT = [
    ((12, 10), UNEVEN, 2, {"boundary": "wrap"}),
    ((12, 9), UNEVEN, 3, {"boundary": "wrap", "decimation": "sample", "phase": (2, 1)}),
    ((7, 10), UNEVEN, (1, 2), {"boundary": "wrap", "center": (0, 3)}),
    ((9, 11), UNEVEN, 1, {"boundary": "wrap"}),
    ((12, 10), ROUND, 2, {"boundary": "symmetric", "decimation": "mean"}),
    ((9, 12), ROUND, 3, {"boundary": "symmetric"}),
    ((1, 18), ROUND, (1, 3), {"boundary": "symmetric"}),
    ((1, 12), UNEVEN, (1, 2), {"boundary": "wrap"}),
    ((2, 2), ROUND, 1, {"boundary": "symmetric"}),
    ((2, 4), UNEVEN, 2, {"boundary": "wrap"}),
]


def with_a_hole(shape, size):
    weights = np.ones(shape)
    weights[tuple(slice(1, 1 + size) for _ in shape)] = 0
    return weights


def masks(shape, rng):
    """Weights of one image, a name for each."""
    one = np.zeros(shape)
    one[0, -1] = 1.0
    outlier = rng.random(shape)
    outlier[-1, 0] = 1e6
    yield "random", rng.random(shape)
    for size in (1, 2, 3, 5):
        if with_a_hole(shape, size).any():
            yield f"hole of {size}", 3.7 * with_a_hole(shape, size)
    yield "all but one", one
    yield "one weight is huge", outlier
    if one.size > 1:
        yield "scattered", rng.random(shape) * (rng.random(shape) < 0.6) + 1e-3 * one


def penalty(name, dims, boundary):
    """The models of a regulariser, and its dense `P`."""
    given = stencils(name)
    models = [DHOperator(dims, each, 1, boundary=boundary).model for each in given]
    dense = [oracle.matrix(dims, each, 1, boundary=boundary) for each in given]
    return models, sum(each.T @ each for each in dense)


def clipped(weights):
    """What counts of weights of which few are far above the others."""
    return np.minimum(weights, MOST_WEIGHT * weights[weights > 0].mean())


def check(inverse, dense, weights, beta, P, b):
    """The residual is that which may be left of the missing data, and that of rounding.

    An error `e` in the equations of the missing data is ``A^H D e`` in those of the image, with the
    root of the full weight in `A`. What is rounded are the terms of the normal equations with the
    full weight, of the solution and of that without a mask.
    """
    A = np.sqrt(weights.max()) * dense
    M = dense.T @ (weights.ravel()[:, None] * dense) + beta * P
    x, b = inverse(b[None]).ravel(), b.ravel()
    unmasked = np.linalg.lstsq(A.T @ A + beta * P, b)[0]
    size = np.linalg.norm(A, 2)
    left = LEFT * size / inverse._gain * np.linalg.norm(b)
    terms = size**2 + beta * np.linalg.norm(P, 2)
    rounding = 10 * EPS * terms * (np.linalg.norm(x) + np.linalg.norm(unmasked))
    assert np.linalg.norm(M @ x - b) <= left + rounding


@pytest.mark.parametrize("name", ["identity", "laplacian", "gradient", "laplacian-of-gaussian"])
@pytest.mark.parametrize(("dims", "blur", "factor", "options"), EXACT)
def test_where_exact_it_is_the_inverse(dims, blur, factor, options, name):
    if name == "gradient" and options["boundary"] == "symmetric":
        return  # differences to one side have no cosines
    A = DHOperator(dims, blur, factor, **options)
    dense = oracle.matrix(dims, blur, factor, **options)
    models, P = penalty(name, dims, options["boundary"])
    rng = np.random.default_rng(1)
    b = rng.standard_normal(dims)
    if name != "identity":
        b -= b.mean()  # else nothing but rounding is known of a mean that the mask leaves alone
    for label, weights in masks(A.dimsd, rng):
        if np.ptp(weights) == 0:
            continue  # there is one pixel
        equations = nearest_equations([(A.model, weights.ravel())], models)
        assert isinstance(equations, MaskedEquations)
        assert equations.exact
        for beta in (1e-8, 1e-2, 1e3):
            if beta >= 1 or label != "scattered":  # else the steps may be too few
                check(equations.inverse(beta), dense, clipped(weights), beta, P, b)


@pytest.mark.parametrize("boundary", ["wrap", "symmetric"])
@pytest.mark.parametrize(
    ("dims", "axes"), [((3, 8, 10), (1, 2)), ((8, 3, 10), (2, 0)), ((2, 10, 8, 2), (1, 2))]
)
def test_images_with_masks_of_their_own(dims, axes, boundary):
    """One of them nowhere observed."""
    rng = np.random.default_rng(2)
    options = {"axes": axes, "boundary": boundary}
    A = DHOperator(dims, ROUND, 2, **options)
    weights = rng.random(A.dimsd)
    images = np.moveaxis(weights, sorted(axes), (-2, -1))
    images[(0,) * (len(dims) - 2)] = 0
    images[(-1,) * (len(dims) - 2)][:3, :3] = 0
    M = FrameStack([A], [weights]).preconditioner(0.01)
    dense = oracle.matrix(dims, ROUND, 2, **options)
    normal = dense.T @ (weights.ravel()[:, None] * dense) + 0.01 * np.eye(A.shape[1])
    for b in rng.standard_normal((2, A.shape[1])):
        r = normal @ (M @ b) - b
        assert np.linalg.norm(r) <= 2 * LEFT * np.linalg.norm(b)
        # Images know nothing of each other.
        alone = np.zeros(dims)
        np.moveaxis(alone, sorted(axes), (-2, -1))[(-1,) * (len(dims) - 2)] = 1
        assert_array_equal((M @ (alone.ravel() * b)).reshape(dims)[alone == 0], 0)


def test_frames_that_see_the_same_way_are_one():
    A = DHOperator((8, 10), UNEVEN, 2, boundary="wrap")
    models, _ = penalty("laplacian", A.dims, "wrap")
    first, second = np.random.default_rng(3).random((2, A.shape[0]))
    b = np.random.default_rng(4).standard_normal(A.dims)
    three = [(A.model, first), (A.model, 0.5), (A.model, second)]
    found = masked_equations(three, models).inverse(0.1)(b)
    expected = masked_equations([(A.model, first + 0.5 + second)], models).inverse(0.1)(b)
    assert_allclose(found, expected, rtol=0, atol=1e-12 * abs(expected).max())


def test_a_frame_that_is_not_observed_is_left_out():
    A, other = (DHOperator((8, 10), each, 2, boundary="wrap") for each in (UNEVEN, ROUND))
    models, _ = penalty("laplacian", A.dims, "wrap")
    weights = with_a_hole(A.dimsd, 2).ravel()
    both = masked_equations([(A.model, weights), (other.model, 0 * weights)], models)
    alone = masked_equations([(A.model, weights)], models)
    b = np.random.default_rng(4).standard_normal(A.dims)
    assert_array_equal(both.inverse(0.1)(b), alone.inverse(0.1)(b))
    assert masked_equations([(A.model, 0 * weights)], models) is None


@pytest.mark.parametrize(
    "stencil", [[[1.0, -1.0]], [[1.0], [-1.0]], [[1.0, 0, -1]], [[1.0, -2, 1]]]
)
def test_penalties_that_leave_several_aliases_alone(stencil):
    """A difference along one axis is blind to all waves across it."""
    A = DHOperator((12, 16), UNEVEN, 2, boundary="wrap", decimation="sample")
    weights = with_a_hole(A.dimsd, 4).ravel()
    inverse = FrameStack([A], [weights]).preconditioner(0.01, np.array(stencil))
    assert np.isfinite(inverse @ np.ones(A.shape[1])).all()


def test_a_blur_of_nothing():
    """The penalty is left."""
    A = DHOperator((8, 10), np.zeros((3, 3)), 2, boundary="wrap")
    M = FrameStack([A], [with_a_hole(A.dimsd, 2)]).preconditioner(0.5)
    assert_allclose(M @ np.ones(80), 2, rtol=1e-12)


def test_full_weight():
    assert full_weight(2.5) == 2.5
    assert full_weight(np.array([0.0, 1.0, 2.0, 0.0])) == 2.0
    assert full_weight(np.array([0.0] * 9 + [1.0] * 9 + [1e6])) == MOST_WEIGHT * (1e6 + 9) / 10


def test_complex_frames_have_none():
    A = DHOperator((8, 10), 1j * UNEVEN, 2, boundary="wrap")
    models, _ = penalty("identity", A.dims, "wrap")
    assert masked_equations([(A.model, np.arange(20.0))], models) is None


def test_it_can_be_pickled():
    A = DHOperator((12, 16), UNEVEN, 2, boundary="wrap")
    M = FrameStack([A], [with_a_hole(A.dimsd, 4)]).preconditioner(0.01)
    x = np.random.default_rng(7).standard_normal(A.shape[1])
    assert_array_equal(pickle.loads(pickle.dumps(M)) @ x, M @ x)
