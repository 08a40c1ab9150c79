"""Frames, masks, weights and shifts of ``dhop superres``, from files."""

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dhop import images, io
from dhop.cli.terminal import Bar
from dhop.io import npy
from dhop.io.errors import require_file
from dhop.runtime.extras import needed

Array = NDArray[Any]
ArrayOf: TypeAlias = Callable[[Any, io.Picture], Any]  # makes an array of pixels in a file

BAD = 1  # bit of DQ, the data quality


class Axes(NamedTuple):
    """Which axes of the arrays in files count frames and channels, and the axes of an image."""

    frames: int | None
    channels: int | None
    ndim: int


@dataclass(frozen=True)
class Frames:
    """The frames of files, of which only headers are read before `read`.

    Attributes
    ----------
    paths : list of Path
    pictures : list of Picture
        As opened: pixels may still be in the file.
    outlines : list of Picture
        The same with interpreted axes, and zeros for pixels, which take no memory.
    axes : Axes
    hdu : str or None
        The image in each file.
    """

    paths: list[Path]
    pictures: list[io.Picture]
    outlines: list[io.Picture]
    axes: Axes
    hdu: str | None

    @classmethod
    def opened(cls, paths: list[Path], bar: Bar, axes: Axes, hdu: str | None) -> "Frames":
        """Open files of one or more frames each, all of one kind and size."""
        frames = cls(paths, [], [], axes, hdu)
        for number, path in enumerate(paths, 1):
            picture = io.opened(path, hdu)
            outline = np.broadcast_to(np.zeros((), picture.pixels.dtype), picture.pixels.shape)
            empty = replace(picture, pixels=outline)
            frames.pictures.append(picture)
            frames.outlines.append(io.interpreted(empty, path, *axes))
            own, first = _size(frames.outlines[-1]), _size(frames.outlines[0])
            if own != first:
                raise ValueError(f"{path} is {own}, but {paths[0]} is {first}")
            bar(number, len(paths))
        scaled = [original.white is not None for original in frames.originals]
        if len({*scaled}) > 1:
            raise ValueError(
                f"{paths[scaled.index(True)]} has a white, which is 1, and "
                f"{paths[scaled.index(False)]} has numbers without one; take frames of one kind"
            )
        return frames

    @property
    def originals(self) -> list[io.Original]:
        """The metadata of each file."""
        return [picture.original for picture in self.pictures]

    @property
    def outline(self) -> Array:
        """Zeros with the shape and dtype of `read`, which take no memory."""
        pairs = list(zip(self.outlines, self.paths, strict=True))
        kind = np.result_type(*(images.computed(*pair, compact=True) for pair in pairs))
        count = sum(len(_by_frames(each.arranged(images.ORDER), each)) for each in self.outlines)
        zeros = np.broadcast_to(np.zeros((), kind), (count, *_size(self.outlines[0])))
        return self._channels_first(zeros)

    def read(self, array_of: ArrayOf, bar: Bar) -> Any:
        """All frames, of shape (F, rows, columns) or (F, channels, rows, columns).

        Lines and volumes have an axis less or more. The dtype is float32 if that holds the file's
        numbers without loss.
        """
        found = []
        for number, path in enumerate(self.paths):
            outline = self.outlines[number]
            pixels = array_of(self.pictures[number].pixels, outline)
            self.pictures[number] = outline  # lets go of the pixels
            picture = replace(outline, pixels=pixels.reshape(outline.pixels.shape))
            found.append(_by_frames(images.numbers(picture, path, compact=True), outline))
            bar(number + 1, len(self.paths))
        return self._joined(found)

    def inverse_variance(self, array_of: ArrayOf) -> Any:
        """1 over the squares of the extensions ERR of FITS files, 0 where DQ marks a pixel as bad.

        Of the shape of the frames; None if not every file has an extension ERR.
        """
        found = []
        for path, outline in zip(self.paths, self.outlines, strict=True):
            extensions = [io.extension(path, self.hdu, name) for name in ("ERR", "DQ")]
            error, quality = (
                None if each is None
                else array_of(each.pixels, outline).reshape(outline.pixels.shape)
                for each in extensions
            )  # fmt: skip
            if error is None:
                return None
            used = np.isfinite(error) & (error > 0)
            if quality is not None:
                used = used & (quality.astype(np.int64) & BAD == 0)
            weight = np.where(used, 1 / np.where(used, error, 1).astype(np.float64) ** 2, 0.0)
            found.append(
                _by_frames(replace(outline, pixels=weight).arranged(images.ORDER), outline)
            )
        return self._joined(found)

    def _joined(self, found: list[Any]) -> Any:
        """Frames of all files, their channels first."""
        stack = found[0] if len(found) == 1 else np.concatenate(found)
        return self._channels_first(stack)

    def _channels_first(self, stack: Any) -> Any:
        return np.moveaxis(stack, -1, 1) if stack.ndim == self.axes.ndim + 2 else stack


def in_memory(pixels: Any, outline: io.Picture) -> Array:
    """Pixels as a NumPy array, for `Frames.read`."""
    return np.asarray(pixels)


def in_chunks(side: int) -> ArrayOf:
    """Pixels as Dask arrays in chunks of about `side` pixels along each axis, for `Frames.read`."""
    da = needed("dask.array", "dask", "working in chunks")
    return lambda pixels, outline: da.from_array(pixels, _chunks(pixels, outline, side), name=False)


def _by_frames(pixels: Any, picture: io.Picture) -> Any:
    return pixels if "F" in picture.axes else pixels[np.newaxis]


def _size(picture: io.Picture) -> tuple[int, ...]:
    """The shape of a frame of a picture whose axes are interpreted."""
    return _by_frames(picture.arranged(images.ORDER), picture).shape[1:]


def _chunks(pixels: Any, outline: io.Picture, side: int) -> list[int]:
    """Lengths of chunks of an array in a file, multiples of the file's own chunks.

    Colours of a pixel stay together; separate planes of channels, and frames, are apart.
    """
    together = "C" if outline.axes.endswith("C") else ""
    named = zip(outline.axes, outline.pixels.shape, strict=True)
    letters = [letter for letter, length in named if length > 1]
    own = getattr(pixels, "chunks", None) or (1,) * pixels.ndim
    chunks = []
    for length, step in zip(pixels.shape, own, strict=True):
        letter = letters.pop(0) if length > 1 else ""
        most = length if letter == together else side if letter in io.SPACE else 1
        chunks.append(min(length, -(-most // step) * step))
    return chunks


def require_maps(texts: list[str], masks: list[str]) -> None:
    """Refuse weights and masks that name a file which is not there."""
    for text in (*texts, *masks):
        path = Path(text)
        if _names_a_file(path) and not io.file_of(path).exists():
            raise FileNotFoundError(f"there is no file {path}")


@dataclass(frozen=True)
class Maps:
    """Images in files that belong to the frames, `stack`; Dask arrays if the frames are."""

    stack: Any
    axes: Axes

    def truth(self, path: Path, factors: Sequence[int], hdu: str | None) -> Any:
        """The image to compare with, of the shape of the result."""
        part = hdu if io.FORMATS.get(io.ending(io.file_of(path))) is io.FITS else None
        _, channels, ndim = self.axes
        pixels, _ = images.load(path, part, channel_axis=channels, ndim=ndim, reader=self._reader)
        image = np.moveaxis(pixels, -1, 0) if pixels.ndim == ndim + 1 else pixels
        sizes = [size * each for size, each in zip(self.stack.shape[-ndim:], factors, strict=True)]
        shape = *self.stack.shape[1:-ndim], *sizes
        if image.shape != shape:
            raise ValueError(f"{path} is {image.shape}, but the result will be {shape}")
        return image

    def background(self, path: Path) -> Any:
        """The background of all frames from one image, or from one for each."""
        frames, channels, ndim = self.axes
        axes = [frames] if frames is None else [frames, None]
        for axis in axes:
            try:
                pixels, original = images.load(
                    path, frames_axis=axis, channel_axis=channels, ndim=ndim, reader=self._reader
                )
                break
            except ValueError:  # it may be one image for all frames, without an axis of frames
                if axis is axes[-1]:
                    raise
        spare = pixels.ndim - ndim - (axis is not None)
        array = np.moveaxis(pixels, -1, -ndim - 1) if spare else pixels
        shape = self.stack.shape
        if array.shape[-ndim:] != shape[-ndim:]:
            raise ValueError(f"{path} is {array.shape[-ndim:]}, but a frame is {shape[-ndim:]}")
        if len(shape) == ndim + 2 and not spare:  # all channels alike
            array = np.expand_dims(array, -ndim - 1)
        try:
            whole = np.broadcast_to(array, shape)
        except ValueError:
            raise ValueError(
                f"{path} is of shape {array.shape}, which is that of no background of frames of "
                f"shape {shape}"
            ) from None
        return whole * (original.white or 1)

    def weights(
        self, texts: list[str], masks: list[str], inverse_variance: Any
    ) -> list[Any] | None:
        """A number or a map for each frame, zero where a mask is set; None if there is neither.

        `inverse_variance` takes the place of `texts`.
        """
        weights = self._given_weights(texts) if inverse_variance is None else list(inverse_variance)
        good = self._good(masks, inverse_variance)
        if good is None:
            return weights
        return [
            frame * weight for frame, weight in zip(good, weights or [1.0] * len(good), strict=True)
        ]

    def _given_weights(self, texts: list[str]) -> list[Any] | None:
        if not texts:
            return None
        paths = [Path(text) for text in texts]
        if any(_names_a_file(path) for path in paths):
            for path in paths:
                if not io.file_of(path).exists():
                    raise FileNotFoundError(
                        f"there is no file {path}; write weights as 1,0.5,2, or name images"
                    )
            maps = self._for_each_frame("weights", paths, images.load_weights)
            # A map is of the shape of its frame, all channels alike.
            return [np.broadcast_to(weight, self.stack.shape[1:]) for weight in maps]
        try:
            numbers = [float(part) for text in texts for part in text.split(",")]
        except ValueError:
            raise ValueError(
                f"cannot read the weights {','.join(texts)!r}; write them as 1,0.5,2, or name "
                "images"
            ) from None
        if len(numbers) != len(self.stack):
            raise ValueError(f"{len(self.stack)} frames, but {len(numbers)} weights")
        return numbers

    def _good(self, masks: list[str], inverse_variance: Any) -> Any:
        """Which pixels have no mask and a positive inverse variance; None if neither is given."""
        finite = np.isfinite(self.stack)
        paths = [Path(name) for name in masks if name != "finite"]
        good = finite if len(paths) < len(masks) else np.ones_like(finite)
        if inverse_variance is not None:
            good = good & (inverse_variance > 0)
        if paths:
            maps = self._for_each_frame("masks", paths, images.load_mask)
            good = np.stack([frame & ~bad for frame, bad in zip(good, maps, strict=True)])
        if not good.any():
            what = "the masks leave" if masks else "ERR and DQ leave"
            raise ValueError(f"{what} no pixel of any frame")
        if (good & ~finite).any():
            raise ValueError("frames have NaN or infinite pixels; --mask finite leaves those out")
        return good if masks or inverse_variance is not None else None

    def _for_each_frame(
        self, what: str, paths: list[Path], load: Callable[..., Array]
    ) -> list[Array]:
        """A map for each frame: from a file for each, one file for all, or one file with all."""
        frames, _, ndim = self.axes
        maps = [load(path, frames, ndim, self._reader) for path in paths]
        size = self.stack.shape[-ndim:]
        count = sum(math.prod(each.shape[:-ndim]) for each in maps)
        if count not in (1, len(self.stack)):
            raise ValueError(
                f"{len(self.stack)} frames, but {count} {what}; give one, or one for each"
            )
        for path, each in zip(paths, maps, strict=True):
            if each.shape[-ndim:] != size:
                raise ValueError(f"{path} is {each.shape[-ndim:]}, but a frame is {size}")
        found = [one for each in maps for one in each.reshape(-1, *size)]
        return found * len(self.stack) if count == 1 else found

    @property
    def _reader(self) -> images.Reader:
        if isinstance(self.stack, np.ndarray):
            return io.read
        da = needed("dask.array", "dask", "maps in chunks")

        def opened(path: Path, part: Any = None) -> io.Picture:
            picture = io.opened(path, part)
            return replace(picture, pixels=da.from_array(picture.pixels, "auto", name=False))

        return opened


def read_shifts(path: Path, ndim: int = 2) -> Array:
    """A table of a column for each axis, as text or .npy."""
    numbers = ("one number", "two numbers", "three numbers")[ndim - 1]
    if path.suffix.lower() == ".npy":
        return npy.load(path)
    require_file(path)
    try:
        lines = path.read_text().replace(",", " ").splitlines()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return np.loadtxt(lines, ndmin=2)
    except UserWarning:  # from NumPy, for an empty file
        raise ValueError(f"{path} has no shifts, which are {numbers} a line") from None
    except ValueError as error:
        raise ValueError(f"{path} must have {numbers} a line: {error}") from None


def _names_a_file(path: Path) -> bool:
    """Whether a text names a file: one that exists, or has the ending of an image file."""
    return io.file_of(path).is_file() or io.ending(io.file_of(path)) in io.FORMATS
