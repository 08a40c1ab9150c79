"""Frames as they would be if they had only been shifted.

What is chosen from frames is chosen from their spectra (`dhop.frames.windows`), for which they may
differ by shifts alone. A frame that has turned is what an image `G` shows it of the scene, and what
that leaves unexplained:

    y_i = D W_i G + r_i,    and if it were only shifted, about    D T_i G + r_i.

`G` is the scene as optics let it through, so that no PSF is needed. Its errors count as far as turn
and shift differ: of frames that are but shifted every pixel stays as it is, whatever `G`.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dhop.frames import motions
from dhop.frames.windows import Spectra
from dhop.model.decimation import Decimation
from dhop.operators.moved import MovedOperator
from dhop.operators.stack import FrameStack
from dhop.psf.estimation import fit_blur
from dhop.reconstruction import problem, solvers
from dhop.selection import choose_beta

Array = NDArray[Any]

LARGEST = 256  # pixels a side of the part of the frames that is looked at
SMOOTH = 0.2  # weight of the regulariser of the first `G`, in strengths of a frame
ROUNDS = 2  # of a better weight, from what the first frames show
ROUGH = 1e-3  # tolerance of `G`
POINT = np.ones((1, 1))


class Stills(NamedTuple):
    """Parts of frames that differ by shifts.

    Attributes
    ----------
    frames : ndarray, shape (F, ..., n0, n1)
    shifts : ndarray, shape (F, 2)
    weights : list of ndarray
    """

    frames: Array
    shifts: Array
    weights: list[Array]


def stilled(
    frames: Array,
    weights: Sequence[Array] | None,
    motion: Sequence[Any],
    factor: tuple[int, ...],
    decimation: Decimation,
) -> Stills:
    """The middle of frames, as if they had only been shifted.

    Parameters
    ----------
    frames : ndarray, shape (F, ..., m0, m1)
        Finite where they have a weight.
    weights : sequence of ndarray, optional
        A number or a map for each frame.
    motion : sequence
        As `dhop.frames.motions` has it.
    factor : (int, int)
    decimation : str
    """
    shape = frames.shape[-2], frames.shape[-1]
    size = min(shape[0], LARGEST), min(shape[1], LARGEST)
    first = (shape[0] - size[0]) // 2, (shape[1] - size[1]) // 2
    part: Any = (..., *(slice(b, b + n) for b, n in zip(first, size, strict=True)))
    moves = [motions.cut(each, first, size) for each in motion]
    shifts = np.array([motions.displacement(each, size, (0.5, 0.5)) for each in moves])
    scene = (*frames.shape[1:-2], size[0] * factor[0], size[1] * factor[1])
    ratio = float(factor[0]), float(factor[1])
    options: Any = {
        "center": (0, 0), "decimation": decimation, "boundary": "symmetric",
        "dtype": frames.dtype,
    }  # fmt: skip
    grid = motions.Grid.build(size, ratio, (1, 1), (0, 0), decimation)
    given = weights or [np.ones(())] * len(frames)
    cuts = [frame[part] for frame in frames]
    maps = [
        np.broadcast_to(w[part] if w.ndim else w, cuts[0].shape) * grid.seen(each, scene[-2:])
        for w, each in zip(given, moves, strict=True)
    ]
    known = np.stack([np.where(w > 0, y, 0) for w, y in zip(maps, cuts, strict=True)])
    turned, still = (
        [MovedOperator(scene, POINT, ratio, size, each, **options) for each in some]
        for some in (moves, map(motions.of_shift, shifts))
    )
    stack = FrameStack(turned, maps)
    beta, G = SMOOTH * float(np.mean(stack.strengths())), None
    if not beta:
        return Stills(known, shifts, maps)
    for last in range(ROUNDS + 1):
        posed = problem.Problem(stack, known, "laplacian", beta, "symmetric")
        G = solvers.solve(posed, "cg", x0=G, rtol=ROUGH, maxiter=100).x
        found = Stills(_exchanged(known, maps, turned, still, G), shifts, maps)
        spectra = Spectra(found.frames, factor, shifts, maps)
        if last == ROUNDS or not spectra.values.any():
            break
        beta = _smoothness(spectra, decimation)
    return found


def _exchanged(frames: Array, weights: list[Array], turned: Any, still: Any, G: Array) -> Array:
    """What `G` does not explain of frames, on what it shows still ones."""
    found = frames.copy()
    for own, w, A, T in zip(found, weights, turned, still, strict=True):
        own -= A.matvec(G).reshape(own.shape)
        own[w == 0] = 0
        own += T.matvec(G).reshape(own.shape)
    return found


def _smoothness(spectra: Spectra, decimation: Decimation) -> float:
    """The `beta` of least expected error of `G`."""
    blur, scene = fit_blur(spectra, decimation)
    pixels = spectra.pixels(decimation)
    through = np.abs(spectra.transfer(blur)) ** 2
    seen = replace(scene, power=through * scene.power, transfer=pixels)
    return choose_beta(spectra, pixels, seen, "laplacian", "auto").beta
