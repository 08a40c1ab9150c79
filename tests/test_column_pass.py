"""The tables of sums of lines, against the windows of the axis that they are made from."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from dhop.kernels import GROUP
from dhop.kernels.taps import PASS, READS
from dhop.methods.column_pass import column_pass, reached
from dhop.model.axis import Axis

LENGTH = 7  # numbers of a line
CASES = [
    (size, taps, factor)
    for size in (1, 5, 37, 64)
    for taps in (1, 3, 10, 41)
    for factor in (1, 2, 3, 8)
    if factor <= size
]
BOUNDARIES = "constant", "wrap", "symmetric", "edge", "reflect"


def axis_of(size, taps, factor, boundary):
    return Axis.build(
        size, taps, factor, decimation="sum", phase=0, center=taps // 2, boundary=boundary
    )


def dense(axis, weights):
    """By outputs and pixels, tap by tap."""
    matrix = np.zeros((len(weights), axis.outputs, axis.size))
    for j, window in enumerate(axis.windows):
        for tap, pixel in enumerate(window):
            if pixel >= 0:
                matrix[:, j, pixel] += weights[:, tap]
    return matrix


def decoded(lines, count, size):
    """The matrix that the tables stand for, and the lines that the steps of each group read."""
    rank = len(lines.weight)
    groups = lines.start.size - 1
    matrix = np.zeros((rank, groups * GROUP, size))
    read = [[] for _ in range(groups)]
    for group in range(groups):
        for k in range(lines.start[group], lines.start[group + 1]):
            offset, weight, *steps = lines.passes[k]
            assert sum(steps) <= PASS
            for kind, reads in enumerate(READS):
                for _ in range(steps[kind]):
                    for r, window in enumerate(reads):
                        pixel = lines.offset[offset + window] // LENGTH
                        matrix[:, GROUP * group + r, pixel] += lines.weight[:, weight + r]
                    read[group] += list(lines.offset[offset : offset + max(reads) + 1])
                    offset, weight = offset + max(reads) + 1, weight + GROUP
    for j in range(count):
        for e in range(lines.extra[j], lines.extra[j + 1]):
            matrix[:, j, lines.extra_offset[e] // LENGTH] += lines.extra_weight[:, e]
    return matrix, read


@pytest.mark.parametrize(("size", "taps", "factor"), CASES)
def test_tables_are_the_matrix(size, taps, factor):
    for boundary in BOUNDARIES[: 5 if size > 1 else 4]:  # a single pixel has no other to reflect
        axis = axis_of(size, taps, factor, boundary)
        weights = np.random.default_rng(0).integers(1, 9, (2, axis.taps)).astype(float)
        expected = dense(axis, weights)
        for relation, matrix in (
            (axis.by_output, expected), (axis.by_pixel, expected.swapaxes(1, 2)),
        ):  # fmt: skip
            count, height = matrix.shape[1:]
            lines = column_pass(relation, weights, LENGTH, np.dtype(float))
            found, _ = decoded(lines, count, height)
            assert_array_equal(found[:, :count], matrix, boundary)
            for j in range(count, found.shape[1]):  # beyond the last, no more than it reads
                assert set(np.flatnonzero(found[0, j])) <= set(np.flatnonzero(matrix[0, -1]))


@pytest.mark.parametrize("factor", [1, 2, 3, 8])
@pytest.mark.parametrize("taps", [1, 3, 5, 13, 33])
def test_inside_an_image_nothing_is_summed_alone(taps, factor):
    axis = axis_of(160 * factor, taps, factor, "wrap")
    lines = column_pass(axis.by_output, np.ones((1, axis.taps)), LENGTH, np.dtype(float))
    extra = np.diff(lines.extra).reshape(-1, GROUP)
    assert not extra[10:-10].any()
    if axis.taps > 3 * factor:  # four neighbours have lines in common
        read = decoded(lines, axis.outputs, axis.size)[1]
        assert all(len(set(each)) == len(each) for each in read[10:-10])  # each line once


def test_lines_reached():
    axis = axis_of(40, 5, 2, "constant")
    last = [window.max() + 1 for window in axis.windows]
    assert_array_equal(reached(axis.by_output), [*last[3::4], last[-1]])
