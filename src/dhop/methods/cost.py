"""The cost model of products, and the choice of ``method="auto"``.

Each method's time is a sum of constants, about twice the nanoseconds of one core of a machine of
2024, times numbers of operations. Only their ratios matter for the choice; the sums also decide how
many threads a product is worth. The adjoint has a cost of its own, since it computes all places.

- ``direct`` multiplies and adds every non-zero tap for every output, after splitting the image.
- ``separable`` multiplies and adds the column taps for every pixel of a decimated row and the row
  taps for every output, once for each term of the sum that the folded PSF is.
- ``fft`` transforms the phases of the continued image, and one low-resolution image back, whatever
  the PSF's content.

The method is chosen whose two directions together cost the least; `direct`, with the taps
themselves, if it takes far less than the call from Python; `fft` only if it costs a fifth less than
`separable`, since its time depends on other users of the caches. The constants are those with which
the choice costs the least over the cells of docs/benchmarks.md: a quarter of a per cent on average,
a fifth at most.
"""

from math import inf, log2
from typing import Any

import numpy as np

from dhop.methods.transform_lengths import segment_outputs, transform_length
from dhop.model.field import FieldModel
from dhop.model.geometry import Model
from dhop.model.tiling import Tiling

MULTIPLY = 0.024  # a multiply-add of the inner loops
SPARSE = 0.043  # the same where rows share no windows, since taps are missing
RUN = 0.33  # a tap of a row, however short
TOUCH = 0.19  # a pixel that is split into phases or gathered from them
ROW = 13.0  # a row that is split or gathered
LINE = 0.023  # a multiply-add along columns and rows of the image
BETWEEN = 0.2  # a number between the two passes of a term
TAP = 0.94  # a tap along a row, however short
TRANSFORM = 0.18  # a point of a transform down the columns, times the logarithm of its length
POINT = 0.77  # a point of a spectrum, between the transforms along its rows
OUTER = 0.5  # a point of a spectrum that no cache holds
NEAR = 1e5  # points that caches hold
ACROSS = 0.26  # a point of a transform across planes, times the logarithm of its length
PLANE = 1.3e4  # a plane that is transformed, whatever its size
LIBRARY = 0.24  # a point of a transform by scipy.fft, times the logarithm of their number
PLACED = 1.0  # a point that is brought to its place or back
AXIAL = 1.5  # a number that is summed along the first axis of a volume
STEPS = 1.2e5  # of transforms, whatever their size
LINES = 5e3  # the same of lines, by scipy.fft
FFT_MARGIN = 0.8  # the share of what `separable` costs that `fft` may cost, to be chosen instead
SMALL = 2e3  # of both directions, not worth a choice
MIXED = 1.05  # cost of strips with interpolated taps over those without
TILE = 2.5e4  # of a tile, whatever its size
LIT = 0.7  # a number of a tile or of its outputs
PYTHON = 3e3  # of a product in Python, whatever its size

LARGEST = 2**22  # numbers of a tile
SPECTRA = 2**24  # numbers in the spectra of all nodes; of large images as many as pixels

# Relative cost of the same operations in other dtypes.
ARITHMETIC = {"float32": 1.0, "float64": 1.9, "complex64": 4.0, "complex128": 8.0}
FOURIER = {"float32": 1.0, "float64": 2.0, "complex64": 2.2, "complex128": 3.7}


def direct(model: Model, dtype: np.dtype[Any]) -> tuple[float, float]:
    """Nanoseconds of a product of one image by the direct method, and of the adjoint."""
    plane, rows, columns = model.volume
    phases, places = columns.split.pixel.shape
    gathered = columns.split.trimmed.pixel.shape[1]
    taps = int(np.count_nonzero(model.taps))
    multiply = MULTIPLY if taps == model.taps.size else SPARSE
    split = plane.taps * min(rows.factor, rows.taps) * phases * places
    forward = (
        taps * rows.outputs * (multiply * columns.outputs + RUN)
        + rows.outputs * (TOUCH * split + ROW)
    )  # fmt: skip
    adjoint = (
        taps / (plane.taps * rows.taps) * rows.reads * (multiply * gathered + RUN)
        * plane.reads / plane.size
        + rows.size * (TOUCH * columns.size + ROW * phases)
    )  # fmt: skip
    scale = ARITHMETIC[dtype.name]
    return scale * plane.outputs * forward, scale * plane.size * adjoint


def separable(model: Model, dtype: np.dtype[Any], rank: int) -> tuple[float, float]:
    """Nanoseconds of a product of one image with `rank` terms, and of the adjoint."""
    _, rows, columns = model.volume
    phases, places = columns.split.pixel.shape
    gathered = columns.split.trimmed.pixel.shape[1]
    down = min(rows.reads, rows.outputs * rows.size)  # taps on the same line are one
    forward = LINE * down * columns.size + rows.outputs * (
        BETWEEN * phases * places + columns.taps * (LINE * columns.outputs + TAP)
    )
    adjoint = LINE * down * columns.outputs + rows.size * (
        BETWEEN * phases * gathered + columns.taps * (LINE * gathered + TAP)
    )
    scale = ARITHMETIC[dtype.name] * rank
    return scale * forward, scale * adjoint


def fft(model: Model, dtype: np.dtype[Any]) -> float:
    """Nanoseconds of a product of one image by transforms, in either direction."""
    if model.is_line:
        return _fourier(model, dtype)
    plane, rows, columns = model.volume
    depth, length = transform_length(plane), transform_length(rows)
    down = plane.size * columns.size * rows.factor + plane.outputs * columns.outputs
    along = rows.factor * columns.factor * length * transform_length(columns)
    points = plane.factor * depth * along
    sums = TRANSFORM * down * length * log2(length + 1) + OUTER * max(0, points - NEAR)
    sums += POINT * max(plane.size, plane.outputs) * along
    if len(model.axes) == 3:
        sums += ACROSS * points * log2(depth + 1) + PLANE * (plane.size + plane.outputs)
    return STEPS + FOURIER[dtype.name] * sums


def _fourier(model: Model, dtype: np.dtype[Any]) -> float:
    """As `fft`, of lines."""
    axis, outputs = model.columns, segment_outputs(model, "fft")
    points, count = transform_length(axis), 1
    if outputs < axis.outputs:
        points, count = outputs + -(-axis.taps // axis.factor), -(-axis.outputs // outputs)
    sums = points * (LIBRARY * log2(points + 1) * (axis.factor + 1) + PLACED * axis.factor)
    return LINES + FOURIER[dtype.name] * sums * count


def profile_first(model: Model, plane: Model, dtype: np.dtype[Any]) -> bool:
    """Whether a volume is summed along its first axis before its planes are blurred."""
    axis = model.axes[0]
    across, along = min(costs(plane, dtype).values()) / 2, LINE * axis.taps * axis.outputs
    after = axis.outputs * across + along * plane.pixels
    return after <= axis.size * across + along * plane.outputs


def _profiles(model: Model, dtype: np.dtype[Any]) -> float:
    """Nanoseconds of both products of one volume as a sum of profiles times planes."""
    axis, total = model.axes[0], 0.0
    for plane in model.planes:
        first = profile_first(model, plane, dtype)
        summed = axis.outputs * (plane.pixels if first else plane.outputs)
        across = (axis.outputs if first else axis.size) * min(costs(plane, dtype).values())
        along = ARITHMETIC[dtype.name] * (LINE * axis.taps + AXIAL) * summed
        total += 2 * along + across
    return total


def costs(model: Model, dtype: np.dtype[Any]) -> dict[str, float]:
    """Nanoseconds of a product and its adjoint in `dtype` by each method, inf if not worth a try.

    The folded PSF of an image is factorised only if a single term would win.
    """
    found = {"direct": sum(direct(model, dtype)), "separable": inf, "fft": 2 * fft(model, dtype)}
    if found["direct"] < SMALL * ARITHMETIC[dtype.name] or model.is_line:
        return found
    # In higher precision the operator is that of the rounded taps, which are not separable.
    if np.finfo(dtype).eps == np.finfo(model.dtype).eps:
        if len(model.axes) == 3:
            found["separable"] = _profiles(model, dtype)
        elif FFT_MARGIN * sum(separable(model, dtype, 1)) < min(found.values()):
            found["separable"] = sum(separable(model, dtype, len(model.factors[0])))
    return found


def choose(model: Model, dtype: np.dtype[Any]) -> str:
    """The method whose product and adjoint in `dtype` cost the least together."""
    found = costs(model, dtype)
    if found["direct"] < SMALL * ARITHMETIC[dtype.name]:
        return "direct"
    return _cheapest(found)


def _cheapest(found: dict[str, float]) -> str:
    if FFT_MARGIN * found.get("separable", inf) < found["fft"]:
        del found["fft"]
    return min(found, key=found.__getitem__)


def direct_field(field: FieldModel, dtype: np.dtype[Any]) -> tuple[float, float]:
    """As `direct`, of a field of lines or images: each pixel is in two strips."""
    columns, nodes = field.model.columns, field.columns.nodes
    margin = columns.taps / columns.factor / columns.outputs
    strips = MIXED * (min(nodes, 2) + nodes * margin)
    forward, adjoint = direct(field.model, dtype)
    return strips * forward, strips * adjoint


def tiling(field: FieldModel, dtype: np.dtype[Any], method: str) -> Tiling:
    """The tiles of a field; those of the Fourier method are small, since all keep their spectra."""
    together = max(SPECTRA, field.model.pixels) if method == "fft" else inf
    return Tiling(field, dtype, LARGEST, together)


def tiled(tiles: Tiling, dtype: np.dtype[Any], method: str, most: float = inf) -> float:
    """Nanoseconds of a product of a field in tiles, in either direction; inf if above `most`."""
    total, known = 0.0, {}
    for tile in tiles.tiles:
        if tile.node not in known:
            model = tiles.models[tile.node]
            placed = TILE + ARITHMETIC[dtype.name] * LIT * (model.pixels + model.outputs)
            known[tile.node] = placed + _by_method(model, dtype, method) / 2
        total += known[tile.node]
        if total > most:
            return inf
    return total


def _by_method(model: Model, dtype: np.dtype[Any], method: str) -> float:
    """Nanoseconds of a product and its adjoint by a method."""
    if method == "fft":
        return 2 * fft(model, dtype)
    if method == "direct":
        return sum(direct(model, dtype))
    if len(model.axes) == 3:
        return _profiles(model, dtype)
    return sum(separable(model, dtype, len(model.factors[0])))


def choose_field(field: FieldModel, model: Model, dtype: np.dtype[Any]) -> str:
    """As `choose`, of a field, whose model is `model`."""
    images = len(model.axes) == 2
    if images and sum(direct_field(field, dtype)) < SMALL * ARITHMETIC[dtype.name]:
        return "direct"
    whole = tiling(field, dtype, "direct")
    best = sum(direct_field(field, dtype)) / 2 if images else tiled(whole, dtype, "direct")
    found = {"direct": best}
    found["fft"] = tiled(tiling(field, dtype, "fft"), dtype, "fft")
    # As in `costs`.
    if np.finfo(dtype).eps == np.finfo(model.dtype).eps and not model.is_line:
        least = min(found.values()) / FFT_MARGIN
        found["separable"] = tiled(whole, dtype, "separable", least)
    return _cheapest(found)
