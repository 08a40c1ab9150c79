"""``dhop superres``, as a photographer, a microscopist or an astronomer calls it."""

import json
import os
import re
import select
import signal
import subprocess
import sys
import time

import imageio.v3 as imageio
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from skimage import data
from skimage.metrics import peak_signal_noise_ratio
from skimage.transform import resize
from typer.testing import CliRunner

from dhop import DHOperator, cli, images, psf, super_resolve
from dhop.cli.parsing import parse_psf
from dhop.model.shifting import shift

FACTOR = 2
BLUR = parse_psf("gaussian:sigma=1")
MOVES = np.array([[0, 0], [0.5, -1.25], [-0.4, 0.6], [1.5, 0.3], [-1.1, -0.7], [0.2, 1.6]])


def observed(scene, move, noise=0.0, seed=0):
    """A noisy frame in which the scene has moved."""
    blur, center = shift(BLUR, np.asarray(move) * FACTOR)
    A = DHOperator(
        scene.shape, blur, FACTOR, decimation="mean", boundary="symmetric", center=center
    )
    frame = A.degrade(scene)
    return frame + noise * np.random.default_rng(seed).standard_normal(frame.shape)


@pytest.fixture(scope="module")
def scene():
    return data.camera()[110:238, 180:308] / 255


@pytest.fixture(scope="module")
def burst(scene, tmp_path_factory):
    """Paths of six shifted 16-bit frames with noise."""
    folder = tmp_path_factory.mktemp("burst")
    paths = [folder / f"frame{i}.png" for i in range(len(MOVES))]
    for i, (path, move) in enumerate(zip(paths, MOVES, strict=True)):
        images.write(path, observed(scene, move, 0.01, i), 16)
    return paths


def run(*frames, out, **options):
    words = ["superres", *frames, "--factor", FACTOR, "--out", out]
    options = {"psf": "gaussian:sigma=1"} | options
    for name, value in options.items():
        for each in value if isinstance(value, list) else [value]:
            words += [f"--{name}"] if each is True else [f"--{name}", each]
    return CliRunner().invoke(cli.app, [str(word) for word in words])


def succeed(*frames, out, **options):
    result = run(*frames, out=out, **options)
    assert result.exit_code == 0, result.output
    return result


class TestBurst:
    @pytest.mark.slow
    def test_registered_frames_beat_bicubic(self, burst, scene, tmp_path):
        images.write(tmp_path / "truth.tif", scene, 32)
        out = tmp_path / "sr.tif"
        result = succeed(*burst, out=out, register=True, truth=tmp_path / "truth.tif", json=True)
        facts = json.loads(result.stdout)
        bicubic = resize(images.imread(burst[0]), scene.shape, order=3, mode="symmetric")
        assert facts["psnr"] > 2 + peak_signal_noise_ratio(scene, bicubic, data_range=1)
        assert np.abs(facts["shifts"] - MOVES).max() < 0.1
        assert (facts["frames"], facts["shape"]) == ([6, 64, 64], [128, 128])
        assert facts["converged"]
        assert result.stderr == ""
        pixels, original = images.load(out)
        assert original.dtype == np.uint16
        clipped = peak_signal_noise_ratio(scene, pixels, data_range=1)
        assert facts["psnr"] - 0.01 < clipped < facts["psnr"] + 0.5

    @pytest.mark.parametrize("ending", ["txt", "csv", "npy"])
    def test_shifts_from_a_file(self, burst, tmp_path, ending):
        path = tmp_path / f"shifts.{ending}"
        if ending == "npy":
            np.save(path, MOVES)
        else:
            np.savetxt(path, MOVES, delimiter="," if ending == "csv" else " ")
        out = tmp_path / "out.npy"
        succeed(*burst, out=out, shifts=path, beta=0.01, bits=32)
        frames = [images.imread(each).astype(np.float32) for each in burst]
        expected = super_resolve(frames, BLUR, FACTOR, shifts=MOVES, beta=0.01).image
        assert_array_equal(np.load(out), expected)

    @pytest.mark.slow
    def test_every_option_reaches_the_library(self, burst, tmp_path):
        options = {
            "beta": "discrepancy", "noise": 0.01, "regulariser": "gradient", "nonnegative": True,
            "boundary": "reflect", "decimation": "mean", "maxiter": 30, "rtol": 1e-3,
        }  # fmt: skip
        out = tmp_path / "out.npy"
        np.save(tmp_path / "shifts.npy", MOVES)
        words = {"shifts": tmp_path / "shifts.npy", "weights": "1,2,1,1,0,1"}
        counted = {"noise": 0.01 * 65535}  # in the numbers of the files
        succeed(*burst, out=out, **words, **options | counted | {"solver": "projected"})
        expected = super_resolve(
            [images.imread(each).astype(np.float32) for each in burst], BLUR, FACTOR, shifts=MOVES,
            weights=[1, 2, 1, 1, 0, 1], solver="projected", **options,
        )  # fmt: skip
        assert_array_equal(np.load(out), expected.image)

    def test_an_image_at_a_target(self, burst, tmp_path):
        out, wanted = tmp_path / "out.npy", tmp_path / "wanted.npy"
        np.save(wanted, psf.gaussian((9, 5), 1.2))
        succeed(burst[0], out=out, beta=0.01, bits=32, target=wanted)
        frame = images.imread(burst[0]).astype(np.float32)
        given = {"beta": 0.01, "target": psf.gaussian((9, 5), 1.2)}
        assert_array_equal(np.load(out), super_resolve(frame, BLUR, FACTOR, **given).image)
        for text, words in (
            ("gaussian:sigma=1x1x1", "target must have the 2 axes"),
            ("gaussian", "write it as gaussian:sigma=..."), ("no.npy", "neither a file nor"),
        ):  # fmt: skip
            result = run(burst[0], out=tmp_path / "no.npy", beta=0.01, target=text)
            assert result.exit_code == 1
            assert words in result.stderr
        result = run(burst[0], out=wanted, beta=0.01, target=wanted, overwrite=True)
        assert "would take the place of" in result.stderr

    def test_one_frame_and_its_report(self, burst, tmp_path):
        report = tmp_path / "report.png"
        result = succeed(burst[0], out=tmp_path / "out.png", report=report)
        assert "direct" in result.stdout
        assert imageio.imread(report).shape[1] > 1200

    def test_what_is_left_unconverged_is_said(self, burst, tmp_path):
        out = tmp_path / "out.png"
        result = run(burst[0], out=out, solver="lsqr", maxiter=2)
        assert result.exit_code == 3
        assert "--maxiter" in result.stderr
        assert out.exists()

    @pytest.mark.slow
    def test_everything_from_the_frames(self, burst, tmp_path):
        result = succeed(*burst, out=tmp_path / "out.png", psf="estimate", register=True, json=True)
        found = json.loads(result.stdout)
        assert found["psf_width"] < 2.5
        assert found["fits"] == [True] * len(burst)
        assert found["warnings"] == []

    def test_a_point_as_psf_is_named(self, burst, tmp_path):
        np.save(tmp_path / "point.npy", np.ones((1, 1)))
        for blur, said in ("point.npy", "1 x 1, a point: no blur"), ("", "9 x 9, width 1.04"):
            given = tmp_path / blur if blur else "gaussian:sigma=1"
            result = succeed(burst[0], out=tmp_path / f"{blur}.png", psf=given, beta=0.01)
            assert said in result.stdout

    def test_a_psf_that_the_frame_contradicts(self, burst, tmp_path):
        wide = succeed(burst[0], out=tmp_path / "out.png", psf="gaussian:sigma=4")
        assert "warning: the frames hold detail" in wide.stderr


class TestColours:
    def test_one_solve_gives_what_each_channel_gives(self, tmp_path):
        scene = data.astronaut()[:64, 120:200] / 255
        frame = np.stack([observed(scene[..., k], (0, 0)) for k in range(3)], axis=-1)
        images.write(tmp_path / "in.tif", frame, 32)
        out, report = tmp_path / "out.tif", tmp_path / "report.png"
        images.write(tmp_path / "truth.tif", scene, 32)
        result = succeed(
            tmp_path / "in.tif", out=out, beta=1e-3, report=report, json=True,
            truth=tmp_path / "truth.tif",
        )  # fmt: skip
        assert json.loads(result.stdout)["psnr"] > 25
        kept = images.imread(tmp_path / "in.tif")
        for k in range(3):
            alone = super_resolve(kept[..., k], BLUR, FACTOR, beta=1e-3).image
            assert_allclose(images.imread(out)[..., k], alone, atol=1e-6)
        picture = imageio.imread(report)[..., :3].astype(int)
        assert np.ptp(picture, axis=-1).max() > 50

    def test_a_psf_of_each_channel(self, tmp_path):
        scene = data.astronaut()[:64, 120:200] / 255
        frame = np.stack([observed(scene[..., k], (0, 0)) for k in range(3)], axis=-1)
        images.write(tmp_path / "in.tif", frame, 32)
        sigmas = [0.8, 1.0, 1.2]
        out = tmp_path / "out.tif"
        succeed(
            tmp_path / "in.tif", out=out, beta=1e-3, psf=[f"gaussian:sigma={s}" for s in sigmas]
        )
        kept = images.imread(tmp_path / "in.tif")
        for k, sigma in enumerate(sigmas):
            blur = psf.gaussian(2 * int(np.ceil(4 * sigma)) + 1, sigma)
            alone = super_resolve(kept[..., k], blur, FACTOR, beta=1e-3).image
            assert_allclose(images.imread(out)[..., k], alone, atol=1e-3)
        result = run(tmp_path / "in.tif", out=tmp_path / "no.tif", psf=["box:size=3"] * 2)
        assert result.exit_code == 1
        assert "2 channels" in result.stderr


class TestMasks:
    def test_bad_pixels_have_no_influence(self, scene, tmp_path):
        results = []
        bad = np.zeros((64, 64))
        bad[10:12, 20] = bad[40, 41] = 1
        images.write(tmp_path / "mask.png", bad, 8)
        for number, value in enumerate((0.0, 1e3, np.nan)):
            frame = np.where(bad, value, observed(scene, (0, 0)))
            np.save(tmp_path / "in.npy", frame)
            out = tmp_path / f"out{number}.npy"
            mask = ["finite", tmp_path / "mask.png"] if number else tmp_path / "mask.png"
            succeed(tmp_path / "in.npy", out=out, mask=mask, beta=1e-3)
            results.append(np.load(out))
        assert_array_equal(results[0], results[1])
        assert_array_equal(results[0], results[2])

    def test_a_mask_for_each_frame(self, scene, tmp_path):
        frame = observed(scene, (0, 0))
        paths, masks = [], []
        for number in range(2):
            paths.append(tmp_path / f"{number}.npy")
            masks.append(tmp_path / f"mask{number}.npy")
            bad = np.zeros(frame.shape)
            bad[number::2] = 1
            np.save(paths[-1], np.where(bad, np.nan, frame))
            np.save(masks[-1], bad)
        out = tmp_path / "out.npy"
        succeed(*paths, out=out, mask=masks, beta=1e-3, rtol=1e-8)
        whole = super_resolve(frame, BLUR, FACTOR, beta=1e-3).image
        assert_allclose(np.load(out), whole, atol=1e-5)

    @pytest.mark.slow
    def test_frames_with_bad_pixels_are_registered(self, burst, tmp_path):
        rng = np.random.default_rng(0)
        paths = [tmp_path / f"{number}.npy" for number in range(len(burst))]
        for path, source in zip(paths, burst, strict=True):
            frame = images.imread(source)
            frame[tuple(rng.integers(0, 64, (2, 20)))] = np.nan
            np.save(path, frame)
        result = succeed(
            *paths, out=tmp_path / "out.npy", mask="finite", register=True, beta=0.01, json=True
        )
        assert np.abs(json.loads(result.stdout)["shifts"] - MOVES).max() < 0.1

    def test_unmasked_nan_names_the_option(self, tmp_path):
        np.save(tmp_path / "in.npy", np.full((8, 8), np.nan))
        result = run(tmp_path / "in.npy", out=tmp_path / "out.npy")
        assert result.exit_code == 1
        assert "--mask finite" in result.stderr


def test_a_truth_is_read_as_the_frames_are(tmp_path):
    fits = pytest.importorskip("astropy.io.fits")
    planes = np.random.default_rng(0).random((2, 8, 10))
    np.save(tmp_path / "in.npy", planes)
    np.save(tmp_path / "truth.npy", planes)
    units = [fits.PrimaryHDU(), *(fits.ImageHDU(planes[k], name=x) for k, x in enumerate("AB"))]
    fits.HDUList(units).writeto(tmp_path / "in.fits")
    same = {"psf": "box:size=1", "factor": 1, "beta": 1e-9, "json": True, "out": "out.npy"}
    for source, truth, options in [
        ("in.npy", "truth.npy", {"channel-axis": 0}),
        ("in.fits", "in.fits", {"hdu": "B"}),
        ("in.fits", "in.fits[B]", {"hdu": "B"}),
        ("in.fits[A]", "in.fits", {}),
    ]:
        options |= same | {"out": tmp_path / "out.npy", "overwrite": True}
        result = succeed(tmp_path / source, truth=tmp_path / truth, **options)
        assert json.loads(result.stdout)["relative_rmse"] < 1e-6


def test_fits_keeps_scale_and_sky(scene, tmp_path):
    fits, wcs = pytest.importorskip("astropy.io.fits"), pytest.importorskip("astropy.wcs")
    sky = wcs.WCS(naxis=2)
    sky.wcs.ctype, sky.wcs.crval = ["RA---TAN", "DEC--TAN"], [83.6, 22.0]
    sky.wcs.crpix, sky.wcs.cdelt = [30.5, 31.0], [-1e-4, 1e-4]
    frame = 5000 * observed(scene, (0, 0)) + 300
    fits.PrimaryHDU(frame.astype("i2"), sky.to_header()).writeto(tmp_path / "in.fits")
    succeed(tmp_path / "in.fits", out=tmp_path / "out.fits")
    result, header = fits.getdata(tmp_path / "out.fits", header=True)
    assert result.shape == scene.shape
    assert abs(result.mean() - frame.mean()) < 5
    corners = np.array([[-0.5, 63.5], [-0.5, 63.5]])
    enlarged = (corners + 0.5) * FACTOR - 0.5
    assert_allclose(
        wcs.WCS(header).pixel_to_world_values(*enlarged),
        sky.pixel_to_world_values(*corners),
        rtol=1e-12,
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"register": True, "shifts": "s.txt"}, "either --register or --shifts"),
        ({"shifts": "none.txt"}, "none.txt"),
        ({"shifts": "words.txt"}, "two numbers a line"),
        ({"shifts": "empty.txt"}, "error: empty.txt has no shifts, which are two numbers a line"),
        ({"shifts": "comment.txt"}, "comment.txt has no shifts"),
        (
            {"shifts": "many.txt"},
            "must be 1 pairs of finite numbers, got float64 of shape (9, 3)",
        ),
        ({"shifts": "nan.txt"}, "must be 1 pairs of finite numbers, got NaN or infinity\n"),
        ({"weights": "1,2"}, "1 frames, but 2 weights"),
        ({"weights": "one"}, "write them as 1,0.5,2"),
        ({"mask": "none.png"}, "none.png"),
        ({"mask": "small.png"}, "is (3, 4), but a frame is (64, 64)"),
        ({"mask": ["small.png", "small.png"]}, "1 frames, but 2 masks"),
        ({"mask": "all.npy"}, "the masks leave no pixel of any frame"),
        ({"truth": "small.png"}, "is (3, 4), but the result will be (128, 128)"),
        ({"beta": "best"}, "beta must be one of"),
        ({"beta": "discrepancy"}, "needs noise"),
        ({"solver": "jacobi"}, "solver must be one of"),
        ({"solver": "cg", "nonnegative": True}, "projected"),
        ({"regulariser": "laplace"}, "did you mean 'laplacian'"),
        ({"report": "none/report.png"}, "none is not a folder"),
        ({"report": "report.xyz"}, "a report is one of"),
        ({"factor": 0}, "factor must be positive"),
        ({"out": "out.xyz"}, "its ending is none of"),
    ],
)
def test_errors_in_words(burst, tmp_path, monkeypatch, options, words):
    monkeypatch.chdir(tmp_path)
    images.write(tmp_path / "small.png", np.zeros((3, 4)), 8)
    (tmp_path / "words.txt").write_text("down right\n")
    np.save(tmp_path / "all.npy", np.ones((64, 64)))
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "many.txt").write_text("1 2 3\n" * 9)
    (tmp_path / "nan.txt").write_text("nan 0\n")
    (tmp_path / "comment.txt").write_text("# down right\n")
    result = run(burst[0], **{"out": "out.png", **options})
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert words in result.stderr
    assert not (tmp_path / "out.png").exists()


def test_values_on_another_scale_are_not_written_as_integers(tmp_path):
    np.save(tmp_path / "in.npy", np.full((8, 8), 4000.0))
    result = run(tmp_path / "in.npy", out=tmp_path / "out.png")
    assert result.exit_code == 1
    assert "up to 4000 do not fit integers" in result.stderr


def test_ctrl_c_before_there_is_an_image(burst, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["dhop.cli.superres"], "super_resolve", interrupted)
    result = run(burst[0], out=tmp_path / "out.png")
    assert result.exit_code == 130
    assert "no image yet" in result.stderr
    assert not (tmp_path / "out.png").exists()


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
def test_ctrl_c_saves_the_present_iterate(burst, scene, tmp_path):
    import pty

    frame, out = tmp_path / "frame.tif", tmp_path / "out.png"
    whole = np.tile(images.imread(burst[0]), (4, 4))  # so that it takes seconds
    images.write(frame, whole)
    words = [frame, "--factor", "2", "--psf", "gaussian:sigma=1", "--beta", "0.001"]
    words += ["--nonnegative", "--maxiter", "10000000", "--rtol", "0", "--out", out]
    terminal, end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "dhop.cli", "superres", *map(str, words)],
        stdout=subprocess.PIPE, stderr=end, env={**os.environ, "TERM": "xterm", "COLUMNS": "500"},
    )  # fmt: skip
    os.close(end)
    shown = ""
    try:
        deadline = time.monotonic() + 100
        while time.monotonic() < deadline and process.poll() is None:
            if not select.select([terminal], [], [], 0.5)[0]:
                continue
            shown += os.read(terminal, 65536).decode()
            if re.search(r"\b[1-9]\d\d+/10000000\b", shown):
                break
        process.send_signal(signal.SIGINT)
        while True:
            try:
                some = os.read(terminal, 65536)
            except OSError:  # Linux says so when the other end is closed
                break
            if not some:
                break
            shown += some.decode()
        assert process.wait(60) == 130, shown
    finally:
        process.kill()
        process.stdout.close()
        os.close(terminal)
    assert "has the image as it was by then" in re.sub(r"\s+", " ", shown)
    pixels, original = images.load(out)
    assert original.dtype == np.uint16
    expected = super_resolve(whole, BLUR, 2, beta=0.001, nonnegative=True)
    assert_allclose(pixels, expected.image.clip(0, 1), atol=0.03)


class TestErrors:
    """Standard deviations, as the library has them."""

    @pytest.fixture
    def scene(self, scene):
        return scene[60:116, 50:122]

    def frames(self, scene, folder, header=None):
        fits = pytest.importorskip("astropy.io.fits")
        mask = np.zeros((28, 36))
        mask[8:20, 12:26] = 1
        images.write(folder / "mask.npy", mask)
        paths = [folder / f"{number}.fits" for number in range(3)]
        for number, path in enumerate(paths):
            frame = observed(scene, MOVES[number], 0.01, number)
            fits.PrimaryHDU(frame, header).writeto(path)
        np.savetxt(folder / "shifts.txt", MOVES[:3])
        return paths, {"shifts": folder / "shifts.txt", "mask": folder / "mask.npy", "beta": 0.01}

    @pytest.mark.slow
    def test_fits_has_image_deviations_and_quality(self, scene, tmp_path):
        fits, wcs = pytest.importorskip("astropy.io.fits"), pytest.importorskip("astropy.wcs")
        sky = wcs.WCS(naxis=2)
        sky.wcs.ctype, sky.wcs.crval = ["RA---TAN", "DEC--TAN"], [10.0, 20.0]
        sky.wcs.cdelt, sky.wcs.crpix = [-1e-4, 1e-4], [8.0, 9.0]
        header = sky.to_header()
        header["BUNIT"] = "MJy/sr"
        paths, options = self.frames(scene, tmp_path, header)
        out, errors = tmp_path / "sr.fits", tmp_path / "errors.fits"
        result = succeed(*paths, out=out, errors=errors, noise=0.01, json=True, **options)
        weights = [1.0 - images.load_mask(tmp_path / "mask.npy")] * 3
        stack = np.stack([fits.getdata(path) for path in paths])
        solution = super_resolve(stack, BLUR, FACTOR, shifts=MOVES[:3], weights=weights, beta=0.01)
        deviation = solution.standard_deviation(0.01)
        with fits.open(errors) as units:
            assert [unit.name for unit in units] == ["SCI", "ERR", "DQ"]
            assert_allclose(units["SCI"].data, fits.getdata(out), rtol=1e-6)
            assert_allclose(units["ERR"].data, deviation, rtol=1e-4)
            quality = units["DQ"].data
            assert quality.dtype.kind == "i"
            assert "BUNIT" not in units["DQ"].header
            for unit in units:
                assert_allclose(unit.header["CRPIX1"], fits.getheader(out)["CRPIX1"])
            assert units["ERR"].header["BUNIT"] == "MJy/sr"
        assert (np.unique(quality) == [0, 1]).all()
        # The psf reaches 4 pixels, and the scene moves by two and a half at most.
        assert quality[26:32, 34:42].all()
        assert not quality[:12].any()
        assert not quality[:, :20].any()
        facts = json.loads(result.stdout)
        assert_allclose(facts["deviation"], np.median(deviation), rtol=1e-3)
        assert images.imread(errors).shape == (56, 72)

    @pytest.mark.slow
    @pytest.mark.parametrize("ending", ["tif", "npy"])
    def test_other_files_have_deviations_alone(self, scene, tmp_path, ending):
        paths, options = self.frames(scene, tmp_path)
        errors = tmp_path / f"errors.{ending}"
        report = tmp_path / "report.png"
        options |= {"report": report} if ending == "tif" else {}
        result = succeed(*paths, out=tmp_path / "sr.tif", errors=errors, **options)
        assert "in the median" in result.stdout
        found = images.imread(errors)
        assert found.shape == (56, 72)
        assert 0.001 < np.median(found) < 0.1
        assert found[29, 38] > 3 * np.median(found)
        if ending == "tif":
            assert imageio.imread(report).shape[1] > 1900  # a column more

    def test_colours(self, tmp_path):
        frame = np.random.default_rng(0).random((24, 24, 3))
        images.write(tmp_path / "in.png", frame, 8)
        errors = tmp_path / "errors.tif"
        succeed(tmp_path / "in.png", out=tmp_path / "sr.png", errors=errors, beta=0.1)
        assert images.imread(errors).shape == (48, 48, 3)

    def test_what_holds_no_such_numbers_is_refused_before_the_work(self, scene, tmp_path):
        images.write(tmp_path / "in.png", scene, 8)
        for name, message in (
            ("errors.png", "which .png does not hold; write a .tif"),
            ("sr.tif", "sr.tif would take the place"),
            ("in.png", "in.png would take the place"),
        ):  # fmt: skip
            result = run(tmp_path / "in.png", out=tmp_path / "sr.tif", errors=tmp_path / name)
            assert result.exit_code == 1
            assert not (tmp_path / "sr.tif").exists()
            assert message in result.output


class TestLosses:
    @pytest.mark.slow
    def test_cosmic_rays(self, burst, scene, tmp_path):
        paths = []
        for number, path in enumerate(burst):
            image = images.imread(path)
            image[10 + 5 * number, 20] = 1.0
            paths.append(tmp_path / path.name)
            images.write(paths[-1], image, 16)
        images.write(tmp_path / "truth.tif", scene, 32)
        images.write(tmp_path / "moves.npy", MOVES)
        options = {"truth": tmp_path / "truth.tif", "shifts": tmp_path / "moves.npy"}
        found = {}
        for loss in ("gaussian", "huber"):
            out = tmp_path / f"{loss}.tif"
            result = succeed(*paths, out=out, loss=loss, json=True, **options)
            found[loss] = json.loads(result.stdout)
        assert found["huber"]["psnr"] > found["gaussian"]["psnr"]
        assert found["gaussian"]["trust"] is None
        assert min(found["huber"]["trust"]) > 0.5
        text = succeed(*paths, out=tmp_path / "t.tif", loss="huber", **options).stdout
        assert "outliers" in text

    def test_photons(self, tmp_path):
        """The numbers of integer files, whatever they are scaled to."""
        rng = np.random.default_rng(0)
        scene = np.zeros((48, 48))
        scene[16:32, 20:28] = 400
        A = DHOperator(scene.shape, BLUR, 2, decimation="mean", boundary="symmetric")
        frame = 3 * rng.poisson(A.degrade(scene) + 10)
        images.write(tmp_path / "frame.tif", frame / 65535, 16)
        images.write(tmp_path / "dark.tif", np.full(frame.shape, 30 / 65535), 16)
        expected = super_resolve(
            frame.astype(np.float32), BLUR, 2, loss="poisson", background=30.0, gain=3.0,
            solver="richardson-lucy",
        )  # fmt: skip
        for background in ("30", tmp_path / "dark.tif"):
            out = tmp_path / "sr.tif"
            succeed(tmp_path / "frame.tif", out=out, loss="poisson", background=background,
                    gain=3, solver="richardson-lucy", bits=32, overwrite=True)  # fmt: skip
            found = images.imread(out) * 65535
            assert_allclose(found, expected.image, rtol=0, atol=2e-3 * expected.image.max())

    @pytest.mark.parametrize("prior", ["huber-tv", "starlet"])
    def test_priors_and_bounds(self, burst, tmp_path, prior):
        out = tmp_path / "sr.tif"
        succeed(*burst, out=out, regulariser=prior, bounds="6553.5,52428", beta=0.01, bits=32)
        image = images.imread(out)
        assert image.min() >= np.float32(0.1)
        assert image.max() <= np.float32(0.8)
        result = run(*burst, out=tmp_path / "no.tif", bounds="1")
        assert result.exit_code != 0
        assert "--bounds" in result.output


def test_deconvolve_is_superres_with_factor_one(scene, tmp_path):
    """One command with all options of the other, but for the factor."""
    images.write(tmp_path / "frame.tif", scene, 32)
    words = [tmp_path / "frame.tif", "--psf", "gaussian:sigma=1", "--beta", 0.01, "--out"]
    for command, more in (("superres", ["--factor", 1]), ("deconvolve", [])):
        line = [command, *words, tmp_path / f"{command}.tif", *more]
        result = CliRunner().invoke(cli.app, [str(word) for word in line])
        assert result.exit_code == 0, result.output
    one, other = (images.imread(tmp_path / f"{name}.tif") for name in ("superres", "deconvolve"))
    assert_array_equal(one, other)
    text = CliRunner().invoke(cli.app, ["deconvolve", "--help"]).output
    assert "--loss" in text
    assert "--factor" not in text
    assert CliRunner().invoke(cli.app, ["deconvolve", "x.tif", "--factor", "2"]).exit_code == 2
