"""The priors that are not quadratic, by their names."""

from collections.abc import Sequence

from dhop.reconstruction.penalties import Name, SmoothedNorm, Variation
from dhop.reconstruction.starlets import Starlet


def prior_of(name: Name, dims: Sequence[int], ndim: int, edge: float) -> SmoothedNorm:
    """The penalty of images of a shape, channels first, that have `ndim` axes; `edge` rounds it."""
    if name == "starlet":
        return Starlet.build(dims, ndim, edge)
    return Variation(tuple(dims), range(len(dims))[-ndim:], edge)
