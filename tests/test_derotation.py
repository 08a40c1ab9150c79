"""Frames that turn, as if they had only been shifted, and the PSF that they show."""

import moving
import numpy as np
import pytest
from bursts import quality
from numpy.testing import assert_allclose
from scipy.ndimage import gaussian_filter

from dhop import psf, super_resolve
from dhop.frames import motions
from dhop.frames.spectra import Spectra
from dhop.psf.estimation import given_blur
from dhop.reconstruction import derotation
from dhop.reconstruction.crop import Crop

SHAPE = (60, 60)


def views(kind, name, *, count=6, sigma=1.0, noise=0.01, **amounts):
    """The scene, the motions and the frames of a photograph."""
    photo = moving.photograph(name)
    first = [(n - 200) // 2 for n in photo.shape]
    wide = photo[first[0] : first[0] + 200, first[1] : first[1] + 200]
    given = moving.motions(kind, count, SHAPE, shift=1.0, **amounts)
    frames = moving.burst(wide, given, SHAPE, sigma=sigma, noise=noise)
    return wide[40:-40, 40:-40], given, frames


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "name", "noise", "turn"),
    [("euclidean", "camera", 0.01, 1.5), ("affine", "coins", 0.003, 10.0)],
)  # fmt: skip
def test_noise_and_psf_of_turned_frames(kind, name, noise, turn):
    scene, given, frames = views(kind, name, noise=noise, turn=turn)
    derotated = derotation.derotate(Crop.build(frames, None, list(given), (2, 2), "mean"))
    spectra = Spectra(derotated.frames, (2, 2), derotated.shifts, derotated.weights)
    found = given_blur(spectra, "mean", psf.gaussian(9, 1.0))
    assert_allclose(np.sqrt(found.noise), noise, rtol=0.1)
    known = super_resolve(frames, psf.gaussian(9, 1.0), 2, motion=list(given))
    estimated = super_resolve(frames, "estimate", 2, motion=list(given))
    assert quality(estimated.image, scene) > quality(known.image, scene) - 0.3


@pytest.mark.slow
def test_beta_of_turned_frames_with_a_sharp_psf():
    sigma = 0.4
    scene, given, frames = views("euclidean", "coins", sigma=sigma, turn=1.5)
    point = np.zeros((9, 9))
    point[4, 4] = 1
    blur = gaussian_filter(point, sigma)  # sampled, not integrated over pixels
    solution = super_resolve(frames, blur, 2, motion=list(given))
    sweep = [
        quality(super_resolve(frames, blur, 2, motion=list(given), beta=beta).image, scene)
        for beta in solution.beta * np.array([0.3, 3])
    ]
    assert quality(solution.image, scene) > max(sweep) - 0.4


@pytest.mark.slow
def test_frames_that_are_only_shifted_stay_as_they_are():
    """Whatever the others do; pixels without a weight are filled."""
    _, given, frames = views("euclidean", "camera", count=4)
    given[2] = motions.of_shift(np.array([0.3, -0.2]))
    weights = [np.ones(SHAPE) for _ in frames]
    weights[2][10:20, 30:33] = 0
    holed = frames.copy()
    holed[2][weights[2] == 0] = np.nan
    derotated = derotation.derotate(Crop.build(holed, weights, list(given), (2, 2), "mean"))
    assert_allclose(derotated.shifts[2], [0.3, -0.2], atol=1e-12)
    seen = derotated.weights[2] > 0
    assert_allclose(derotated.frames[2][seen], frames[2][seen], atol=1e-12)
    assert_allclose(derotated.frames[2], frames[2], atol=0.5)
    assert not derotated.weights[2][10:20, 30:33].any()


@pytest.mark.slow
def test_a_turned_frame_becomes_a_shifted_one():
    """As SciPy makes both of one scene, off the border."""
    _, given, frames = views("euclidean", "camera", noise=0.0, turn=6.0, seed=4)
    derotated = derotation.derotate(Crop.build(frames, None, list(given), (2, 2), "mean"))
    photo = moving.photograph("camera")
    first = [(n - 200) // 2 for n in photo.shape]
    wide = photo[first[0] : first[0] + 200, first[1] : first[1] + 200]
    moved = [motions.of_shift(each) for each in derotated.shifts]
    expected = moving.burst(wide, moved, SHAPE, sigma=1.0, noise=0.0)
    inner = (slice(None), slice(8, -8), slice(8, -8))
    error = np.std((derotated.frames - expected)[inner])
    assert error < 0.1 * np.std((frames - expected)[inner])


@pytest.mark.parametrize("kind", ["matrix", "positions", "callable"])
def test_parts_of_motions(kind):
    matrix = moving.motions("projective", 2, (50, 40))[1]

    def places(rows, columns):
        return motions.positions(matrix, rows, columns)

    whole = motions.centres(matrix, (50, 40))
    given = {"matrix": matrix, "positions": whole, "callable": places}[kind]
    part = motions.centres(motions.cut(given, (7, 5), (20, 30)), (20, 30))
    assert_allclose(part, whole[:, 7:27, 5:35] - np.array([7, 5])[:, None, None], atol=1e-10)
