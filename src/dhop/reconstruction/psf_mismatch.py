"""Whether frames contradict the PSF that was given with them."""

import numpy as np

from dhop.frames.scene import Scene

LIMIT = 0.03  # of the logarithm of the likelihood, for each class of aliases
LIMIT_ALONE = 0.1  # the same for a single frame, which shows less of the PSF
FEW = 100  # classes and tiles tell nothing of a PSF
SMOOTH = 2.5  # exponent of scenes whose fine detail is that of the windows, and not of a PSF
OTHER_WIDTH = 1.15  # times wider or narrower is worth a word


def contradicted(given: Scene, free: Scene, frames: int) -> bool:
    """Whether a Gaussian of free width fits the spectra of so many frames better than the PSF."""
    return given.cost - free.cost > (LIMIT if frames > 1 else LIMIT_ALONE)


def objection(free: Scene, own: float, seen: int) -> str | None:
    """What to say of a PSF of width `own`, where a Gaussian of another width fits better.

    Nothing if the widths hardly differ, or if `seen` classes and tiles are too few to tell.
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
