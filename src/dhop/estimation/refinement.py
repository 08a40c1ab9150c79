r"""Shifts of the frames that leave the least residual of the super-resolution itself.

The image is eliminated (variable projection): for any shifts it is the most likely one, `G`, under
the model of `dhop.frames.scene`. That needs no PSF, since frames are samples of one image, however
blurred. With the spectra of `dhop.frames.spectra` and the covariance `C` of the model the residual
is :math:`\sigma^2 C^{-1} Y`, and a Gauss-Newton step costs as much as an evaluation for a `beta`.
Gains are unknowns beside the shifts; offsets are in frequencies that the spectra leave out.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.frames.scene import Scene
from dhop.frames.spectra import Spectra
from dhop.psf.estimation import fit_blur

Array = NDArray[Any]

WORK = 64_000.0  # see `dhop.frames.spectra`: every frequency adds to the accuracy
ROUNDS = 2  # of a model and of steps
STEPS = 4
LARGEST = 0.5  # pixels of a step, beyond which the linearisation is wrong


def refine(
    frames: Array,
    factor: Sequence[int],
    shifts: Array,
    weights: Sequence[Any] | None,
    decimation: str,
    gains: Array,
    spread: float,
) -> tuple[Array, Array]:
    """Improve shifts that are right to about half a pixel.

    Parameters
    ----------
    frames : ndarray, shape (F, ..., m0, m1)
    factor : (int, int)
    shifts : ndarray, shape (F, 2)
        In pixels of the frames. Those of the first frame that is used stay.
    weights, decimation
        As for `dhop.super_resolve`.
    gains : ndarray, shape (F,)
        A first guess.
    spread : float
        Standard deviation, in pixels, of the errors of the given shifts, their prior. Those of
        smooth and noisy frames stay nearly as they are.

    Returns
    -------
    shifts : ndarray, shape (F, 2)
    gains : ndarray, shape (F,)
        Brightness of each frame relative to the first that is used.

    References
    ----------
    G. H. Golub and V. Pereyra, "The differentiation of pseudo-inverses and nonlinear least squares
    problems whose variables separate", SIAM J. Numer. Anal. 10 (1973) 413-432,
    https://doi.org/10.1137/0710036; L. Kaufman, "A variable projection method for solving separable
    nonlinear least squares problems", BIT 15 (1975) 49-57, https://doi.org/10.1007/BF01932995.
    """
    given, shifts, gains = shifts, shifts.copy(), gains.copy()
    for _ in range(ROUNDS):
        spectra = Spectra(frames, factor, shifts, weights, WORK)
        if len(spectra) < 2 or not spectra.values.any():
            break
        used = spectra.used
        scene = fit_blur(spectra, decimation)[1]
        moves, ratios = _improved(spectra, scene, gains[used], shifts[used] - given[used], spread)
        if np.abs(moves).max() > LARGEST:
            break
        shifts[used] += moves
        gains[used] = ratios
    return shifts, gains


def _improved(
    spectra: Spectra, scene: Scene, gains: Array, moved: Array, spread: float
) -> tuple[Array, Array]:
    """Changes of the shifts, which have `moved` before, and gains."""
    power = np.abs(scene.transfer) ** 2 * scene.power + scene.floor
    turns = np.stack(spectra.frequencies, axis=-1) * spectra.factor  # radians a frame pixel
    count = len(spectra)
    moves = np.zeros((count, 2))
    free = _gauge(count)
    for _ in range(STEPS):
        angle = np.einsum("cak,fk->cfa", turns, moves)
        E = spectra.phases * np.exp(-1j * angle)
        Y = spectra.values / gains
        covariance = (E * power[:, None, :]) @ E.conj().swapaxes(1, 2)
        diagonal = np.arange(count)
        covariance[:, diagonal, diagonal] += scene.noise
        projector = scene.noise * np.linalg.inv(covariance)
        residual = np.einsum("cfg,rcg->rcf", projector, Y)
        image = power * np.einsum("cfa,rcf->rca", E.conj(), residual) / scene.noise
        columns = np.stack(
            [
                *(np.einsum("cfa,rca->rcf", E, -1j * turns[..., k] * image) for k in (0, 1)),
                np.einsum("cfa,rca->rcf", E, image),
            ],
            axis=-1,
        )
        slope = np.einsum("rcfk,rcf->fk", columns.conj(), residual).real.ravel()
        across = np.moveaxis(columns, 0, 2)  # (C, F, R, 3)
        matrix = np.empty((count, 3, count, 3))
        for k in range(3):
            for j in range(3):
                pairs = across[..., k].conj() @ across[..., j].swapaxes(1, 2)
                matrix[:, k, :, j] = np.sum(projector * pairs, axis=0).real
        # Two numbers, real and imaginary part, with half the noise each.
        matrix = 2 / scene.noise * matrix.reshape(3 * count, 3 * count)
        slope = 2 / scene.noise * slope.reshape(count, 3)
        slope[:, :2] -= (moved + moves) / spread**2
        matrix[np.diag_indices(3 * count)] += np.tile([spread**-2, spread**-2, 0], count)
        matrix, slope = free.T @ matrix @ free, free.T @ slope.ravel()
        step = free @ np.linalg.lstsq(matrix, slope, rcond=1e-10)[0]
        step = step.reshape(count, 3)
        moves += step[:, :2].clip(-LARGEST, LARGEST)
        gains = gains * (1 + step[:, 2].clip(-0.5, 0.5))
    return moves, gains / gains[0]


def _gauge(count: int) -> Array:
    """Free directions: not the first frame's shift, nor the product of all gains.

    The prior of the scene would prefer a darker image and brighter frames.
    """
    change = np.zeros((count, 3, count - 1, 3))
    frame = np.arange(count - 1)
    for k in (0, 1):
        change[frame + 1, k, frame, k] = 1
    change[frame + 1, 2, frame, 2] = 1
    change[0, 2, :, 2] = -1
    return change.reshape(3 * count, -1)
