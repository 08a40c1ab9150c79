"""Faults 6 - 9 and 23: arrays as they lie in memory, given and to be filled."""

import tracemalloc

import numpy as np
import oracle
import pytest
from child import COMPILED
from layouts import LAYOUTS
from numpy.testing import assert_array_equal
from small import build, vectors

from dhop import DHOperator


class TestFault06:
    @COMPILED
    @pytest.mark.parametrize("method", ["direct", "separable", "fft"])
    def test_fault_06_one_specialisation_for_every_layout(self, method, dtype):
        """What writeable, contiguous, native arrays compile serves all the others, too."""
        event = pytest.importorskip("numba.core.event")
        A = build(dtype, method=method)
        A.warmup()
        with event.install_recorder("numba:compile") as compiled:
            for product, x in vectors(A):
                for layout in LAYOUTS.values():
                    product(layout(x))
        assert not compiled.buffer

    def test_fault_06_read_only(self, dtype):
        A = build(dtype)
        for product, x in vectors(A):
            assert_array_equal(product(LAYOUTS["readonly"](x)), product(x))

    def test_fault_06_memory_map(self, tmp_path, dtype):
        joblib = pytest.importorskip("joblib")
        A = build(dtype)
        for product, x in vectors(A):
            joblib.dump(x, tmp_path / "x")
            mapped = joblib.load(tmp_path / "x", mmap_mode="r")
            assert isinstance(mapped, np.memmap)
            assert not mapped.flags.writeable
            result = product(mapped)
            assert type(result) is np.ndarray
            assert_array_equal(result, product(x))
            del mapped

    def test_fault_06_no_copy(self):
        """An aligned native contiguous image is read where it is."""
        A = DHOperator((1000, 1000), np.ones((3, 3)), 2, workers=1)
        image, out = np.ones(A.dims), np.empty(A.dimsd)
        image.flags.writeable = False
        A.degrade(image, out=out)
        tracemalloc.start()
        try:
            A.degrade(image, out=out)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < image.nbytes / 2


class TestFault07:
    @pytest.mark.parametrize("layout", ["reversed", "stepped", "column"])
    def test_fault_07_strided_vectors(self, layout, dtype):
        A = build(dtype)
        for product, x in vectors(A):
            assert_array_equal(product(LAYOUTS[layout](x)), product(x))

    def test_fault_07_matrices_and_images(self, dtype):
        A = build(dtype)
        rng = np.random.default_rng(3)
        for X in (oracle.integers(rng, (A.shape[1], 4), dtype),):
            expected = A @ X
            wide = np.repeat(np.repeat(X, 2, axis=0), 3, axis=1)
            views = [np.asfortranarray(X), wide[::2, ::3], X[::-1, ::-1].copy()[::-1, ::-1]]
            for view in views:
                assert_array_equal(A @ view, expected)
        image = oracle.integers(rng, A.dims, dtype)
        for view in (np.asfortranarray(image), image[::-1].copy()[::-1]):
            assert_array_equal(A.degrade(view), A.degrade(image))

    def test_fault_07_broadcast_views(self, dtype):
        """Zero strides."""
        A = build(dtype)
        value = np.asarray(3, dtype)
        for operand, product in [
            (np.broadcast_to(value, A.shape[1]), A.matvec),
            (np.broadcast_to(value, (A.shape[1], 3)), A.matmat),
            (np.broadcast_to(value, A.dims), A.degrade),
            (
                np.broadcast_to(np.arange(A.shape[0], dtype=dtype)[:, None], (A.shape[0], 3)),
                A.rmatmat,
            ),
        ]:
            assert_array_equal(product(operand), product(np.ascontiguousarray(operand)))


@pytest.mark.parametrize("operand", [">f4", ">f8", ">c8", ">c16", ">i2", ">u8"])
def test_fault_08_foreign_byte_order(operand, dtype):
    A = build(dtype)
    native = np.dtype(operand).newbyteorder("=")
    for product, x in vectors(A):
        foreign = abs(x).astype(operand)
        result = product(foreign)
        assert result.dtype.isnative
        assert result.dtype == np.result_type(dtype, native)
        assert_array_equal(result, product(foreign.astype(native)))


def test_fault_09_unaligned(dtype):
    A = build(dtype)
    for product, x in vectors(A):
        unaligned = LAYOUTS["unaligned"](x)
        assert not unaligned.flags.aligned
        assert_array_equal(product(unaligned), product(x))


# Arrays that cannot take a result, made from one that can and from the operand's buffer.
REFUSED_OUTS = {
    "read-only": lambda good, _: LAYOUTS["readonly"](good),
    "narrower": lambda good, _: good.astype(np.float32),
    "wider": lambda good, _: good.astype(np.complex128),
    "integer": lambda good, _: good.astype(np.int64),
    "foreign byte order": lambda good, _: LAYOUTS["big-endian"](good),
    "larger": lambda good, _: np.pad(good, ((0, 1), (0, 0))),
    "ravelled": lambda good, _: good.ravel(),
    "one more axis": lambda good, _: good[None],
    "Fortran order": lambda good, _: np.asfortranarray(good),
    "stepped": lambda good, _: np.repeat(good, 2, axis=1)[:, ::2],
    "unaligned": lambda good, _: np.frombuffer(bytearray(good.nbytes + 1), offset=1).reshape(
        good.shape
    ),
    "overlapping": lambda good, buffer: buffer[-good.size :].reshape(good.shape),
    "list": lambda good, _: good.tolist(),
}


@pytest.mark.parametrize("name", REFUSED_OUTS)
def test_fault_23_out_that_cannot_take_the_result(name):
    A = build()
    for product, shape, out_shape in [
        (A.degrade, A.dims, A.dimsd),
        (A.backproject, A.dimsd, A.dims),
    ]:
        # room around the operand, so that a result can overlap it
        buffer = np.full(max(A.shape), 2.0)
        operand = buffer[: np.prod(shape)].reshape(shape)
        out = REFUSED_OUTS[name](np.full(out_shape, 7.0), buffer)
        before = np.array(out)
        with pytest.raises((TypeError, ValueError)):
            product(operand, out=out)
        assert_array_equal(np.array(out), before)
        assert (buffer == 2).all()


def test_fault_23_right_result_into_a_view():
    """Refused for a reason: a contiguous view of something larger is fine."""
    A = build()
    buffer = np.zeros((3, *A.dimsd))
    image = np.arange(70.0).reshape(A.dims)
    A.degrade(image, out=buffer[1])
    assert_array_equal(buffer[1], A.degrade(image))
    assert_array_equal(buffer[::2], 0)
