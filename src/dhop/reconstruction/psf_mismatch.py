"""Whether the frames contradict the given PSF."""

import numpy as np

from dhop.frames.scene import Scene

LIMIT = 0.03  # log-likelihood ratio for each class of aliases, from which on they do
LIMIT_ALONE = 0.1  # the same for a single frame, which determines the PSF less well
GRADUAL = 1.0  # times the limit: the width of the transition that begins there
FEW = 100  # classes and tiles, up to which there is no warning
SMOOTH = 2.5  # exponent of scenes too smooth to show the PSF
OTHER_WIDTH = 1.15  # factor between widths, from which on a warning is due


def doubt(given: Scene, free: Scene, frames: int) -> float:
    """The part, from 0 to 1, that a Gaussian of free width has in what is expected.

    It is zero up to the limit, by which the spectra of so many frames may be more likely with that
    than with the PSF, and one at twice the limit, so that a little more or less changes little.
    """
    limit = LIMIT if frames > 1 else LIMIT_ALONE
    beyond = (given.cost - free.cost) / limit - 1
    return float(np.clip(beyond / GRADUAL, 0, 1))


def objection(free: Scene, own: float, seen: int) -> str | None:
    """The text of a warning for a PSF of width `own`, where a free Gaussian fits better.

    None if the widths hardly differ, or if there are too few classes and tiles, `seen`.
    """
    fitting = float(np.exp(free.parameters[0]))
    alike = 1 / OTHER_WIDTH < fitting / max(own, 1e-3) < OTHER_WIDTH
    if alike or seen <= FEW or free.exponent >= SMOOTH:
        return None
    what = (
        "hold detail that the psf would have removed"
        if fitting < own
        else "lack detail that the psf would have let through"
    )
    return (
        f"the frames {what}: a Gaussian of sigma {fitting:.2f} high-resolution pixels fits "
        f"them better than the psf, whose width is {own:.2f}"
    )
