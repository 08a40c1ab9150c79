"""The Fourier transforms of our own against the definition and against `numpy.fft`."""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy import fft

from dhop.kernels.transform import RADICES, short_transform
from dhop.kernels.vectors import BYTES
from dhop.methods.transform_lengths import next_length
from dhop.methods.transforms import Transform, backend_is_set

SMOOTH = [n for n in range(1, 130) if next_length(n) == n]
LONG = [240, 256, 512, 625, 729, 1000, 1024, 2160, 4096]


@dataclass
class Number:
    """A complex number that counts its multiplications by real ones."""

    value: complex
    counted: list

    def __add__(self, other):
        return Number(self.value + other.value, self.counted)

    def __sub__(self, other):
        return Number(self.value - other.value, self.counted)

    def __rmul__(self, factor):
        self.counted.append(factor)
        return Number(factor * self.value, self.counted)

    def times_minus_i(self):
        return Number(-1j * self.value, self.counted)


@pytest.mark.parametrize(
    ("radix", "multiplications"), list(zip(RADICES, (2, 8, 0, 2, 0), strict=True))
)
def test_short_transform(radix, multiplications):
    rng, counted = np.random.default_rng(radix), []
    points = rng.standard_normal(radix) + 1j * rng.standard_normal(radix)
    turns = np.outer(range(radix), range(radix)) / radix
    result = short_transform([Number(point, counted) for point in points])
    expected = np.exp(-2j * np.pi * turns) @ points
    np.testing.assert_allclose([each.value for each in result], expected, rtol=0, atol=1e-14)
    assert len(counted) == multiplications


def random_lines(length, dtype, count=3):
    rng = np.random.default_rng(length)
    return rng.standard_normal((count, length, 2, BYTES // dtype.itemsize)).astype(dtype)


def numbers(lines):
    return lines[..., 0, :].astype(np.float64) + 1j * lines[..., 1, :]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("length", SMOOTH + LONG)
def test_transform(length, dtype):
    """The frequencies, in their order, to a few roundings for each doubling of the length."""
    dtype = np.dtype(dtype)
    transform, lines = Transform(length, dtype), random_lines(length, dtype)
    assert sorted(transform.frequencies) == list(range(length))
    np.testing.assert_array_equal(transform.frequencies[transform.places], range(length))
    expected = np.fft.fft(numbers(lines), axis=1)
    bound = 4 * np.finfo(dtype).eps * np.log2(length + 1) * np.linalg.norm(numbers(lines), axis=1)
    transformed = lines.copy()
    transform.forward(transformed)
    error = np.abs(numbers(transformed)[:, transform.places] - expected)
    assert np.all(error <= bound[:, None])
    transform.inverse(transformed)
    assert np.all(np.abs(numbers(transformed) / length - numbers(lines)) <= bound[:, None])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_lines_do_not_depend_on_their_neighbours(dtype):
    dtype = np.dtype(dtype)
    transform, lines = Transform(60, dtype), random_lines(60, dtype, 5)
    alone = [lines[k : k + 1].copy() for k in range(5)]
    for line in alone:
        transform.forward(line)
    transform.forward(lines)
    np.testing.assert_array_equal(lines, np.concatenate(alone))


@pytest.mark.parametrize("length", [1, 12, 256])
def test_backend(length):
    """The transforms of `scipy.fft` leave the frequencies in the same order."""
    dtype = np.dtype("float64")
    transform, lines = Transform(length, dtype), random_lines(length, dtype)
    other = lines.copy()
    for step in (transform.forward, transform.inverse):
        step(lines)
        step(other, backend=True)
        np.testing.assert_allclose(other, lines, rtol=0, atol=1e-12 * length)


class Backend:
    """A backend of `scipy.fft` that answers with a function, or says that it has none."""

    __ua_domain__ = "numpy.scipy.fft"

    def __init__(self, answer):
        self.answer = answer

    def __ua_function__(self, method, args, kwargs):
        return self.answer(*args, **kwargs)


def test_backend_is_set():
    assert not backend_is_set()
    with fft.set_backend("scipy"):
        assert not backend_is_set()
    with fft.set_backend(Backend(lambda x: NotImplemented)):
        assert not backend_is_set()
    with fft.set_backend(Backend(np.fft.fft)):
        assert backend_is_set()
    assert not backend_is_set()
