"""Warps of volumes: against SciPy's splines, and the laws that those of images keep."""

import pickle

import numpy as np
import oracle
import pytest
import warps
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage

from dhop import DHOperator, WarpOperator, psf

DIMS, SHAPE = (5, 7, 6), (6, 4, 7)
EPS = {np.float32: 2e-6, np.float64: 4e-15}
# Every axis meets every boundary.
BOUNDARIES = [tuple(np.roll(oracle.BOUNDARIES, k)[:3].tolist()) for k in range(5)]


def turn(axes, degrees, dims, shape):
    """A turn in the plane of two axes, about the centres."""
    angle, linear = np.deg2rad(degrees), np.eye(3)
    linear[np.ix_(axes, axes)] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return warps.about_centres(linear, dims, shape)


def maps():
    """By name: coordinates and the positions that they mean."""
    rng = np.random.default_rng(5)
    found = {f"affine {k}": warps.affine(rng, DIMS, SHAPE) for k in range(3)}
    found["turned"] = turn((0, 2), 30.0, DIMS, SHAPE)
    found["in planes"] = turn((1, 2), -20.0, DIMS, SHAPE)
    found["away"] = np.eye(4)
    found["away"][:3, 3] = -17.3, 19.2, 4.5
    projective = turn((0, 1), -10.0, DIMS, SHAPE)
    projective[3] = [0.01, -0.02, 0.03, 1.0]
    found["projective"] = projective
    found["negative"] = -3 * projective
    found["to pixels"] = np.rint(turn((0, 2), 90.0, DIMS, (6, 4, 5)))
    given = {name: (each, warps.positions(each, SHAPE)) for name, each in found.items()}
    bent = warps.positions(found["turned"], SHAPE)
    bent += 0.7 * np.sin(bent[::-1])
    given["bent"] = (bent, bent)
    given["anywhere"] = (places := rng.uniform(-20, 30, (3, *SHAPE)), places)
    given["pixels"] = (places := np.rint(places / 3), places)
    return given


MAPS = maps()


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("order", [1, 3])
def test_matrix_and_products(name, order):
    coordinates, places = MAPS[name]
    start = list(MAPS).index(name)
    for boundary in BOUNDARIES[start % 5], BOUNDARIES[(start + 2) % 5]:
        expected = warps.volume_matrix(DIMS, places, order, boundary)
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
            assert_array_equal(operator.to_sparse(rows=chosen).toarray(), whole[chosen].toarray())
        sums = abs(S).sum(axis=0).max(), abs(S).sum(axis=1).max()
        assert_array_equal(np.array(W.bounds()) * (1 + 1e-12) >= sums, True)


@pytest.mark.parametrize(("boundary", "mode"), warps.MODES.items())
@pytest.mark.parametrize("order", [1, 3])
def test_values_are_those_of_scipy(boundary, mode, order):
    rng = np.random.default_rng(1)
    dims, shape = (13, 22, 17), (20, 19, 26)
    volume = rng.standard_normal(dims)
    matrix = warps.affine(rng, dims, shape, 0.5, 1.0)
    expected = ndimage.affine_transform(volume, matrix, output_shape=shape, order=order, mode=mode)
    W = WarpOperator(dims, shape, matrix, order=order, boundary=boundary)
    assert_allclose(W.degrade(volume), expected, atol=1e-9)
    places = warps.positions(matrix, shape) + rng.uniform(-1, 1, (3, *shape))
    expected = ndimage.map_coordinates(volume, places, order=order, mode=mode)
    W = WarpOperator(dims, shape, places, order=order, boundary=boundary)
    assert_allclose(W.degrade(volume), expected, atol=1e-9)


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


@pytest.mark.parametrize("axes", [(0, 1), (0, 2), (1, 2)])
@pytest.mark.parametrize("mapped", [False, True])
def test_turns_by_ninety_degrees_are_exact(axes, mapped):
    volume = np.random.default_rng(0).standard_normal(DIMS)
    expected = np.rot90(volume, axes=axes)
    matrix = np.rint(2 * turn(axes, -90.0, DIMS, expected.shape)) / 2
    coordinates = warps.positions(matrix, expected.shape) if mapped else matrix
    W = WarpOperator(DIMS, expected.shape, coordinates, boundary="wrap")
    assert_array_equal(W.degrade(volume), expected)
    assert_array_equal(W.backproject(expected), volume)
    assert W.nnz == volume.size


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("order", [1, 3])
def test_flips_are_exact(axis, order):
    volume = np.random.default_rng(0).standard_normal(DIMS)
    linear = np.eye(3)
    linear[axis, axis] = -1
    W = WarpOperator(DIMS, DIMS, warps.about_centres(linear, DIMS, DIMS), order=order)
    assert_array_equal(W.degrade(volume), np.flip(volume, axis))


@pytest.mark.parametrize("boundary", oracle.BOUNDARIES)
def test_shifts_by_whole_pixels_are_exact(boundary):
    volume = np.random.default_rng(0).standard_normal(DIMS)
    volume[3, 4, 2] = np.nan  # which copies do not spread
    for shift in (2, -3, 1), (-30, 5, 0), (0, 0, 400):
        matrix = np.eye(4)
        matrix[:3, 3] = shift
        W = WarpOperator(DIMS, SHAPE, matrix, boundary=boundary)
        lines = [
            oracle.extended(n, s, s + m, boundary)
            for n, m, s in zip(DIMS, SHAPE, shift, strict=True)
        ]
        outside = np.minimum.outer(np.minimum.outer(lines[0], lines[1]), lines[2]) < 0
        assert_array_equal(W.degrade(volume), np.where(outside, 0, volume[np.ix_(*lines)]))


@pytest.mark.parametrize("dims", [(1, 1, 1), (1, 4, 1), (3, 2, 5)])
def test_far_away_the_continued_volume_repeats_itself(dims):
    rng = np.random.default_rng(2)
    places = rng.uniform(-3000, 3000, (3, 3, 4, 5))
    volume = rng.standard_normal(dims)
    boundary = ("wrap", "symmetric", "edge")
    near = [places[0] % dims[0], places[1] % (2 * dims[1]), places[2].clip(-30, dims[2] + 29)]
    expected = warps.volume_matrix(dims, np.stack(near), 3, boundary) @ volume.ravel()
    W = WarpOperator(dims, (3, 4, 5), places, boundary=boundary)
    assert_allclose(W @ volume.ravel(), expected, atol=1e-8)
    matrix = np.array([[90.3, 0, 0, -1e3], [0, 70.2, 0, 333], [0, 0, 50.1, -99], [0, 0, 0, 1]])
    by_matrix = WarpOperator(dims, (7, 8, 9), matrix, boundary=boundary)
    by_array = WarpOperator(dims, (7, 8, 9), warps.positions(matrix, (7, 8, 9)), boundary=boundary)
    assert_allclose(by_matrix @ volume.ravel(), by_array @ volume.ravel(), atol=1e-9)


@pytest.mark.parametrize("kind", ["affine", "projective", "array"])
def test_flux_is_kept(kind):
    """The sum of a smooth scene is that of its warped volume."""
    dims, shape = (36, 40, 38), (58, 64, 60)
    z, r, c = np.ogrid[:36, :40, :38]
    distance = (z - 17.2) ** 2 + (r - 19.9) ** 2 + (c - 18.4) ** 2
    scene = np.exp(-distance / (2 * 2.5**2))
    linear = 0.7 * turn((0, 1), 20.0, dims, shape)[:3, :3] @ turn((1, 2), 9.0, dims, shape)[:3, :3]
    matrix = warps.about_centres(linear, dims, shape)
    if kind == "projective":
        matrix[3] = [5e-4, -7e-4, 3e-4, 1.0]
    coordinates = matrix if kind != "array" else warps.positions(matrix, shape)
    W = WarpOperator(dims, shape, coordinates, conserve="flux")
    assert_allclose(W.degrade(scene).sum(), scene.sum(), rtol=1e-6)


@pytest.mark.parametrize("name", ["affine 1", "projective", "bent", "turned"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_same_bits_for_any_number_of_workers(name, dtype, eight_processors):
    """And they are right, of volumes of several bands of planes and of rows."""
    rng = np.random.default_rng(3)
    dims, shape = (41, 37, 30), (39, 45, 300 if name == "projective" else 33)
    coordinates = {
        "affine 1": warps.affine(rng, dims, shape, 0.7, 1.4),
        "projective": turn((0, 1), 12.0, dims, shape),
        "bent": warps.positions(turn((0, 2), 40.0, dims, shape), shape),
        "turned": turn((0, 2), 90.1, dims, shape),
    }[name]
    if name == "projective":
        coordinates = coordinates @ np.diag([1, 1, 0.1, 1])
        coordinates[3, :3] = 1e-3
    if name == "bent":
        coordinates += rng.uniform(-0.3, 0.3, coordinates.shape)
    x, y = rng.standard_normal(dims).astype(dtype), rng.standard_normal(shape).astype(dtype)
    warps.assert_same_bits(dims, shape, coordinates, x, y, EPS[dtype])


def test_a_batch_is_volume_by_volume(tmp_path):
    rng = np.random.default_rng(4)
    volumes = rng.standard_normal((2, 3, *DIMS))
    W = WarpOperator(volumes.shape, (2, 3, *SHAPE), MAPS["affine 2"][0], boundary="edge")
    one = W.of_one_image()
    expected = [[one.degrade(volume) for volume in row] for row in volumes]
    assert_array_equal(W.degrade(volumes), expected)
    S = W.to_sparse()
    assert S.nnz == 6 * one.nnz
    assert_allclose(S @ volumes.ravel(), W @ volumes.ravel(), atol=1e-13)
    assert (W.to_sparse("csc").tocsr() != S).nnz == 0
    from scipy.sparse import load_npz

    assert (load_npz(W.export(tmp_path / "warp.npz")) != S).nnz == 0


@pytest.mark.parametrize("order", [1, 3])
def test_planes_of_a_volume_that_stay_are_images(order):
    """A turn within planes that are where pixels are is a warp of each plane."""
    rng = np.random.default_rng(0)
    volume = rng.standard_normal((4, 9, 8))
    linear = warps.affine(rng, (9, 8), (7, 10))
    matrix = np.eye(4)
    matrix[1:, 1:] = linear
    W = WarpOperator((4, 9, 8), (4, 7, 10), matrix, order=order, boundary="wrap")
    planes = WarpOperator((4, 9, 8), (4, 7, 10), linear, order=order, boundary="wrap")
    assert_allclose(W.degrade(volume), planes.degrade(volume), atol=1e-13)
    found = W.backproject(planes.degrade(volume))
    assert_allclose(found, planes.backproject(planes.degrade(volume)), atol=1e-12)


def test_products_with_other_operators():
    W = WarpOperator(DIMS, SHAPE, MAPS["affine 0"][0], boundary="wrap")
    A = DHOperator(SHAPE, psf.gaussian((3, 2, 3), 0.8), (2, 1, 3), boundary="symmetric")
    w, a = W.to_sparse().toarray(), A.to_sparse().toarray()
    cases = {"A @ W": (A @ W, a @ w), "W + 2 * W": (W + 2 * W, 3 * w), "W.T": (W.T, w.T)}
    for case, (operator, expected) in cases.items():
        assert_allclose(operator @ np.eye(expected.shape[1]), expected, atol=1e-13, err_msg=case)
        assert_allclose(operator.to_sparse().toarray(), expected, atol=1e-13, err_msg=case)
    parts = [part.toarray() for _, part in (A @ W).row_blocks(2**13)]
    assert len(parts) > 1
    assert_allclose(np.vstack(parts), a @ w, atol=1e-13)


@pytest.mark.parametrize("name", ["affine 0", "projective", "bent"])
def test_what_is_kept(name):
    coordinates = MAPS[name][0]
    W = WarpOperator(
        DIMS, SHAPE, coordinates, order=1, boundary=("wrap", "edge", "reflect"), conserve="flux",
        dtype=np.float32, workers=2,
    )  # fmt: skip
    other = pickle.loads(pickle.dumps(W))
    assert repr(other) == repr(W)
    x = np.random.default_rng(0).random(W.shape[1])
    assert_array_equal(other @ x, W @ x)
    places = MAPS[name][1]
    size = np.reshape(DIMS, (3, 1, 1, 1))
    assert_array_equal(W.inside, ((places >= -0.5) & (places <= size - 0.5)).all(axis=0))


@pytest.mark.parametrize(
    ("changed", "error", "match"),
    [
        ({"dims": (5, 7)}, ValueError, "3 axes that are warped"),
        ({"dims": (2, 5, 7, 6)}, ValueError, "3 axes that are warped"),
        ({"coordinates": np.zeros((3, 4, 6, 7))}, ValueError, r"of shape \(3, 6, 4, 7\)"),
        ({"coordinates": np.eye(5)}, ValueError, "4 x 4 matrix"),
        ({"coordinates": np.full((4, 4), np.inf)}, ValueError, "finite"),
        ({"coordinates": np.diag([1, 1, 1, 0])}, ValueError, "horizon"),
        ({"boundary": ("wrap", "wrap")}, ValueError, "boundary"),
    ],
)
def test_refusals(changed, error, match):
    given = {"dims": DIMS, "dimsd": SHAPE, "coordinates": np.eye(4)} | changed
    with pytest.raises(error, match=match):
        WarpOperator(**given)
