"""How near a chunked image is to a known one."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dhop.dask.operator import DaskArray, da, dask
from dhop.metrics import unit_of, window_of
from dhop.runtime.extras import needed

Array = NDArray[Any]


def compare(image: DaskArray, truth: ArrayLike | DaskArray) -> dict[str, float]:
    """What `dhop.metrics.compare` returns.

    Parameters
    ----------
    image : dask.array.Array, shape (..., n0, n1)
    truth : array_like or dask.array.Array, of the same shape
    """
    skimage = needed("skimage.metrics", "cli", "comparing images")
    known = truth if isinstance(truth, da.Array) else da.from_array(np.asarray(truth))
    if image.shape != known.shape:
        raise ValueError(f"the images have shapes {image.shape} and {known.shape}")
    x, t = image.astype(np.float64), known.rechunk(image.chunks).astype(np.float64)
    low, high = (float(each) for each in dask.compute(t.min(), t.max()))
    unit, span = unit_of(low, high), high - low
    sums = (((x - t) / unit) ** 2).sum(), ((t / unit) ** 2).sum(), (((x - t) / span) ** 2).mean()
    similar = _similarity(skimage, (x - low) / span, (t - low) / span)
    misfit, size, square, likeness = (float(each) for each in dask.compute(*sums, similar))
    return {
        "psnr": np.inf if square == 0 else float(-10 * np.log10(square)),
        "ssim": likeness,
        "relative_rmse": float(np.sqrt(misfit / size)),
    }


def _similarity(skimage: Any, x: DaskArray, t: DaskArray) -> Any:
    """The mean of the map where windows do not reach beyond the image, not yet computed."""
    window = window_of(x.shape)
    if window < 2:
        return np.nan
    reach = window // 2
    depth = {axis: reach if axis >= x.ndim - 2 else 0 for axis in range(x.ndim)}
    sizes = {
        axis: da.overlap.ensure_minimum_chunksize(window, x.chunks[axis])
        for axis in (x.ndim - 2, x.ndim - 1)
    }

    def likeness(one: Array, other: Array) -> Array:
        flat = [each.reshape(-1, *each.shape[-2:]) for each in (other, one)]
        options = {"win_size": window, "data_range": 1, "channel_axis": 0, "full": True}
        return np.asarray(skimage.structural_similarity(*flat, **options)[1]).reshape(one.shape)

    found = da.map_overlap(
        likeness, x.rechunk(sizes), t.rechunk(sizes), depth=depth, boundary="none",
        dtype=np.float64, meta=np.empty((0,) * x.ndim),
    )  # fmt: skip
    return found[..., reach : x.shape[-2] - reach, reach : x.shape[-1] - reach].mean()
