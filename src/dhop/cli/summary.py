"""The report of ``dhop superres`` on its result, for people and for scripts."""

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop import Solution
from dhop.cli.terminal import extent
from dhop.frames import motions
from dhop.reconstruction.blurs import width

Array = NDArray[Any]

OUTLYING = 1 / 3  # robust weight, of a residual of about four standard deviations


def of(
    solution: Solution, out: Path, compared: dict[str, float], ndim: int
) -> tuple[dict[str, str], dict[str, Any]]:
    """Lines of a table for people, and facts for JSON."""
    return _lines(solution, out, compared, ndim), _facts(solution, out, compared, ndim)


def _lines(solution: Solution, out: Path, compared: dict[str, float], ndim: int) -> dict[str, str]:
    shape, moves = _as_given(solution, ndim)
    lines = {
        "frames": f"{shape[0]} of {_extent(shape[1:], ndim)}",
        "result": f"{_extent(solution.image.shape, ndim)}, {out}",
        "operator": extent(solution.operator.shape),
        "beta": f"{solution.beta:.3g}",
        "solver": f"{solution.solver}, iterations: {solution.iterations}",
    }
    if not isinstance(solution.psf, list):
        size = solution.psf.shape[-ndim:]
        blur = f"width {width(solution.psf):.2f}" if max(size) > 1 else "a point: no blur"
        lines["psf"] = f"{extent(size)}, {blur}"
    if solution.motion is not None:
        found = solution.registration
        lines["motion"] = "given" if found is None else found.model
    moved = _refined(solution)
    if moved is not None and max(moved) > 0:
        lines["refined"] = f"by up to {max(moved):.3f} pixels"
    if moves.any():
        lines["shifts"] = "  ".join(",".join(f"{each:.2f}" for each in move) for move in moves)
    if not solution.photometry.trivial:
        pairs = zip(solution.photometry.gains, solution.photometry.offsets, strict=True)
        lines["brightness"] = "  ".join(f"{gain:.3f},{offset:+.3g}" for gain, offset in pairs)
    if solution.weights is not None:
        lines["outliers"] = f"{float(np.mean(solution.weights < OUTLYING)):.2%} of pixels"
    if compared:
        lines["compared"] = (
            f"PSNR {compared['psnr']:.2f} dB, SSIM {compared['ssim']:.4f}, "
            f"relative RMSE {compared['relative_rmse']:.3%}"
        )
    return lines


def _as_given(solution: Solution, ndim: int) -> tuple[tuple[int, ...], Array]:
    """The shape of the frames and their shifts; lines are solved as images of one row."""
    shape = solution.frames.shape
    return (*shape[:-2], shape[-1]) if ndim == 1 else shape, solution.shifts[:, -ndim:]


def _extent(shape: tuple[int, ...], ndim: int) -> str:
    """The shape in the order of image files: channels last."""
    return extent((*shape[-ndim:], *shape[:-ndim]))


def _facts(solution: Solution, out: Path, compared: dict[str, float], ndim: int) -> dict[str, Any]:
    registered, weights = solution.registration, solution.weights
    shape, moves = _as_given(solution, ndim)
    return {
        "out": out,
        "frames": shape,
        "shape": solution.image.shape,
        "operator": solution.operator.shape,
        "solver": solution.solver,
        "iterations": solution.iterations,
        "converged": solution.converged,
        "residual_norm": solution.residual_norm,
        "beta": solution.beta,
        "shifts": moves.tolist(),
        "model": None if registered is None else registered.model,
        "motion": _matrices(solution),
        "psf_width": None if isinstance(solution.psf, list) else width(solution.psf),
        "gains": solution.photometry.gains.tolist(),
        "offsets": solution.photometry.offsets.tolist(),
        "fits": None if registered is None else registered.fits.tolist(),
        "quality": None if registered is None else registered.quality.tolist(),
        "refined": _refined(solution),
        "trust": None if weights is None else [float(each.mean()) for each in weights],
        "warnings": solution.notes,
        **compared,
    }


def _refined(solution: Solution) -> list[float] | None:
    """Largest displacement of each frame's corners, in pixels, by the refinement of its motion."""
    if solution.registration is None:
        return None
    shape = solution.frames.shape[-2:]
    moves = solution.motion or [motions.of_shift(shift) for shift in solution.shifts]

    def apart(one: Any, other: Any) -> float:
        ways = [
            motions.displacement(one, shape, corner) - motions.displacement(other, shape, corner)
            for corner in product((0, 1), repeat=2)
        ]
        return float(np.hypot(*np.transpose(ways)).max())

    return [apart(*pair) for pair in zip(moves, solution.registration.motions, strict=True)]


def _matrices(solution: Solution) -> list[Any] | None:
    """The motions as matrices, None for other motions; None if frames are only shifted."""
    if solution.motion is None:
        return None
    return [each.tolist() if each.shape == (3, 3) else None for each in solution.motion]
