"""Fields of lines and volumes, against ``sum_k A_k diag(w_k)`` of dense matrices."""

import pickle

import fields
import numpy as np
import oracle
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dhop import DHOperator, plots, psf, super_resolve


@pytest.mark.parametrize("seed", range(9))
@pytest.mark.parametrize("ndim", [1, 3])
def test_is_the_sum_of_its_definition(ndim, seed):
    dims, field, factor, options = fields.case(ndim, seed)
    A, rng = DHOperator(dims, field, factor, **options), np.random.default_rng(seed)
    expected = fields.dense(dims, field, factor, **options)
    assert A.shape == expected.shape
    X = oracle.integers(rng, (A.shape[1], 2), A.dtype)
    Y = oracle.integers(rng, (A.shape[0], 2), A.dtype)
    assert_array_equal(A @ X, expected @ X)
    assert_array_equal(A.H @ Y, expected.conj().T @ Y)
    for format in ("csr", "csc"):
        matrix = A.to_sparse(format)
        matrix.tocsr().check_format()
        assert_array_equal(matrix.toarray(), expected)
    some = rng.integers(0, A.shape[0], 5)
    assert_array_equal(A.to_sparse(rows=some).toarray(), expected[some])
    eps = np.finfo(A.dtype).eps
    gram = expected.conj().T @ expected
    close = {"rtol": 50 * eps, "atol": 100 * eps * np.abs(gram).max()}
    assert_allclose(A.gram().to_sparse().toarray(), gram, **close)
    x = X[:, 0]
    assert_allclose(A.gram() @ x, gram @ x, rtol=1e3 * eps, atol=1e3 * eps * np.abs(gram).max())
    assert_allclose(A.gram_diagonal(), gram.diagonal().real, **close)
    for ord in (1, np.inf, "fro"):
        assert_allclose(A.norm(ord), np.linalg.norm(expected, ord), rtol=50 * eps)
    assert (pickle.loads(pickle.dumps(A)) @ x == A @ x).all()


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_every_source_keeps_its_flux_and_has_the_psf_of_its_place(ndim):
    rng = np.random.default_rng(ndim)
    stamps = rng.random((2,) * ndim + (3,) * ndim)
    field = psf.Field(stamps, [[1, 6.5]] * ndim).normalised()
    A = DHOperator((8,) * ndim, field, 1, boundary="wrap")
    assert_allclose(A.column_sums(), 1, rtol=1e-13)
    place = (3, 5, 2)[:ndim]
    x = np.zeros((8,) * ndim)
    x[place] = 1
    seen = np.roll(A.degrade(x), [1 - p for p in place], range(ndim))[(slice(3),) * ndim]
    assert_allclose(seen, field.at(*place), rtol=1e-13)


@pytest.mark.parametrize("ndim", [1, 3])
def test_super_resolution_solves_with_the_field(ndim):
    """Frames that are shifted by whole pixels: PSFs move, and their nodes in the scene."""
    rng = np.random.default_rng(20 + ndim)
    dims, factor = ((24,), 2) if ndim == 1 else ((6, 8, 6), (1, 2, 2))
    steps = np.broadcast_to(factor, ndim)
    stamps = rng.random((2,) + (1,) * (ndim - 1) + (3,) * ndim)
    field = psf.Field(stamps, [[0, 5], *[[0]] * (ndim - 1)])
    shifts = np.zeros((2, ndim))
    shifts[1, -1] = 1
    low = tuple(n // f for n, f in zip(dims, steps, strict=True))
    frames = rng.standard_normal((2, *low))
    options = {"decimation": "mean", "boundary": "reflect"}
    solution = super_resolve(
        frames, field, factor, shifts=shifts, beta=0.02, regulariser="identity", rtol=1e-12,
        **options,
    )  # fmt: skip
    known, rows = field.normalised(), []
    for move in shifts * steps:
        nodes = [place - m for place, m in zip(known.positions, move, strict=True)]
        center = [1 - int(m) for m in move]
        moved = psf.Field(known.stamps, nodes)
        rows.append(fields.dense(dims, moved, factor, tuple(range(ndim)), center=center, **options))
    matrix = np.concatenate(rows)
    normal = matrix.T @ matrix + 0.02 * np.eye(matrix.shape[1])
    expected = np.linalg.solve(normal, matrix.T @ frames.ravel())
    assert_allclose(solution.image.ravel(), expected, atol=1e-8)


def test_what_does_not_fit_is_refused():
    line = psf.Field(np.ones((2, 3)), [[0, 4]])
    assert repr(line) == "<Field of 2 psfs of (3,)>"
    for stamps, places, match in (
        (np.ones((2, 3)), [[0, 4], [0]], "one sequence: of columns"),
        (np.ones((1, 1, 1, 3, 3, 3)), [[0], [0]], "three sequences: of planes, and of rows"),
        (np.ones((1, 1, 3, 3, 3)), [[0], [0]], "stamps must have the shape"),
    ):
        with pytest.raises(ValueError, match=match):
            psf.Field(stamps, places)
    with pytest.raises(TypeError, match="1 numbers, got 2"):
        line.at(0, 1)
    with pytest.raises(ValueError, match="a field of images"):
        plots.field(line)
    volume = psf.Field(np.ones((1, 1, 1, 3, 3, 3)), [[0]] * 3)
    for each in line, volume:
        with pytest.raises(ValueError, match="a sequence has fields of images"):
            super_resolve(np.ones((2, *(8,) * each.ndim)), [each, each], 2)


def test_all_psfs_as_one_image():
    line = psf.Field([[1, 2], [3, 4], [5, 6]], [[0, 1, 2]])
    assert_array_equal(line.mosaic, [[1, 2], [3, 4], [5, 6]])
    rng = np.random.default_rng(0)
    stamps = rng.random((2, 3, 2, 3, 4, 5))
    found = psf.Field(stamps, [[0, 1], [0, 1, 2], [0, 1]]).mosaic
    rows = [np.hstack(list(stamps[g, h, :, 1])) for g in range(2) for h in range(3)]
    assert_array_equal(found, np.vstack(rows))
    assert "0 to 2" in line._repr_html_()


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_a_field_on_finer_pixels(ndim):
    """A pixel that becomes three spreads evenly over them, and nodes keep their positions."""
    rng = np.random.default_rng(ndim)
    grid, shape = (2, 3, 2)[:ndim], (3, 5, 3)[:ndim]
    nodes = [np.arange(n) * 4.0 for n in grid]
    field = psf.Field(rng.random((*grid, *shape)), nodes)
    found = field.resampled((1,) * ndim, (3,) * ndim)
    assert found.grid == grid
    for place in np.ndindex(grid):
        expected = np.kron(field.stamps[place], np.full((3,) * ndim, 1 / 3**ndim))
        assert_allclose(found.stamps[place], expected, atol=1e-15)
    for before, after in zip(nodes, found.positions, strict=True):
        assert_allclose(after, 3 * before + 1)


def test_distances_and_factors_of_another_kind():
    field = psf.Field(np.ones((1, 1, 3, 3)), [[0], [0]])
    with pytest.raises(ValueError, match="distance must be one number or two, got 1"):
        field.moved((1.0,))
    with pytest.raises(TypeError, match="distance must be a real number"):
        field.moved(("a", 1.0))
    with pytest.raises(TypeError, match="factor must be a real number"):
        field.scaled("a")
