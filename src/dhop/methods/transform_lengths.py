"""Lengths of Fourier transforms: products of twos, threes and fives."""

from itertools import count

from dhop.model.axis import Axis, Split
from dhop.model.geometry import Model

SEGMENT = 2**13  # outputs of a long line that are computed together
FEW = 16  # taps that take no longer than copies of segments
LENGTHS = 8  # least length of a transform over that of the PSF


def next_length(least: int) -> int:
    """The smallest such length from `least` on."""
    return next(length for length in count(least) if _is_smooth(length))


def transform_length(axis: Axis) -> int:
    """Places of each phase of an axis to transform: its period, without a margin, if possible."""
    if axis.period is not None and _is_smooth(axis.period):
        return axis.period
    return next_length(axis.round_places)


def transform_split(axis: Axis) -> Split:
    """The split of a continued axis into phases of the length to transform."""
    length = transform_length(axis)
    whole = length == axis.period
    return Split.of(axis, axis.continued(axis.size) if whole else axis.extended, length)


def _is_smooth(length: int) -> bool:
    for radix in (2, 3, 5):
        while length % radix == 0:
            length //= radix
    return length == 1


def segment_outputs(model: Model, method: str) -> int:
    """Outputs of a segment of a line: all, unless the line is long."""
    axis = model.columns
    if not model.is_line or axis.outputs <= 2 * SEGMENT:
        return axis.outputs
    if method != "fft":
        return SEGMENT if axis.taps > FEW else axis.outputs
    taps = -(-axis.taps // axis.factor)
    return min(axis.outputs, next_length(max(SEGMENT, LENGTHS * taps)) - taps + 1)
