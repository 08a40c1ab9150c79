"""OME-Zarr in and out: pixels, resolutions, and where the pixels lie."""

import json
import os

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import dhop

zarr = pytest.importorskip("zarr")
da = pytest.importorskip("dask.array")

from dhop.dask import open_ome_zarr, write_ome_zarr  # noqa: E402
from dhop.io.ngff import Grid  # noqa: E402

RNG = np.random.default_rng(0)
MICROMETRES = Grid("zyx", (0.5, 0.2, 0.2), (10.0, 0.0, 1.0), (None, "micrometer", "micrometer"))


def by_hand(path, array, axes, more=(), version="0.4"):
    """A store of another program, as the specification has it."""
    group = zarr.open_group(str(path), mode="w", zarr_format=2 if version == "0.4" else 3)
    stored = group.create_array("fine", shape=array.shape, chunks=array.shape, dtype=array.dtype)
    stored[:] = array
    image = {
        "axes": axes,
        "datasets": [{"path": "fine", "coordinateTransformations": list(more)}],
        "version": version,
    }
    told = {"multiscales": [image]}
    group.attrs.update(told if version == "0.4" else {"ome": {"version": version, **told}})


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_store_of_others(tmp_path, version):
    """Axes of length one are dropped; scale and translation are applied in turn."""
    pixels = RNG.integers(0, 9, (4, 1, 3, 6, 5)).astype("u2")
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "tczyx"]
    places = [
        {"type": "scale", "scale": [2.0, 1.0, 0.5, 0.1, 0.1]},
        {"type": "translation", "translation": [0.0, 0.0, 3.0, 0.0, 7.0]},
    ]
    by_hand(tmp_path / "a.zarr", pixels, axes, places, version)
    found = open_ome_zarr(tmp_path / "a.zarr")
    assert_array_equal(found.array, pixels[:, 0])
    assert found.grid.axes == "tzyx"
    assert found.grid.scale == (2, 0.5, 0.1, 0.1)
    assert found.grid.translation == (0, 3, 0, 7)
    assert found.grid.units == ("micrometer",) * 4


def test_frames_are_solved_for(tmp_path):
    """By the path alone, as the same frames in memory are."""
    frames = RNG.random((3, 10, 12))
    by_hand(tmp_path / "a.zarr", frames, [{"name": name} for name in "tyx"])
    options = {"shifts": [(0, 0), (0.5, 0), (0, 0.5)], "beta": 0.1}
    blur = dhop.psf.gaussian(3, 1.0)
    found = dhop.super_resolve(tmp_path / "a.zarr", blur, 2, **options)
    expected = dhop.super_resolve(frames, blur, 2, **options)
    assert_allclose(found.image, expected.image, rtol=0, atol=1e-4)


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4", "f8"])
def test_written(tmp_path, dtype):
    """What other programs read: JSON and plain arrays, the coarser ones means of the finer."""
    pixels = (RNG.random((2, 600, 301)) * 200).astype(dtype)
    path = write_ome_zarr(tmp_path / "a.ome.zarr", da.from_array(pixels), MICROMETRES)
    assert os.listdir(tmp_path) == ["a.ome.zarr"]
    told = json.loads((path / "zarr.json").read_text())["attributes"]["ome"]
    assert told["version"] == "0.5"
    (image,) = told["multiscales"]
    assert [axis["name"] for axis in image["axes"]] == ["z", "y", "x"]
    assert {axis["type"] for axis in image["axes"]} == {"space"}
    assert [axis.get("unit") for axis in image["axes"]] == [None, "micrometer", "micrometer"]
    expected = pixels
    assert len(image["datasets"]) == 3
    for level, each in enumerate(image["datasets"]):
        stored = zarr.open_array(str(path / each["path"]), mode="r")
        assert stored.dtype == pixels.dtype
        assert stored.metadata.dimension_names == ("z", "y", "x")
        assert_allclose(stored[:], expected, rtol=1e-6, atol=0.5 if dtype[0] == "u" else 1e-6)
        scale, translation = each["coordinateTransformations"]
        step = 0.2 * 2**level
        assert_allclose(scale["scale"], [0.5, step, step])
        assert_allclose(translation["translation"], [10, step / 2 - 0.1, 1 + step / 2 - 0.1])
        height, width = expected.shape[1] // 2 * 2, expected.shape[2] // 2 * 2
        blocks = np.asarray(stored[:, :height, :width], "f8").reshape(2, height // 2, 2, -1, 2)
        expected = blocks.mean(axis=(2, 4))


def test_another_reader(tmp_path):
    models = pytest.importorskip("ome_zarr_models.v05.image")
    path = write_ome_zarr(tmp_path / "a.ome.zarr", np.ones((2, 3, 300, 40), "f4"))
    image = models.Image.from_zarr(zarr.open_group(str(path), mode="r"))
    assert [axis.name for axis in image.ome_attributes.multiscales[0].axes] == [*"czyx"]


@pytest.mark.parametrize("factor", [2, 3, (1, 2, 3)])
def test_the_grid_of_a_super_resolution(factor):
    """Blocks of fine pixels have their centre where the coarse pixel has it."""
    fine = MICROMETRES.resized(factor)
    by = np.array((1, factor, factor) if isinstance(factor, int) else factor)
    assert_allclose(np.array(fine.scale) * by, MICROMETRES.scale)
    middle = np.array(fine.translation) + (by - 1) / 2 * fine.scale
    assert_allclose(middle, MICROMETRES.translation, atol=1e-12)
    sampled = MICROMETRES.resized(factor, sampled=True)
    assert sampled.translation == MICROMETRES.translation
    assert sampled.scale == fine.scale


def test_round_trip(tmp_path):
    """Of an image with fewer axes than the frames had; nothing is replaced."""
    pixels = RNG.random((30, 40))
    path = write_ome_zarr(tmp_path / "a.ome.zarr", pixels, MICROMETRES)
    found = open_ome_zarr(path)
    assert_array_equal(found.array, pixels)
    assert found.grid == MICROMETRES.chosen([1, 2])
    with pytest.raises(FileExistsError):
        write_ome_zarr(path, pixels)
    assert_array_equal(open_ome_zarr(path).array, pixels)


def test_refusals(tmp_path):
    with pytest.raises(FileNotFoundError):
        open_ome_zarr(tmp_path / "nothing.zarr")
    zarr.open_group(str(tmp_path / "bare.zarr"), mode="w")
    with pytest.raises(ValueError, match="no multiscales"):
        open_ome_zarr(tmp_path / "bare.zarr")
    zarr.create_array(str(tmp_path / "array.zarr"), shape=(3, 3), dtype="f4")
    with pytest.raises(ValueError, match="not an OME-Zarr image"):
        open_ome_zarr(tmp_path / "array.zarr")
    path = write_ome_zarr(tmp_path / "a.zarr", np.ones((4, 4)))
    with pytest.raises(ValueError, match="resolutions 0 to 0, got level=1"):
        open_ome_zarr(path, 1)
    by_hand(tmp_path / "turned.zarr", np.ones((3, 3)), ["y", "x"], [{"type": "affine"}])
    with pytest.raises(ValueError, match="not understood"):
        open_ome_zarr(tmp_path / "turned.zarr")
    by_hand(tmp_path / "odd.zarr", np.ones((3, 3)), ["y", "wavelength"])
    with pytest.raises(ValueError, match="its axes are y, wavelength"):
        open_ome_zarr(tmp_path / "odd.zarr")
    for wrong in (np.ones(3), np.ones((3, 0)), np.ones((3, 3)) * 1j):
        with pytest.raises(ValueError, match="no image"):
            write_ome_zarr(tmp_path / "b.zarr", wrong)
    with pytest.raises(ValueError, match="the grid has zyx"):
        write_ome_zarr(tmp_path / "b.zarr", np.ones((2, 2, 3, 3)), MICROMETRES)
