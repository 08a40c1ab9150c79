"""The errors of the products on the grid of the benchmarks, and their bits: `pytest -m fuzz`.

Some outputs, and some pixels of the adjoint, are summed in extended precision from the explicit
matrix in float64, whose entries are compared with the definitions in `test_sparse.py`.
"""

import grid
import numpy as np
import oracle
import pytest

from dhop import DHOperator
from dhop.methods import cost

pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(600)]

ROWS = 40
LONGEST = 2e9  # nanoseconds; a method that is expected to take longer is not what anyone would use


def taken_rows(A, rows, x):
    """``(A @ x)[rows]`` and ``(|A| @ |x|)[rows]`` in extended precision."""
    S = A.to_sparse(rows=rows)
    terms = S.data.astype(np.longdouble) * x[S.indices]
    return np.add.reduceat(terms, S.indptr[:-1]), np.add.reduceat(abs(terms), S.indptr[:-1])


def taken_columns(A, pixels, y):
    """``(A.H @ y)[pixels]`` and ``(|A.H| @ |y|)[pixels]``, the columns from images of one pixel."""
    sums = []
    for pixel in pixels:
        image = np.zeros(A.shape[1])
        image[pixel] = 1
        terms = (A @ image).astype(np.longdouble) * y
        sums.append((terms.sum(), abs(terms).sum()))
    return np.array(sums).T


def meeting(A):
    """The largest number of taps of one output that meet on one pixel."""
    most = 1
    for axis in (A.model.rows, A.model.columns):
        first, last = axis.windows[0], axis.windows[-1]
        most *= max(np.bincount(window[window >= 0]).max() for window in (first, last))
    return most


@pytest.mark.parametrize(grid.NAMES, grid.cells())
def test_error_bounds_and_bits(shape, width, factor, dtype, kind, boundary):
    arguments, options = grid.operator_arguments(shape, width, factor, dtype, kind, boundary)
    exact = DHOperator(*arguments, **(options | {"dtype": "float64", "method": "direct"}))
    rng = np.random.default_rng(2)
    x, y = (rng.standard_normal(n).astype(dtype) for n in (exact.shape[1], exact.shape[0]))
    rows, pixels = rng.choice(y.size, ROWS, replace=False), [0, *rng.integers(x.size, size=2)]
    samples = np.sort(rows), pixels
    sums = [taken_rows(exact, samples[0], x), taken_columns(exact, pixels, y)]
    u = np.finfo(dtype).eps / 2
    K = exact.model.weights.size + 1
    gamma = K * u / (1 - K * u)
    norm = 10 * u * np.log2(exact.shape[1]) * np.linalg.norm(exact.model.weights)
    read = oracle.continued(x.reshape(exact.dims), *arguments[1:], boundary=boundary)
    norms = [norm * np.linalg.norm(read), norm * np.sqrt(meeting(exact)) * np.linalg.norm(y)]
    methods = ["direct", "fft"] + ["separable"] * (kind == "gaussian")
    if max(cost.direct(exact.model, np.dtype(dtype))) > LONGEST:
        methods.remove("direct")
    for method in methods:
        A = DHOperator(*arguments, **options, method=method)
        products = [A @ x, A.H @ y]
        for result, sample, (expected, size), whole in zip(
            products, samples, sums, norms, strict=True
        ):
            error = abs(result[sample] - expected)
            if method == "fft":
                assert error.max() <= whole
            else:
                assert (error <= gamma * size).all()
        for workers in (1, 3):
            B = DHOperator(*arguments, **options, method=method, workers=workers)
            np.testing.assert_array_equal(B @ x, products[0])
            np.testing.assert_array_equal(B.H @ y, products[1])
