"""What the page on Dask shows runs, on a smaller image."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from numpy.testing import assert_array_equal

from dhop import DHOperator, psf

da = pytest.importorskip("dask.array")
zarr = pytest.importorskip("zarr")

PAGE = Path(__file__).parents[1] / "docs" / "howto" / "dask.md"
LAPTOP, SOLVING, CLUSTER = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.fixture(autouse=True)
def scan(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    image = da.random.default_rng(0).random((160, 120), chunks=80, dtype="f4")
    image.to_zarr("scan.zarr")
    return image.compute()


def test_a_laptop(scan):
    names = {}
    for block in LAPTOP, SOLVING:
        exec(compile(block, PAGE.name, "exec"), names)
    A = DHOperator(scan.shape, psf.gaussian(21, 3.0), 4, decimation="mean", dtype="f4")
    assert_array_equal(zarr.open_array("frame.zarr")[:], A.degrade(scan))
    assert names["solution"].converged
    assert_array_equal(zarr.open_array("sharp.zarr")[:], names["solution"].image.compute())


@pytest.mark.large
def test_a_cluster(scan):
    """It finds what the laptop finds."""
    test_a_laptop(scan)
    expected = zarr.open_array("sharp.zarr")[:]
    Path("solve.py").write_text(CLUSTER)
    subprocess.run([sys.executable, "solve.py"], check=True, timeout=250)
    assert_array_equal(zarr.open_array("result.zarr")[:], expected)
