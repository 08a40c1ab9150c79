"""Memory: what a product, a matrix and an export take, and that none of it is kept."""

import sys
import tracemalloc

import numpy as np
import pytest
from child import COMPILED, run

from dhop import DHOperator
from dhop.runtime import workspace

pytestmark = COMPILED
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

# What a child begins with. Every process has a peak of its own, which `reset` brings down.
RESIDENT = """
    import gc, os, sys
    from pathlib import Path
    import numpy as np
    import dhop.runtime.memory
    from dhop import DHOperator

    def status(name):
        lines = dict(line.split(":", 1) for line in open("/proc/self/status"))
        return 1024 * int(lines[name].split()[0])

    def reset():
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5")
        return status("VmRSS")
"""


def traced(function):
    """Bytes that `function` allocates at a time, its result included."""
    tracemalloc.start()
    try:
        result = function()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    del result
    return peak


class TestProduct:
    """The result and the workspace that the plans document, counted by NumPy's own allocations."""

    SIDE = 1024
    TRIFLES = 200_000  # Python's own, and the tables

    def operator(self, method, dtype):
        line = np.hanning(17)[1:-1]
        A = DHOperator((self.SIDE, self.SIDE), np.outer(line, line), 2, method=method,
                       dtype=dtype, workers=1, boundary="reflect")  # fmt: skip
        A.warmup()
        return A

    @pytest.mark.parametrize("dtype", ["f4", "c16"])
    @pytest.mark.parametrize("method", ["direct", "separable", "fft"])
    def test_product_and_adjoint(self, method, dtype):
        A = self.operator(method, dtype)
        image, frame = np.ones(A.dims, dtype), np.ones(A.dimsd, dtype)
        margin = 1.1  # for the continued image
        spectra = 1.3 * image.nbytes + 4 * 2**20 if method == "fft" else 0  # see FftPlan
        band = 2**20 * margin if method == "direct" else 0  # see DirectPlan
        workspace._waiting.clear()
        forward = traced(lambda: A.degrade(image))
        assert forward <= frame.nbytes + spectra + band + self.TRIFLES
        workspace._waiting.clear()
        adjoint = traced(lambda: A.backproject(frame))
        assert adjoint <= image.nbytes + spectra + band + self.TRIFLES

    def test_volume(self):
        """Besides its spectra, the rows of a few frequencies in all planes; see FftPlan."""
        A = DHOperator((40, 128, 128), np.ones((3, 9, 9)), 1, method="fft", dtype="f4", workers=1)
        A.warmup()
        image = np.ones(A.dims, "f4")
        spectra = 1.3 * image.nbytes + 2 * 40 * 140 * 64 + 4 * 2**20
        workspace._waiting.clear()
        assert traced(lambda: A.degrade(image)) <= image.nbytes + spectra + self.TRIFLES

    @pytest.mark.parametrize("method", ["direct", "separable"])
    def test_into_out(self, method):
        """Nothing of the image's size."""
        A = self.operator(method, "f8")
        image, frame = np.ones(A.dims), np.ones(A.dimsd)
        band = 1.1 * 2**20 if method == "direct" else 0
        assert traced(lambda: A.degrade(image, out=frame)) < band + self.TRIFLES
        assert traced(lambda: A.backproject(frame, out=image)) < band + self.TRIFLES


@pytest.mark.parametrize("name", ["csr", "csc", "bsr", "coo"])
def test_to_sparse(name):
    """At most 1.02 times the matrix."""
    A = DHOperator((120, 120), np.random.default_rng(0).random((31, 31)), 2)
    A.to_sparse(name)
    assert traced(lambda: A.to_sparse(name)) <= 1.02 * A.sparse_nbytes(name)


@pytest.mark.slow
@linux
def test_to_sparse_resident():
    """As the system sees it, 200 MB."""
    run(
        RESIDENT
        + """
    A = DHOperator((200, 200), np.random.default_rng(0).random((43, 43)), 2)
    A.to_sparse(rows=[0])
    before = reset()
    matrix = A.to_sparse()
    assert A.sparse_nbytes() > 1.9e8
    assert status("VmHWM") - before <= 1.02 * A.sparse_nbytes() + 2**20, status("VmHWM") - before
    """
    )


@pytest.mark.slow
@linux
@pytest.mark.parametrize("name", ["m.npz", "m", pytest.param("m.mtx", marks=pytest.mark.fuzz)])
def test_export_resident(tmp_path, name):
    """A matrix of any size passes through a fixed amount of memory: 0.6 GB in under 300 MB."""
    run(
        RESIDENT
        + f"""
    target = Path({str(tmp_path)!r}) / {name!r}
    A = DHOperator((256, 256), np.random.default_rng(0).random((61, 61)), 2)
    DHOperator((8, 8), np.ones((3, 3)), 2).export(target)
    before = reset()
    A.export(target, overwrite=True)
    assert A.sparse_nbytes() > 5e8
    assert status("VmHWM") - before < 300e6, status("VmHWM") - before
    """,
        timeout=250,
    )


@pytest.mark.slow
@linux
@pytest.mark.parametrize(
    ("products", "operators"), [(1000, 100), pytest.param(10_000, 1000, marks=pytest.mark.fuzz)]
)
def test_churn(products, operators):
    """Products, and operators of different sizes, come and go without a trace."""
    run(
        RESIDENT
        + f"""
    rng = np.random.default_rng(0)
    A = DHOperator((100, 90), rng.random((9, 7)), 2, boundary="wrap")
    x, y = rng.random(A.shape[1]), rng.random(A.shape[0])

    def multiply(times):
        for _ in range(times):
            A @ x
            A.H @ y

    def construct(times):
        for k in range(times):
            side, method = 20 + k % 60, ("direct", "separable", "fft")[k % 3]
            B = DHOperator((side, side + 7), rng.random((5, 6)), 2, method=method)
            B @ np.ones(B.shape[1])
            B.H @ np.ones(B.shape[0])
            B.to_sparse()

    multiply(200)
    construct(180)
    before = reset()
    multiply({products})
    construct({operators})
    grown = reset() - before
    assert grown < 5e6, grown
    """,
        timeout=280,
    )
