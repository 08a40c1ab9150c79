"""The explicit matrix against a plain fill of its arrays, and against the ways to build it before.

    python -m pytest -m bench tests/benchmarks/test_matrix.py --benchmark-json=matrix.json

Fill and build take turns in one process, with fresh arrays each time and the first round left out:
the first touch of memory can cost ten times what the writing does. ``DHOP_BENCH=full`` adds the
matrix of 800 x 800 pixels, 12 GB.
"""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median

import numba
import numpy as np
import pytest
from scipy import sparse

from dhop import DHOperator, psf

pytest.importorskip("pytest_benchmark")
pytestmark = [pytest.mark.bench, pytest.mark.timeout(1800)]

ROUNDS = 6
SIZES = [400, 800] if os.environ.get("DHOP_BENCH") == "full" else [400]


def operator(size, width):
    return DHOperator((size, size), psf.gaussian(width, width / 6), 2, dtype="float32")


def in_turn(**builders):
    """Median seconds of each, every result freed before the next."""
    times = {name: [] for name in builders}
    for _ in range(ROUNDS):
        for name, build in builders.items():
            begin = time.perf_counter()
            result = build()
            times[name].append(time.perf_counter() - begin)
            del result
    return {name: median(each[1:]) for name, each in times.items()}


def fill(A, format):
    """Two threads write a constant into arrays of the matrix's size."""
    matrix = A.to_sparse(format, rows=[0])
    entries = A.nnz
    index = np.int64 if A.sparse_nbytes(format) > 8 * entries + 8 * max(A.shape) else np.int32
    indices = np.empty(entries // (matrix.blocksize[1] if format == "bsr" else 1), index)
    data = np.empty(entries, A.dtype)

    def half(k):
        for array in (indices, data):
            middle = array.size // 2
            array[k * middle : array.size if k else middle] = 1

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(half, (0, 1)))
    return indices, data


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("format", ["csr", "csc", "bsr"])
def test_build(benchmark, size, format):
    A = operator(size, 99)
    times = in_turn(fill=lambda: fill(A, format), build=lambda: A.to_sparse(format))
    ratio = times["build"] / times["fill"]
    benchmark.extra_info.update(size=size, format=format, nnz=A.nnz, build_over_fill=ratio)
    benchmark.pedantic(A.to_sparse, (format,), rounds=1)


@numba.njit(nogil=True)
def coordinates(folded, start, size, outputs, factor, first, last, rows, columns, values):
    """Count the entries of some rows of outputs, and write them if there is room."""
    T = len(folded)
    k = 0
    for j0 in range(first, last):
        for j1 in range(outputs):
            top, left = start + factor * j0, start + factor * j1
            for u in range(T):
                for v in range(T):
                    if 0 <= top + u < size and 0 <= left + v < size:
                        if rows.size:
                            rows[k] = j0 * outputs + j1
                            columns[k] = (top + u) * size + left + v
                            values[k] = folded[u, v]
                        k += 1
    return k


def batched_coo(A, batch=25):
    """Two sweeps, one that counts and one that fills COO buffers, batch by batch; ``m += coo``."""
    outputs, size = A.dimsd[0], A.dims[0]
    given = A.model.taps, A.model.rows.start, size, outputs, A.factor[0]
    m = sparse.csr_array(A.shape, dtype=A.dtype)
    for first in range(0, outputs, batch):
        rows = first, min(first + batch, outputs)
        nothing = np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, A.dtype)
        count = coordinates(*given, *rows, *nothing)
        i, j = np.empty((2, count), np.int32)
        values = np.empty(count, A.dtype)
        coordinates(*given, *rows, i, j, values)
        m += sparse.coo_array((values, (i, j)), shape=A.shape)
    return m


def test_batched_coo(benchmark):
    batched_coo(operator(32, 5))
    A = operator(400, 99)
    begin = time.perf_counter()
    expected = batched_coo(A)
    seconds = time.perf_counter() - begin
    assert (A.to_sparse() != expected).nnz == 0
    del expected
    build = in_turn(build=A.to_sparse)["build"]
    benchmark.extra_info.update(coo_over_build=seconds / build)
    benchmark.pedantic(A.to_sparse, rounds=1)


def blur_matrix(A):
    """H for zeros outside, diagonal by diagonal."""
    n = A.dims[0]
    K, i = len(A.psf), np.arange(n)
    diagonals, offsets = [], []
    for dy in range(K // 2, -(K // 2) - 1, -1):
        for dx in range(K // 2, -(K // 2) - 1, -1):
            inside = ((i + dy >= 0) & (i + dy < n))[:, None] & ((i + dx >= 0) & (i + dx < n))
            offset = dy * n + dx
            values = (inside * A.psf[K // 2 - dy, K // 2 - dx]).ravel().astype(A.dtype)
            diagonals.append(values[max(0, -offset) :][: n * n - abs(offset)])
            offsets.append(offset)
    return sparse.diags_array(diagonals, offsets=offsets, shape=(n * n,) * 2, format="csr")


def decimation_matrix(A):
    lines = sparse.kron(sparse.eye_array(A.dimsd[0]), np.ones((1, A.factor[0])), format="csr")
    return sparse.kron(lines, lines, format="csr").astype(A.dtype)


def test_other_ways(benchmark):
    """D and H by scipy and their product, and PyLops' one product for each unit vector."""
    A = operator(256, 31)
    product = decimation_matrix(A) @ blur_matrix(A)
    assert abs(product - A.to_sparse()).max() < 1e-6 * abs(product).max()
    builders = {
        "build": A.to_sparse,
        "product": lambda: decimation_matrix(A) @ blur_matrix(A),
    }
    small = operator(64, 15)
    pylops = pytest.importorskip("pylops")
    axes = small.model.rows, small.model.columns
    offset = tuple(axis.start + axis.taps - 1 for axis in axes)
    folded = small.model.taps[::-1, ::-1]
    convolution = pylops.signalprocessing.Convolve2D
    blur = convolution(small.dims, folded, offset=offset, dtype=small.dtype)
    picked = np.arange(64 * 64).reshape(64, 64)[::2, ::2].reshape(-1)
    chain = pylops.Restriction(64 * 64, picked, dtype=small.dtype) * blur
    times = in_turn(**builders)
    others = in_turn(build=small.to_sparse, pylops=chain.tosparse)
    benchmark.extra_info.update(
        product_over_build=times["product"] / times["build"],
        pylops_over_build=others["pylops"] / others["build"],
    )
    benchmark.pedantic(A.to_sparse, rounds=1)


@pytest.mark.parametrize(("size", "width"), [(400, 9), (200, 21)])
def test_gram(benchmark, size, width):
    A = operator(size, width)
    S = A.to_sparse()
    times = in_turn(gram=lambda: A.gram().to_sparse(), product=lambda: S.T @ S)
    benchmark.extra_info.update(product_over_gram=times["product"] / times["gram"])
    benchmark.pedantic(A.gram().to_sparse, rounds=1)
