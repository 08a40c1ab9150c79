"""Every method computes the same products, to the error that each may have."""

import itertools
import threading
import tracemalloc

import numpy as np
import oracle
import pytest
from scipy import fft

from dhop import DHOperator
from dhop.methods import direct, separable
from dhop.runtime import parallel

EXACT = {"f": 0, "c": 2e-3}  # complex PSFs are factorised with rounding
METHODS = ["direct", "separable", "fft"]
# dims, factor, phase
CASES = [
    ((12, 18), (2, 3), 0),
    ((13, 11), (3, 1), (2, 0)),
    ((8, 7), 1, 0),
    ((5, 2), (1, 2), 0),
    ((5, 40), (2, 4), (1, 3)),
]
SHAPES = {"small": (3, 4), "even": (6, 2), "wide": (5, 9), "oversized": (29, 27), "pixel": (1, 1)}


def gaussian_integers(rng, shape, dtype):
    values = rng.standard_normal(shape)
    if np.issubdtype(dtype, np.complexfloating):
        values = values + 1j * rng.standard_normal(shape)
    return values.astype(dtype)


@pytest.mark.parametrize("dtype", oracle.DTYPES)
@pytest.mark.parametrize("boundary", oracle.BOUNDARIES)
@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_the_matrix(method, boundary, dtype):
    """`max|err| <= 10 u log2(N) |folded|_2 |x|_2`, the bound of the Fourier method, for all.

    Boundaries and dtypes take turns at the cases and at their three decimations, so that each is
    met by every method several times.
    """
    rng = np.random.default_rng(0)
    turn = oracle.BOUNDARIES.index(boundary) + oracle.DTYPES.index(dtype)
    cases = list(itertools.product(SHAPES.values(), CASES))
    for number in range(turn % 2, len(cases), 2):
        shape, (dims, factor, phase) = cases[number]
        decimation = oracle.DECIMATIONS[(turn + number) % 3]
        psf = gaussian_integers(rng, shape, dtype)
        options = {"boundary": boundary, "decimation": decimation, "phase": phase}
        A = DHOperator((2, *dims), psf, factor, method=method, **options)
        S = A.to_sparse().astype(np.clongdouble)
        x, y = (gaussian_integers(rng, n, dtype) for n in (A.shape[1], A.shape[0]))
        scale = 10 * np.finfo(dtype).eps / 2 * np.log2(A.shape[1])
        scale *= np.linalg.norm(A.model.weights)
        assert abs(A @ x - S @ x).max() <= scale * np.linalg.norm(x)
        assert abs(A.H @ y - S.conj().T @ y).max() <= scale * np.linalg.norm(y)


@pytest.mark.parametrize("dtype", oracle.DTYPES)
@pytest.mark.parametrize("width", [1, 4, 5, 8, 9, 15, 16, 17, 24, 31, 32, 33, 40, 65, 70])
def test_wide_rows_are_exact(width, dtype):
    """Of whole numbers, whichever taps along a row share their loads, and whichever are missing.

    All taps and some of them take turns, from a factor, a width and a dtype to the next.
    """
    rng = np.random.default_rng(width)
    for factor, columns in ((1, 50), (2, 131), (3, 201)):
        missing = 0.3 * ((factor + width // 2 + oracle.DTYPES.index(dtype)) % 2)
        row = rng.integers(1, 4, width) * (rng.random(width) >= missing)
        psf = np.outer([1, 2, 1], row).astype(dtype)
        A = DHOperator((7, columns), psf, factor, method="separable", boundary="symmetric")
        S = A.to_sparse()
        x, y = (rng.integers(-4, 5, (n, 2)).astype(dtype) for n in (A.shape[1], A.shape[0]))
        if A.dtype.kind == "c":
            x, y = (each.astype(dtype) for each in (x @ [[1], [1j]], y @ [[1j], [1]]))
        np.testing.assert_allclose(A @ x, S @ x, rtol=0, atol=EXACT[A.dtype.kind])
        np.testing.assert_allclose(A.H @ y, S.conj().T @ y, rtol=0, atol=EXACT[A.dtype.kind])


@pytest.mark.parametrize("boundary", oracle.BOUNDARIES)
def test_images_that_no_cache_holds_are_exact(boundary, monkeypatch):
    """Of whole numbers: rows are asked for up to the last ones, and where none is read."""
    monkeypatch.setattr(separable, "NEAR", 0)
    rng = np.random.default_rng(0)
    psf = np.outer(rng.integers(1, 4, 5), rng.integers(1, 4, 4))
    for dims, factor, center in [
        ((13, 41), (2, 3), None),
        ((3, 180), 1, None),
        ((40, 170), 4, None),
        ((9, 37), 1, (1, 30)),
        ((9, 37), 3, (300, 2)),
    ]:
        options = {"center": center, "boundary": boundary, "dtype": "float32"}
        A = DHOperator((3, *dims), psf, factor, method="separable", **options)
        S = A.to_sparse()
        x, y = (rng.integers(-4, 5, n).astype(np.float32) for n in (A.shape[1], A.shape[0]))
        np.testing.assert_array_equal(A @ x, S @ x)
        np.testing.assert_array_equal(A.H @ y, S.T @ y)


@pytest.mark.parametrize("dtype", oracle.DTYPES)
@pytest.mark.parametrize("boundary", ["wrap", "symmetric"])
@pytest.mark.parametrize("method", METHODS)
def test_normal_equations(method, boundary, dtype):
    """The Gram product is one round trip of the Fourier method if the image wraps."""
    rng = np.random.default_rng(7)
    sizes = [((12, 18), (2, 3)), ((12, 10), 1), ((7, 11), 2)]
    first = oracle.DTYPES.index(dtype) % 2  # of two that follow each other one has its turn
    for shape, (dims, factor) in list(itertools.product(SHAPES.values(), sizes))[first::2]:
        psf = gaussian_integers(rng, shape, dtype)
        A = DHOperator((2, *dims), psf, factor, method=method, boundary=boundary)
        S = A.to_sparse().astype(np.clongdouble)
        x = gaussian_integers(rng, A.shape[1], dtype)
        scale = 10 * np.finfo(dtype).eps / 2 * np.log2(x.size) * np.linalg.norm(A.model.weights)
        largest = np.sqrt(A.norm(1) * A.norm(np.inf))  # at least the largest singular value
        bound = scale * 2 * np.sqrt(x.size) * largest * np.linalg.norm(x)
        assert abs(A.gram() @ x - S.conj().T @ (S @ x)).max() <= bound


@pytest.mark.parametrize("factor", [1, 3])
@pytest.mark.parametrize("method", ["direct", "separable"])
def test_no_running_sum_is_long(method, factor):
    """A sum of 1681 ones and a number that is rounded to steps of 2 keeps most of the ones.

    Sums of 32 terms, 53 of those, or some more at the ends of what two rows share, have the error
    bound of 92 terms.
    """
    A = DHOperator((48, 48), np.ones((41, 41)), factor, method=method, decimation="sample",
                   boundary="wrap", dtype=np.float32)  # fmt: skip
    S = A.to_sparse().astype(np.longdouble)
    for matrix, product, start in (S, A, 0), (S.T, A.H, 7):
        for place in start, matrix.shape[1] // 2 + 5, matrix.shape[1] - 1 - start:
            x = np.ones(matrix.shape[1], np.float32)
            x[place] = 2**25
            exact = matrix @ x
            assert (abs(product @ x - exact) <= 92 * 2**-24 * exact).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_separable_error_bound(rank, dtype):
    """`|y - yref| <= gamma_K |A| |x|` for random reals, as for the direct method."""
    rng = np.random.default_rng(1)
    psf = rng.random((11, rank)) @ rng.random((rank, 9))
    A = DHOperator((40, 41), psf, 2, boundary="reflect", method="separable", dtype=dtype)
    S = DHOperator((40, 41), psf, 2, boundary="reflect").to_sparse().astype(np.longdouble)
    K = A.model.weights.size + 1
    gamma = K * (u := np.finfo(dtype).eps / 2) / (1 - K * u)
    x, y = (rng.standard_normal(n).astype(dtype) for n in (A.shape[1], A.shape[0]))
    assert (abs(A @ x - S @ x) <= gamma * (abs(S) @ abs(x))).all()
    assert (abs(A.H @ y - S.T @ y) <= gamma * (abs(S).T @ abs(y))).all()


@pytest.mark.parametrize("method", METHODS)
def test_a_psf_of_zeros(method):
    A = DHOperator((6, 8), np.zeros((3, 3)), 2, method=method)
    assert not (A @ np.ones(48)).any()
    assert not (A.H @ np.ones(12)).any()


@pytest.mark.parametrize("method", METHODS)
def test_a_psf_whose_origin_is_another_row(method):
    """The only row of the image is moved out of sight, and what comes into sight is dark."""
    A = DHOperator((1, 48), np.ones((1, 3)), 1, center=(1, 1), method=method)
    assert A.nnz == 0
    assert not (A @ np.ones(48)).any()
    assert not (A.H @ np.ones(48)).any()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_fault_16_what_one_bad_pixel_reaches(method, value):
    """Fault 16: the taps on it, at most the box around them; the Fourier method says no."""
    psf = np.zeros((9, 9))
    psf[2:5, 3] = psf[3, 2:5] = 1.0
    A = DHOperator((60, 60), psf, 2, boundary="symmetric", method=method)
    image = np.random.default_rng(2).random((60, 60))
    clean = A.degrade(image)
    image[31, 12] = value
    if method == "fft":
        with pytest.raises(ValueError, match="not finite"):
            A.degrade(image)
        return
    with np.errstate(invalid="ignore"):
        result = A.degrade(image)
    box = np.zeros((9, 9))
    box[2:5, 2:5] = 1.0
    reached = A if method == "direct" else DHOperator((60, 60), box, 2, boundary="symmetric")
    pixel = np.zeros((60, 60))
    pixel[31, 12] = 1
    reach = reached.degrade(pixel) != 0
    if method == "direct":
        np.testing.assert_array_equal(~np.isfinite(result), reach)
    else:
        assert (np.isfinite(result) | reach).all()
    np.testing.assert_array_equal(result[~reach], clean[~reach])


@pytest.mark.parametrize("boundary", oracle.BOUNDARIES)
@pytest.mark.parametrize("blocks", [1, 7])
def test_rows_that_are_read_where_they_stand(boundary, blocks, monkeypatch):
    """Outputs at the ends of rows, and rows at the ends of images: of whole numbers, the matrix."""
    edges = np.linspace(0, 3 * 8, blocks + 1, dtype=int)
    monkeypatch.setattr(
        parallel, "_split_shares", lambda *_: np.append((0, blocks, 0), edges)[None]
    )
    rng = np.random.default_rng(6)
    shapes = [(1, 1), (1, 3), (3, 1), (3, 3), (2, 4), (5, 2), (4, 5)]
    centers = enumerate((None, 0, (-2, 3), (9, -1)), oracle.BOUNDARIES.index(boundary))
    for (turn, center), shape in itertools.product(centers, shapes):
        missing = 0.4 * ((turn + blocks // 7) % 2)  # all taps and some of them take turns
        psf = rng.integers(1, 9, shape) * (rng.random(shape) >= missing)
        options = {"boundary": boundary, "center": center, "dtype": "f4"}
        A = DHOperator((3, 15, 100), psf, 1, method="direct", **options)
        x = rng.integers(-9, 9, A.shape[1]).astype("f4")
        x[rng.integers(0, x.size, 9)] = np.nan
        np.testing.assert_array_equal(A @ x, A.to_sparse() @ x)


@pytest.mark.parametrize("boundary", oracle.BOUNDARIES)
@pytest.mark.parametrize("blocks", [1, 4, 30])
def test_rows_that_shares_have_copied(boundary, blocks, monkeypatch):
    """A share goes on where the one before ended, in the same image, while the band has room."""
    edges = np.linspace(0, 30, blocks + 1, dtype=int)
    monkeypatch.setattr(
        parallel, "_split_shares", lambda *_: np.append((0, blocks, 0), edges)[None]
    )
    rng = np.random.default_rng(8)
    for shape, factor in [((29, 4), 2), ((3, 5), (2, 1)), ((1, 2), 2), ((9, 1), (2, 3))]:
        for band in (2**20, 2**13, 0):
            monkeypatch.setattr(direct, "BAND", band)
            psf = rng.integers(1, 9, shape)
            A = DHOperator((3, 40, 30), psf, factor, boundary=boundary, method="direct")
            x = rng.integers(-9, 9, A.shape[1]).astype(float)
            np.testing.assert_array_equal(A @ x, A.to_sparse() @ x)


@pytest.mark.parametrize("boundary", oracle.BOUNDARIES)
def test_direct_adjoint_of_many_rows(boundary):
    """More rows than the band holds at a time, of two images, and a seam between two places."""
    rng = np.random.default_rng(5)
    psf = rng.integers(1, 9, (7, 3)).astype(float)
    A = DHOperator((2, 211, 6), psf, (2, 1), boundary=boundary, center=(40, 0), method="direct")
    y = rng.integers(-9, 9, A.shape[0]).astype(float)
    np.testing.assert_array_equal(A.H @ y, A.to_sparse().T @ y)


def test_zeros_on_both_sides_are_transformed_once():
    """As long as the image and its wider margin, which serves the other side, too."""
    for boundary, center, places in [
        ("constant", 10, 110),
        ("constant", 0, 120),
        ("constant", 16, 116),
        ("constant", 500, 100),
        ("symmetric", 10, 120),
    ]:
        A = DHOperator((100, 200), np.ones((21, 21)), (1, 2), center=center, boundary=boundary)
        assert A.model.rows.round_places == places
        assert A.model.columns.round_places == 100 + (places - 100) // 2


class TestAuto:
    def test_wide_separable(self):
        line = np.hanning(31)[1:-1]
        A = DHOperator((200, 200), np.outer(line, line), 2)
        assert A.method == "separable"
        assert "separable" in repr(A)

    def test_transforms_without_margins_are_what_they_cost(self):
        streak = np.eye(135)
        wrap, zeros = (
            DHOperator((256, 256), streak, 4, boundary=each) for each in ("wrap", "constant")
        )
        assert (wrap.method, zeros.method) == ("fft", "direct")

    def test_wide_dense(self):
        psf = np.random.default_rng(3).random((51, 51))
        assert DHOperator((300, 300), psf, 2).method == "fft"

    def test_sparse(self):
        assert DHOperator((300, 300), np.eye(51), 1).method == "direct"

    def test_small_problems_use_the_taps_themselves(self):
        assert DHOperator((20, 20), np.ones((3, 3)), 2).method == "direct"

    def test_says_the_method_that_was_asked_for(self):
        for method in METHODS:
            assert DHOperator((8, 8), np.ones((3, 3)), 2, method=method).method == method

    @pytest.mark.parametrize("value", [np.nan, np.inf, 1e308])
    def test_fault_16_auto_never_transforms_what_is_not_finite(self, value):
        """NaN, Inf and what would overflow in a transform go to the direct method."""
        psf = np.random.default_rng(4).random((51, 51))
        auto = DHOperator((120, 130), psf, 2, workers=1)
        direct = DHOperator((120, 130), psf, 2, method="direct", workers=1)
        assert auto.method == "fft"
        image, frame = np.zeros((120, 130)), np.zeros((60, 65))
        image[40:43, 100] = frame[40, 60] = value
        np.testing.assert_array_equal(auto.degrade(image), direct.degrade(image))
        np.testing.assert_array_equal(auto.backproject(frame), direct.backproject(frame))

    def test_whole_numbers_stay_exact(self):
        """A rank-one PSF of whole numbers has factors of whole numbers."""
        psf = np.outer([3, 6, 9, 1, 5] * 5, [2, 4, 2, 7] * 5)
        A = DHOperator((150, 160), psf, 2, decimation="mean", boundary="wrap")
        assert A.method == "separable"
        image = np.random.default_rng(5).integers(-9, 9, A.dims).astype(float)
        np.testing.assert_array_equal(A @ image.ravel(), A.to_sparse() @ image.ravel())

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_fault_16_auto_leaves_what_is_not_finite_to_the_taps(self, value):
        line = np.zeros(41)
        line[::4] = np.hanning(13)[1:-1]
        auto = DHOperator((200, 200), np.outer(line, line), 1, dtype="f4")
        assert auto.method == "separable"
        image = np.random.default_rng(6).random(auto.dims).astype("f4")
        image[100, 100] = value
        direct = DHOperator(auto.dims, auto.psf, 1, dtype="f4", method="direct")
        np.testing.assert_array_equal(auto.degrade(image), direct.degrade(image))
        np.testing.assert_array_equal(auto.backproject(image), direct.backproject(image))


@pytest.mark.parametrize("scale", [1e-300, 1e-170, 1e160, 1e305])
@pytest.mark.parametrize("method", ["direct", "separable"])
def test_psfs_of_any_scale(method, scale):
    psf = np.random.default_rng(7).random((3, 3)) * scale
    A = DHOperator((6, 6), psf, 1, method=method)
    x = np.random.default_rng(8).random(36)
    np.testing.assert_allclose(A @ x, A.to_sparse() @ x, rtol=1e-13)


@pytest.mark.parametrize("factor", [5, 64, 200])
def test_rows_that_no_tap_reads_are_not_copied(factor):
    """Samples further apart than the PSF is wide, exactly and without a copy of the image."""
    rng = np.random.default_rng(9)
    psf, image = oracle.integer_psf(rng, (3, 2)), oracle.integers(rng, (600, 500))
    A = DHOperator(image.shape, psf, factor, decimation="sample", method="direct", workers=1)
    tracemalloc.start()
    result = A.degrade(image)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < image.nbytes
    np.testing.assert_array_equal(result.ravel(), A.to_sparse() @ image.ravel())


class Backend:
    """A backend of `scipy.fft` that uses NumPy's transforms and tells which threads called it."""

    __ua_domain__ = "numpy.scipy.fft"

    def __init__(self):
        self.callers = []

    def __ua_function__(self, method, args, kwargs):
        self.callers.append(threading.current_thread())
        return self.transform(method, args, kwargs)

    def transform(self, method, args, kwargs):
        return getattr(np.fft, method.__name__)(*args, **kwargs)


class Counter(Backend):
    """One that counts the calls and leaves the work to scipy."""

    def transform(self, method, args, kwargs):
        with fft.set_backend("scipy"):
            return method(*args, **kwargs)


@pytest.mark.parametrize("kind", [Backend, Counter])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("product", ["degrade", "backproject"])
@pytest.mark.parametrize(
    ("dims", "shape"), [((60, 50), (3, 4)), ((6, 20, 30), (2, 3, 3)), ((5, 4000), (9,))]
)
def test_respects_the_backend_of_scipy_fft(monkeypatch, dims, shape, product, dtype, kind):
    """The transforms are the backend's, in the thread for which it may be set alone."""
    monkeypatch.setattr(parallel, "WORTH_WAKING", 1)
    rng = np.random.default_rng(8)
    factor = (2,) if len(shape) == 1 else (1,) * (len(shape) - 1) + (2,)
    A = DHOperator(dims, gaussian_integers(rng, shape, dtype), factor, method="fft")
    image = gaussian_integers(rng, A.dimsd if product == "backproject" else A.dims, dtype)
    expected = getattr(A, product)(image)
    backend = kind()
    with fft.set_backend(backend):
        local = getattr(A, product)(image)
    calls = len(backend.callers)
    fft.set_global_backend(backend)
    try:
        everywhere = getattr(A, product)(image)
    finally:
        fft.set_global_backend("scipy")
    assert len(backend.callers) == 2 * calls > 2
    assert set(backend.callers) == {threading.main_thread()}
    np.testing.assert_array_equal(local, everywhere)
    if len(shape) > 1:  # lines are left to scipy.fft
        assert not np.array_equal(local, expected)  # each rounds in its own way
    np.testing.assert_allclose(local, expected, rtol=0, atol=1e-12 * np.abs(expected).max())
