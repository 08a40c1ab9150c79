"""``dhop superres`` of frames larger than memory: dense matrices say what must come out."""

import json
import os

import numpy as np
import oracle
import pytest
import tifffile
import warps
from moving import about_the_middle
from numpy.testing import assert_allclose
from typer.testing import CliRunner

from dhop import cli, io, metrics
from dhop.cli import chunked
from dhop.cli.parsing import parse_psf
from dhop.cli.prediction import Solve
from dhop.frames import motions

fits = pytest.importorskip("astropy.io.fits")
zarr = pytest.importorskip("zarr")
pytest.importorskip("dask.array")

BETA = 1
LAPLACIAN = [[0, 1, 0], [1, -4, 1], [0, 1, 0]]
FRAME = np.random.default_rng(0).integers(1000, 60000, (10, 12)).astype("u2")
COLOURS = np.random.default_rng(1).integers(10, 250, (9, 8, 3)).astype("u1")


def run(*words):
    return CliRunner().invoke(cli.app, [str(word) for word in words])


def solve(path, out, *more, beta=BETA):
    words = "--psf", "gaussian:sigma=0.8", "--factor", 2, "--rtol", "1e-5", "--beta", beta
    return run("superres", path, *words, "--out", out, *more)


def done(result):
    assert result.exit_code == 0, result.output
    return result


def expected(frame, weights=1.0, beta=BETA, psf="gaussian:sigma=0.8"):
    """The image of the normal equations, of an array of rows and columns, with dense matrices."""
    dims = [2 * length for length in frame.shape]
    A = oracle.matrix(dims, parse_psf(psf), 2, decimation="mean", boundary="symmetric")
    S = oracle.matrix(dims, LAPLACIAN, 1, boundary="symmetric")
    w = np.broadcast_to(weights, frame.shape).ravel()
    right = A.T @ (w * np.where(w > 0, frame.ravel(), 0))
    return np.linalg.solve(A.T @ (w[:, None] * A) + beta * S.T @ S, right).reshape(dims)


def store(path, array):
    group = zarr.create_array(str(path), shape=array.shape, chunks=(4, 5, 3)[: array.ndim],
                              dtype=array.dtype)  # fmt: skip
    group[:] = array


WRITERS = {
    "a.npy": np.save,
    "swapped.npy": lambda path, array: np.save(path, array.astype(">u2")),
    "a.tif": tifffile.imwrite,
    "packed.tif": lambda path, array: tifffile.imwrite(
        path, array, compression="zlib", tile=(16, 16)
    ),
    "a.fits": lambda path, array: fits.PrimaryHDU(array).writeto(path),
    "a.fits.gz": lambda path, array: fits.PrimaryHDU(array).writeto(path),
    "a.fits.fz": lambda path, array: fits.HDUList(
        [fits.PrimaryHDU(), fits.CompImageHDU(array, tile_shape=(4, 5))]
    ).writeto(path),
    "a.zarr": store,
    "a.png": lambda path, array: io.write(path, io.Picture(array, "YX", io.Original(array.dtype))),
}


@pytest.mark.slow
@pytest.mark.parametrize("way", ["--chunks", "--whole"])
@pytest.mark.parametrize("name", WRITERS)
def test_both_ways_solve_the_normal_equations(tmp_path, monkeypatch, name, way):
    """Of any file, in chunks of six by six pixels of it."""
    monkeypatch.setattr("dhop.cli.chunked.SIDES", {2: 12})
    WRITERS[name](tmp_path / name, FRAME)
    out = tmp_path / ("out.npy", "out.tif", "out.zarr")[len(name) % 3]
    done(solve(tmp_path / name, out, way))
    found = io.read(out).pixels
    assert_allclose(found, as_written(found, expected(FRAME)), rtol=0, atol=2)
    assert sorted(os.listdir(tmp_path)) == sorted([name, out.name])


def as_written(pixels, image):
    """As the numbers of a file: counts, which end at 65535 where integers do, or white at 1."""
    if pixels.dtype.kind == "u":
        return image.clip(0, 65535)
    return image if pixels.max() > 10 else image / 65535


@pytest.mark.parametrize("way", ["--chunks", "--whole"])
def test_colours_of_a_pixel(tmp_path, monkeypatch, way):
    monkeypatch.setattr("dhop.cli.chunked.SIDES", {2: 12})
    tifffile.imwrite(tmp_path / "a.tif", COLOURS, photometric="rgb")
    done(solve(tmp_path / "a.tif", tmp_path / "out.tif", way))
    found = tifffile.imread(tmp_path / "out.tif")
    for k in range(3):
        assert_allclose(found[..., k], expected(COLOURS[..., k]).clip(0, 255), rtol=0, atol=1)
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        assert file.pages[0].photometric.name == "RGB"


@pytest.mark.parametrize("way", ["--chunks", "--whole"])
def test_weights_and_masks_of_frames(tmp_path, monkeypatch, way):
    """Two frames on the pages of one file, with a map for each and NaN where a mask is."""
    monkeypatch.setattr("dhop.cli.chunked.SIDES", {2: 12})
    rng = np.random.default_rng(2)
    frames, weights = rng.random((2, 10, 12)), rng.random((2, 10, 12))
    frames[1, 2, 3] = np.nan
    bad = np.zeros((10, 12), "u1")
    bad[4, 5] = 1
    np.save(tmp_path / "frames.npy", frames)
    np.save(tmp_path / "weights.npy", weights)
    np.save(tmp_path / "bad.npy", bad)
    done(
        solve(
            tmp_path / "frames.npy", tmp_path / "out.npy", way, "--frames-axis", 0,
            "--weights", tmp_path / "weights.npy", "--mask", "finite",
            "--mask", tmp_path / "bad.npy",
        )
    )  # fmt: skip
    used = weights * (bad == 0) * np.isfinite(frames)
    mean = np.nansum(used * np.nan_to_num(frames), axis=0) / np.where(used.sum(0), used.sum(0), 1)
    found = np.load(tmp_path / "out.npy")
    assert_allclose(found, expected(mean, used.sum(axis=0)), rtol=0, atol=2e-5)


def test_volumes_and_voxels(tmp_path, monkeypatch):
    """An OME-Zarr of planes becomes one of finer pixels, in chunks as in memory."""
    from dhop.dask import open_ome_zarr, write_ome_zarr
    from dhop.io.ngff import Grid

    monkeypatch.setattr("dhop.cli.chunked.SIDES", {3: 6})
    grid = Grid("zyx", (1.0, 0.2, 0.2), (0.0, 0.0, 0.0), ("micrometer",) * 3)
    stack = np.random.default_rng(3).random((5, 6, 7))
    write_ome_zarr(tmp_path / "a.ome.zarr", stack, grid)
    np.save(tmp_path / "a.npy", stack)
    words = ["--psf", "gaussian:sigma=1x0.7x0.7", "--factor", "1,2,2", "--beta", 0.01]
    for name, way in (("a.ome.zarr", "--chunks"), ("a.npy", "--whole")):
        out = tmp_path / f"out.{name}"
        done(run("superres", tmp_path / name, *words, "--rtol", 1e-6, "--out", out, way))
    found = open_ome_zarr(tmp_path / "out.a.ome.zarr")
    assert_allclose(found.array.compute(), np.load(tmp_path / "out.a.npy"), rtol=0, atol=1e-5)
    assert found.grid.scale == (1.0, 0.1, 0.1)
    assert_allclose(found.grid.translation, (0, -0.05, -0.05))


def test_by_itself_when_memory_is_short(tmp_path, monkeypatch):
    np.save(tmp_path / "a.npy", FRAME)
    monkeypatch.setattr("dhop.runtime.memory.available", lambda: 10**4)
    result = done(solve(tmp_path / "a.npy", tmp_path / "out.npy"))
    assert "in chunks" in result.stderr
    assert_allclose(np.load(tmp_path / "out.npy"), expected(FRAME) / 65535, rtol=0, atol=1e-4)
    facts = json.loads(
        done(solve(tmp_path / "a.npy", tmp_path / "o.npy", "--dry-run", "--json")).stdout
    )
    assert facts["in_chunks"] is True
    assert "in chunks" not in done(solve(tmp_path / "a.npy", tmp_path / "o.npy", "--whole")).stderr


@pytest.mark.parametrize(
    ("loss", "free", "sizes"),
    [
        ("gaussian", 22e9, (1024, 1024)),
        ("gaussian", 1.5e9, (512, 1024)),
        ("huber", 6e9, (1024, 1024)),
        ("huber", 1.5e9, (256, 1024)),
        ("huber", 1e6, (256, 1024)),
    ],
)
def test_chunks_are_low_where_memory_is_short(monkeypatch, loss, free, sizes):
    """Of four frames of 8192 x 8192 a row of chunks of 1024 took 1.0 GB, with losses 2.1."""
    monkeypatch.setattr("dhop.runtime.memory.available", lambda: free)
    frames = np.broadcast_to(np.float32(0), (4, 8192, 8192))
    arguments = {"loss": loss, "regulariser": "laplacian", "solver": "auto", "background": 0.0,
                 "gain": 1.0, "read_noise": 0.0, "boundary": "symmetric",
                 "decimation": "mean"}  # fmt: skip
    plan = Solve.of(frames, parse_psf("gaussian:sigma=1"), (2, 2), arguments)
    assert chunked.sizes(plan) == sizes


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--errors", "e.fits.fz"], "in chunks write a .zarr, .npy, .tif or .fits"),
        (["--solver", "direct"], "needs the whole image"),
        (["--out", "o.png"], "in chunks write a .zarr, .npy, .tif or .fits"),
        (["--scratch", "nowhere"], "--scratch nowhere is not a folder"),
    ],
)
def test_what_chunks_do_not_do_is_said(tmp_path, monkeypatch, more, words):
    monkeypatch.chdir(tmp_path)
    np.save("a.npy", FRAME)
    result = solve("a.npy", "o.npy", "--chunks", *more)
    assert result.exit_code == 1, result.output
    assert words in result.stderr
    assert os.listdir() == ["a.npy"]
    if "--scratch" in more:
        assert "--scratch is for chunks" in solve("a.npy", "o.npy", "--whole", *more).stderr


TURNED = about_the_middle(warps.turned(9.0, (1, 1), (1, 1))[:2, :2], (0.3, -0.2), (10, 12))


@pytest.mark.parametrize("way", ["--chunks", "--whole"])
def test_motions_of_a_file(tmp_path, monkeypatch, way):
    """Of two frames one has turned; a dense matrix says what it sees."""
    monkeypatch.setattr("dhop.cli.chunked.SIDES", {2: 12})
    frames = np.random.default_rng(5).random((2, 10, 12))
    np.save(tmp_path / "a.npy", frames)
    (tmp_path / "m.json").write_text(json.dumps([np.eye(3).tolist(), TURNED.tolist()]))
    out = tmp_path / "out.npy"
    words = ["--frames-axis", 0, "--motion", tmp_path / "m.json", way, "--overwrite"]
    words += ["--noise", 0.1, "--errors", tmp_path / "errors.npy"]
    facts = json.loads(done(solve(tmp_path / "a.npy", out, *words, "--json")).stdout)
    assert_allclose(facts["motion"][1], TURNED)
    blur, dims = parse_psf("gaussian:sigma=0.8"), (20, 24)
    center = tuple((k - 1) // 2 for k in blur.shape)

    def places(*at):
        return motions.positions(TURNED, *at)

    found = places(*np.indices((10, 12), float))
    on = np.all([(c >= -0.5) & (c <= m - 0.5) for c, m in zip(found, (10, 12), strict=True)], 0)
    A = np.vstack([
        oracle.matrix(dims, blur, 2, decimation="mean", boundary="symmetric"),
        warps.camera(dims, blur, (2, 2), (10, 12), places, center, "mean", "symmetric"),
    ])  # fmt: skip
    S = oracle.matrix(dims, LAPLACIAN, 1, boundary="symmetric")
    w = np.stack([np.ones_like(on), on]).ravel()
    N = A.T @ (w[:, None] * A) + BETA * S.T @ S
    expected = np.linalg.solve(N, A.T @ (w * frames.ravel())).reshape(dims)
    assert_allclose(np.load(out), expected, rtol=0, atol=2e-4)
    ratio = np.load(tmp_path / "errors.npy").ravel() / (0.1 * np.sqrt(np.linalg.inv(N).diagonal()))
    assert np.sqrt(np.mean((ratio - 1) ** 2)) < 0.1


@pytest.mark.parametrize("way", ["--chunks", "--whole"])
def test_a_psf_for_each_band(tmp_path, monkeypatch, way):
    monkeypatch.setattr("dhop.cli.chunked.SIDES", {2: 12})
    bands = np.random.default_rng(6).random((10, 12, 2))
    np.save(tmp_path / "a.npy", bands)
    out = tmp_path / "out.npy"
    words = "--channel-axis", 2, "--psf", "gaussian:sigma=1.2", way
    done(solve(tmp_path / "a.npy", out, *words))
    found = np.load(out)
    for number, text in enumerate(("gaussian:sigma=0.8", "gaussian:sigma=1.2")):
        blurred = expected(bands[..., number], psf=text)
        assert_allclose(found[..., number], blurred, rtol=0, atol=2e-4)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["--chunks", "--whole"])
def test_a_background_of_a_file(tmp_path, monkeypatch, way):
    """Of counts that are nothing but a background the image is dark; of more, what is more."""
    monkeypatch.setattr("dhop.cli.chunked.SIDES", {2: 12})
    scene = np.zeros((10, 12))
    scene[4:7, 5:9] = 60
    back = np.linspace(20, 80, 120).reshape(10, 12)
    np.save(tmp_path / "a.npy", scene + back)
    np.save(tmp_path / "b.npy", back)
    words = "--loss", "poisson", "--background", tmp_path / "b.npy", way, "--rtol", "1e-3"
    done(solve(tmp_path / "a.npy", tmp_path / "o.npy", *words, beta=1e-3))
    found = np.load(tmp_path / "o.npy").reshape(10, 2, 12, 2).mean(axis=(1, 3))
    assert found[scene > 0].min() > 30
    assert found[0].max() < 1
    result = solve(tmp_path / "a.npy", tmp_path / "p.npy", *words[:3], "none.npy", way)
    assert result.exit_code == 1


@pytest.mark.slow
@pytest.mark.parametrize("way", ["--chunks", "--whole"])
def test_errors_truth_and_report(tmp_path, monkeypatch, way):
    """FITS of image, deviations and data quality; dense inverses and scikit-image say which."""
    pytest.importorskip("skimage")
    monkeypatch.setattr("dhop.cli.chunked.SIDES", {2: 12})
    rng = np.random.default_rng(7)
    frame = rng.random((10, 12))
    weights = np.ones((10, 12))
    weights[:6, :7] = 0
    truth = expected(frame) + 0.05 * rng.random((20, 24))
    for name, array in (("a", frame), ("w", weights), ("t", truth)):
        np.save(tmp_path / f"{name}.npy", array)
    header = fits.Header({"OBJECT": "M31"})
    fits.PrimaryHDU(frame, header).writeto(tmp_path / "a.fits")
    out, errors, report = (tmp_path / name for name in ("out.fits", "e.fits", "r.png"))
    words = ["--weights", tmp_path / "w.npy", "--noise", 0.1, "--errors", errors, "--json"]
    words += ["--truth", tmp_path / "t.npy", "--report", report]
    facts = json.loads(done(solve(tmp_path / "a.fits", out, way, *words)).stdout)
    found = fits.getdata(out).astype(float)
    assert_allclose(found, expected(frame, weights), rtol=0, atol=2e-4)
    assert fits.getheader(out)["OBJECT"] == "M31"
    known = metrics.compare(found, truth)
    for name in ("psnr", "ssim", "relative_rmse"):
        assert_allclose(facts[name], known[name], rtol=1e-3)
    with fits.open(errors) as units:
        units.verify("exception")
        assert [unit.name for unit in units][-3:] == ["SCI", "ERR", "DQ"]
        assert_allclose(units["SCI"].data, found, atol=1e-6)
        dims = 20, 24
        A = oracle.matrix(dims, parse_psf("gaussian:sigma=0.8"), 2, decimation="mean",
                          boundary="symmetric")  # fmt: skip
        S = oracle.matrix(dims, LAPLACIAN, 1, boundary="symmetric")
        K = np.linalg.inv(A.T @ (weights.reshape(-1, 1) * A) + BETA * S.T @ S)
        ratio = units["ERR"].data / (0.1 * np.sqrt(K.diagonal()).reshape(dims))
        assert np.sqrt(np.mean((ratio - 1) ** 2)) < 0.1
        assert units["DQ"].data[0, 0] == 1
        assert units["DQ"].data[-1, -1] == 0
    assert_allclose(facts["deviation"], np.median(fits.getdata(errors, "ERR")), rtol=0.3)
    assert report.read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_bounds_of_chunks(tmp_path):
    """They hold, and that they leave out what frames show is said."""
    np.save(tmp_path / "a.npy", np.linspace(0, 1, 120).reshape(10, 12))
    words = "--maxiter", 5, "--chunks", "--overwrite", "--bounds"
    for bounds, said in (("0,1", False), ("0.9,1", True)):
        result = solve(tmp_path / "a.npy", tmp_path / "o.npy", *words, bounds)
        assert result.exit_code in (0, 3), result.output
        low, high = map(float, bounds.split(","))
        found = np.load(tmp_path / "o.npy")
        assert low <= found.min() <= found.max() <= high
        assert ("leave out what half" in result.stderr) == said


@pytest.mark.slow
def test_outliers_in_chunks(tmp_path):
    """What the loss makes of residuals outlives the files that it comes from."""
    frame = np.full((10, 12), 0.5)
    frame[3, 4] = 9
    np.save(tmp_path / "a.npy", frame)
    facts = json.loads(
        done(
            solve(
                tmp_path / "a.npy", tmp_path / "o.npy", "--chunks", "--loss", "huber",
                "--threshold", 0.1, "--json",
            )
        ).stdout
    )  # fmt: skip
    assert 0.98 < facts["trust"][0] < 1
    assert np.load(tmp_path / "o.npy").max() < 2


LARGE = (40_000, 50_000)


def header_of_fits(path):
    header = fits.PrimaryHDU(np.zeros((1, 1), "f4")).header
    header["NAXIS2"], header["NAXIS1"] = LARGE
    path.write_bytes(header.tostring().encode())
    os.truncate(path, 2880 + 4 * LARGE[0] * LARGE[1])


HEADERS = {
    "a.npy": lambda path: np.lib.format.open_memmap(path, "w+", "f4", LARGE),
    "a.tif": lambda path: tifffile.memmap(path, shape=LARGE, dtype="f4", bigtiff=True),
    "a.fits": header_of_fits,
    "a.zarr": lambda path: zarr.create_array(str(path), shape=LARGE, chunks=(1000, 1000),
                                             dtype="f4"),
}  # fmt: skip


@pytest.mark.parametrize("name", HEADERS)
def test_a_dry_run_reads_headers(tmp_path, name):
    """Of files of eight gigabytes without content, as the disk has them."""
    HEADERS[name](tmp_path / name)
    result = done(solve(tmp_path / name, tmp_path / "o.zarr", "--dry-run", "--json"))
    facts = json.loads(result.stdout)
    assert facts["frames"] == [1, *LARGE]
    assert facts["shape"] == [2 * length for length in LARGE]
    assert facts["nbytes"] > 4 * 5 * LARGE[0] * LARGE[1]
    result = solve(tmp_path / name, tmp_path / "o.zarr", "--dry-run", "--mask", "none.png")
    assert result.exit_code == 1
    assert "none.png" in result.stderr


@pytest.mark.parametrize("name", ["a.npy", "a.zarr", "a.tif"])
def test_what_is_no_image_is_said(tmp_path, name):
    for content in (b"", b"no image at all"):
        (tmp_path / name).write_bytes(content)
        for way in ("--chunks", "--whole", "--dry-run"):
            result = solve(tmp_path / name, tmp_path / "o.npy", way)
            assert result.exit_code == 1, result.output
            assert len(result.stderr.splitlines()) == 1
            assert name in result.stderr
    assert solve(tmp_path / "none.zarr", tmp_path / "o.npy").exit_code == 1
    os.remove(tmp_path / name)
    os.mkdir(tmp_path / name)
    assert solve(tmp_path / name, tmp_path / "o.npy").exit_code == 1


def with_errors(path, frame, error, quality):
    header = fits.Header({"BUNIT": "adu"})
    fits.HDUList(
        [
            fits.PrimaryHDU(),
            fits.ImageHDU(frame, header, name="SCI"),
            fits.ImageHDU(error, name="ERR"),
            fits.ImageHDU(quality, name="DQ"),
        ]
    ).writeto(path)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["--chunks", "--whole"])
def test_errors_of_fits_are_weights(tmp_path, monkeypatch, way):
    """1 / ERR², but for what DQ calls bad and what has no error; which may be NaN or zero."""
    monkeypatch.setattr("dhop.cli.chunked.SIDES", {2: 12})
    rng = np.random.default_rng(4)
    frame, error = rng.random((10, 12)), rng.uniform(0.5, 2, (10, 12)).astype("f4")
    quality = np.zeros(frame.shape, "i4")
    quality[1, 2], quality[3, 3], error[5, 6], frame[1, 2] = 5, 4, np.nan, np.nan
    error[8, 8] = 0
    with_errors(tmp_path / "a.fits", frame, error, quality)
    used = (quality & 1 == 0) & (error > 0)
    weights = np.where(used, 1 / np.where(used, error, 1).astype(float) ** 2, 0)
    out = tmp_path / "out.npy"
    result = done(solve(tmp_path / "a.fits", out, way))
    assert "1/ERR²" in result.stderr
    assert_allclose(np.load(out), expected(frame, np.nan_to_num(weights)), rtol=0, atol=2e-5)
    result = solve(tmp_path / "a.fits", out, way, "--overwrite", "--no-err", "--mask", "finite")
    assert "ERR" not in done(result).stderr.replace("FITS extensions ERR, DQ", "")
    plain = expected(np.nan_to_num(frame), np.isfinite(frame))
    assert_allclose(np.load(out), plain, rtol=0, atol=2e-5)


def test_errors_that_leave_nothing(tmp_path):
    frame = np.ones((10, 12))
    with_errors(tmp_path / "a.fits", frame, 0 * frame, frame.astype("i4") * 0)
    result = solve(tmp_path / "a.fits", tmp_path / "o.npy")
    assert result.exit_code == 1
    assert "ERR and DQ leave no pixel" in result.stderr


def test_one_file_without_errors(tmp_path):
    """All frames have weights, or none."""
    frame = np.ones((10, 12))
    with_errors(tmp_path / "a.fits", frame, frame, frame.astype("i4") * 0)
    fits.PrimaryHDU(frame).writeto(tmp_path / "b.fits")
    result = done(solve(tmp_path / "a.fits", tmp_path / "o.npy", tmp_path / "b.fits"))
    assert "1/ERR²" not in result.stderr
