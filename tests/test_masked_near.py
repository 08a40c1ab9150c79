"""Masked frames whose equations are only similar: what they precondition with."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse.linalg import LinearOperator, cg

from dhop import DHOperator, FrameStack, psf
from dhop.closed import nearest_equations
from dhop.closed.masked import GappedEquations, MaskedEquations, masked_equations
from dhop.psf.stencils import stencils

ROUND = psf.gaussian(5, 1.0)


def penalty(name, dims, boundary):
    return [DHOperator(dims, each, 1, boundary=boundary).model for each in stencils(name)]


def as_matrix(inverse, dims):
    """The columns are the solutions for unit images."""
    size = int(np.prod(dims))
    return inverse(np.eye(size).reshape(size, *dims)).reshape(size, size).T


def shifted(dims, boundary):
    """Frames of factor two that tell aliases apart."""
    return [
        DHOperator(dims, ROUND, 2, boundary=boundary, center=(2 + k % 2, 2 + k // 2))
        for k in range(4)
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("boundary", "count", "kind"),
    [
        ("constant", 1, MaskedEquations),
        ("reflect", 1, MaskedEquations),
        ("constant", 4, GappedEquations),
        ("wrap", 4, GappedEquations),
    ],
)
def test_a_preconditioner_is_positive_definite(boundary, count, kind):
    operators = shifted((24, 20), boundary)[:count]
    weights = np.random.default_rng(5).random((len(operators), *operators[0].dimsd))
    weights[:, 2:9, 1:9] = 0
    for name in ("identity", "laplacian"):
        models = penalty(name, (24, 20), boundary)
        parts = [(A.model, w.ravel()) for A, w in zip(operators, weights, strict=True)]
        equations = nearest_equations(parts, models)
        assert isinstance(equations, kind)
        assert not getattr(equations, "exact", False)
        for beta in (1e-6, 0.1):
            M = as_matrix(equations.inverse(beta), (24, 20))
            scale = np.linalg.norm(M, 2)
            # Conditions are those of the penalty, 64 / (pi / 24)^4, or of beta at most.
            assert_allclose(M, M.T, rtol=0, atol=1e-7 * scale)
            assert np.linalg.eigvalsh(M + M.T).min() > 0


def steps(operators, weights, M, most):
    """Iterations of a smooth regulariser, no more than `most`."""
    stack = FrameStack(operators, weights)
    S = DHOperator(stack.dims, stencils("laplacian")[0], 1, boundary=operators[0].boundary)
    N, P = stack.gram(), S.gram()
    matrix = LinearOperator(N.shape, matvec=lambda x: N @ x + 1e-3 * (P @ x), dtype=float)
    image, taken = np.cumsum(np.random.default_rng(6).standard_normal(stack.dims), 1), []
    b = stack.rmatvec(stack.matvec(image.ravel()))
    cg(matrix, b, rtol=1e-6, maxiter=most, M=M, callback=taken.append)
    return len(taken)


@pytest.mark.parametrize(
    ("boundary", "count", "most"),
    [
        ("symmetric", 1, 1),
        ("wrap", 1, 1),
        ("wrap", 4, 50),
        ("symmetric", 4, 50),
    ],
)
def test_a_masked_corner_takes_few_iterations(boundary, count, most):
    operators = shifted((64, 64), boundary)[:count]
    weights = np.ones((count, 32, 32))
    weights[:, :14, 18:] = 0
    M = FrameStack(operators, weights).preconditioner(1e-3, "laplacian")
    assert steps(operators, weights, M, 10 * most) <= most
    regardless = FrameStack(operators).preconditioner(1e-3, "laplacian")
    assert steps(operators, weights, regardless, 10 * most) == 10 * most


def test_a_masked_corner_costs_little_where_borders_are_only_similar():
    """Beside what the borders cost without a mask."""
    operators, weights = shifted((64, 64), "constant")[:1], np.ones((1, 32, 32))
    whole = FrameStack(operators).preconditioner(1e-3, "laplacian")
    without = steps(operators, weights, whole, 300)
    weights[:, :14, 18:] = 0
    M = FrameStack(operators, weights).preconditioner(1e-3, "laplacian")
    assert steps(operators, weights, M, 300) <= 2 * without
    assert steps(operators, weights, whole, 300) == 300


@pytest.mark.parametrize("count", [1, 4])
def test_narrow_gaps_need_no_more(count):
    """Where the closed form is not exact, or there are several frames."""
    operators = shifted((24, 20), "constant")[:count]
    weights = np.ones((count, 12, 10))
    weights[:, 4, 3:5] = 0
    models = penalty("identity", (24, 20), "constant")
    parts = [(A.model, w.ravel()) for A, w in zip(operators, weights, strict=True)]
    assert masked_equations(parts, models) is None
    assert nearest_equations(parts, models) is not None


def test_few_weights_that_are_huge_leave_it_positive():
    """They count as the full weight: more than all there is would be less than nothing missing."""
    A = DHOperator((24, 20), ROUND, 2)
    weights = np.ones(A.dimsd)
    weights[2:9, 1:9] = 0
    weights[-1, -1] = 1e6
    equations = masked_equations(
        [(A.model, weights.ravel())], penalty("identity", A.dims, "constant")
    )
    assert all(0 <= omega.min() <= omega.max() <= 1 for omega in equations.omega)
    M = as_matrix(equations.inverse(0.1), A.dims)
    assert np.linalg.eigvalsh(M + M.T).min() > 0


@pytest.mark.parametrize("count", [1, 4])
def test_images_with_gaps_of_their_own(count):
    """Each is solved as it is alone."""
    dims = 3, 24, 20
    weights = np.ones((count, 3, 12, 10))
    weights[:, 0, 2:9, 1:9] = weights[:, 2, 4:, 3:] = 0
    several, alone = shifted(dims, "constant")[:count], shifted(dims[1:], "constant")[:count]
    M = FrameStack(several, weights).preconditioner(0.1, "laplacian")
    x = np.random.default_rng(8).standard_normal(dims)
    found = (M @ x.ravel()).reshape(dims)
    for k in (0, 2):
        one = FrameStack(alone, weights[:, k]).preconditioner(0.1, "laplacian")
        expected = (one @ x[k].ravel()).reshape(dims[1:])
        assert_allclose(found[k], expected, rtol=0, atol=1e-12 * abs(expected).max())
