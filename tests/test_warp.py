"""Warps against SciPy's splines of unit images, and the laws that operators keep."""

import pickle

import numpy as np
import oracle
import pytest
import warps
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage

from dhop import DHOperator, DiagonalOperator, FrameStack, WarpOperator, psf

DIMS, SHAPE = (11, 14), (12, 9)
EPS = {np.float32: 6e-7, np.float64: 2e-15}
TURN = [[0, 1, 0], [-1, 0, DIMS[1] - 1], [0, 0, 1]]


def maps():
    """By name: coordinates and the positions that they mean."""
    rng = np.random.default_rng(5)
    found = {f"affine {k}": warps.affine(rng, DIMS, SHAPE) for k in range(4)}
    found["turned"] = warps.turned(30.0, DIMS, SHAPE)
    found["away"] = np.array([[1.0, 0.0, -17.3], [0.0, 1.0, 19.2], [0.0, 0.0, 1.0]])
    projective = warps.turned(-10.0, DIMS, SHAPE)
    projective[2] = [0.01, -0.02, 1.0]
    found["projective"] = projective
    found["negative"] = -3 * projective
    found["to pixels"] = np.array(TURN, float)
    given = {name: (each, warps.positions(each, SHAPE)) for name, each in found.items()}
    bent = warps.positions(found["turned"], SHAPE)
    bent += 0.7 * np.sin(bent[::-1])
    given["bent"] = (bent, bent)
    given["anywhere"] = (places := rng.uniform(-20, 30, (2, *SHAPE)), places)
    given["pixels"] = (places := np.rint(places / 3), places)
    return given


MAPS = maps()


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("boundary", oracle.BOUNDARIES)
def test_matrix_and_products(name, boundary):
    """The two orders take turns, so that each meets every map and every boundary."""
    order = (1, 3)[(list(MAPS).index(name) + oracle.BOUNDARIES.index(boundary)) % 2]
    coordinates, places = MAPS[name]
    expected = warps.matrix(DIMS, places, order, boundary)
    W = WarpOperator(DIMS, SHAPE, coordinates, order=order, boundary=boundary)
    assert_allclose(W @ np.eye(W.shape[1]), expected, atol=1e-9)
    S = W.to_sparse()
    S.check_format(True)
    assert S.nnz == W.nnz
    assert_allclose(S.toarray(), W @ np.eye(W.shape[1]), atol=4e-15 * W.bounds()[1])
    assert_allclose(W.H @ np.eye(W.shape[0]), S.toarray().T, atol=4e-15 * W.bounds()[0])
    columns = W.to_sparse("csc")
    columns.check_format(True)
    assert (columns.tocsr() != S).nnz == 0
    for operator, whole in ((W, S), (W.H, S.T.tocsr())):
        chosen = [5, 5, 0, whole.shape[0] - 1, 5, 2, 0]  # some of them again
        part = operator.to_sparse(rows=chosen)
        part.check_format(True)
        assert_array_equal(part.toarray(), whole[chosen].toarray())
    sums = abs(S).sum(axis=0).max(), abs(S).sum(axis=1).max()
    assert_array_equal(np.array(W.bounds()) * (1 + 1e-12) >= sums, True)


@pytest.mark.parametrize(("boundary", "mode"), warps.MODES.items())
@pytest.mark.parametrize("order", [1, 3])
def test_values_are_those_of_scipy(boundary, mode, order):
    rng = np.random.default_rng(1)
    image = rng.standard_normal((40, 33))
    matrix = warps.affine(rng, (40, 33), (50, 41), 0.5, 1.0)
    W = WarpOperator((40, 33), (50, 41), matrix, order=order, boundary=boundary)
    expected = ndimage.affine_transform(
        image, matrix, output_shape=(50, 41), order=order, mode=mode
    )
    assert_allclose(W.degrade(image), expected, atol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("conserve", ["brightness", "flux"])
@pytest.mark.parametrize("name", ["affine 0", "projective", "bent", "to pixels"])
def test_adjoint_in_each_precision(dtype, conserve, name):
    """Every entry of the adjoint is that of the product, to the rounding of one sum."""
    W = WarpOperator(DIMS, SHAPE, MAPS[name][0], dtype=dtype, conserve=conserve, boundary="reflect")
    forward, back = (A @ np.eye(A.shape[1], dtype=dtype) for A in (W, W.H))
    assert forward.dtype == back.dtype == dtype
    assert_allclose(back.T, forward, atol=EPS[dtype] * W.bounds()[0])
    S = W.to_sparse()
    assert S.dtype == dtype
    assert_allclose(S.toarray(), forward, atol=EPS[dtype] * W.bounds()[0])
    wide = W @ np.eye(W.shape[1])
    assert wide.dtype == np.float64
    assert_allclose(wide, W.to_sparse().toarray(), atol=EPS[dtype] * W.bounds()[1])


@pytest.mark.parametrize("coordinates", [TURN, warps.positions(TURN, DIMS[::-1])])
@pytest.mark.parametrize("boundary", oracle.BOUNDARIES)
def test_a_turn_by_ninety_degrees_is_exact(coordinates, boundary):
    image = np.random.default_rng(0).standard_normal(DIMS)
    W = WarpOperator(DIMS, DIMS[::-1], coordinates, boundary=boundary)
    assert_array_equal(W.degrade(image), np.rot90(image))
    assert_array_equal(W.backproject(np.rot90(image)), image)
    assert W.nnz == image.size


@pytest.mark.parametrize("order", [1, 3])
def test_a_flip_is_exact(order):
    image = np.random.default_rng(0).standard_normal(DIMS)
    flip = [[-1, 0, DIMS[0] - 1], [0, 1, 0], [0, 0, 1]]
    W = WarpOperator(DIMS, DIMS, flip, order=order)
    assert_array_equal(W.degrade(image), image[::-1])


@pytest.mark.parametrize("boundary", oracle.BOUNDARIES)
@pytest.mark.parametrize("shift", [(2, -3), (-30, 5), (0, 400)])
def test_a_shift_by_whole_pixels_is_exact(boundary, shift):
    image = np.random.default_rng(0).standard_normal(DIMS)
    image[3, 4] = np.nan  # which copies do not spread
    matrix = np.eye(3)
    matrix[:2, 2] = shift
    W = WarpOperator(DIMS, SHAPE, matrix, boundary=boundary)
    lines = [
        oracle.extended(n, s, s + m, boundary) for n, m, s in zip(DIMS, SHAPE, shift, strict=True)
    ]
    expected = np.where(np.minimum.outer(*lines) < 0, 0, image[np.ix_(*lines)])
    assert_array_equal(W.degrade(image), expected)


@pytest.mark.parametrize("boundary", ["wrap", "symmetric", "reflect", "edge"])
@pytest.mark.parametrize("dims", [(1, 1), (1, 6), (5, 2)])
def test_far_away_the_continued_image_repeats_itself(boundary, dims):
    """However far: a map that reads a thousand images away is brought back."""
    rng = np.random.default_rng(2)
    places = rng.uniform(-3000, 3000, (2, 7, 8))
    image = rng.standard_normal(dims)
    W = WarpOperator(dims, (7, 8), places, boundary=boundary)
    period = {"wrap": 1, "symmetric": 2, "reflect": 2, "edge": 0}[boundary]
    near = []
    for p, n in zip(places, dims, strict=True):
        length = period * n - 2 * (boundary == "reflect") or 1
        near.append(p % length if period else p.clip(-30, n + 29))
    expected = warps.matrix(dims, np.stack(near), 3, boundary) @ image.ravel()
    assert_allclose(W @ image.ravel(), expected, atol=1e-8)
    u = rng.standard_normal(56)
    assert_allclose(u @ (W @ image.ravel()), (W.H @ u) @ image.ravel(), rtol=1e-10)
    matrix = np.array([[90.3, 0, -1000], [0, 70.2, 333], [0, 0, 1]])
    by_matrix = WarpOperator(dims, (7, 8), matrix, boundary=boundary)
    by_array = WarpOperator(dims, (7, 8), warps.positions(matrix, (7, 8)), boundary=boundary)
    assert_allclose(by_matrix @ image.ravel(), by_array @ image.ravel(), atol=1e-9)


@pytest.mark.parametrize("kind", ["affine", "projective", "array"])
def test_flux_is_kept(kind):
    """The sum of a smooth scene is that of its warped image."""
    r, c = np.mgrid[:80, :90]
    scene = np.exp(-((r - 37.2) ** 2 + (c - 46.9) ** 2) / (2 * 4.0**2))
    matrix = warps.turned(20.0, (80, 90), (130, 140))
    matrix[:2, :2] *= 0.7
    matrix[:2, 2] = [39.5, 44.5] - matrix[:2, :2] @ [64.5, 69.5]
    if kind == "projective":
        matrix[2] = [5e-4, -7e-4, 1.0]
    coordinates = matrix if kind != "array" else warps.positions(matrix, (130, 140))
    W = WarpOperator((80, 90), (130, 140), coordinates, conserve="flux")
    assert_allclose(W.degrade(scene).sum(), scene.sum(), rtol=1e-6)


@pytest.mark.parametrize("name", ["affine 1", "projective", "bent"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_same_bits_for_any_number_of_workers(name, dtype, eight_processors):
    rng = np.random.default_rng(3)
    dims, shape = (301, 257), (280, 333)
    coordinates = MAPS[name][0]
    if name == "bent":
        coordinates = warps.positions(warps.turned(12.0, dims, shape), shape)
        coordinates += rng.uniform(-0.3, 0.3, coordinates.shape)
    else:
        coordinates = coordinates @ np.diag([1 / 30, 1 / 30, 1])
    x, y = rng.standard_normal(dims).astype(dtype), rng.standard_normal(shape).astype(dtype)
    warps.assert_same_bits(dims, shape, coordinates, x, y, EPS[dtype])


def test_a_batch_is_image_by_image():
    rng = np.random.default_rng(4)
    images = rng.standard_normal((2, 3, *DIMS))
    matrix = MAPS["affine 2"][0]
    W = WarpOperator(images.shape, (2, 3, *SHAPE), matrix, boundary="edge")
    one = W.of_one_image()
    expected = [[one.degrade(image) for image in row] for row in images]
    assert_array_equal(W.degrade(images), expected)
    S = W.to_sparse()
    assert S.nnz == 6 * one.nnz
    assert_allclose(S @ images.ravel(), W @ images.ravel(), atol=1e-13)
    assert (W.to_sparse("csc").tocsr() != S).nnz == 0


@pytest.mark.parametrize("boundary", oracle.BOUNDARIES)
@pytest.mark.parametrize("order", [1, 3])
def test_signals(boundary, order):
    """One axis, by a 2 x 2 matrix or an array of positions, and a batch of such."""
    matrix = np.array([[0.83, -2.6], [0.01, 1.0]])
    places = (0.83 * np.arange(15) - 2.6) / (0.01 * np.arange(15) + 1)
    rows = np.stack([np.full((1, 15), 1.0), places[None]])
    image = warps.matrix((3, 9), rows, order, boundary).reshape(15, 3, 9)
    expected = image[:, 1]  # of the row in the middle, through whose pixels the spline goes
    for coordinates in matrix, places[None]:
        W = WarpOperator((9,), (15,), coordinates, order=order, boundary=boundary)
        assert W.dims == (9,)
        assert W.boundary == (boundary,)
        assert_allclose(W @ np.eye(9), expected, atol=1e-9)
        assert_allclose(W.H @ np.eye(15), expected.T, atol=1e-9)
        assert_allclose(W.to_sparse().toarray(), expected, atol=1e-9)
        other = pickle.loads(pickle.dumps(W))
        assert_array_equal(other @ np.eye(9), W @ np.eye(9))
        assert W.bounds()[0] * (1 + 1e-12) >= abs(expected).sum(axis=0).max()
        assert_array_equal(W.inside, (places >= -0.5) & (places <= 8.5))
        two = WarpOperator((3, 9), (3, 15), coordinates, order=order, boundary=boundary)
        x = np.random.default_rng(0).standard_normal((3, 9))
        assert_array_equal(two.degrade(x), [W @ each for each in x])
    flux = WarpOperator((9,), (15,), [[0.5, 0], [0, 1]], conserve="flux", boundary=boundary)
    by_array = WarpOperator((9,), (15,), 0.5 * np.arange(15.0)[None], conserve="flux",
                            boundary=boundary)  # fmt: skip
    assert_allclose(flux @ np.eye(9), by_array @ np.eye(9), atol=1e-13)


def test_complex_images_part_by_part():
    rng = np.random.default_rng(4)
    W = WarpOperator(DIMS, SHAPE, MAPS["turned"][0])
    x = rng.standard_normal(W.shape[1]) + 1j * rng.standard_normal(W.shape[1])
    assert_array_equal(W @ x, (W @ x.real) + 1j * (W @ x.imag))


@pytest.mark.parametrize("name", ["affine 3", "anywhere"])
def test_products_with_other_operators(name):
    """What expressions offer: the matrix of ``A @ W``, stacks, sums and normal equations."""
    W = WarpOperator(DIMS, SHAPE, MAPS[name][0], boundary="wrap")
    A = DHOperator(SHAPE, psf.gaussian(3, 0.8), (2, 3), boundary="symmetric")
    w, a = W.to_sparse().toarray(), A.to_sparse().toarray()
    D = DiagonalOperator(np.arange(18.0).reshape(A.dimsd))
    stacked = FrameStack([A @ W, A @ W], [1.0, 4.0])
    cases = {
        "A @ W": (A @ W, a @ w),
        "D @ A @ W": (D @ A @ W, np.diag(np.arange(18.0)) @ a @ w),
        "W + 2 * W": (W + 2 * W, 3 * w),
        "stack": (stacked, np.vstack([a @ w, 2 * a @ w])),
        "gram": ((A @ W).gram(), w.T @ a.T @ a @ w),
        "W.T": (W.T, w.T),
    }
    for case, (operator, expected) in cases.items():
        assert_allclose(operator @ np.eye(expected.shape[1]), expected, atol=1e-13, err_msg=case)
        assert_allclose(operator.to_sparse().toarray(), expected, atol=1e-13, err_msg=case)
        found = operator.to_sparse("csc").toarray()
        assert_allclose(found, expected, atol=1e-13, err_msg=case)
    parts = [part.toarray() for _, part in (A @ W).row_blocks(2**13)]
    assert len(parts) > 1
    assert_allclose(np.vstack(parts), a @ w, atol=1e-13)


def test_export(tmp_path):
    W = WarpOperator(DIMS, SHAPE, MAPS["affine 0"][0])
    from scipy.sparse import load_npz

    assert (load_npz(W.export(tmp_path / "warp.npz")) != W.to_sparse()).nnz == 0


@pytest.mark.parametrize("name", ["affine 0", "projective", "bent"])
def test_pickles(name):
    coordinates = MAPS[name][0]
    W = WarpOperator(
        DIMS, SHAPE, coordinates, order=1, boundary=("wrap", "edge"), conserve="flux",
        dtype=np.float32, workers=2,
    )  # fmt: skip
    other = pickle.loads(pickle.dumps(W))
    assert repr(other) == repr(W)
    assert other.workers == 2
    x = np.random.default_rng(0).random(W.shape[1])
    assert_array_equal(other @ x, W @ x)


def test_inside():
    """Centres up to half a pixel beyond the outermost ones lie on the image."""
    matrix = np.array([[0.5, 0, -1.0], [0, 1, -0.5], [0, 0, 1]])
    W = WarpOperator((3, 2), (9, 4), matrix)
    rows = [False, True, True, True, True, True, True, True, False]
    assert_array_equal(W.inside, np.logical_and.outer(rows, [True, True, True, False]))


def test_what_is_given_is_kept_apart():
    coordinates = MAPS["bent"][0].copy()
    W = WarpOperator(DIMS, SHAPE, coordinates)
    before = W @ np.ones(W.shape[1])
    coordinates[:] = 0
    assert_array_equal(W @ np.ones(W.shape[1]), before)
    with pytest.raises(ValueError, match="read-only"):
        W.coordinates[0] = 0


HORIZON = [[1, 0, 0], [0, 1, 0], [0.2, 0, -1]]


@pytest.mark.parametrize(
    ("changed", "error", "match"),
    [
        ({"dims": (5,)}, ValueError, "2 axes that are warped"),
        ({"dims": (2, 11, 14)}, ValueError, "2 axes that are warped"),
        ({"coordinates": np.eye(4)}, ValueError, r"3 x 3 matrix or an array of shape \(2, 12, 9\)"),
        ({"coordinates": np.eye(2)}, ValueError, "1 axes that are warped"),
        ({"coordinates": np.zeros((2, 9, 12))}, ValueError, "3 x 3 matrix"),
        ({"coordinates": np.full((3, 3), np.nan)}, ValueError, "finite"),
        ({"coordinates": np.eye(3) * 1j}, TypeError, "real"),
        ({"coordinates": HORIZON}, ValueError, "horizon"),
        ({"coordinates": np.zeros((3, 3))}, ValueError, "horizon"),
        ({"order": 2}, ValueError, "order must be 1 or 3"),
        ({"order": True}, TypeError, "order"),
        ({"boundary": "mirror"}, ValueError, "reflect"),
        ({"conserve": "energy"}, ValueError, "conserve"),
        ({"dtype": np.complex128}, TypeError, "float32 or float64"),
        ({"dtype": "nothing"}, TypeError, "float32, float64"),
        ({"workers": 0}, ValueError, "workers"),
    ],
)
def test_refusals(changed, error, match):
    given = {"dims": DIMS, "dimsd": SHAPE, "coordinates": np.eye(3)} | changed
    with pytest.raises(error, match=match):
        WarpOperator(**given)
