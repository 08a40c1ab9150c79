"""What chunks cost: against one piece in memory, and from one size of image on Zarr to the next.

    python -m pytest -m bench -s tests/benchmarks/test_dask.py --benchmark-json=dask.json

Two threads, float32, a Gaussian PSF of 21 pixels, factor 2. ``DHOP_BENCH=full`` goes up to images
of 32,768 x 32,768 pixels, 4 GB, of which the disk holds a frame too.
"""

import os
import shutil
import time

import numpy as np
import pytest

from dhop import DHOperator, psf

pytest.importorskip("pytest_benchmark")
dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
pytest.importorskip("zarr")

from dhop.dask import DaskDHOperator  # noqa: E402

pytestmark = [
    pytest.mark.bench,
    pytest.mark.timeout(3600),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

BLUR = psf.gaussian(21, 3.5)
SIDE, WARM, TIMED = 8192, 2, 5  # of products in turn, of which the least time counts
SIZES = [4096, 8192] + ([16384, 32768] if os.environ.get("DHOP_BENCH") == "full" else [])
DIRECTIONS = pytest.mark.parametrize("direction", ["degrade", "backproject"])


@pytest.fixture(autouse=True)
def two_threads():
    with dask.config.set(scheduler="threads", num_workers=2):
        yield


def image(shape, chunks):
    return da.random.default_rng(0).random(shape, chunks=chunks, dtype="f4")


@DIRECTIONS
@pytest.mark.parametrize("chunks", [1024, 2048, 4096])
def test_overhead(direction, chunks):
    """On chunks in memory to chunks in memory, in turn with the plain operator; printed by -s.

    Beside it what Dask takes to fill chunks of that size with ones: less is not to be had.
    """
    A = DaskDHOperator((SIDE, SIDE), BLUR, 2, chunks=chunks, dtype="f4")
    plain = DHOperator(A.dims, BLUR, 2, dtype="f4", workers=2)
    shape, given = (A.dims, A.chunks) if direction == "degrade" else (A.dimsd, A.chunksd)
    pieces = image(shape, given).persist()
    whole = pieces.compute()
    product = getattr(A, direction)(pieces)
    filled = da.ones(product.shape, chunks=product.chunks, dtype="f4").map_blocks(np.copy)
    ways = {
        "plain": lambda: getattr(plain, direction)(whole),
        "chunks": lambda: getattr(A, direction)(pieces).persist(),
        "filled": filled.persist,
    }
    times = {name: [] for name in ways}
    for number in range(WARM + TIMED):
        for name, way in ways.items():
            begin = time.perf_counter()
            way()
            if number >= WARM:
                times[name].append(time.perf_counter() - begin)
    least = {name: min(each) for name, each in times.items()}
    print(
        f"\n{direction} {SIDE} in chunks of {chunks}: {least['chunks'] / least['plain']:.2f} times "
        f"{least['plain'] * 1e3:.0f} ms; ones in such chunks {least['filled'] / least['plain']:.2f}"
    )


@DIRECTIONS
@pytest.mark.parametrize("size", SIZES)
def test_time_per_pixel(benchmark, tmp_path, direction, size):
    """From Zarr to Zarr, without compression; `ns_per_pixel` is in the JSON and printed by -s."""
    A = DaskDHOperator((size, size), BLUR, 2, chunks=2048, dtype="f4")
    shape, given = (A.dims, A.chunks) if direction == "degrade" else (A.dimsd, A.chunksd)
    image(shape, given).to_zarr(tmp_path / "given", compressors=None)

    def product():
        shutil.rmtree(tmp_path / "result", ignore_errors=True)
        result = getattr(A, direction)(da.from_zarr(tmp_path / "given"))
        result.to_zarr(tmp_path / "result", compressors=None)

    benchmark.pedantic(product, rounds=3, warmup_rounds=1)
    found = benchmark.stats.stats.median / size**2 * 1e9
    benchmark.extra_info["ns_per_pixel"] = found
    print(f"{direction} {size}: {found:.2f} ns per pixel")
