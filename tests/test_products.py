"""The matrix-free products against the dense oracle, bit for bit wherever integers allow it."""

from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import numpy as np
import oracle
import pytest
from layouts import LAYOUTS
from numpy.testing import assert_array_equal

from dhop import DHOperator

EVERY_CASE = [
    pytest.mark.parametrize("decimation", oracle.DECIMATIONS),
    pytest.mark.parametrize("boundary", oracle.BOUNDARIES),
    pytest.mark.parametrize("psf", oracle.PSFS),
]


def every_case(test):
    for mark in EVERY_CASE:
        test = mark(test)
    return test


@every_case
def test_columns_and_rows_are_exact(psf, boundary, decimation):
    """`A @ I` and `A.H @ I`: every entry of the matrix, through both products."""
    for args, options in oracle.grid(psf, boundary=boundary, decimation=decimation):
        A = DHOperator(*args, method="direct", **options)
        expected = oracle.matrix(*args, **options)
        case = f"{args[0]=}, {args[1].shape=}, {args[2]=}, {A.dtype=}, {options=}"
        assert A.shape == expected.shape, case
        assert A.dtype == args[1].dtype, case
        assert_array_equal(A @ np.eye(A.shape[1], dtype=A.dtype), expected, case)
        assert_array_equal(A.H @ np.eye(A.shape[0], dtype=A.dtype), expected.conj().T, case)


@pytest.mark.parametrize("dtype", oracle.DTYPES)
@pytest.mark.parametrize("decimation", oracle.DECIMATIONS)
@pytest.mark.parametrize("psf", oracle.PSFS)
def test_every_product_is_exact(psf, decimation, dtype):
    """matvec, rmatvec, matmat, rmatmat, `@` of A, A.H and A.T, degrade, backproject."""
    rng = np.random.default_rng(5)
    cases = oracle.grid(
        psf,
        boundary="reflect",
        decimation=decimation,
        sizes=((7, 5),),
        factors=((2, 3), 1),
        dtypes=(dtype,),
    )
    for args, options in cases:
        A = DHOperator(*args, method="direct", **options)
        matrix = oracle.matrix(*args, **options).astype(dtype)
        x, X = (oracle.integers(rng, (A.shape[1], *n), dtype) for n in ((), (3,)))
        y, Y = (oracle.integers(rng, (A.shape[0], *n), dtype) for n in ((), (3,)))
        pairs = [
            (A @ x, matrix @ x),
            (A.matvec(x), matrix @ x),
            (A.dot(x), matrix @ x),
            (A.matmat(X), matrix @ X),
            (A @ X, matrix @ X),
            (A.degrade(x.reshape(A.dims)), (matrix @ x).reshape(A.dimsd)),
            (A.rmatvec(y), matrix.conj().T @ y),
            (A.H @ y, matrix.conj().T @ y),
            (A.rmatmat(Y), matrix.conj().T @ Y),
            (A.H @ Y, matrix.conj().T @ Y),
            (A.backproject(y.reshape(A.dimsd)), (matrix.conj().T @ y).reshape(A.dims)),
            (A.T @ y, matrix.T @ y),
            (A.T @ Y, matrix.T @ Y),
            (A.H.H @ x, matrix @ x),
            (A.T.T @ x, matrix @ x),
            (A.T.H @ x, matrix.conj() @ x),
            (A.H.T @ x, matrix.conj() @ x),
            (A.T.rmatvec(x), matrix.conj() @ x),
        ]
        for actual, expected in pairs:
            assert actual.dtype == dtype
            assert_array_equal(actual, expected)


@pytest.mark.parametrize("dtype", oracle.DTYPES)
@pytest.mark.parametrize("factor", [4, 5, 6, 7, (7, 11), (1, 12)])
def test_means_of_multiples_are_exact(factor, dtype):
    """The sum over the block size is rounded once: what divides evenly stays an integer."""
    psf = oracle.integer_psf(np.random.default_rng(16), (3, 2), factor, dtype)
    A = DHOperator((14, 12), psf, factor, decimation="mean", boundary="wrap")
    expected = oracle.matrix((14, 12), psf, factor, decimation="mean", boundary="wrap")
    assert_array_equal(A @ np.eye(A.shape[1]), expected)
    assert_array_equal(A.to_sparse().toarray(), expected)


@pytest.mark.parametrize(
    "boundaries", [("constant", "wrap"), ("edge", "reflect"), ("wrap", "edge")]
)
def test_boundary_per_axis(boundaries):
    rng = np.random.default_rng(6)
    for psf in (oracle.integer_psf(rng, (4, 5)), oracle.oversized_psf(rng, (6, 7))):
        A = DHOperator((6, 7), psf, (3, 2), boundary=boundaries, phase=(2, 1))
        expected = oracle.matrix((6, 7), psf, (3, 2), boundary=boundaries, phase=(2, 1))
        assert_array_equal(A @ np.eye(42), expected)
        assert_array_equal(A.H @ np.eye(A.shape[0]), expected.T)


@pytest.mark.parametrize(
    ("dims", "axes"),
    [
        ((3, 5, 4), (-2, -1)),
        ((2, 3, 5, 4), (-2, -1)),
        ((5, 4, 3), (0, 1)),
        ((5, 3, 4), (0, 2)),
        ((4, 3, 5), (2, 0)),
        ((5, 4), (1, 0)),
        ((4, 2, 5, 3), (-2, 0)),
        ((1, 5, 1, 4), (1, 3)),
    ],
)
def test_batch_axes(dims, axes):
    """Wherever the batch axes stand; axis 0 of the PSF goes with axes[0]."""
    rng = np.random.default_rng(7)
    for decimation in oracle.DECIMATIONS:
        psf = oracle.integer_psf(rng, (3, 2), (2, 3))
        options = {"axes": axes, "decimation": decimation, "boundary": ("symmetric", "constant")}
        A = DHOperator(dims, psf, (2, 3), phase=(1, 0), **options)
        expected = oracle.matrix(dims, psf, (2, 3), phase=(1, 0), **options)
        assert A.shape == expected.shape
        assert np.prod(A.dimsd) == A.shape[0]
        assert_array_equal(A @ np.eye(A.shape[1]), expected)
        assert_array_equal(A.H @ np.eye(A.shape[0]), expected.T)


@pytest.mark.parametrize("decimation", oracle.DECIMATIONS)
@pytest.mark.parametrize("boundary", oracle.BOUNDARIES)
@pytest.mark.parametrize(
    ("dims", "taps", "factor"),
    [
        ((97, 131), (9, 6), 2),
        ((64, 200), (3, 17), (3, 5)),
        ((150, 33), (16, 40), (4, 1)),
        ((21, 150), (4, 7), (1, 4)),
        ((40, 330), (5, 11), 8),
    ],
)
def test_larger_images_are_exact(dims, taps, factor, boundary, decimation):
    """Where interior and borders both have room: long rows, several tiles, wide PSFs."""
    rng = np.random.default_rng(8)
    for dtype in (np.float32, np.complex128):
        psf = oracle.integer_psf(rng, taps, factor if decimation == "mean" else 1, dtype)
        image = oracle.integers(rng, dims, dtype)
        options = {"decimation": decimation, "boundary": boundary}
        A = DHOperator(dims, psf, factor, method="direct", **options)
        assert_array_equal(A.degrade(image), oracle.degrade(image, psf, factor, **options))
        y = oracle.integers(rng, A.dimsd, dtype)
        expected = oracle.backproject(y, dims, psf, factor, **options)
        assert_array_equal(A.backproject(y), expected)


@pytest.mark.parametrize("dtype", oracle.DTYPES)
@pytest.mark.parametrize("boundary", oracle.BOUNDARIES)
@pytest.mark.parametrize("decimation", oracle.DECIMATIONS)
def test_error_bound(decimation, boundary, dtype):
    """Random reals: `|y - yref| <= gamma_K |A| |x|`, K the terms of a sum and one rounding.

    Two more bits of every PSF value are zero, so folding it is exact in float64.
    """
    rng = np.random.default_rng(9)
    dims, factor = (13, 17), (2, 3)
    psf = np.ldexp(rng.integers(-(2**24), 2**24, (5, 6)), -24)
    image = rng.standard_normal(dims)
    is_complex = np.issubdtype(dtype, np.complexfloating)
    if is_complex:
        psf = psf + 1j * np.ldexp(rng.integers(-(2**24), 2**24, psf.shape), -24)
        image = image + 1j * rng.standard_normal(dims)
    options = {"decimation": decimation, "boundary": boundary}
    A = DHOperator(dims, psf, factor, dtype=dtype, **options)
    low = rng.standard_normal(A.dimsd)
    exact = oracle.matrix(dims, psf, factor, precision=np.longdouble, **options)
    weight = oracle.matrix(
        dims, abs(psf.real) + abs(psf.imag), factor, precision=np.longdouble, **options
    )
    terms = oracle.terms(dims, psf, factor, **options)
    for actual, matrix, sizes, count, x in [
        (A.degrade(image.astype(dtype)), exact, weight, terms.sum(axis=1), image),
        (A.backproject(low.astype(dtype)), exact.conj().T, weight.T, terms.sum(axis=0), low),
    ]:
        x = x.astype(dtype).ravel()
        K = count * (2 if is_complex else 1) + 1
        gamma = K * (u := np.finfo(dtype).eps / 2) / (1 - K * u)
        error = actual.ravel() - matrix @ x.astype(exact.dtype)
        bound = gamma * (sizes @ (abs(x.real) + abs(x.imag)).astype(np.longdouble))
        assert (abs(error.real) <= bound).all()
        assert (abs(error.imag) <= bound).all()


@pytest.mark.parametrize("method", ["direct", "separable", "fft"])
class TestSameBits:
    """The result does not depend on who computes it, nor how often."""

    dims = (603, 600)

    def operator(self, method, workers=None):
        psf = np.random.default_rng(10).standard_normal((9, 9)).astype(np.float32)
        options = {"boundary": "symmetric", "workers": workers, "method": method}
        return DHOperator((2, *self.dims), psf, 2, **options)

    def products(self, A):
        rng = np.random.default_rng(11)
        x, y = rng.standard_normal(A.dims), rng.standard_normal(A.dimsd)
        x, y = x.astype(A.dtype), y.astype(A.dtype)
        return [sha256(image).hexdigest() for image in (A.degrade(x), A.backproject(y))]

    @pytest.mark.usefixtures("eight_processors")
    def test_over_workers(self, method):
        expected = self.products(self.operator(method, workers=1))
        for workers in (2, 3, 7, None):
            assert self.products(self.operator(method, workers)) == expected

    def test_over_repeats(self, method):
        A = self.operator(method)
        expected = self.products(A)
        for _ in range(12):
            assert self.products(A) == expected

    @pytest.mark.fuzz
    @pytest.mark.usefixtures("eight_processors")
    def test_over_workers_and_repeats_for_long(self, method):
        expected = self.products(self.operator(method, workers=1))
        for workers in (1, 2, 3, 7):
            A = self.operator(method, workers)
            for _ in range(50):
                assert self.products(A) == expected

    def test_from_eight_threads_at_once(self, method):
        A = self.operator(method)
        expected = self.products(A)
        with ThreadPoolExecutor(8) as pool:
            for result in pool.map(lambda _: self.products(A), range(16)):
                assert result == expected

    def test_over_columns(self, method):
        """A column of a matrix product is the product with that column."""
        psf = np.random.default_rng(12).standard_normal((4, 5))
        A = DHOperator((23, 17), psf, 2, method=method)
        X = np.random.default_rng(13).standard_normal((A.shape[1], 5))
        for column, result in zip(X.T, (A @ X).T, strict=True):
            assert_array_equal(A @ column, result)


@pytest.mark.parametrize("operand", [*np.typecodes["AllInteger"], "?", "e", "f", "d", "F", "D"])
@pytest.mark.parametrize("dtype", oracle.DTYPES)
def test_dtype_of_a_product(dtype, operand):
    """`numpy.result_type`, as the explicit matrix has it, whatever the operand."""
    rng = np.random.default_rng(14)
    A = DHOperator((5, 6), oracle.integer_psf(rng, (3, 2), 1, dtype), 2)
    x = abs(oracle.integers(rng, A.shape[1])).astype(operand)
    y = abs(oracle.integers(rng, A.shape[0])).astype(operand)
    expected = np.result_type(dtype, operand)
    matrix = oracle.matrix((5, 6), A.psf, 2)
    for actual, reference in [(A @ x, matrix @ x), (A.H @ y, matrix.conj().T @ y)]:
        assert actual.dtype == expected
        assert_array_equal(actual, reference)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_input_is_not_written_to(layout):
    rng = np.random.default_rng(15)
    A = DHOperator((5, 6), oracle.integer_psf(rng, (3, 2)), 2)
    for product, length in [(A.matvec, A.shape[1]), (A.rmatvec, A.shape[0])]:
        x = LAYOUTS[layout](oracle.integers(rng, length))
        before = x.copy()
        product(x)
        assert_array_equal(x, before)


def test_result_belongs_to_the_caller():
    """A second product does not change the first one's result."""
    A = DHOperator((5, 6), [[1.0, 2.0]], 1)
    first = A @ np.ones(30)
    copy = first.copy()
    second = A @ np.zeros(30)
    assert_array_equal(first, copy)
    second[:] = 7
    assert_array_equal(A @ np.ones(30), copy)


def test_dot_operator_is_composition():
    A = DHOperator((6, 6), np.arange(1.0, 10).reshape(3, 3), 2, boundary="wrap")
    composed = A @ A.H
    expected = oracle.matrix((6, 6), A.psf, 2, boundary="wrap")
    assert_array_equal(composed @ np.eye(9), expected @ expected.T)
