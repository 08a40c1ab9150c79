"""The operators from the scene to each frame."""

from typing import Any, Protocol

from numpy.typing import NDArray

from dhop.frames import observations
from dhop.operators.blur_decimate import DHOperator
from dhop.operators.channels import ChannelOperator
from dhop.operators.moved import frame_operator

Array = NDArray[Any]


class Known(Protocol):
    """The known properties of frames, in memory or in chunks: see `Preparation`."""

    frames: Any
    factor: tuple[int, ...]
    psf: Any
    shifts: Array
    motion: list[Any] | None


def operators(
    size: tuple[int, ...], known: Known, factor: tuple[float, ...], options: dict[str, Any]
) -> list[Any]:
    """The operator of each frame, of one PSF or of one for each of its channels."""

    def frames_of(psf: Any, size: tuple[int, ...], frame: tuple[int, ...]) -> list[Any]:
        def make(blur: Any, center: Any) -> DHOperator:
            return DHOperator(size, blur, known.factor, center=center, **options)

        if known.motion is None:
            return observations.shifted_operators(make, psf, known.shifts, known.factor, frame)
        shape = frame[-len(factor) :]
        return [
            frame_operator(size, blur, factor, shape, each, center=_origin(blur), **options)
            for each, blur in zip(
                known.motion, observations.of_each(psf, len(known.motion)), strict=True
            )
        ]

    frame = known.frames.shape[1:]
    if not (isinstance(known.psf, list) and isinstance(known.psf[0], list)):
        return frames_of(known.psf, size, frame)
    by_channel = [frames_of(list(own), size[1:], frame[1:]) for own in zip(*known.psf, strict=True)]
    return [ChannelOperator(own) for own in zip(*by_channel, strict=True)]


def _origin(psf: Array) -> tuple[int, ...]:
    return tuple((k - 1) // 2 for k in psf.shape)
