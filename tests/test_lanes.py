"""What is written once for vectors does the same compiled and interpreted."""

import child
import numba
import numpy as np
import pytest
from numba.core.codegen import get_host_cpu_features

from dhop.kernels.flat import flat
from dhop.kernels.lanes import BYTES, Pair, lanes, traced

REAL = [np.float32, np.float64]
COMPLEX = [np.complex64, np.complex128]


def parting(n):
    @traced
    def vectors(source, parted, joined):
        parts = source.parted([source.load(k) for k in range(n)])
        for k, vector in enumerate(parts):
            parted.store(k, vector)
        for k, vector in enumerate(source.joined(parts)):
            joined.store(k, vector)

    @numba.njit
    def part(source, parted, joined):
        vectors(flat(source), flat(parted), flat(joined))

    return part


@traced
def _calculate(one, two, out):
    a, b = one.point(0), two.point(0)
    out.put(0, a + b)
    out.put(1, a - b)
    out.put(2, a * b)
    out.put(3, a.conj())
    out.put(4, a.turned())
    out.put(5, a.swapped())
    out.put(6, 3.0 * a)
    out.put(7, a.scaled(two.number(0)))
    out.put(8, a * two.factor(1))


@traced
def _exchange(pixels, step, out):
    pixels.fetch(1)
    points = pixels.after(step).pixels()
    out.put_pixels(Pair(points.im, points.re))


@numba.njit
def calculate(one, two, out):
    _calculate(flat(one), flat(two), flat(out))


@numba.njit
def exchange(pixels, step, out):
    _exchange(flat(pixels), step, flat(out))


@numba.njit
def count(numbers):
    return lanes(flat(numbers))


@pytest.mark.parametrize("dtype", REAL + COMPLEX)
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6, 8, 9, 16])
def test_parted_and_joined(n, dtype):
    """By phases and back; a square is transposed."""
    size = BYTES // np.dtype(dtype).itemsize
    source = np.arange(n * size).astype(dtype)
    if source.dtype.kind == "c":
        source -= 1j * source
    parted, joined = np.empty((2, n * size), dtype)
    parting(n)(source, parted, joined)
    np.testing.assert_array_equal(parted.reshape(n, size), source.reshape(size, n).T)
    np.testing.assert_array_equal(joined, source)


@pytest.mark.parametrize("dtype", REAL)
def test_complex_arithmetic(dtype):
    """Of whole numbers, which is exact."""
    size = BYTES // np.dtype(dtype).itemsize
    rng = np.random.default_rng(0)
    one, two = rng.integers(-9, 9, (2, 2, size)).astype(dtype)
    out = np.empty((9, 2, size), dtype)
    calculate(one, two, out)
    a, b = one[0] + 1j * one[1], two[0] + 1j * two[1]
    factor = two.ravel()[2] + 1j * two.ravel()[3]
    expected = [a + b, a - b, a * b, a.conj(), -1j * a, a.imag + 1j * a.real]
    expected += [3 * a, two.ravel()[0] * a, factor * a]
    np.testing.assert_array_equal(out[:, 0] + 1j * out[:, 1], expected)


@pytest.mark.parametrize("dtype", REAL + COMPLEX)
def test_pixels(dtype):
    """A complex image gives its parts, a real one two neighbouring vectors."""
    width = 2 * BYTES // np.dtype(dtype).itemsize
    pixels = np.arange(width, dtype=dtype)
    if pixels.dtype.kind == "c":
        pixels += 1j * np.arange(100, width + 100)
        expected = pixels.imag + 1j * pixels.real
    else:
        expected = np.roll(pixels, width // 2)
    out = np.zeros(width, dtype)
    exchange(np.concatenate([pixels[:3], pixels]), 3, out)
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("dtype", REAL + COMPLEX)
def test_lanes(dtype):
    assert count(np.zeros(4, dtype)) == BYTES // np.dtype(dtype).itemsize


@child.COMPILED
def test_vectors_of_a_processor_without_avx512():
    """Products of whole numbers are exact, whatever the processor's registers."""
    features = get_host_cpu_features().replace("+avx512", "-avx512")
    printed = child.run(
        """
        import numpy as np
        from dhop import DHOperator
        from dhop.kernels.lanes import BYTES

        rng = np.random.default_rng(0)
        for method in "direct", "separable", "fft":
            for factor in (8, 3):
                psf = np.outer(rng.integers(1, 4, 11), rng.integers(1, 4, 12)).astype("f4")
                A = DHOperator((120, 100), psf, factor, method=method, boundary="symmetric")
                x, y = (rng.integers(-2, 3, n).astype("f4") for n in (A.shape[1], A.shape[0]))
                S = A.to_sparse()
                tolerance = 0 if method != "fft" else 1e-5 * np.abs(S @ np.abs(x)).max()
                np.testing.assert_allclose(A @ x, S @ x, rtol=0, atol=tolerance)
                np.testing.assert_allclose(A.H @ y, S.T @ y, rtol=0, atol=tolerance)
        print(BYTES)
        """,
        env={"NUMBA_CPU_FEATURES": features},
    )
    assert printed.split() == ["32"]
