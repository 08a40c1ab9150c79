"""What an operator says about itself, and the operators made from it."""

import copy
import pickle

import numpy as np
import oracle
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse.linalg import LinearOperator

import dhop
from dhop import DHOperator

PSF = np.arange(1.0, 7.0).reshape(2, 3)
READ_ONLY = ("shape", "dims", "dimsd", "psf", "factor", "method", "nnz", "blur_operator")


def test_public_names():
    names = {"DHOperator", "FrameStack", "Solution", "psf", "super_resolve"}
    assert names <= set(dhop.__all__)
    assert all(hasattr(dhop, name) for name in dhop.__all__)


@pytest.mark.parametrize("method", ["auto", "direct"])
def test_attributes(method):
    A = DHOperator((3, 7, 10), PSF, (2, 3), phase=(1, 0), method=method)
    assert isinstance(A, LinearOperator)
    assert A.dims == (3, 7, 10)
    assert A.dimsd == (3, 3, 3)
    assert A.shape == (27, 210)
    assert A.dtype == np.float64
    assert A.factor == (2, 3)
    assert A.method == "direct"
    assert_array_equal(A.psf, PSF)
    assert A.clinear is True
    assert A.explicit is False


@pytest.mark.parametrize("decimation", oracle.DECIMATIONS)
def test_dimsd(decimation):
    """A sum needs its whole block, a sample only its pixel."""
    for n in range(1, 12):
        for factor in range(1, n + 1):
            for phase in range(factor):
                outputs = len(oracle.decimator(n, factor, phase, decimation))
                if outputs:
                    options = {"decimation": decimation, "phase": (phase, 0)}
                    assert DHOperator((n, 2), PSF, (factor, 1), **options).dimsd == (outputs, 2)


@pytest.mark.parametrize(
    ("psf", "dtype", "expected"),
    [
        (np.float32, None, np.float32),
        (np.float64, None, np.float64),
        (np.complex64, None, np.complex64),
        (np.complex128, None, np.complex128),
        (np.float16, None, np.float32),
        (np.int8, None, np.float64),
        (np.uint64, None, np.float64),
        (bool, None, np.float64),
        (np.longdouble, None, np.float64),
        (">f4", None, np.float32),
        (np.float64, np.float32, np.float32),
        (np.float32, np.float64, np.float64),
        (np.int64, "complex64", np.complex64),
        (np.float32, complex, np.complex128),
    ],
)
def test_dtype(psf, dtype, expected):
    A = DHOperator((4, 5), np.ones((2, 3)).astype(psf), 2, dtype=dtype)
    assert A.dtype == expected
    assert A.dtype.isnative
    expected = oracle.matrix((4, 5), np.ones((2, 3)), 2)
    assert_array_equal(A @ np.eye(20), expected)
    assert_array_equal(A.to_sparse().toarray(), expected)
    assert A.to_sparse().dtype == A.dtype


def test_lists_are_psfs_too():
    A = DHOperator([4, 5], PSF.astype(int).tolist(), [2, 1])
    assert A.dtype == np.float64
    assert_array_equal(A @ np.eye(20), oracle.matrix((4, 5), PSF, (2, 1)))


@pytest.mark.parametrize("dtype", [np.int64, np.float16, np.longdouble, object, "U1"])
def test_other_dtypes_are_refused(dtype):
    with pytest.raises(TypeError):
        DHOperator((4, 5), PSF, 2, dtype=dtype)


def test_complex_psf_does_not_fit_a_real_operator():
    with pytest.raises((TypeError, ValueError)):
        DHOperator((4, 5), PSF * 1j, 2, dtype=np.float64)


@pytest.mark.parametrize("decimation", oracle.DECIMATIONS)
@pytest.mark.parametrize("boundary", oracle.BOUNDARIES)
@pytest.mark.parametrize("psf", oracle.PSFS)
def test_parts(psf, boundary, decimation):
    """H blurs in place, D decimates, `D @ H` is A."""
    for args, options in oracle.grid(
        psf, boundary=boundary, decimation=decimation, sizes=((6, 5),), factors=((2, 3),)
    ):
        dims, taps, factor = args
        A = DHOperator(*args, **options)
        H, D = A.blur_operator, A.decimation_operator
        assert isinstance(H, DHOperator)
        assert isinstance(D, DHOperator)
        assert H.dims == H.dimsd == D.dims == A.dims
        assert D.dimsd == A.dimsd
        assert H.dtype == D.dtype == A.dtype
        identity = np.eye(A.shape[1], dtype=A.dtype)
        center = {"center": options["center"]} if "center" in options else {}
        assert_array_equal(H @ identity, oracle.matrix(dims, taps, 1, boundary=boundary, **center))
        if decimation == "mean":  # the weights of D are rounded on their own
            weight = oracle.matrix(dims, abs(taps), factor, **options)
            limit = 4 * np.prod(factor) * np.finfo(A.dtype).eps * weight
            assert (abs((D @ H) @ identity - A @ identity) <= limit).all()
        else:
            assert_array_equal((D @ H) @ identity, A @ identity)
        one = {"decimation": "sum" if decimation == "mean" else decimation}
        only = oracle.matrix(dims, np.ones((1, 1)), factor, phase=options["phase"], **one)
        scale = np.asarray(1 / np.prod(factor), A.dtype) if decimation == "mean" else 1
        assert_array_equal(D @ identity, only * scale)


def test_parts_of_a_batch():
    rng = np.random.default_rng(0)
    A = DHOperator((6, 2, 5), oracle.integer_psf(rng, (3, 2)), (3, 2), axes=(2, 0), phase=(1, 1))
    parts = A.decimation_operator @ A.blur_operator
    assert_array_equal(parts @ np.eye(60), A @ np.eye(60))


COPIES = {
    "pickle": lambda operator: pickle.loads(pickle.dumps(operator)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}
DERIVED = {
    "A": lambda A: A,
    "A.H": lambda A: A.H,
    "A.T": lambda A: A.T,
    "2*A": lambda A: 2 * A,
    "A.gram()": lambda A: A.gram(),
    "A.blur_operator": lambda A: A.blur_operator,
    "A.decimation_operator": lambda A: A.decimation_operator,
}


@pytest.mark.parametrize("make_copy", COPIES)
@pytest.mark.parametrize("derived", DERIVED)
def test_copies_are_equal(derived, make_copy):
    rng = np.random.default_rng(1)
    A = DHOperator(
        (2, 7, 5),
        oracle.integer_psf(rng, (3, 4), 1, np.complex64),
        (3, 2),
        decimation="sample",
        boundary=("wrap", "edge"),
        center=(0, 5),
        phase=(2, 1),
        axes=(2, 1),
        workers=1,
    )
    operator = DERIVED[derived](A)
    twin = COPIES[make_copy](operator)
    identity = np.eye(operator.shape[1], dtype=np.complex64)
    assert twin.shape == operator.shape
    assert twin.dtype == operator.dtype
    assert_array_equal(twin @ identity, operator @ identity)
    assert_array_equal(twin.H @ np.eye(operator.shape[0]), operator.H @ np.eye(operator.shape[0]))


def test_pickle_is_small():
    """It is made of the constructor's arguments: no tables, no threads, no caches."""
    A = DHOperator((3000, 2000), np.ones((31, 31)), 2, boundary="wrap")
    A.norm(1)
    assert len(pickle.dumps(A)) < 2 * A.psf.nbytes


def test_repr_says_what_it_is():
    A = DHOperator((3, 6, 9), PSF.astype("f4"), (2, 3), boundary=("edge", "wrap"))
    text = repr(A)
    for word in ("DHOperator", "(3, 6, 9)", "(3, 3, 3)", "(2, 3)", "edge", "wrap", "direct"):
        assert word in text
    assert "float32" in text


@pytest.mark.parametrize("name", READ_ONLY)
def test_attributes_are_read_only(name):
    A = DHOperator((6, 9), PSF, 2)
    with pytest.raises(AttributeError):
        setattr(A, name, getattr(A, name))


def test_products_of_arrays_have_the_arrays_shapes():
    A = DHOperator((2, 6, 9), PSF, (2, 3), axes=(1, 2))
    assert A.degrade(np.ones((2, 6, 9))).shape == (2, 3, 3)
    assert A.backproject(np.ones((2, 3, 3))).shape == (2, 6, 9)


@pytest.mark.parametrize("dtype", oracle.DTYPES)
def test_out_receives_the_result(dtype):
    rng = np.random.default_rng(2)
    A = DHOperator((6, 9), oracle.integer_psf(rng, (3, 2), 1, dtype), 2)
    image, low = oracle.integers(rng, A.dims, dtype), oracle.integers(rng, A.dimsd, dtype)
    for product, x, shape in [(A.degrade, image, A.dimsd), (A.backproject, low, A.dims)]:
        out = np.full(shape, np.nan, dtype)
        assert product(x, out=out) is out
        assert_array_equal(out, product(x))


def test_workers():
    A = DHOperator((6, 9), PSF, 2, workers=np.int64(3))
    assert_array_equal(A @ np.eye(54), oracle.matrix((6, 9), PSF, 2))
    for workers, error in [(0, ValueError), (-1, ValueError), (1.5, TypeError), ("2", TypeError)]:
        with pytest.raises(error):
            DHOperator((6, 9), PSF, 2, workers=workers)


@pytest.mark.parametrize("decimation", oracle.DECIMATIONS)
@pytest.mark.parametrize("axes", [(-2, -1), (0, 2), (2, 0), (1, 0)])
def test_of_one_image(axes, decimation):
    """It does to an image what the operator does to each, in the order of its axes."""
    options = {"decimation": decimation, "boundary": ("wrap", "edge"), "phase": (1, 0)}
    options |= {"center": (0, 2), "dtype": np.float32, "workers": 2, "method": "direct"}
    A = DHOperator((6, 7, 8), PSF, (2, 3), axes=axes, **options)
    one = A.of_one_image()
    x = np.random.default_rng(0).integers(-4, 5, A.dims).astype(np.float32)
    rest = ({0, 1, 2} - set(A.axes)).pop()
    for image, expected in zip(np.moveaxis(x, rest, 0), np.moveaxis(A.degrade(x), rest, 0),
                               strict=True):  # fmt: skip
        assert_array_equal(one.degrade(image), expected)
    for name in ("factor", "decimation", "dtype", "workers", "method"):
        assert getattr(one, name) == getattr(A, name)
    assert one.dims == tuple(np.delete(A.dims, rest))
    assert_array_equal(one.psf, A.psf)
