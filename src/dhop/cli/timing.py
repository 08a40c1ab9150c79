"""Timing products of the three methods, and of other packages that are installed."""

import time
from collections.abc import Callable
from importlib.util import find_spec
from math import prod
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal

from dhop.methods import PLANS
from dhop.operators.blur_decimate import DHOperator

Array = NDArray[Any]
Product = Callable[[Array], Any]

LARGEST_MATRIX = 3e9  # bytes
NDIMAGE = {
    "constant": "constant",
    "wrap": "grid-wrap",
    "symmetric": "reflect",
    "reflect": "mirror",
    "edge": "nearest",
}


def methods(A: DHOperator, adjoint: bool = False) -> dict[str, Product]:
    """The product of `A` by each method."""
    operators = {
        method: DHOperator(A.dims, A.psf, A.factor, **(A.settings() | {"method": method}))
        for method in PLANS
    }
    return {
        name: operator.backproject if adjoint else operator.degrade
        for name, operator in operators.items()
    }


def peers(A: DHOperator, adjoint: bool = False) -> dict[str, Product]:
    """The same product as `A`'s by other packages, where they are installed and can do it.

    Parameters
    ----------
    A : DHOperator
        Of one real image, with an odd PSF, the default centre and phase, one boundary and one
        factor that divides the image.
    adjoint : bool
        The product with `A.H`; other packages have it for zeros outside only.

    Returns
    -------
    dict of str to callable
        Each takes what `A.degrade` (`A.backproject`) takes.
    """
    found: dict[str, Product] = {}
    if A.sparse_nbytes() < LARGEST_MATRIX:
        matrix = A.to_sparse()
        if adjoint:
            found["CSR matrix"] = lambda y: matrix.T @ y.reshape(-1)
        else:
            found["CSR matrix"] = lambda x: matrix @ x.reshape(-1)
    blurs = _adjoint_blurs(A) if adjoint else _blurs(A)
    for name, blur in blurs.items():
        found[name] = _after(_spread(A), blur) if adjoint else _after(blur, _decimate(A))
    if A.boundary == ("constant", "constant"):
        found |= _strided(A, adjoint)
    return found


def agreeing(products: dict[str, Product], mine: Product, image: Array) -> dict[str, Product]:
    """The `products` that agree with `mine` to single precision."""
    expected = mine(image)
    bound = 1e-3 * np.abs(expected).max()

    def agrees(product: Product) -> bool:
        result = np.asarray(product(image))
        return result.size == expected.size and bool(
            (np.abs(result.reshape(expected.shape) - expected) <= bound).all()
        )

    return {name: product for name, product in products.items() if agrees(product)}


def interleaved(
    products: dict[str, Product],
    image: Array,
    *,
    rounds: int = 7,
    seconds: float = 5.0,
    rest: float = 0.01,
    warm: float = 0.05,
) -> dict[str, float]:
    """Median seconds of each product, timed in turns, as inside a solve.

    Parameters
    ----------
    products : dict of str to callable
    image : ndarray
    rounds : int
        Most turns of each, after a call that is not counted.
    seconds : float
        A product whose turns have taken as much is not called again.
    rest : float
        Seconds between products, while threads of the last one may still spin.
    warm : float
        Seconds of a turn, which has two calls at least. Only the calls of its second half count: by
        then the memory of the last product has been given back and that of this one been found,
        caches are warm and the processors awake.
    """
    for product in products.values():
        product(image)
    times: dict[str, list[float]] = {name: [] for name in products}
    for _ in range(rounds):
        for name, product in products.items():
            if sum(times[name]) < seconds:
                time.sleep(rest)
                end = time.perf_counter() + warm
                calls = [_time(product, image)]
                while len(calls) < 2 or time.perf_counter() < end:
                    calls.append(_time(product, image))
                times[name].append(median(calls[len(calls) // 2 :]))
    return {name: median(each) for name, each in times.items()}


def _time(product: Product, image: Array) -> float:
    begin = time.perf_counter()
    product(image)
    return time.perf_counter() - begin


def _after(first: Product, second: Product) -> Product:
    return lambda image: second(first(image))


def _decimate(A: DHOperator) -> Product:
    """Block means or sums, or samples, of a blurred image."""
    (f0, f1), (m0, m1) = A.factor, A.dimsd
    if A.decimation == "sample":
        return lambda z: z[::f0, ::f1]
    if f0 == f1 == 1:
        return lambda z: z
    scale = 1 if A.decimation == "mean" else f0 * f1
    if find_spec("cv2"):
        import cv2

        return lambda z: cv2.resize(z, (m1, m0), interpolation=cv2.INTER_AREA) * scale
    return lambda z: z.reshape(m0, f0, m1, f1).mean(axis=(1, 3)) * scale


def _spread(A: DHOperator) -> Product:
    """Adjoint of `_decimate`."""
    (f0, f1), (n0, n1) = A.factor, A.dims
    if A.decimation == "sample":

        def spread(y: Array) -> Array:
            z = np.zeros((n0, n1), y.dtype)
            z[::f0, ::f1] = y
            return z

        return spread
    scale = A.dtype.type(1 / (f0 * f1) if A.decimation == "mean" else 1)
    if find_spec("cv2"):
        import cv2

        return lambda y: cv2.resize(y * scale, (n1, n0), interpolation=cv2.INTER_NEAREST)
    return lambda y: np.repeat(np.repeat(y * scale, f0, axis=0), f1, axis=1)


def _blurs(A: DHOperator) -> dict[str, Product]:
    """Blurs of an image with A's PSF and boundary."""
    return _convolutions(A, A.psf.astype(A.dtype))


def _adjoint_blurs(A: DHOperator) -> dict[str, Product]:
    """Adjoints of the blur: with zeros outside, the blur by the flipped PSF."""
    if A.boundary != ("constant", "constant"):
        return {}
    return _convolutions(A, A.psf[::-1, ::-1].astype(A.dtype))


def _convolutions(A: DHOperator, psf: Array) -> dict[str, Product]:
    boundary = A.boundary[0]
    r0, r1 = psf.shape[0] // 2, psf.shape[1] // 2
    factors = _factors(psf)

    def padded(convolve: Callable[..., Array]) -> Product:
        if boundary == "constant":
            return lambda x: convolve(x, psf, "same")
        return lambda x: convolve(np.pad(x, ((r0, r0), (r1, r1)), boundary), psf, "valid")

    found: dict[str, Product] = {
        "scipy fftconvolve": padded(signal.fftconvolve),
        "scipy oaconvolve": padded(signal.oaconvolve),
    }
    mode = NDIMAGE[boundary]
    if factors:
        column, row = factors
        found["scipy convolve1d"] = lambda x: ndimage.convolve1d(
            ndimage.convolve1d(x, column, 0, mode=mode), row, 1, mode=mode
        )
    elif psf.size < 500:
        found["scipy ndimage"] = lambda x: ndimage.convolve(x, psf, mode=mode)
    if find_spec("cv2"):
        import cv2

        # OpenCV correlates, and its filters do not know "wrap".
        border = {
            "constant": cv2.BORDER_CONSTANT,
            "symmetric": cv2.BORDER_REFLECT,
            "reflect": cv2.BORDER_REFLECT_101,
            "edge": cv2.BORDER_REPLICATE,
            "wrap": cv2.BORDER_CONSTANT,
        }[boundary]
        flipped = np.ascontiguousarray(psf[::-1, ::-1])

        def around(filtered: Product) -> Product:
            if boundary != "wrap":
                return filtered

            def wrapped(x: Array) -> Array:
                z = filtered(cv2.copyMakeBorder(x, r0, r0, r1, r1, cv2.BORDER_WRAP))
                return np.ascontiguousarray(z[r0 : r0 + x.shape[0], r1 : r1 + x.shape[1]])

            return wrapped

        found["OpenCV filter2D"] = around(lambda x: cv2.filter2D(x, -1, flipped, borderType=border))
        if factors:
            down, along = column[::-1].copy(), row[::-1].copy()
            found["OpenCV sepFilter2D"] = around(
                lambda x: cv2.sepFilter2D(x, -1, along, down, borderType=border)
            )
    return found


def _strided(A: DHOperator, adjoint: bool) -> dict[str, Product]:
    """Packages that convolve with the folded PSF and a stride, zeros outside."""
    model = A.model
    found: dict[str, Product] = {}
    if find_spec("pylops"):
        from pylops import Restriction
        from pylops.signalprocessing import Convolve2D

        folded = model.taps[::-1, ::-1]
        offset = [
            axis.start + axis.taps - 1 for axis in model.axes
        ]  # what output 0 reads with tap 0
        inside = all(0 <= o < n for o, n in zip(offset, folded.shape, strict=True))
        if inside:
            picked = np.arange(prod(A.dims)).reshape(A.dims)[:: A.factor[0], :: A.factor[1]]
            picked = picked[: A.dimsd[0], : A.dimsd[1]].reshape(-1)
            blur = Convolve2D(A.dims, folded, offset=offset, dtype=A.dtype)
            operator = Restriction(prod(A.dims), picked, dtype=A.dtype) * blur
            found["PyLops"] = (
                (lambda y: operator.rmatvec(y.reshape(-1)))
                if adjoint
                else (lambda x: operator.matvec(x.reshape(-1)))
            )
    # torch copies the taps of every output first
    laid_out = model.taps.size * prod(A.dimsd) * A.dtype.itemsize
    if find_spec("torch") and laid_out < LARGEST_MATRIX:
        import torch
        from torch.nn import functional

        weights = torch.from_numpy(np.ascontiguousarray(model.taps))[None, None]
        before = [-axis.start for axis in model.axes]
        after = [
            axis.start + axis.factor * (axis.outputs - 1) + axis.taps - axis.size
            for axis in model.axes
        ]
        pads = before[1], after[1], before[0], after[0]
        stride = A.factor

        def forward(x: Array) -> Any:
            image = functional.pad(torch.from_numpy(x)[None, None], pads)
            return functional.conv2d(image, weights, stride=stride)[0, 0].numpy()

        def backward(y: Array) -> Any:
            z = functional.conv_transpose2d(torch.from_numpy(y)[None, None], weights, stride=stride)
            return functional.pad(z, [-p for p in pads])[0, 0].numpy()

        found["torch conv2d"] = backward if adjoint else forward
    return found


def _factors(psf: Array) -> tuple[Array, Array] | None:
    """Column and row of a PSF that is their product."""
    i, j = np.unravel_index(np.argmax(np.abs(psf)), psf.shape)
    column, row = psf[:, j], psf[i] / psf[i, j]
    if np.allclose(np.outer(column, row), psf, rtol=0, atol=1e-6 * abs(psf[i, j])):
        return column, row
    return None
