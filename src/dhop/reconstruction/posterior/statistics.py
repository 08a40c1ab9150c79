"""The posterior of a solution: deviations, covariances, resolution and samples."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dhop.runtime.progress import Progress

if TYPE_CHECKING:
    from dhop.reconstruction.posterior.resolution import Resolution
    from dhop.reconstruction.posterior.uncertainty import Uncertainty, What

Array = NDArray[Any]


class PosteriorStatistics(ABC):
    """The methods of a `dhop.Solution` about its posterior."""

    @property
    @abstractmethod
    def _uncertainty(self) -> "Uncertainty":
        """What computes them."""

    def standard_deviation(
        self,
        noise: float | None = None,
        what: "What" = "posterior",
        *,
        probes: int = 64,
        progress: Progress = None,
        return_error: bool = False,
    ) -> Any:
        r"""The standard deviation of each pixel of the image about the scene.

        The root of the diagonal of :math:`\sigma^2 (N + \beta P)^{-1}`, with the `noise`
        :math:`\sigma`, :math:`N = \sum_i w_i A_i^H A_i` and :math:`P = S^H S`: exact in a closed
        form, else by probing with random signs, always the same. It holds for scenes as smooth as
        `beta` expects, see docs/explanation/uncertainty.md. With bounds pixels at one of them have
        none and the others that of a Gaussian, and total variation and starlets have that of the
        nearest Gaussian: both are approximations.

        Parameters
        ----------
        noise : float, optional
            Standard deviation of the noise of a pixel of weight one: if the weights are one over
            the variance, give 1. By default it is estimated from the residuals.
        what : {"posterior", "noise"}
            ``"noise"`` is what the noise of the frames alone makes of the image, the root of the
            diagonal of :math:`\sigma^2 (N + \beta P)^{-1} N (N + \beta P)^{-1}`.
        probes : int
            Most combs or samples: more are more accurate where pixels are correlated far.
        progress : callable or True, optional
            As for `super_resolve`.
        return_error : bool
            Whether to return the error, too.

        Returns
        -------
        ndarray, of the shape of `image`
        float
            If `return_error`: root of the mean square of the relative errors, as estimated.

        Raises
        ------
        ValueError
            If `beta` is zero, a number out of range, the residuals do not determine the noise, or
            the image is a denoiser's.

        Examples
        --------
        >>> import numpy as np
        >>> from dhop import psf, super_resolve
        >>> solution = super_resolve(np.eye(16), psf.gaussian(5, 1.0), 2, beta=0.01)
        >>> solution.standard_deviation(noise=0.1).shape
        (32, 32)
        """
        found = self._uncertainty.deviation(noise, what, probes, progress)
        return found if return_error else found[0]

    def response(self, pixel: Sequence[int]) -> Array:
        r"""The image of a scene that is one at a pixel and zero elsewhere, without noise.

        A column of :math:`(N + \beta P)^{-1} N`: the effective PSF, what photometry in the image
        is to be done with.

        Parameters
        ----------
        pixel : sequence of int
            Index in `image`.

        Returns
        -------
        ndarray, of the shape of `image`

        Raises
        ------
        ValueError
            If there is no such pixel, or `beta` is zero.

        Examples
        --------
        >>> import numpy as np
        >>> from dhop import psf, super_resolve
        >>> solution = super_resolve(np.eye(16), psf.gaussian(5, 1.0), 2, beta=0.01)
        >>> bool(abs(solution.response((12, 12)).sum() - 1) < 0.01)
        True
        """
        return self._uncertainty.response(pixel)

    def covariance(self, pixel: Sequence[int], noise: float | None = None) -> Array:
        r"""The covariances of a pixel with all: a row of :math:`\sigma^2 (N + \beta P)^{-1}`.

        Parameters
        ----------
        pixel : sequence of int
            Index in `image`.
        noise : float, optional

        Returns
        -------
        ndarray, of the shape of `image`

        Raises
        ------
        ValueError
            As for `standard_deviation`, or if there is no such pixel.

        Examples
        --------
        >>> import numpy as np
        >>> from dhop import psf, super_resolve
        >>> solution = super_resolve(np.eye(16), psf.gaussian(5, 1.0), 2, beta=0.01)
        >>> int(solution.covariance((5, 6), noise=0.1).argmax()) == 5 * 32 + 6
        True
        """
        return self._uncertainty.covariance(pixel, noise)

    def resolution(self, grid: int | Sequence[int] = 5) -> "Resolution":
        """How finely the image shows a source: the full width at half maximum of its `response`.

        Parameters
        ----------
        grid : int or (int, int)
            Number of pixels along each axis, the middles of equal parts of the image.

        Returns
        -------
        dhop.reconstruction.posterior.resolution.Resolution
            `pixels` and the `widths` there. The effective PSF at one of them is its `response`.

        Raises
        ------
        ValueError, TypeError
            If `grid` is not one positive integer or one for each axis, or `beta` is zero.

        Examples
        --------
        >>> import numpy as np
        >>> from dhop import psf, super_resolve
        >>> solution = super_resolve(np.eye(16), psf.gaussian(5, 1.0), 2, beta=0.01)
        >>> solution.resolution(grid=1).widths.shape
        (1, 1, 2)
        """
        return self._uncertainty.resolution(grid)

    def samples(
        self, n: int, *, rng: "np.random.Generator | int" = 0, noise: float | None = None
    ) -> Array:
        """Images drawn from the posterior, whose deviation is `standard_deviation`.

        What is computed from each of them is uncertain by as much as it varies. With bounds pixels
        at one of them are held there, and the others clipped.

        Parameters
        ----------
        n : int
        rng : Generator or int
            The same number gives the same images.
        noise : float, optional
            As for `standard_deviation`.

        Returns
        -------
        ndarray, shape (n, ...)
            With the shape of `image` after the first axis.

        Raises
        ------
        ValueError
            As for `standard_deviation`, or if `n` is not positive.

        Examples
        --------
        >>> import numpy as np
        >>> from dhop import psf, super_resolve
        >>> solution = super_resolve(np.eye(16), psf.gaussian(5, 1.0), 2, beta=0.01)
        >>> solution.samples(10, noise=0.1).shape
        (10, 32, 32)
        """
        return self._uncertainty.samples(n, rng, noise)
