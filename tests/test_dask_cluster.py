"""Two worker processes, with limits on their memory, one of which may die."""

import os
import signal
import time
from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dhop import psf
from dhop.psf.stencils import stencils

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")
zarr = pytest.importorskip("zarr")

from dhop.dask import DaskDHOperator, super_resolve  # noqa: E402

BLUR = psf.gaussian(9, 1.5)

pytestmark = [
    pytest.mark.large,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


# Of a worker's memory a tenth is for chunks that wait and a twentieth for those that arrive; the
# others are for libraries and for the chunks at work.
MEMORY = {
    "distributed.worker.memory.target": 0.1,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.transfer": 0.05,
    "distributed.worker.transfer.message-bytes-limit": "10MB",
}


@pytest.fixture
def cluster(tmp_path, request):
    """A client of two workers of one thread each; a worker that dies is started again."""
    with (
        dask.config.set(MEMORY),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0",
            memory_limit=getattr(request, "param", 1_000_000_000),
            local_directory=tmp_path / "workers", silence_logs=50,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):  # fmt: skip
        yield client


def random_zarr(path, shape, chunks, dtype="f4"):
    """A file of random numbers, written chunk by chunk."""
    numbers = da.random.default_rng(0).random(shape, chunks=chunks, dtype=dtype)
    numbers.to_zarr(path)
    return da.from_zarr(path)


def test_from_zarr_to_zarr_and_solved(cluster, tmp_path):
    A = DaskDHOperator((256, 240), BLUR, 2, chunks=128, boundary="wrap", dtype="f4")
    image = random_zarr(tmp_path / "image", A.dims, 100)
    A.degrade(image).to_zarr(tmp_path / "frame")
    A.backproject(da.from_zarr(tmp_path / "frame")).to_zarr(tmp_path / "back")
    frame = A.operator.degrade(image.compute())
    assert_array_equal(zarr.open_array(tmp_path / "frame")[:], frame)
    assert_array_equal(zarr.open_array(tmp_path / "back")[:], A.operator.backproject(frame))
    settings = {"beta": 0.1, "maxiter": 2, "rtol": 0}
    found = super_resolve(tmp_path / "frame", BLUR, 2, **settings)
    here = super_resolve(da.from_array(frame, chunks=-1), BLUR, 2, **settings)
    assert_allclose(found.image.compute(), here.image.compute(), rtol=1e-4)


def test_a_worker_that_dies(cluster):
    """One is killed as soon as it holds a chunk."""
    A = DaskDHOperator((1024, 1024), BLUR, 2, chunks=64, dtype="f4")
    image = da.random.default_rng(0).random(A.dims, chunks=64, dtype="f4").persist()
    expected = A.operator.degrade(image.compute())
    victim = next(iter(cluster.scheduler_info(n_workers=-1)["workers"]))
    pid = cluster.run(os.getpid, workers=[victim])[victim]
    result = A.degrade(image).persist()
    while not any("degrade" in str(key) for key in cluster.has_what(workers=[victim])[victim]):
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    assert any(future.status == "pending" for future in distributed.futures_of(result))
    assert_array_equal(result.compute(), expected)
    pids = cluster.run(os.getpid).values()
    assert pid not in pids


@pytest.mark.parametrize("scratch", [None, "scratch"])
def test_a_worker_that_dies_while_solving(cluster, tmp_path, scratch):
    frame = random_zarr(tmp_path / "frame", (150, 130), 40)
    settings = {"beta": 0.1, "maxiter": 4, "rtol": 0}
    before = cluster.run(os.getpid)

    def kill(step):
        if step.iteration == 2:
            os.kill(next(iter(before.values())), signal.SIGKILL)

    folder = scratch and tmp_path / scratch
    found = super_resolve(frame, BLUR, 2, **settings, callback=kill, scratch=folder).image.compute()
    assert cluster.run(os.getpid) != before
    with dask.config.set(scheduler="sync"):
        here = super_resolve(frame.compute(), BLUR, 2, **settings, chunks=80).image.compute()
    assert_array_equal(found, here)


def largest_resident_sizes(cluster):
    """Of each worker so far, in bytes."""
    import resource

    used = cluster.run(resource.getrusage, resource.RUSAGE_SELF)
    return [each.ru_maxrss * 1024 for each in used.values()]


def compile_kernels(A):
    """Here, for good: it would leave a worker 100 MB larger than loading them does."""
    small = DaskDHOperator(
        (64, 64), A.operator.psf, A.operator.factor, dtype=A.dtype, method=A.operator.method
    )
    stencil = DaskDHOperator((64, 64), stencils("laplacian")[0], 1, dtype=A.dtype)
    with dask.config.set(scheduler="sync"):
        for operator, dtype in product((small, stencil), (A.dtype, np.float64)):
            operator.backproject(operator.degrade(np.ones((64, 64), dtype))).compute()


LIMIT = 500_000_000


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("cluster", [LIMIT], indirect=True)
def test_four_times_the_memory_of_a_worker(cluster, tmp_path):
    """An image of 2.0 GB; conjugate gradients have four such vectors.

    Of the 0.5 GB of a worker its libraries take 0.3.
    """
    dims = (22_400, 22_400)
    before = cluster.run(os.getpid)
    A = DaskDHOperator(
        dims, BLUR, 2, decimation="mean", chunks=1400, boundary="symmetric", dtype="f4"
    )
    compile_kernels(A)
    image = random_zarr(tmp_path / "image", dims, 1400)
    assert image.nbytes >= 4 * LIMIT
    A.degrade(image).to_zarr(tmp_path / "frame")
    A.backproject(da.from_zarr(tmp_path / "frame")).to_zarr(tmp_path / "back")
    rows = slice(5_500, 5_700)  # across the edge of chunks
    here = A.operator.degrade(zarr.open_array(tmp_path / "image")[:])
    assert_array_equal(zarr.open_array(tmp_path / "frame")[rows], here[rows])
    back = A.operator.backproject(here)
    assert_array_equal(zarr.open_array(tmp_path / "back")[rows], back[rows])
    steps = []
    found = super_resolve(
        tmp_path / "frame", BLUR, 2, beta=1e-3, maxiter=20, rtol=0, callback=steps.append,
        scratch=tmp_path / "scratch",
    )  # fmt: skip
    found.image.to_zarr(tmp_path / "found")
    assert 0 < len(steps) <= 20  # as far as rounding allows
    assert steps[-1].residual < 0.05
    assert cluster.run(os.getpid) == before  # no worker was ended for what it took
    sizes = largest_resident_sizes(cluster)
    print("largest resident size", *sizes)
    assert max(sizes) < LIMIT


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("cluster", [LIMIT], indirect=True)
def test_a_slab_of_a_volume(cluster, tmp_path):
    """Of 2048^3 voxels, 34 GB; on disk are the planes that the products of a slab can reach."""
    blur = np.multiply.outer(psf.gaussian((1, 21), (1, 4.0))[0], psf.gaussian(9, 1.5))
    settings = {
        "boundary": ("edge", "symmetric", "symmetric"), "decimation": "mean", "dtype": "f4",
        "method": "separable",
    }  # fmt: skip
    A = DaskDHOperator((2048,) * 3, blur, (1, 2, 2), chunks=(32, 256, 256), **settings)
    small = DaskDHOperator((128, 160, 160), blur, (1, 2, 2), chunks=64, **settings)
    with dask.config.set(scheduler="sync"):  # compiles what the workers need
        small.backproject(small.degrade(np.ones(small.dims, "f4"))).compute()
    before = cluster.run(os.getpid)

    def stored(name, chunks):
        shape = tuple(map(sum, chunks))
        sizes = tuple(some[0] for some in chunks)
        path = tmp_path / name
        return path, zarr.open_array(path, mode="w", shape=shape, chunks=sizes, dtype="f4")

    def planes(start, stop):
        return slice(start, stop), slice(None), slice(None)

    files = {"volume": A.chunks, "frame": A.chunksd, "back": A.chunks}
    (image, volume), (low, frame), (_, back) = (stored(*each) for each in files.items())
    numbers = da.random.default_rng(0).random((192, 2048, 2048), chunks=(32, 256, 256), dtype="f4")
    numbers.store(volume, regions=planes(928, 1120), lock=False)
    A.degrade(da.from_zarr(image))[960:1088].store(frame, regions=planes(960, 1088), lock=False)
    A.backproject(da.from_zarr(low))[992:1056].store(back, regions=planes(992, 1056), lock=False)
    assert cluster.run(os.getpid) == before  # no worker was ended for what it took
    sizes = largest_resident_sizes(cluster)
    print("largest resident size", *sizes)
    assert max(sizes) < LIMIT
    here = small.operator.degrade(volume[960:1088, 960:1120, 960:1120])[32:96, 10:-10, 10:-10]
    assert_allclose(frame[992:1056, 490:550, 490:550], here, 1e-5)
    here = small.operator.backproject(frame[960:1088, 480:560, 480:560])[32:96, 20:-20, 20:-20]
    assert_allclose(back[992:1056, 980:1100, 980:1100], here, 1e-5)
