"""A widget of napari: super-resolution, and with the factor one deconvolution."""

from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dhop.psf import gaussian
from dhop.super_resolution import super_resolve

if TYPE_CHECKING:
    import napari.layers
    import napari.types

Array: TypeAlias = NDArray[Any]
Content: TypeAlias = Literal["frames", "images", "volume"]
Loss: TypeAlias = Literal["gaussian", "huber", "poisson"]

REACH = 4  # widths of a Gaussian on either side of its array


def sharpen(
    image: "napari.layers.Image",
    factor: Annotated[int, {"min": 1, "max": 8}] = 2,
    psf: "napari.layers.Image | None" = None,
    width: Annotated[float, {"min": 0.0, "max": 50.0, "step": 0.1}] = 0.0,
    content: Content = "frames",
    loss: Loss = "gaussian",
    background: float = 0.0,
    nonnegative: bool = False,
) -> "napari.types.LayerDataTuple":
    """Super-resolve a layer, or with the factor 1 deconvolve it.

    Parameters
    ----------
    image : Image
        A layer of one image, or of what the slider goes through, in grey or in colours.
    factor : int
        Rows and columns of the result for each one of the layer.
    psf : Image, optional
        A layer of the point spread function, in pixels of the result.
    width : float
        Without such a layer, the width (sigma) of a Gaussian, in pixels of the result. With 0 it is
        estimated.
    content : {"frames", "images", "volume"}
        What the slider goes through. Frames show one scene, are registered and give one image.
        Images are solved one by one. Of a volume the planes stay as many.
    loss : {"gaussian", "huber", "poisson"}
        ``"huber"`` for outliers, ``"poisson"`` for photon counts.
    background : float
        What photon counts have besides the scene.
    nonnegative : bool
        Whether values below zero are impossible.

    Returns
    -------
    tuple
        The data, the metadata and the kind of a new layer, which lies on `image`.

    Raises
    ------
    ValueError
        If the layer has not the axes of `content`, or as `dhop.super_resolve` does.
    """
    pixels = _pixels(image)
    axes = pixels.ndim - image.rgb
    if axes not in (2, 3) or (axes == 2 and content == "volume"):
        raise ValueError(f"{image.name} has {axes} axes; take an image, or a stack or volume of 3")
    space = 3 if content == "volume" else 2
    factors = (1, factor, factor)[-space:]

    def solved(frames: Array, shifts: Any = None) -> Array:
        return super_resolve(
            frames,
            _blur(psf, width, space),
            factors,
            channel_axis=frames.ndim - 1 if image.rgb else None,
            shifts=shifts,
            loss=loss,
            background=background,
            nonnegative=nonnegative,
        ).image

    if axes == 2 or content == "volume":
        found = solved(pixels)
    elif content == "frames":
        found = solved(pixels, "estimate")
    else:
        found = np.stack([solved(each) for each in pixels])
    return found.clip(0, 1) if image.rgb else found, _placed(image, found, factors), "image"


def _pixels(image: Any) -> Array:
    """The pixels of a layer at its finest level, colours from 0 to 1."""
    pixels = np.asarray(image.data[0] if image.multiscale else image.data)
    if not image.rgb:
        return pixels
    colours = pixels[..., :3]  # without transparency
    return colours / np.iinfo(colours.dtype).max if colours.dtype.kind == "u" else colours


def _blur(psf: Any, width: float, ndim: int) -> Any:
    """The PSF: of a layer, a Gaussian, or ``"estimate"``."""
    if psf is not None:
        return np.asarray(psf.data)
    return gaussian((2 * int(np.ceil(REACH * width)) + 1,) * ndim, width) if width else "estimate"


def _placed(image: Any, found: Array, factors: tuple[int, ...]) -> dict[str, Any]:
    """Metadata that place a result on the layer it was made from."""
    axes = found.ndim - image.rgb
    steps = np.append(np.ones(axes), factors)[-axes:]
    scale, place = np.asarray(image.scale)[-axes:], np.asarray(image.translate)[-axes:]
    # Corners of pixels meet, and positions are those of centres.
    meta: dict[str, Any] = {
        "scale": scale / steps,
        "translate": place + scale * (1 / steps - 1) / 2,
    }
    if not image.rgb:  # white and black stay alike, so that the two can be compared
        meta |= {"contrast_limits": image.contrast_limits, "colormap": image.colormap}
    return meta | {"name": f"{image.name} sharpened", "rgb": image.rgb}
