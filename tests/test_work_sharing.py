"""Shares of rows: each is taken once, by whichever thread, and a caller leaves last."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import oracle
import pytest
from scipy import ndimage

from dhop import DHOperator, WarpOperator, psf
from dhop.kernels import AT_ONCE, BEGUN, CALL, EDGES, TAKEN
from dhop.kernels import flat as kernels_flat
from dhop.kernels import work_sharing as kernels
from dhop.kernels.flat import between, flat, skip
from dhop.kernels.work_sharing import await_helpers, await_product
from dhop.runtime import parallel

NOBODY = np.zeros(0, np.int64)
compiled = pytest.mark.skipif(
    numba.config.DISABLE_JIT, reason="what threads do to numbers is atomic only if compiled"
)


@numba.njit
def take(shares, own, status, count):
    """Only compiled code can call what is compiled for callers."""
    return kernels.take(shares, own, status, count)


@numba.njit(nogil=True)
def visit(shares, own, status, seen, spoilt):
    """Count the rows of all shares that are to be had, and say whether all is well."""
    count, well = 0, True
    start, stop = take(shares, own, status, count)
    while start < stop:
        for row in range(start, stop):
            seen[row] += 1
            if row == spoilt:
                well = False
        count += 1
        start, stop = take(shares, own, status, count)
    return well


def parts(*edges, at_once=10**6):
    shares = np.zeros((len(edges), EDGES + len(edges[0])), np.int64)
    shares[0, AT_ONCE] = at_once
    shares[:, EDGES:] = edges
    return shares


@compiled
def test_each_share_once():
    """By four threads that all begin at the same time, many times over."""
    ready = threading.Barrier(4)
    shares = parts(*(np.arange(1001) + 1000 * k for k in range(4)))

    def work(own):
        seen = np.zeros(4000, np.int64)
        ready.wait()
        visit(shares, own, NOBODY, seen, -1)
        return seen

    with ThreadPoolExecutor(4) as threads:
        for _ in range(50):
            shares[:, TAKEN] = 0
            assert (sum(threads.map(work, range(4))) == 1).all()


def test_so_many_shares_at_once():
    shares = parts([0, 3, 4, 9, 10, 11], at_once=2)
    edges = shares[0, EDGES:].tolist()
    seen = np.zeros(11, np.int64)
    for expected in ([1] * 4 + [0] * 7, [1] * 10 + [0], [1] * 11, [1] * 11):
        visit(shares, 0, NOBODY, seen, -1)
        assert seen.tolist() == expected
    assert shares[0, EDGES:].tolist() == edges


def test_a_single_share_is_only_read():
    shares = parts([2, 9])
    shares.flags.writeable = False
    assert [take(shares, 0, NOBODY, k) for k in range(3)] == [(2, 9), (2, 2), (2, 2)]


def test_the_own_part_first():
    """Then those of the others, which may have fewer shares."""
    shares = parts([0, 3, 5, 5], [5, 7, 8, 9], [9, 12, 12, 12])
    taken = [take(shares, 1, NOBODY, k) for k in range(7)]
    assert taken == [(5, 7), (7, 8), (8, 9), (9, 12), (0, 3), (3, 5), (0, 0)]


def test_only_a_caller_says_that_it_begins():
    status = np.zeros(3, np.int64)
    for own, count, begun in ((1, 0, 0), (0, 0, 1), (0, 1, 1), (2, 0, 1)):
        take(parts([0, 1, 2], [2, 3, 4], [4, 5, 6]), own, status, count)
        assert status[BEGUN] == begun


@compiled
@pytest.mark.parametrize("where", ["wait", "take"])
def test_waits_a_moment_for_those_that_help(where):
    shares = parts([0, 0, 0])
    shares[0, CALL] = 5
    waits = {
        "wait": lambda status: await_helpers(status, 5),
        "take": lambda status: take(shares, 0, status, 1),
    }
    waits[where](np.array([5, 0, 4]))  # compiled, and for nobody
    begin = time.perf_counter()
    waits[where](np.array([0, 4, 5]))  # for ever, if it were not for a moment
    assert 1e-5 < time.perf_counter() - begin < 1
    status = np.array([0, 4, 5])
    with ThreadPoolExecutor(1) as threads:
        helper = threads.submit(await_product, status, 2, 0)
        while where == "wait" and not await_helpers(status, 5):
            pass
        helper.result()
    assert status.tolist() == [0, 4, 0]


def test_waiting_ends_when_a_product_begins():
    status = np.array([7, 1, 2])
    await_product(status, 1, 6)
    assert status.tolist() == [7, 0, 2]


@pytest.fixture(scope="module")
def pool():
    return parallel._Pool(7)


@pytest.mark.parametrize("work", [1.0, 1e5, 5e5, 1e7, 3e8])
@pytest.mark.parametrize("rows", [0, 1, 2, 7, 1000])
@pytest.mark.parametrize("workers", [1, 2, 8])
def test_every_row_once(rows, work, workers, pool, monkeypatch):
    """However many processors there are; and spoilt results are told of."""
    monkeypatch.setattr(parallel, "available_cpus", lambda: 8)
    monkeypatch.setattr(parallel, "_pool", lambda: pool)
    for spoilt in (-1, rows - 1):
        total = []

        def work_on(shares, own, status, spoilt=spoilt, total=total):
            seen = np.zeros(rows, np.int64)
            well = visit(shares, own, status, seen, spoilt)
            total.append(seen)
            return well

        assert parallel.share(work_on, rows, work, workers) == (spoilt < 0)
        assert rows == 0 or (np.sum(total, axis=0) == 1).all()


@pytest.mark.parametrize("work", [1e5, 1e6, 1e7, 1e8, 1e9])
@pytest.mark.parametrize("count", [1, 2, 8])
def test_sizes(work, count):
    """Ten milliseconds at most at once for each thread, and the last ones of several small."""
    shares = parallel._split_shares(100_000, work, count)
    sizes = np.diff(shares[:, EDGES:]) * work / 1e5
    assert sizes.max() <= parallel.LARGEST_BLOCK
    assert shares[0, AT_ONCE] == 1 or sizes.sum() <= 4 * parallel.LARGEST_BLOCK
    np.testing.assert_allclose(sizes.sum(axis=1), work / count)
    if count > 1:
        assert (np.diff(sizes) <= 1e-9 * work).all()
        assert sizes[:, -1].max() <= parallel.SMALLEST_SHARE


@pytest.mark.usefixtures("eight_processors")
def test_an_exception_of_a_helper():
    """It reaches the caller, which has waited for the others."""
    caller, running, begun = threading.get_ident(), [], threading.Event()

    def work(shares, own, status):
        running.append(1)
        try:
            if threading.get_ident() != caller:
                begun.set()
                time.sleep(0.02)
                raise ValueError("no room")
            assert begun.wait(20), "nobody helps"
        finally:
            running.pop()

    with pytest.raises(ValueError, match="no room"):
        parallel.share(work, 100, 1e8)
    assert not running


def test_what_begins_before_an_array_is_seen(monkeypatch):
    monkeypatch.setattr(kernels_flat, "INTERPRETED", kernels_flat.Strict)
    numbers = flat(np.arange(6.0).reshape(2, 3))
    assert skip(numbers, 2)[:2].tolist() == [2, 3]
    for read in (lambda: numbers[-1], lambda: skip(numbers, -2), lambda: between(numbers, 1, -1)):
        with pytest.raises(IndexError, match="before the numbers"):
            read()
    with pytest.raises(IndexError, match="before the numbers"):
        numbers[-3:-1] = 0


@pytest.mark.skipif(not numba.config.DISABLE_JIT, reason="of interpreted loops")
@pytest.mark.parametrize("boundary", ["constant", "symmetric"])
@pytest.mark.parametrize("factor", [1, 2, 3])
@pytest.mark.parametrize("method", ["direct", "separable", "fft"])
def test_windows_begin_inside(method, factor, boundary, monkeypatch):
    monkeypatch.setattr(kernels_flat, "INTERPRETED", kernels_flat.Strict)
    blur = np.outer([1.0, 2.0, 3.0, 1.0], [2.0, 1.0, 1.0])
    options = {"boundary": boundary, "method": method}
    A = DHOperator((13, 11), blur, factor, **options)
    expected = oracle.matrix((13, 11), blur, factor, boundary=boundary)
    x = np.arange(143.0) % 7
    np.testing.assert_allclose(A @ x, expected @ x, atol=1e-9)
    np.testing.assert_allclose(A.H @ (expected @ x), expected.T @ (expected @ x), atol=1e-8)


@pytest.mark.skipif(not numba.config.DISABLE_JIT, reason="of interpreted loops")
@pytest.mark.parametrize("boundary", ["constant", "symmetric"])
@pytest.mark.parametrize("factor", [1, 2, 3])
def test_windows_of_a_field_begin_inside(factor, boundary, monkeypatch):
    monkeypatch.setattr(kernels_flat, "INTERPRETED", kernels_flat.Strict)
    blur = np.outer([1.0, 2.0, 3.0, 1.0], [2.0, 1.0, 1.0])
    field = psf.Field([[blur] * 3] * 2, ([3, 9], [-2, 4, 8]))
    A = DHOperator((13, 11), field, factor, boundary=boundary)
    expected = oracle.matrix((13, 11), blur, factor, boundary=boundary)
    x = np.arange(143.0) % 7
    np.testing.assert_allclose(A @ x, expected @ x, atol=1e-9)
    np.testing.assert_allclose(A.H @ (expected @ x), expected.T @ (expected @ x), atol=1e-8)


@pytest.mark.skipif(not numba.config.DISABLE_JIT, reason="of interpreted loops")
@pytest.mark.parametrize("dims", [(7, 5), (3, 4, 5)])
@pytest.mark.parametrize("order", [1, 3])
def test_coefficients_of_a_warp_begin_inside(order, dims, monkeypatch):
    monkeypatch.setattr(kernels_flat, "INTERPRETED", kernels_flat.Strict)
    matrix = np.eye(len(dims) + 1)
    matrix[0, :2], matrix[1, :2], matrix[:2, -1] = (0.9, 0.3), (-0.3, 0.9), (-2.0, 1.5)
    W = WarpOperator(dims, dims, matrix, order=order)
    x = np.arange(W.shape[1]) % 7.0
    image = np.pad(x.reshape(dims), 40)
    places = np.indices(dims, float).reshape(len(dims), -1)
    at = matrix[:-1, :-1] @ places + matrix[:-1, -1:]
    expected = ndimage.map_coordinates(image, at + 40, order=order, mode="mirror")
    np.testing.assert_allclose(W @ x, expected, atol=1e-9)
    y = np.cos(np.arange(W.shape[0]))
    np.testing.assert_allclose((W.H @ y) @ x, y @ expected, atol=1e-9)
