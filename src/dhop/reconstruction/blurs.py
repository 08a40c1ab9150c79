"""The point spread functions of frames and channels, normalised and centred."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.psf.arrays import resample, window
from dhop.psf.field import Field
from dhop.psf.modes import Modes
from dhop.psf.origin import NO_SUM, displaced
from dhop.runtime import arguments

Array = NDArray[Any]

ROUNDING = 1e-12  # of a sum of one


def blurs(psf: Any, count: int, channels: int = 0, center: Any = None) -> Any:
    """The PSF of all frames, a list of those of each, or of lists of those of each of its channels.

    Parameters
    ----------
    psf : array_like or Field, or sequence of such, or sequence of sequences
        As for `dhop.super_resolve`.
    count, channels : int
        Of the frames, and of their channels, 0 if they have no such axis.
    center : int or (int, int), optional
        Index of the origin of each, which is moved to ``(K - 1) // 2``.

    Returns
    -------
    ndarray or Field, or list of such, or list of lists of such
        Of sum one, so that the image is as bright as the frames. Only a PSF whose sum is next to
        nothing in comparison with its values, as of a radio interferometer, stays as it is.
    """
    levels = _levels(psf)
    if levels < 3 or dimensions(psf) == 3:
        return _prepared(psf, center)
    if levels > 4:
        raise ValueError(f"psf must have 2 dimensions, or be a sequence of such, got {levels}")
    given: list[Any] = list(psf)  # each keeps its identity
    if levels == 4:
        return _of_channels([list(each) for each in given], count, channels, center)
    number = len(given)
    if number == channels > 1 and (count == 1 or number != count):
        return _of_channels([given], count, channels, center)
    if number != count:
        raise ValueError(f"{_counted(count, channels)}, but {number} psfs")
    if number == channels > 1:
        raise ValueError(
            f"{number} psfs may be those of the frames or of the channels, of which there are as "
            "many: for channels write [psfs], for frames [[psf] * channels for psf in psfs]"
        )
    known: dict[int, Any] = {}
    return [_once(each, center, known) for each in given]


def dimensions(psf: Any) -> int:
    """The number of axes of the images: that of a PSF, two for sequences."""
    if isinstance(psf, np.ndarray) and psf.ndim == 3:
        return 3
    if isinstance(psf, Field):
        return psf.ndim
    if isinstance(psf, list | tuple):
        other = [each for each in psf if isinstance(each, Field) and each.ndim != 2]
        if other:
            raise ValueError(f"a sequence has fields of images, got {other[0]}; give a single one")
    return 1 if _levels(psf) == 1 else 2


def resampled(
    psf: Any, old: tuple[float, ...], new: tuple[float, ...], *, decimated: bool = True
) -> Any:
    """The PSFs on pixels of another size: `new` of them are as long as `old` before.

    `decimated` as for `Field.resampled`.
    """
    if old == new:
        return psf
    if isinstance(psf, list):
        return [resampled(each, old, new, decimated=decimated) for each in psf]
    if isinstance(psf, Field):
        return psf.resampled(old, new, decimated=decimated)
    center = [(K - 1) // 2 for K in psf.shape]
    return resample(psf, [1 / f for f in old], [1 / f for f in new], center=center)


def distinct(psf: Any) -> list[Any]:
    """The arrays or fields in what `blurs` returns, each once."""
    flat: list[Any] = []
    for each in psf if isinstance(psf, list) else [psf]:
        flat += each if isinstance(each, list) else [each]
    return list({id(each): each for each in flat}.values())


def plain(psf: Array | Field) -> Array:
    """A PSF, or the mean of a field."""
    return psf.mean if isinstance(psf, Field) else psf


def mean(psfs: list[Any]) -> Array:
    """The mean of PSFs, with their origins on each other."""
    psfs = [plain(each) for each in psfs]
    side = max(max(each.shape) for each in psfs)
    size = (side,) * psfs[0].ndim
    centred = [window(each, [(K - 1) // 2 for K in each.shape], size) for each in psfs]
    return np.asarray(np.mean(centred, axis=0))


def off_centre(psf: Any) -> str | None:
    """The text of a warning about the first PSF that is off its origin as if by oversight."""
    for each in distinct(psf):
        each = plain(each)
        off = displaced(each)
        if off is not None:
            return (
                f"the peak of a psf of {each.shape} is {', '.join(f'{o:g}' for o in off)} pixels "
                f"({'planes, ' * (len(off) - 2)}rows, columns) from its origin, "
                f"{tuple((K - 1) // 2 for K in each.shape)}, and moves "
                "the image by as much; psf.from_array(array, center='peak'), on the command line "
                "--center peak, puts it there, psf.shift moves it by half a pixel, and center= "
                "says that it is meant"
            )
    return None


def _of_channels(given: list[list[Any]], count: int, channels: int, center: Any) -> Any:
    if len(given) not in (1, count) or any(len(each) != channels for each in given):
        raise ValueError(
            f"{_counted(count, channels)}, but psfs of {len(given)} frames and "
            f"{' or '.join(sorted({str(len(each)) for each in given}))} channels"
        )
    known: dict[int, Any] = {}
    made = [[_once(each, center, known) for each in frame] for frame in given]
    return made * count if len(made) == 1 else made


def _once(psf: Any, center: Any, known: dict[int, Any]) -> Any:
    """The prepared PSF, once for each object, so that operators can be shared."""
    if id(psf) not in known:
        known[id(psf)] = _prepared(psf, center)
    return known[id(psf)]


def _prepared(psf: Any, center: Any) -> Any:
    if isinstance(psf, Field):
        if center is not None:
            raise ValueError("the psfs of a field are centred, give no center")
        _require_real(psf.dtype)
        return psf.normalised()
    if isinstance(psf, Modes):
        raise TypeError("super-resolution takes a Field, whose nodes can move, not Modes")
    array = arguments.psf_array(psf, most=3)
    _require_real(array.dtype)
    if center is not None:
        origin = arguments.integers("center", center, array.ndim)
        if not all(0 <= k < K for k, K in zip(origin, array.shape, strict=True)):
            raise ValueError(f"center {origin} is not a pixel of a psf of {array.shape}")
        if origin != tuple((K - 1) // 2 for K in array.shape):
            array = window(
                array, origin, [max(k, K - 1 - k) for k, K in zip(origin, array.shape, strict=True)]
            )
    with np.errstate(over="ignore"):
        total, size = array.sum(), np.abs(array).sum()
    if not np.isfinite(size):
        raise ValueError("the sum of the psf overflows; scale it down")
    if abs(total - 1) <= ROUNDING * size or abs(total) < NO_SUM * size or size == 0:
        return array
    return np.asarray(array / total)


def _require_real(dtype: np.dtype[Any]) -> None:
    if dtype.kind == "c":
        raise TypeError(
            "psf must be real: super-resolution is of real images; for complex ones give SciPy's "
            "lsqr a DHOperator"
        )


def _levels(psf: Any) -> int:
    """How deep sequences and arrays are nested."""
    if isinstance(psf, np.ndarray):
        return psf.ndim
    if isinstance(psf, list | tuple) and psf:
        return 1 + _levels(psf[0])
    return np.ndim(psf) if hasattr(psf, "shape") or hasattr(psf, "__array__") else 0


def _counted(count: int, channels: int) -> str:
    frames = "1 frame" if count == 1 else f"{count} frames"
    return frames + (f" of {channels} channels" if channels else "")


def of_channels(psf: Any) -> list[Array]:
    """The PSFs of the channels of a frame."""
    return psf if isinstance(psf, list) else [psf]


def width(psf: Array) -> float:
    """Standard deviation of a PSF, root mean square over the axes that are longer than one."""
    power = np.abs(psf)
    total = float(power.sum()) or 1.0
    squares = 0.0
    for axis in range(psf.ndim):
        line = power.sum(axis=tuple(k for k in range(psf.ndim) if k != axis)) / total
        place = np.arange(line.size)
        middle = float(line @ place)
        squares += float(line @ (place - middle) ** 2)
    return float(np.sqrt(squares / max(sum(size > 1 for size in psf.shape), 1)))
