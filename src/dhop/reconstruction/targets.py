r"""Images at a target PSF.

The posterior of the scene `x` is Gaussian about the solution. So the posterior of :math:`G x`, the
scene blurred by the target `G`, is Gaussian about `G` times the solution, which is its best
estimate. Where the frames determine all frequencies that `G` passes, the response of that image,
:math:`G K^{-1} N`, is `G` itself, whatever the PSFs of the frames.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dhop.operators.blur_decimate import DHOperator
from dhop.runtime import arguments

Array = NDArray[Any]


def checked(target: ArrayLike, ndim: int) -> Array:
    """A target of sum one.

    Raises
    ------
    ValueError, TypeError
        If it is not real and finite, has other axes than the image, or a sum that is not positive.
    """
    array = arguments.psf_array(target, "target", most=3)
    if array.dtype.kind == "c":
        raise TypeError("target must be real, got complex numbers")
    if array.ndim != ndim:
        raise ValueError(f"target must have the {ndim} axes of an image, got {array.ndim}")
    total = float(array.sum(dtype=np.float64))
    if not total > 0:
        raise ValueError(f"target must have a positive sum, got {total:g}")
    return array / total


def target_operator(
    target: Array | None, dims: tuple[int, ...], **options: Any
) -> DHOperator | None:
    """The convolution with a target for images of a shape; None if there is no target.

    `options` are `boundary` and `dtype` of `DHOperator`.
    """
    return None if target is None else DHOperator(dims, target, 1, **options)
