"""How near an image is to a known one."""

import numpy as np
from numpy.typing import ArrayLike

from dhop.extras import needed


def compare(image: ArrayLike, truth: ArrayLike) -> dict[str, float]:
    r"""Peak signal-to-noise ratio, structural similarity and relative error.

    Both images are scaled so that `truth` covers [0, 1].

    Parameters
    ----------
    image, truth : array_like, shape (..., n0, n1)
        Of one shape; leading axes are channels.

    Returns
    -------
    dict
        ``"psnr"`` in decibels and ``"ssim"``, both by scikit-image (``dhop[cli]``), and
        ``"relative_rmse"`` in percent,
        :math:`100 \sqrt{\operatorname{mean}((x - t)^2) / \sum t^2}`.

    Raises
    ------
    ValueError
        If the shapes differ or `truth` is constant.
    ImportError
        If scikit-image is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> from dhop.metrics import compare
    >>> truth = np.eye(8)
    >>> round(compare(truth + 0.1, truth)["psnr"], 6)
    20.0
    """
    skimage = needed("skimage.metrics", "cli", "comparing images")
    x, t = np.asarray(image, np.float64), np.asarray(truth, np.float64)
    if x.shape != t.shape:
        raise ValueError(f"the images have shapes {x.shape} and {t.shape}")
    low, high = t.min(), t.max()
    if not high > low:
        raise ValueError("the true image is constant, there is nothing to compare with")
    x, t = (x - low) / (high - low), (t - low) / (high - low)
    channels = {} if t.ndim == 2 else {"channel_axis": 0}
    flat = [each.reshape(-1, *each.shape[-2:]) if channels else each for each in (t, x)]
    return {
        "psnr": float(skimage.peak_signal_noise_ratio(t, x, data_range=1)),
        "ssim": float(skimage.structural_similarity(*flat, data_range=1, **channels)),
        "relative_rmse": float(100 * np.sqrt(np.mean((x - t) ** 2) / np.sum(t**2))),
    }
