"""Faults 1 - 4 and 10 - 15: operands of unusual shapes, dtypes and kinds."""

import warnings

import numpy as np
import oracle
import pytest
import scipy
from child import run
from numpy.testing import assert_array_equal
from scipy import sparse
from small import DIMS, FACTOR, build, vectors

from dhop import DHOperator, super_resolve

SCIPY_1_18 = tuple(int(part) for part in scipy.__version__.split(".")[:2]) >= (1, 18)
RAGGED = [[1, 2], [3]]


class TestFault01:
    def test_fault_01_wrong_length_names_both_lengths(self):
        A = build()
        M, N = A.shape
        for products, right in [
            ([A.matvec, A.dot, A.__matmul__, A.H.rmatvec], N),
            ([A.rmatvec, A.H.matvec, A.H.dot, A.T.matvec], M),
        ]:
            for product in products:
                for wrong in (right - 1, right + 1):
                    with pytest.raises(ValueError) as error:
                        product(np.ones(wrong))
                    assert str(right) in str(error.value)
                    assert str(wrong) in str(error.value)

    def test_fault_01_wrong_height_names_both_lengths(self):
        A = build()
        M, N = A.shape
        for product, right in [(A.matmat, N), (A.dot, N), (A.rmatmat, M), (A.H.matmat, M)]:
            for wrong in (right - 1, right + 1):
                with pytest.raises(ValueError) as error:
                    product(np.ones((wrong, 2)))
                assert str(right) in str(error.value)
                assert str(wrong) in str(error.value)

    def test_fault_01_wrong_shape_names_both_shapes(self):
        A = build()
        for product, right in [(A.degrade, A.dims), (A.backproject, A.dimsd)]:
            for wrong in [(right[0] + 1, right[1]), (1, *right), (right[0] * right[1],), ()]:
                with pytest.raises(ValueError) as error:
                    product(np.ones(wrong))
                assert str(right) in str(error.value)
                assert str(wrong) in str(error.value)

    def test_fault_01_the_failing_call_compiles_nothing(self):
        run("""
            import sys
            import numpy as np
            import dhop
            for name in dhop.__all__:
                getattr(dhop, name)
            assert "numba" not in sys.modules, "import dhop"
            for slow in "ndimage", "optimize", "signal":
                assert "scipy." + slow not in sys.modules, "takes as long as all else"
            A = dhop.DHOperator((8, 9), np.ones((3, 3)), 2)
            before = set(sys.modules)
            for product in (A.matvec, A.rmatvec, A.matmat, A.dot, A.degrade):
                for wrong in (np.ones(71), np.ones((73, 2)), "x" * 72, None):
                    try:
                        product(wrong)
                    except (TypeError, ValueError):
                        pass
                    else:
                        raise AssertionError(wrong)
            # Nor do products with no columns, which are right (fault 3).
            assert (A @ np.empty((72, 0))).shape == (16, 0)
            assert A.rmatmat(np.empty((16, 0))).shape == (72, 0)
            new = set(sys.modules) - before
            assert not [name for name in new if name.startswith(("numba", "dhop.kernels"))], new
        """)


@pytest.mark.filterwarnings("ignore:.*column vectors.*:FutureWarning")
def test_fault_02_column_vectors(dtype):
    A = build(dtype)
    for product, x in vectors(A):
        expected = product(x)
        column = product(x[:, None])
        assert column.shape == (*expected.shape, 1)
        assert_array_equal(column[:, 0], expected)


def test_fault_02_scipys_warning_and_no_other():
    A = build()
    for operator in (A, A.H):
        x = np.ones((operator.shape[1], 1))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            operator @ x
        if SCIPY_1_18:
            with pytest.warns(FutureWarning, match="column vectors"):
                operator.matvec(x)
        else:
            operator.matvec(x)


def test_fault_03_no_columns(dtype):
    A = build(dtype)
    M, N = A.shape
    for product, length, shape in [
        (A.matmat, N, (M, 0)),
        (A.dot, N, (M, 0)),
        (A.rmatmat, M, (N, 0)),
        (A.H.matmat, M, (N, 0)),
        (A.T.matmat, M, (N, 0)),
    ]:
        for operand in (np.float32, np.complex128, np.int64):
            result = product(np.empty((length, 0), operand))
            assert result.shape == shape
            assert result.dtype == np.result_type(dtype, operand)


@pytest.mark.parametrize("batch", [(3,), (2, 3), (0,), (1,)])
def test_fault_04_batches_of_vectors(batch, dtype):
    A = build(dtype)
    for operator in (A, A.H, A.T):
        X = oracle.integers(np.random.default_rng(2), (*batch, operator.shape[1]), dtype)
        if SCIPY_1_18:
            result = operator.matvec(X)
            assert result.shape == (*batch, operator.shape[0])
            for index in np.ndindex(batch):
                assert_array_equal(result[index], operator.matvec(X[index]))
        else:
            with pytest.raises(ValueError):
                operator.matvec(X)


@pytest.mark.parametrize("operand", ["?", *np.typecodes["AllInteger"]])
class TestFault10:
    def test_fault_10_integers_are_float64(self, operand):
        A = build()
        for product, x in vectors(A):
            x = abs(x).astype(operand)
            assert product(x).dtype == np.float64
            assert_array_equal(product(x), product(x.astype(np.float64)))

    def test_fault_10_large_integers(self, operand):
        """Converted, not wrapped around."""
        A = build()
        x = np.ones(A.shape[1], operand)
        x[:] = True if operand == "?" else np.iinfo(operand).max
        assert_array_equal(A @ x, A @ x.astype(np.float64))

    def test_fault_10_integer_on_single_precision(self, operand):
        A = build(np.float32)
        x = np.ones(A.shape[1], operand)
        assert (A @ x).dtype == np.result_type(np.float32, operand)
        assert_array_equal(A @ x, A.to_sparse() @ x)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fault_10_half_precision(dtype):
    A = build(dtype)
    for product, x in vectors(A):
        half = x.astype(np.float16)
        assert product(half).dtype == dtype
        assert_array_equal(product(half), product(x))


class TestFault11:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("operand", [np.complex64, np.complex128])
    def test_fault_11_real_operator_on_complex_input(self, dtype, operand):
        rng = np.random.default_rng(4)
        psf = rng.standard_normal((3, 4)).astype(dtype)
        A = DHOperator(DIMS, psf, FACTOR, boundary="wrap")
        for product, length in [(A.matvec, A.shape[1]), (A.rmatvec, A.shape[0])]:
            x = (rng.standard_normal(length) + 1j * rng.standard_normal(length)).astype(operand)
            result = product(x)
            assert result.dtype == np.result_type(dtype, operand)
            assert_array_equal(result.real, product(x.real))
            assert_array_equal(result.imag, product(x.imag))

    def test_fault_11_adjoint_conjugates(self):
        A = build(np.complex128)
        for _, y in list(vectors(A))[1:]:
            assert_array_equal(A.H @ y, (A.T @ y.conj()).conj())
            assert_array_equal(A.H @ y, A.to_sparse().conj().T @ y)


def test_fault_12_extended_precision_is_refused(dtype):
    A = build(dtype)
    for operand in (np.longdouble, np.clongdouble):
        calls = [
            lambda x: A @ x,
            lambda x: A.matmat(x[:, None]),
            lambda x: A.degrade(x.reshape(A.dims)),
        ]
        for call in calls:
            with pytest.raises(TypeError, match=r"not supported; cast to (float64|complex128)"):
                call(np.ones(A.shape[1], operand))


NOT_NUMBERS = {
    "object": np.array([object()] * 70),
    "object numbers": np.ones(70, object),
    "str": np.array(["1"] * 70),
    "datetime64": np.zeros(70, "M8[s]"),
    "timedelta64": np.zeros(70, "m8[s]"),
    "structured": np.zeros(70, [("a", float)]),
    "bytes": b"1" * 70,
    "ragged": RAGGED,
    "none": None,
    "nones": [None] * 70,
    "dict": {1: 2},
    "function": len,
}


@pytest.mark.parametrize("name", NOT_NUMBERS)
def test_fault_13_not_numbers(name):
    A = build()
    value = NOT_NUMBERS[name]
    for call in (A.matvec, A.dot, A.matmat, A.degrade, A.rmatvec, A.backproject, A.H.matvec):
        with pytest.raises((TypeError, ValueError)) as error:
            call(value)
        assert "numba" not in f"{type(error.value).__module__}{error.value}"


class TestFault14:
    def test_fault_14_masked_values_are_refused(self):
        A = build()
        for product, x in vectors(A):
            masked = np.ma.array(x, mask=np.arange(len(x)) == 3)
            with pytest.raises(TypeError, match=r"\.filled\("):
                product(masked)
        image = np.ma.masked_less(np.arange(70.0).reshape(A.dims), 5)
        with pytest.raises(TypeError, match=r"\.filled\("):
            A.degrade(image)
        with pytest.raises(TypeError, match=r"\.filled\("):
            A @ np.ma.masked_less(np.arange(140.0).reshape(70, 2), 5)

    def test_fault_14_the_same_cold_and_warm(self):
        """Before anything is compiled and after: the same refusal, and the same result."""
        run("""
            import numpy as np
            from dhop import DHOperator

            A = DHOperator((6, 6), np.arange(9.0).reshape(3, 3), 2)
            masked = np.ma.masked_less(np.arange(36.0), 5)
            unmasked = np.ma.array(np.arange(36.0), mask=False)

            def refusal():
                try:
                    A @ masked
                except TypeError as error:
                    return str(error)

            cold = refusal(), A @ unmasked
            A.warmup()
            warm = refusal(), A @ unmasked
            assert ".filled(" in cold[0]
            assert cold[0] == warm[0]
            assert type(cold[1]) is type(warm[1]) is np.ndarray
            assert (cold[1] == warm[1]).all()
            assert (cold[1] == A @ np.arange(36.0)).all()
        """)

    @pytest.mark.parametrize("mask", [False, np.ma.nomask])
    def test_fault_14_nothing_masked_is_data(self, mask):
        A = build()
        for product, x in vectors(A):
            result = product(np.ma.array(x, mask=mask))
            assert_array_equal(result, product(x))


class TestFault15:
    @pytest.mark.parametrize("make", [sparse.csr_array, sparse.coo_array, sparse.csc_matrix])
    def test_fault_15_sparse_operands(self, make):
        A = build()
        for call in (lambda X: A @ X, A.dot, A.matmat):
            with pytest.raises(TypeError, match=r"to_sparse\(\) @"):
                call(make(np.eye(A.shape[1])))
        for call in (lambda X: A.H @ X, A.rmatmat, lambda X: X @ A):
            with pytest.raises(TypeError, match=r"to_sparse\(\)\.conj\(\)\.T @"):
                call(make(np.eye(A.shape[0])))

    @pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
    def test_fault_15_numpy_matrix(self):
        A = build()
        x = np.arange(float(A.shape[1]))
        result = A @ np.matrix(x).T
        assert_array_equal(np.asarray(result).ravel(), A @ x)

    @pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
    @pytest.mark.parametrize("method", ["direct", "separable", "fft"])
    def test_fault_15_numpy_matrix_for_an_image(self, method):
        A = build(method=method)
        for product, shape in ((A.degrade, A.dims), (A.backproject, A.dimsd)):
            image = np.arange(float(np.prod(shape))).reshape(shape)
            result = product(np.matrix(image))
            assert type(result) is np.ndarray
            assert_array_equal(result, product(image))

    @pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
    def test_fault_15_numpy_matrix_as_a_frame(self):
        frame, blur = np.arange(20.0).reshape(4, 5), np.ones((3, 3))
        expected = super_resolve(frame, blur, 2, beta=0.1).image
        assert_array_equal(super_resolve(np.matrix(frame), blur, 2, beta=0.1).image, expected)
