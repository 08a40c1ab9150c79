"""The reference itself, against SciPy, brute force and NumPy's own padding."""

import itertools

import numpy as np
import oracle
import pytest
from numpy.testing import assert_array_equal
from scipy import ndimage, signal

# numpy.pad's names and scipy.ndimage's
NDIMAGE = {
    "constant": "constant",
    "wrap": "grid-wrap",
    "symmetric": "reflect",
    "reflect": "mirror",
    "edge": "nearest",
}


def brute_force(dims, psf, factor, decimation, boundary, center, phase):
    """Section by section, one scalar at a time."""
    (n0, n1), (f0, f1), (p0, p1), (c0, c1) = dims, factor, phase, center
    reach = 40
    sources = [
        np.pad(
            np.arange(n), reach, mode=mode, **({"constant_values": -1} if mode[0] == "c" else {})
        )
        for n, mode in zip(dims, boundary, strict=True)
    ]
    H = np.zeros((n0, n1, n0, n1), psf.dtype)
    for i, j in np.ndindex(n0, n1):
        for k, q in np.ndindex(psf.shape):
            s, t = sources[0][reach + i + c0 - k], sources[1][reach + j + c1 - q]
            if s >= 0 and t >= 0:
                H[i, j, s, t] += psf[k, q]
    rows = []
    if decimation == "sample":
        for i, j in itertools.product(range(p0, n0, f0), range(p1, n1, f1)):
            rows.append(H[i, j])
    else:
        for i, j in itertools.product(range((n0 - p0) // f0), range((n1 - p1) // f1)):
            a, b = p0 + f0 * i, p1 + f1 * j
            rows.append(H[a : a + f0, b : b + f1].sum(axis=(0, 1)))
    A = np.array(rows).reshape(-1, n0 * n1)
    return A / (f0 * f1) if decimation == "mean" else A


@pytest.mark.parametrize("decimation", oracle.DECIMATIONS)
@pytest.mark.parametrize("boundary", oracle.BOUNDARIES)
def test_matrix_is_brute_force(boundary, decimation):
    rng = np.random.default_rng(0)
    for dims, phase, center in [((5, 4), (1, 2), (1, 0)), ((3, 7), (0, 1), (-2, 6))]:
        psf = oracle.integer_psf(rng, (4, 3), (2, 3), complex)
        boundaries = (boundary, "edge")
        expected = brute_force(dims, psf, (2, 3), decimation, boundaries, center, phase)
        options = {"decimation": decimation, "boundary": boundaries, "center": center}
        actual = oracle.matrix(dims, psf, (2, 3), phase=phase, **options)
        assert_array_equal(actual, expected)


@pytest.mark.parametrize("decimation", oracle.DECIMATIONS)
@pytest.mark.parametrize("boundary", oracle.BOUNDARIES)
@pytest.mark.parametrize("psf", oracle.PSFS)
def test_matrix_is_the_padded_image(psf, boundary, decimation):
    """The matrix and the shifted image are the same map, their transposes too."""
    rng = np.random.default_rng(1)
    for (dims, taps, factor), options in oracle.grid(
        psf, boundary=boundary, decimation=decimation, factors=((2, 3),)
    ):
        image = oracle.integers(rng, dims)
        expected = oracle.degrade(image, taps, factor, **options)
        A = oracle.matrix(dims, taps, factor, **options)
        assert_array_equal((A @ image.ravel()).reshape(expected.shape), expected)
        low = oracle.integers(rng, expected.shape)
        adjoint = oracle.backproject(low, dims, taps, factor, **options)
        assert_array_equal((A.conj().T @ low.ravel()).reshape(dims), adjoint)


@pytest.mark.parametrize("boundary", oracle.BOUNDARIES)
def test_odd_psf_is_ndimage_convolve(boundary):
    rng = np.random.default_rng(2)
    image, psf = oracle.integers(rng, (8, 9)), oracle.integer_psf(rng, (3, 5))
    expected = ndimage.convolve(image, psf, mode=NDIMAGE[boundary])
    H = oracle.matrix(image.shape, psf, 1, boundary=boundary)
    assert_array_equal((H @ image.ravel()).reshape(image.shape), expected)


def test_zeros_outside_is_signal_convolve_same():
    rng = np.random.default_rng(3)
    image, psf = oracle.integers(rng, (8, 9)), oracle.integer_psf(rng, (4, 2))
    expected = signal.convolve(image, psf, mode="same", method="direct")
    H = oracle.matrix(image.shape, psf, 1)
    assert_array_equal((H @ image.ravel()).reshape(image.shape), expected)


@pytest.mark.parametrize("decimation", oracle.DECIMATIONS)
def test_terms_count_every_folded_tap(decimation):
    """A positive PSF has an entry exactly where a folded tap lands; ones count the taps."""
    options = {"decimation": decimation, "boundary": ("reflect", "wrap"), "phase": (1, 0)}
    psf = np.ones((3, 4))
    A = oracle.matrix((7, 5), psf, (2, 3), **options)
    terms = oracle.terms((7, 5), psf, (2, 3), **options)
    assert_array_equal(terms > 0, A > 0)
    assert_array_equal(terms.sum(axis=1), oracle.fold(psf, (2, 3), decimation).size)


def test_batch_axes_repeat_the_image():
    rng = np.random.default_rng(4)
    psf = oracle.integer_psf(rng, (2, 3))
    x = oracle.integers(rng, (5, 2, 4, 3))
    A = oracle.matrix(x.shape, psf, (2, 1), axes=(2, 0), boundary=("wrap", "edge"))
    y = (A @ x.ravel()).reshape(5, 2, 2, 3)
    for b, c in np.ndindex(2, 3):
        image = x[:, b, :, c].T
        expected = oracle.degrade(image, psf, (2, 1), boundary=("wrap", "edge"))
        assert_array_equal(y[:, b, :, c].T, expected)
