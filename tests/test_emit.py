"""What is written as instructions computes what the plain loop beside it does."""

import functools
import inspect

import child
import numba
import numpy as np
import pytest
from numba.core.codegen import get_host_cpu_features

from dhop.kernels import complex_vectors, polyphase, taps, transform, warp_taps, work_sharing
from dhop.kernels.emit import lanes
from dhop.kernels.flat import flat
from dhop.kernels.vectors import BYTES

DTYPES = [np.float32, np.float64, np.complex64, np.complex128]
REAL = DTYPES[:2]


@functools.cache
def compiled(function, arrays):
    """A function of arrays and numbers that calls what only kernels can call."""
    names = [f"a{k}" for k in range(len(arrays))]
    passed = [
        f"flat({name})" if is_array else name for name, is_array in zip(names, arrays, strict=True)
    ]
    scope = {"flat": flat, "function": function}
    exec(f"def call({', '.join(names)}): return function({', '.join(passed)})", scope)
    return numba.njit(scope["call"])


def numbers(rng, size, dtype):
    """Whole numbers, whose sums are exact."""
    real, imag = rng.integers(-9, 9, (2, size))
    return (real + 1j * imag if np.issubdtype(dtype, np.complexfloating) else real).astype(dtype)


def check(plain, emitted, *arguments, tolerance=0):
    """The two change their arguments in the same way, and return the same."""
    one, two = (
        [each.copy() if isinstance(each, np.ndarray) else each for each in arguments]
        for _ in range(2)
    )
    expected = getattr(plain, "py_func", plain)(*one)
    arrays = tuple(isinstance(each, np.ndarray) for each in two)
    assert compiled(emitted, arrays)(*two) == expected
    for a, b in zip(one, two, strict=True):
        if isinstance(a, np.ndarray):
            np.testing.assert_allclose(b, a, rtol=0, atol=tolerance)
    return one


def test_all_that_is_emitted_is_tested_here():
    """And every emitted function has the parameters of its plain loop."""
    source = inspect.getsource(inspect.getmodule(check))
    for module in complex_vectors, polyphase, work_sharing, taps, transform, warp_taps:
        for name in vars(module):
            if name.endswith("_emitted"):
                assert f"{module.__name__.split('.')[-1]}.{name}" in source


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("n", [1, 7, 64, 131])
def test_sums_of_windows(n, keep, dtype):
    """Of no taps, of linked ones, of some that two runs share, and of all kinds of steps."""
    rng = np.random.default_rng(n)
    step = BYTES // np.dtype(dtype).itemsize  # from a window to the one that it is linked with
    source, weights = numbers(rng, 700, dtype), numbers(rng, 80, dtype)
    offsets = rng.integers(0, 300, 40)
    offsets[:4] = 5, 5 + step, 11, 11 + step
    total = numbers(rng, 800, dtype)
    for linked, count in (0, 0), (0, 3), (4, 4), (4, 9):
        check(taps._sum_one, taps._sum_one_emitted, total, 3, n, source, 20, offsets, weights,
              linked, count, keep, None)  # fmt: skip
    for own, both in (0, 0), (2, 0), (0, 3), (4, 5):
        check(taps._sum_two, taps._sum_two_emitted, total[:200], total[300:], 3, n, source, 20, 30,
              offsets, offsets[5:], weights, weights[7:], own, offsets[9:], weights[11:],
              weights[15:], both, keep, None)  # fmt: skip
    for counts in (0, 0, 0, 0, 0), (1, 2, 0, 1, 3), (0, 0, 2, 0, 0):
        steps = np.array([4, 8, *counts])
        check(taps._sum_four, taps._sum_four_emitted, total, 197, 3, n, source, 20, steps, offsets,
              weights, keep, None)  # fmt: skip


@pytest.mark.parametrize("dtype", REAL)
@pytest.mark.parametrize(("a", "b"), [(0.0, 0.0), (0.25, 0.75), (0.9375, 0.125)])
def test_splines(a, b, dtype, monkeypatch):
    """Of four rows of coefficients, or of four planes, and back; nothing else is touched."""
    for name in "cubic", "_plane", "scatter":  # what the plain loops call
        function = getattr(warp_taps, name)
        monkeypatch.setattr(warp_taps, name, getattr(function, "py_func", function))
    near, target = numbers(np.random.default_rng(0), 160, dtype), np.zeros(3, dtype)
    image = near, 9, dtype(a), dtype(b), dtype(1.5)
    volume = near, 9, 41, dtype(0.375), *image[2:]
    tolerance = 50 * np.finfo(dtype).eps
    check(warp_taps.gather, warp_taps.gather_emitted, *image, target, tolerance=tolerance)
    check(warp_taps.scatter, warp_taps.scatter_emitted, *image, tolerance=tolerance)
    check(warp_taps.gather_volume, warp_taps.gather_volume_emitted, *volume, target,
          tolerance=tolerance)  # fmt: skip
    check(warp_taps.scatter_volume, warp_taps.scatter_volume_emitted, *volume, tolerance=tolerance)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("factor", polyphase.RADICES)
def test_rows_by_phases(factor, dtype):
    rng = np.random.default_rng(factor)
    wide = BYTES // np.dtype(dtype).itemsize
    for count in wide, wide + 1, 3 * wide - 1:
        run, place = numbers(rng, factor * count, dtype), numbers(rng, factor * (count + 5), dtype)
        split = check(polyphase._split, polyphase._split_emitted, run, place, factor, count + 5,
                      count)[1]  # fmt: skip
        np.testing.assert_array_equal(
            split.reshape(factor, -1)[:, :count], run.reshape(count, factor).T
        )
        folded = check(polyphase._fold, polyphase._fold_emitted, split, 0 * run, factor, count + 5,
                       count)[1]  # fmt: skip
        np.testing.assert_array_equal(folded, run)


@pytest.mark.parametrize("dtype", DTYPES)
def test_points_of_pixels(dtype):
    rng = np.random.default_rng(0)
    real = dtype(0).real.dtype
    size = 2 * BYTES // real.itemsize
    pixels = numbers(rng, size // (1 if dtype in REAL else 2), dtype)
    point = check(complex_vectors.load, complex_vectors.load_emitted, pixels, np.zeros(size, real))[
        1
    ]
    back = check(complex_vectors.store, complex_vectors.store_emitted, point, 0 * pixels)[1]
    np.testing.assert_array_equal(back, pixels)
    check(complex_vectors.prefetch, complex_vectors.prefetch_emitted, pixels)


@pytest.mark.parametrize("dtype", REAL)
def test_arithmetic_of_points(dtype):
    rng = np.random.default_rng(0)
    size = 2 * BYTES // np.dtype(dtype).itemsize
    one, two, three, both = (numbers(rng, n * size, dtype) for n in (1, 1, 1, 2))
    check(complex_vectors.copy, complex_vectors.copy_emitted, one, two)
    check(complex_vectors.scale, complex_vectors.scale_emitted, one, two, three)
    check(complex_vectors.add, complex_vectors.add_emitted, one, two)
    check(complex_vectors.multiply, complex_vectors.multiply_emitted, one, two, three)
    check(complex_vectors.multiply_add, complex_vectors.multiply_add_emitted, one, two, three)
    check(complex_vectors.multiply_conj, complex_vectors.multiply_conj_emitted, one, two, three)
    told = check(
        complex_vectors.split_real_pair, complex_vectors.split_real_pair_emitted, one, two, both
    )[2]
    _, point, opposite = check(
        complex_vectors.join_real_pair,
        complex_vectors.join_real_pair_emitted,
        told,
        0 * one,
        0 * two,
    )
    np.testing.assert_array_equal(point, 2 * one)
    np.testing.assert_array_equal(opposite, 2 * two)


@pytest.mark.parametrize("dtype", REAL)
@pytest.mark.parametrize("lines", [1, 2])
def test_lanes_of_frequencies_and_of_columns(lines, dtype):
    side = lanes(np.zeros(1, dtype))
    source = np.arange(lines * 2 * side**2).astype(dtype)
    turned = check(
        complex_vectors.transpose,
        complex_vectors.transpose_emitted,
        source,
        0 * source,
        lines,
        False,
    )[1]
    back = check(
        complex_vectors.transpose,
        complex_vectors.transpose_emitted,
        turned,
        0 * source,
        lines,
        True,
    )[1]
    np.testing.assert_array_equal(back, source)
    assert not np.array_equal(turned, source)


@pytest.mark.parametrize("dtype", REAL)
@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("radix", transform.RADICES)
def test_stages_of_transforms(radix, inverse, dtype):
    """A single stage is a transform of its own, of NumPy's."""
    rng = np.random.default_rng(radix)
    size = 2 * BYTES // np.dtype(dtype).itemsize
    u = 40 * np.finfo(dtype).eps
    for count in 1, 3:
        points = rng.standard_normal(radix * count * size).astype(dtype)
        turns = np.outer(np.arange(count), np.arange(1, radix)) / (radix * count)
        twiddles = np.exp(-2j * np.pi * turns).ravel().view(np.float64).astype(dtype)
        out = check(transform._stage, transform._stage_emitted, radix, inverse, points, size, count,
                    twiddles, tolerance=u)[2]  # fmt: skip
        if count == 1:
            before, after = (each.reshape(radix, 2, -1) for each in (points, out))
            before, after = before[:, 0] + 1j * before[:, 1], after[:, 0] + 1j * after[:, 1]
            wanted = radix * np.fft.ifft(before, axis=0) if inverse else np.fft.fft(before, axis=0)
            np.testing.assert_allclose(after, wanted, rtol=0, atol=u)


def test_numbers_of_other_threads():
    line = np.arange(5)
    check(work_sharing._fetch_add, work_sharing._fetch_add_emitted, line, 3)
    check(work_sharing._atomic_load, work_sharing._atomic_load_emitted, line, 2)
    check(work_sharing._atomic_store, work_sharing._atomic_store_emitted, line, 1, 7)


# What loops compute counts, not how fast: to optimise them takes half of the time.
UNOPTIMISED = {"DHOP_DISABLE_CACHE": "1", "NUMBA_OPT": "0"}
PRODUCTS = """
    import warnings
    import numpy as np

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        import dhop.kernels.emit
    import oracle
    from dhop import DHOperator

    rng = np.random.default_rng(0)
    for method in METHODS:
        for factor in FACTORS:
            psf = np.outer(rng.integers(1, 4, 11), rng.integers(1, 4, 12)).astype("f4")
            A = DHOperator((120, 100), psf, factor, method=method, boundary="symmetric")
            x, y = (rng.integers(-2, 3, dims).astype("f4") for dims in (A.dims, A.dimsd))
            forward, sizes = (
                oracle.degrade(each, psf, factor, boundary="symmetric") for each in (x, abs(x))
            )
            adjoint = oracle.backproject(y, A.dims, psf, factor, boundary="symmetric")
            tolerance = 0 if method != "fft" else 1e-5 * sizes.max()
            np.testing.assert_allclose(A.degrade(x), forward, rtol=0, atol=tolerance)
            np.testing.assert_allclose(A.backproject(y), adjoint, rtol=0, atol=tolerance)
"""


@pytest.mark.slow
@child.COMPILED
def test_vectors_of_a_processor_without_avx512():
    """Products of whole numbers are exact, whatever the processor's registers."""
    features = get_host_cpu_features().replace("+avx512", "-avx512")
    code = (
        PRODUCTS
        + """
    print(dhop.kernels.emit.BYTES, len(caught))
    """
    )
    code = code.replace("METHODS", "('direct', 'separable', 'fft')").replace("FACTORS", "(8, 3)")
    environment = {"NUMBA_CPU_FEATURES": features, **UNOPTIMISED}
    assert child.run(code, env=environment).split() == ["32", "0"]


LOOPS = """
    import warnings
    import numpy as np

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        import dhop.kernels.emit
    import test_emit

    test_emit.test_sums_of_windows(7, False, np.float32)
    test_emit.test_rows_by_phases(2, np.float32)
    test_emit.test_numbers_of_other_threads()
"""


@pytest.mark.slow
@child.COMPILED
@pytest.mark.parametrize(
    "used",
    [
        pytest.param(LOOPS, id="loops"),
        pytest.param(PRODUCTS, id="products", marks=pytest.mark.fuzz),
    ],
)
def test_a_newer_llvmlite(used):
    """One that has lost an instruction: there is one warning, and the plain loops are compiled."""
    code = (
        """
    from llvmlite import ir

    del ir.IRBuilder.shuffle_vector
    """
        + used
        + """
    assert dhop.kernels.emit.PLAIN
    print(*(each.category.__name__ for each in caught))
    """
    )
    code = code.replace("METHODS", "('separable', 'fft')").replace("FACTORS", "(2,)")
    printed = child.run(code, env=UNOPTIMISED)
    assert printed.split() == ["RuntimeWarning"]
