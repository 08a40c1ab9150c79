"""Bad or unusual input: the right result, or an error that says what is wrong. Numbered."""

import pickle
import tracemalloc
import warnings

import numpy as np
import oracle
import pytest
import scipy
from child import run
from layouts import LAYOUTS
from numpy.testing import assert_array_equal
from scipy import sparse

from dhop import DHOperator

SCIPY_1_18 = tuple(int(part) for part in scipy.__version__.split(".")[:2]) >= (1, 18)
DIMS, FACTOR = (7, 10), (2, 3)


@pytest.fixture(params=oracle.DTYPES, ids=lambda dtype: np.dtype(dtype).name)
def dtype(request):
    return request.param


def build(dtype=np.float64, **options):
    psf = oracle.integer_psf(np.random.default_rng(0), (3, 4), 1, dtype)
    return DHOperator(DIMS, psf, FACTOR, **{"boundary": "symmetric", **options})


def vectors(A, operand=None):
    """Both products of A, and an integer vector for each."""
    rng = np.random.default_rng(1)
    for product, length in [(A.matvec, A.shape[1]), (A.rmatvec, A.shape[0])]:
        yield product, oracle.integers(rng, length, np.dtype(operand or A.dtype).type)


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
            assert "numba" not in sys.modules, "import dhop"
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


def test_fault_03_no_columns_launch_nothing():
    run("""
        import sys
        import numpy as np
        from dhop import DHOperator
        A = DHOperator((8, 9), np.ones((3, 3)), 2)
        before = "numba" in sys.modules
        assert (A @ np.empty((72, 0))).shape == (16, 0)
        assert A.rmatmat(np.empty((16, 0))).shape == (72, 0)
        assert ("numba" in sys.modules) == before
    """)


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


@pytest.mark.parametrize("axis", [0, 1])
class TestFault05:
    def build(self, axis, n, **options):
        dims = [6, 6]
        dims[axis] = n
        return DHOperator(dims, np.ones((3, 3)), 2, **options)

    def test_fault_05_empty_image_names_the_axis(self, axis):
        with pytest.raises(ValueError, match=rf"axis ({axis}|{axis - 2})\b"):
            self.build(axis, 0)

    def test_fault_05_no_sample_left_names_the_axis(self, axis):
        for n, phase, decimation in [(1, 1, "sample"), (2, 1, "sum"), (1, 0, "mean")]:
            phases = [0, 0]
            phases[axis] = phase
            with pytest.raises(ValueError, match=rf"axis ({axis}|{axis - 2})\b"):
                self.build(axis, n, phase=tuple(phases), decimation=decimation)


def test_fault_05_empty_batch_names_the_axis():
    with pytest.raises(ValueError, match=r"axis (0|-3)\b"):
        DHOperator((0, 6, 6), np.ones((3, 3)), 2)


class TestFault06:
    def test_fault_06_read_only(self, dtype):
        A = build(dtype)
        for product, x in vectors(A):
            assert_array_equal(product(LAYOUTS["readonly"](x)), product(x))

    def test_fault_06_memory_map(self, tmp_path, dtype):
        joblib = pytest.importorskip("joblib")
        A = build(dtype)
        for product, x in vectors(A):
            joblib.dump(x, tmp_path / "x")
            mapped = joblib.load(tmp_path / "x", mmap_mode="r")
            assert isinstance(mapped, np.memmap)
            assert not mapped.flags.writeable
            result = product(mapped)
            assert type(result) is np.ndarray
            assert_array_equal(result, product(x))
            del mapped

    def test_fault_06_no_copy(self):
        """An aligned native contiguous image is read where it is."""
        A = DHOperator((1000, 1000), np.ones((3, 3)), 2, workers=1)
        image, out = np.ones(A.dims), np.empty(A.dimsd)
        image.flags.writeable = False
        A.degrade(image, out=out)
        tracemalloc.start()
        try:
            A.degrade(image, out=out)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < image.nbytes / 2


class TestFault07:
    @pytest.mark.parametrize("layout", ["reversed", "stepped", "column"])
    def test_fault_07_strided_vectors(self, layout, dtype):
        A = build(dtype)
        for product, x in vectors(A):
            assert_array_equal(product(LAYOUTS[layout](x)), product(x))

    def test_fault_07_matrices_and_images(self, dtype):
        A = build(dtype)
        rng = np.random.default_rng(3)
        for X in (oracle.integers(rng, (A.shape[1], 4), dtype),):
            expected = A @ X
            wide = np.repeat(np.repeat(X, 2, axis=0), 3, axis=1)
            views = [np.asfortranarray(X), wide[::2, ::3], X[::-1, ::-1].copy()[::-1, ::-1]]
            for view in views:
                assert_array_equal(A @ view, expected)
        image = oracle.integers(rng, A.dims, dtype)
        for view in (np.asfortranarray(image), image[::-1].copy()[::-1]):
            assert_array_equal(A.degrade(view), A.degrade(image))

    def test_fault_07_broadcast_views(self, dtype):
        """Zero strides."""
        A = build(dtype)
        value = np.asarray(3, dtype)
        for operand, product in [
            (np.broadcast_to(value, A.shape[1]), A.matvec),
            (np.broadcast_to(value, (A.shape[1], 3)), A.matmat),
            (np.broadcast_to(value, A.dims), A.degrade),
            (
                np.broadcast_to(np.arange(A.shape[0], dtype=dtype)[:, None], (A.shape[0], 3)),
                A.rmatmat,
            ),
        ]:
            assert_array_equal(product(operand), product(np.ascontiguousarray(operand)))


@pytest.mark.parametrize("operand", [">f4", ">f8", ">c8", ">c16", ">i2", ">u8"])
def test_fault_08_foreign_byte_order(operand, dtype):
    A = build(dtype)
    native = np.dtype(operand).newbyteorder("=")
    for product, x in vectors(A):
        foreign = abs(x).astype(operand)
        result = product(foreign)
        assert result.dtype.isnative
        assert result.dtype == np.result_type(dtype, native)
        assert_array_equal(result, product(foreign.astype(native)))


def test_fault_09_unaligned(dtype):
    A = build(dtype)
    for product, x in vectors(A):
        unaligned = LAYOUTS["unaligned"](x)
        assert not unaligned.flags.aligned
        assert_array_equal(product(unaligned), product(x))


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


RAGGED = [[1, 2], [3]]
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

    @pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
    def test_fault_15_numpy_matrix(self):
        A = build()
        x = np.arange(float(A.shape[1]))
        result = A @ np.matrix(x).T
        assert_array_equal(np.asarray(result).ravel(), A @ x)


@pytest.mark.parametrize("boundary", oracle.BOUNDARIES)
class TestFault16And17:
    """What is not finite reaches the outputs that have a tap on it, and no others."""

    def build(self, boundary, dtype=np.float64):
        rng = np.random.default_rng(5)
        args = DIMS, oracle.sparse_psf(rng, (4, 5), 1, dtype), FACTOR
        return DHOperator(*args, boundary=boundary), oracle.terms(*args, boundary=boundary) > 0

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_fault_16_one_nan(self, boundary, dtype):
        A, pattern = self.build(boundary, dtype)
        for (product, x), touched in zip(vectors(A), (pattern, pattern.T), strict=True):
            finite = product(x)
            for pixel in range(0, len(x), 3):
                dirty = x.copy()
                dirty[pixel] = np.nan
                result = product(dirty)
                assert_array_equal(np.isnan(result), touched[:, pixel])
                clean = ~touched[:, pixel]
                assert_array_equal(result[clean], finite[clean])

    def test_fault_17_infinities(self, boundary):
        """The same set as the explicit matrix has; the same values where taps do not meet.

        (Two taps of opposite signs on one infinite pixel make NaN; their sum may not.)
        """
        A, _ = self.build(boundary)
        matrix = A.to_sparse()
        terms = oracle.terms(DIMS, A.psf, FACTOR, boundary=boundary)
        dirts = [{5: np.inf}, {0: -np.inf}, {2: np.inf, 3: -np.inf}, {1: np.inf, 4: np.nan}]
        for (product, x), reference, counts in zip(
            vectors(A), (matrix, matrix.T), (terms, terms.T), strict=True
        ):
            for dirt in dirts:
                dirty = x.copy()
                dirty[list(dirt)] = list(dirt.values())
                expected = reference @ dirty
                alone = (counts[:, list(dirt)] <= 1).all(axis=1)
                assert alone.any()
                assert_array_equal(product(dirty)[alone], expected[alone])
                assert_array_equal(np.isfinite(product(dirty)), np.isfinite(expected))


class TestFault18:
    def test_fault_18_overflow_is_infinity(self):
        A = DHOperator((4, 6), [[10.0, 1.0, 1.0]], 2)
        result = A @ np.full(24, 1e308)
        assert np.isinf(result).all()
        assert np.isinf(A.H @ np.full(6, 1e308)).any()

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_fault_18_subnormals_are_kept(self, dtype):
        tiny = np.finfo(dtype).smallest_subnormal
        A = build(dtype)
        matrix = oracle.matrix(DIMS, A.psf, FACTOR, boundary="symmetric")
        for (product, x), reference in zip(vectors(A), (matrix, matrix.T), strict=True):
            expected = (reference @ x).astype(dtype) * tiny
            assert_array_equal(product(x * tiny), expected)


class TestFault19:
    @pytest.mark.parametrize(
        "psf",
        [
            np.ones((0, 3)),
            np.ones((3, 0)),
            [],
            1.0,
            np.ones(3),
            np.ones((3, 3, 3)),
            [[1.0, np.nan]],
            [[np.inf, 1.0]],
            [[1j * np.nan]],
            np.ma.array([[1.0, 2.0]], mask=[[True, False]]),
        ],
    )
    def test_fault_19_psfs_that_are_none(self, psf):
        with pytest.raises(ValueError, match=r"(?i)psf"):
            DHOperator((5, 6), psf, 2)

    @pytest.mark.parametrize("psf", [None, "psf", [["a"]], [[object()]], RAGGED])
    def test_fault_19_psfs_that_are_no_numbers(self, psf):
        with pytest.raises((TypeError, ValueError)):
            DHOperator((5, 6), psf, 2)

    def test_fault_19_overflow_in_the_dtype(self):
        """Finite in float64, but not in the operator's dtype."""
        with pytest.raises(ValueError):
            DHOperator((5, 6), [[1e300]], 2, dtype=np.float32)

    def test_fault_19_overflow_of_a_block_sum(self):
        """Finite taps whose sum is not: refused, without a warning."""
        with pytest.raises(ValueError):
            DHOperator((5, 6), np.full((3, 3), 1e308), 2)

    def test_fault_19_underflow_in_the_dtype(self):
        """A tap that rounds to zero is no tap: not stored, not computed with, not counted."""
        A = DHOperator((3, 4), [[1e-60, 1, 0]], 1, dtype=np.float32)
        x = np.ones(12, np.float32)
        x[5] = np.nan
        assert A.nnz == A.to_sparse().nnz == 12
        for product in (A @ x, A.H @ x, A.to_sparse() @ x):
            assert_array_equal(np.isnan(product), np.isnan(x))

    def test_fault_19_zero_is_a_psf(self, dtype):
        A = DHOperator((5, 6), np.zeros((3, 3), dtype), 2)
        assert A.nnz == 0
        assert_array_equal(A @ np.full(30, np.inf), np.zeros(6))
        assert_array_equal(A.H @ np.ones(6), np.zeros(30))


@pytest.mark.parametrize("decimation", oracle.DECIMATIONS)
@pytest.mark.parametrize("boundary", oracle.BOUNDARIES)
@pytest.mark.parametrize("dims", [(1, 1), (1, 4), (2, 3), (3, 2), (5, 1)])
def test_fault_20_psf_wider_than_the_image(dims, boundary, decimation):
    """Several folds on each side: forward and adjoint exact."""
    rng = np.random.default_rng(6)
    for times in (2, 5):
        psf = oracle.integer_psf(rng, [times * n + 3 for n in dims])
        args, options = (dims, psf, 1), {"boundary": boundary, "decimation": decimation}
        A = DHOperator(*args, **options)
        expected = oracle.matrix(*args, **options)
        assert_array_equal(A @ np.eye(A.shape[1]), expected)
        assert_array_equal(A.H @ np.eye(A.shape[0]), expected.T)
        assert_array_equal(A.to_sparse().toarray(), expected)


class TestFault21:
    def build(self, factor=2, dims=(6, 9), **options):
        return DHOperator(dims, np.ones((3, 3)), factor, **options)

    @pytest.mark.parametrize("name", ["factor", "phase", "center"])
    @pytest.mark.parametrize(
        "value", [2.5, 2.0, "2", True, None.__class__, (2, 1.5), (True, 2), 1j]
    )
    def test_fault_21_not_an_integer(self, name, value):
        with pytest.raises(TypeError):
            self.build(**{name: value})

    @pytest.mark.parametrize("name", ["factor", "phase", "center"])
    @pytest.mark.parametrize("value", [(), (1,), (1, 1, 1), [1, 1, 1, 1]])
    def test_fault_21_wrong_length(self, name, value):
        with pytest.raises(ValueError, match=name):
            self.build(**{name: value})

    @pytest.mark.parametrize("factor", [0, -1, (2, 0), (-3, 1)])
    def test_fault_21_not_positive(self, factor):
        with pytest.raises(ValueError, match="factor"):
            self.build(factor)

    @pytest.mark.parametrize("phase", [-1, 2, (0, 2), (-1, 0)])
    def test_fault_21_phase_out_of_range(self, phase):
        with pytest.raises(ValueError, match="phase"):
            self.build(2, phase=phase)

    @pytest.mark.parametrize(
        "factor", [np.int64(3), np.uint8(3), np.array(3), [3, 3], np.array([3, 3])]
    )
    def test_fault_21_anything_with_an_index(self, factor):
        A = self.build(factor)
        assert A.factor == (3, 3)
        assert all(type(f) is int for f in A.factor)
        assert_array_equal(A @ np.eye(54), oracle.matrix((6, 9), np.ones((3, 3)), 3))

    @pytest.mark.parametrize("factor", [(7, 1), (100, 2), (2**40, 1), (2**70, 1)])
    def test_fault_21_factor_larger_than_the_image(self, factor):
        for decimation in ("sum", "mean"):
            with pytest.raises(ValueError, match=r"axis (0|-2)\b"):
                self.build(factor, decimation=decimation)
        A = self.build(factor, decimation="sample")
        assert A.dimsd[0] == 1
        small = (6, factor[1])  # one sample is what factor 6 gives, too
        expected = oracle.matrix((6, 9), np.ones((3, 3)), small, decimation="sample")
        assert_array_equal(A @ np.eye(54), expected)

    @pytest.mark.parametrize(
        ("options", "error"),
        [
            ({"dims": (6,)}, ValueError),
            ({"dims": ()}, ValueError),
            ({"dims": 36}, (TypeError, ValueError)),
            ({"dims": (6.0, 9)}, TypeError),
            ({"dims": (True, 9)}, TypeError),
            ({"dims": "69"}, TypeError),
            ({"dims": (-6, 9)}, ValueError),
            ({"axes": (0, 0)}, ValueError),
            ({"axes": (0, -2)}, ValueError),
            ({"axes": (0, 2)}, ValueError),
            ({"axes": (-3, 0)}, ValueError),
            ({"axes": (0,)}, ValueError),
            ({"axes": (0, 1.0)}, TypeError),
            ({"axes": 1}, (TypeError, ValueError)),
            ({"boundary": "zeros"}, ValueError),
            ({"boundary": ("wrap",)}, ValueError),
            ({"boundary": ("wrap", "none")}, ValueError),
            ({"boundary": 3}, (TypeError, ValueError)),
            ({"boundary": None}, (TypeError, ValueError)),
            ({"decimation": "max"}, ValueError),
            ({"decimation": None}, (TypeError, ValueError)),
            ({"method": "best"}, ValueError),
            ({"method": 1}, (TypeError, ValueError)),
        ],
    )
    def test_fault_21_other_arguments(self, options, error):
        with pytest.raises(error):
            self.build(**options)

    @pytest.mark.parametrize("axes", [(0, 3), (-4, 1)])
    def test_fault_21_bad_axes_are_named(self, axes):
        with pytest.raises(ValueError, match=r"axis.*(3|-4)|(3|-4).*ax[ei]s"):
            self.build(dims=(2, 6, 9), axes=axes)


class TestFault22:
    def test_fault_22_later_edits_change_nothing(self):
        psf, dims, factor = np.ones((3, 3)), [6, 9], [2, 3]
        phase, center, axes, boundary = [0, 1], [1, 2], [0, 1], ["wrap", "edge"]
        A = DHOperator(dims, psf, factor, phase=phase, center=center, axes=axes, boundary=boundary)
        expected = A @ np.eye(54)
        psf[:] = np.nan
        for given in (dims, factor, phase, center, axes):
            given[:] = [1, 0]
        boundary[:] = ["constant", "constant"]
        for copy in (A, pickle.loads(pickle.dumps(A))):
            assert copy.dims == (6, 9)
            assert_array_equal(copy.psf, np.ones((3, 3)))
            assert_array_equal(copy @ np.eye(54), expected)
            assert_array_equal(copy.to_sparse().toarray(), expected)

    def test_fault_22_psf_is_read_only(self):
        A = build()
        with pytest.raises(ValueError):
            A.psf[0, 0] = 1
        with pytest.raises(ValueError):
            A.psf[...] = 1

    @pytest.mark.parametrize("name", ["shape", "dims", "dimsd", "psf", "factor", "method"])
    def test_fault_22_properties_are_read_only(self, name):
        with pytest.raises(AttributeError):
            setattr(build(), name, None)


# Arrays that cannot take a result, made from one that can and from the operand's buffer.
REFUSED_OUTS = {
    "read-only": lambda good, _: LAYOUTS["readonly"](good),
    "narrower": lambda good, _: good.astype(np.float32),
    "wider": lambda good, _: good.astype(np.complex128),
    "integer": lambda good, _: good.astype(np.int64),
    "foreign byte order": lambda good, _: LAYOUTS["big-endian"](good),
    "larger": lambda good, _: np.pad(good, ((0, 1), (0, 0))),
    "ravelled": lambda good, _: good.ravel(),
    "one more axis": lambda good, _: good[None],
    "Fortran order": lambda good, _: np.asfortranarray(good),
    "stepped": lambda good, _: np.repeat(good, 2, axis=1)[:, ::2],
    "unaligned": lambda good, _: np.frombuffer(bytearray(good.nbytes + 1), offset=1).reshape(
        good.shape
    ),
    "overlapping": lambda good, buffer: buffer[-good.size :].reshape(good.shape),
    "list": lambda good, _: good.tolist(),
}


@pytest.mark.parametrize("name", REFUSED_OUTS)
def test_fault_23_out_that_cannot_take_the_result(name):
    A = build()
    for product, shape, out_shape in [
        (A.degrade, A.dims, A.dimsd),
        (A.backproject, A.dimsd, A.dims),
    ]:
        # room around the operand, so that a result can overlap it
        buffer = np.full(max(A.shape), 2.0)
        operand = buffer[: np.prod(shape)].reshape(shape)
        out = REFUSED_OUTS[name](np.full(out_shape, 7.0), buffer)
        before = np.array(out)
        with pytest.raises((TypeError, ValueError)):
            product(operand, out=out)
        assert_array_equal(np.array(out), before)
        assert (buffer == 2).all()


def test_fault_23_right_result_into_a_view():
    """Refused for a reason: a contiguous view of something larger is fine."""
    A = build()
    buffer = np.zeros((3, *A.dimsd))
    image = np.arange(70.0).reshape(A.dims)
    A.degrade(image, out=buffer[1])
    assert_array_equal(buffer[1], A.degrade(image))
    assert_array_equal(buffer[::2], 0)
