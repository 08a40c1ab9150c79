"""Pixels that nobody observed."""

import pickle

import numpy as np
import oracle
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dhop import DHOperator, psf
from dhop.closed import gaps
from dhop.closed.bases import Cosine, Fourier
from dhop.closed.gaps import AROUND, EMPTY, SPACINGS, Gaps, around_gaps, columns_of
from dhop.model.boundary import extended_index

EPS = np.finfo(np.float64).eps
RNG = np.random.default_rng(0)
LAPLACIAN = np.array([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])
BASES = [Fourier, Cosine]


def gap(shape, *corners):
    omega = np.ones(shape)
    omega[tuple(slice(*corner) for corner in corners)] = 0
    return omega


def grown(omega, boundary, margin=AROUND):
    """The empty pixels and those around, one shift after the other."""
    rows, columns = (extended_index(n, -margin, n + margin, boundary) for n in omega.shape)
    empty = (omega < EMPTY)[rows][:, columns]
    sides = range(2 * margin + 1)
    n0, n1 = omega.shape
    return np.any([empty[i : i + n0, j : j + n1] for i in sides for j in sides], axis=0)


@pytest.mark.parametrize("boundary", ["wrap", "symmetric"])
@pytest.mark.parametrize("least", [3, 5])
def test_wide_gaps_and_their_surroundings(boundary, least):
    """In the middle, in a corner, across a border, the whole image."""
    k = least
    for rows, columns in [
        ((8, 8 + k), (9, 9 + k)),
        ((0, k), (0, k)),
        ((19, 24), (3, 12)),
        ((), ()),
    ]:
        omega = gap((24, 27), rows or (24,), columns or (27,))
        omega[omega == 0] = 0.99 * EMPTY
        assert_array_equal(around_gaps(omega, boundary, least), grown(omega, boundary))


def test_narrow_gaps_are_none():
    omega = gap((24, 27), (4, 6), (1, 26))
    omega[12, ::2] = omega[18] = 0
    assert not around_gaps(omega, "symmetric", 3).any()
    assert not around_gaps(EMPTY * gap((24, 27), (0, 0), (0, 0)), "wrap", 3).any()


def test_what_is_narrow_by_itself():
    """A gap may go on beyond the border; what hangs on a wide one belongs to it, if it touches."""
    border = gap((24, 27), (5, 10), (0, 2))
    assert not around_gaps(border, "wrap", 3).any()
    assert_array_equal(around_gaps(border, "symmetric", 3), grown(border, "symmetric"))
    border[5:10, -1] = 0
    assert_array_equal(around_gaps(border, "wrap", 3), grown(border, "wrap"))
    tail = gap((24, 27), (5, 10), (5, 10))
    tail[10:20, 10] = 0
    expected = grown(tail, "symmetric")
    tail[20:, 20:21] = 0
    assert_array_equal(around_gaps(tail, "symmetric", 3), expected)


@pytest.mark.parametrize("boundary", oracle.BOUNDARIES)
@pytest.mark.parametrize("dims", [(6, 7), (1, 5), (2, 2)])
def test_columns_of(boundary, dims, monkeypatch):
    blur = oracle.sparse_psf(RNG, (3, 4))
    model = DHOperator(dims, blur, 1, boundary=boundary, center=(0, 2)).model
    dense = oracle.matrix(dims, blur, 1, boundary=boundary, center=(0, 2))
    pixels = np.flatnonzero(RNG.random(dense.shape[1]) < 0.4)
    for some in (pixels, pixels[:1], pixels[:0], np.arange(dense.shape[1])):
        for band in (gaps.BAND, 2):
            monkeypatch.setattr(gaps, "BAND", band)
            found = np.zeros((len(dense), some.size))
            for part, outputs in columns_of(model, some):
                assert len(outputs) <= band
                found[outputs] += part.toarray()
            assert_array_equal(found, dense[:, some])


@pytest.mark.parametrize("boundary", ["wrap", "symmetric"])
@pytest.mark.parametrize("size", [70, 190])
def test_splines_add_up_to_one_deep_in_a_gap(size, boundary):
    """So do they beyond a border; every pixel of the gap is an unknown or has a spline."""
    first, second = SPACINGS
    omega = gap((size, size + 9), (0, size - 20), (4, size + 9))
    near = around_gaps(omega, boundary, 3)
    pixels, splines = gaps._unknowns(near & (omega == 0), near, boundary)
    (n0, n1), (i, j) = omega.shape, np.indices(omega.shape)
    depth = np.minimum(n0 - 20 - i, j - 3)
    if boundary == "wrap":
        depth = np.minimum(depth, np.minimum(i + 1, n1 - j))
    depth = depth.clip(0)
    total = np.asarray(splines.sum(axis=1)).reshape(omega.shape)
    assert_array_equal(np.flatnonzero(near & (depth <= first)), pixels)
    assert (splines.data >= 0).all()
    assert_array_equal(total[(depth == 0) & (total > 0)], [])
    assert (total[depth > first] > 0).all()
    # Where there are finer and coarser ones they overlap.
    sure = depth > (second if depth.max() > second else first)
    assert sure.any()
    assert_allclose(total[sure], 1, rtol=0, atol=size * EPS)  # of positions


def dense_of(function, shape):
    return np.array([function(e.reshape(shape)).ravel() for e in np.eye(np.prod(shape))]).T


@pytest.mark.parametrize("basis", BASES)
def test_all_of_a_gap_by_pixels_is_the_second_term(basis):
    """With a blur that is one pixel nothing is cut off but what lies far from the gap."""
    shape = 14, 13
    wave = basis(shape, (1, 1))
    omega = gap(shape, (0, 14), (0, 12)) + 0.5 * (np.arange(14) == 3)[:, None]
    omega[3] = 0.5
    blur = np.full(shape, 1.7)
    S = DHOperator(shape, LAPLACIAN, 1, boundary=wave.boundary)
    R = oracle.matrix(shape, LAPLACIAN, 1, boundary=wave.boundary)
    found = dense_of(Gaps(wave, omega, blur, [S.model], 0.3, 3), shape)
    near = around_gaps(omega, wave.boundary, 3)
    assert near.all()
    D = np.diag(1 - omega.ravel())
    inner = 0.3 * R.T @ R + 1.7**2 * np.diag(omega.ravel())
    expected = D + 1.7**2 * D @ np.linalg.solve(inner, D)
    assert_allclose(found, expected, rtol=0, atol=1e-7 * abs(expected).max())


@pytest.mark.parametrize("basis", BASES)
def test_it_is_symmetric_and_positive(basis):
    shape = 40, 36
    wave = basis(shape, (1, 1))
    omega = gap(shape, (2, 38), (1, 36)) * RNG.random(shape)
    blurring = DHOperator(shape, psf.gaussian(5, 0.8), 1, boundary=wave.boundary)
    blur = np.abs(wave.transfer(blurring.model))
    S = DHOperator(shape, LAPLACIAN, 1, boundary=wave.boundary)
    G = Gaps(wave, omega, blur, [S.model], 1e-3, 3)
    x, y = RNG.standard_normal((2, *shape))
    size = abs(G(x)).max() * abs(y).max()
    assert_allclose(np.vdot(y, G(x)), np.vdot(G(y), x), rtol=0, atol=1e-9 * size * x.size)
    # No less than the first term alone.
    assert np.vdot(x, G(x)) >= np.vdot(x, (1 - omega) * x) > 0
    assert_array_equal(pickle.loads(pickle.dumps(G))(x), G(x))


@pytest.mark.parametrize("basis", BASES)
def test_the_second_term_is_left_out(basis, monkeypatch):
    """Where there is no wide gap, and where it would take too much memory."""
    shape = 24, 27
    wave = basis(shape, (1, 1))
    S = DHOperator(shape, LAPLACIAN, 1, boundary=wave.boundary)
    omega, x = gap(shape, (5, 12), (5, 12)), RNG.standard_normal(shape)
    settings = np.ones(shape), [S.model], 0.1
    first = (1 - omega) * x
    assert_array_equal(Gaps(wave, omega, *settings, 9)(x), first)
    unknowns = np.count_nonzero(around_gaps(omega, wave.boundary, 3))
    monkeypatch.setattr(gaps, "MOST", unknowns)
    assert abs(Gaps(wave, omega, *settings, 3)(x) - first).max() > 0.1
    monkeypatch.setattr(gaps, "MOST", unknowns - 1)
    assert_array_equal(Gaps(wave, omega, *settings, 3)(x), first)


@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (2, 2), (30, 1), (40, 44)])
def test_a_gap_that_covers_everything(shape, basis):
    """Only the penalty is left, of which there is a small part where it says nothing."""
    wave = basis(shape, (1, 1))
    omega, x = np.zeros(shape), RNG.standard_normal(shape)
    assert around_gaps(omega, wave.boundary, 3).all()
    identity = DHOperator(shape, [[2.0]], 1, boundary=wave.boundary)
    found = Gaps(wave, omega, np.ones(shape), [identity.model], 0.5, 3)(x)
    assert_allclose(found, x + x / 2, rtol=0, atol=1e-9)
    S = DHOperator(shape, LAPLACIAN, 1, boundary=wave.boundary)
    assert np.isfinite(Gaps(wave, omega, np.ones(shape), [S.model], 0.5, 3)(x)).all()
