"""A regulariser by a sharper picture: what it is, what it is good for, and what it may spoil."""

import numpy as np
import oracle
import pytest
from numpy.testing import assert_allclose
from skimage import data

from dhop import DHOperator, guided_regulariser, psf, super_resolve, testing

BLUR = psf.gaussian(7, 1.0)


def gradients(shape, boundary):
    return [
        oracle.matrix(shape, np.array([[1.0, -1.0]]).reshape(size), 1, boundary=boundary)
        for size in ((2, 1), (1, 2))
    ]


@pytest.mark.parametrize("boundary", oracle.BOUNDARIES)
@pytest.mark.parametrize("count", [1, 3])
def test_is_the_formula(count, boundary):
    """Pixel by pixel, from dense gradients."""
    shape, edge = (5, 6), 0.4
    guides = np.random.default_rng(0).standard_normal((count, *shape))
    D = gradients(shape, boundary)
    J = np.zeros((30, 2, 2))
    for guide in guides:
        g = np.stack([d @ guide.ravel() for d in D], -1)
        g = g / np.sqrt((g**2).sum(-1).mean())
        J += g[:, :, None] * g[:, None, :]
    expected = np.zeros((2, 30, 30))
    for pixel in range(30):
        P = np.eye(2) - J[pixel] / (np.trace(J[pixel]) + count * edge**2)
        expected[:, pixel] = P @ np.stack([d[pixel] for d in D])
    given = guides[0] if count == 1 else guides
    S = guided_regulariser(given, edge=edge, boundary=boundary)
    testing.assert_matches(S, expected.reshape(60, 30), rtol=1e-10)
    assert_allclose(S.to_sparse().toarray(), expected.reshape(60, 30), rtol=0, atol=1e-12)
    again = guided_regulariser(-7 * given + 3, edge=edge, boundary="symmetric")
    plain = guided_regulariser(given, edge=edge, boundary="symmetric")
    assert_allclose((again - plain).to_sparse().toarray(), 0, atol=1e-12)


def test_a_flat_guide_leaves_the_gradient():
    S = guided_regulariser(np.full((4, 5), 0.3))
    assert_allclose(S.to_sparse().toarray(), np.vstack(gradients((4, 5), "symmetric")))
    assert guided_regulariser(np.eye(4), dtype=np.float32).dtype == np.float32


class TestBands:
    """The red of a photograph at half the resolution, and its green at the full one."""

    photograph = data.astronaut()[0:128, 100:228] / 255.0

    def solved(self, guide):
        rng = np.random.default_rng(1)
        true = self.photograph[..., 0]
        A = DHOperator(true.shape, BLUR, 2, decimation="mean", boundary="symmetric")
        band = A.degrade(true) + rng.normal(0, 0.005, A.dimsd)
        S, beta = ("laplacian", "auto") if guide is None else (guided_regulariser(guide), 0.1)
        found = super_resolve(band, BLUR, 2, regulariser=S, beta=beta, noise=0.005)
        return np.sqrt(np.mean((found.image - true)[4:-4, 4:-4] ** 2))

    def test_halves_the_error(self):
        green = self.photograph[..., 1]
        green = green + np.random.default_rng(2).normal(0, 0.005, green.shape)
        alone = self.solved(None)
        assert self.solved(green) < 0.55 * alone
        assert self.solved(1 - green) < 0.55 * alone
        assert self.solved(np.stack([green, self.photograph[..., 2]])) < 0.55 * alone

    def test_a_guide_that_is_none(self):
        """Of another scene, or a pixel off, it costs less than half as much again."""
        other = data.camera()[200:328, 200:328] / 255.0
        for wrong in (other, np.roll(self.photograph[..., 1], 1, 0)):
            assert self.solved(wrong) < 1.5 * self.solved(None)


def test_refusals():
    for wrong in (np.ones(4), np.ones((1, 2, 3, 4)), np.ones((0, 3)), np.ones((3, 3)) * 1j):
        with pytest.raises(ValueError, match="guide must be real"):
            guided_regulariser(wrong)
    with pytest.raises(ValueError, match="guide must be finite"):
        guided_regulariser(np.full((3, 3), np.nan))
    for wrong in (0, -1, np.nan):
        with pytest.raises(ValueError, match="edge must be positive"):
            guided_regulariser(np.ones((3, 3)), edge=wrong)
