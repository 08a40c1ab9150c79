"""Lengths that transform well."""

from itertools import count

from dhop.model.axis import Axis, Split


def next_length(least: int) -> int:
    """The smallest product of twos, threes and fives from `least` on."""
    return next(length for length in count(least) if _is_smooth(length))


def transform_length(axis: Axis) -> int:
    """Places of each phase of an axis to transform.

    The period of an image that repeats itself if that transforms well, so that there is no margin.
    """
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
