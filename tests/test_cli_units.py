"""Numbers given to ``dhop superres`` are those of the files, whatever white is."""

import json

import numpy as np
import pytest
import tifffile
from numpy.testing import assert_allclose
from typer.testing import CliRunner

from dhop import cli, images, psf
from dhop.cli import srgb
from dhop.reconstruction.blurs import width


def run(*words):
    return CliRunner().invoke(cli.app, [str(word) for word in words])


def succeed(*words):
    result = run(*words)
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module", params=[8, 16])
def pair(request, tmp_path_factory):
    """A file of integers and one of the same numbers as floats, of which none is white."""
    folder = tmp_path_factory.mktemp("pair")
    white = 2**request.param - 1
    rng = np.random.default_rng(1)
    counts = rng.poisson(20 + 100 * np.outer(np.hanning(24), np.hanning(20))).clip(0, 255)
    counts = (counts * (white // 255)).astype(f"u{request.param // 8}")
    tifffile.imwrite(folder / "integers.tif", counts)
    np.save(folder / "numbers.npy", counts.astype(np.float32))
    np.save(folder / "dark.npy", np.full(counts.shape, 10.0 * (white // 255), np.float32))
    return folder, white // 255


LAWS = {
    "noise": ["--beta", "discrepancy", "--noise", 8],
    "threshold": ["--loss", "huber", "--threshold", 6, "--beta", 0.01],
    "bounds": ["--bounds", (30, 90), "--beta", 0.01],
    "background": ["--loss", "poisson", "--background", 10, "--gain", 2, "--read-noise", 3],
    "map": ["--loss", "poisson", "--background", "dark.npy"],
    "noise of total variation": ["--regulariser", "huber-tv", "--noise", 8],
}


@pytest.mark.slow
@pytest.mark.parametrize("law", LAWS)
def test_integers_are_solved_as_the_same_numbers(pair, tmp_path, monkeypatch, law):
    folder, times = pair
    monkeypatch.chdir(folder)
    words = [
        each * times if isinstance(each, int)
        else ",".join(str(one * times) for one in each) if isinstance(each, tuple) else each
        for each in LAWS[law]
    ]  # fmt: skip
    found = []
    for name in ("integers.tif", "numbers.npy"):
        out, errors = tmp_path / f"{name}.tif", tmp_path / f"{name}.errors.npy"
        more = ["--errors", errors] if law == "noise" else []
        line = [name, "--factor", 2, "--psf", "gaussian:sigma=1", *words, *more]
        succeed("superres", *line, "--out", out, "--bits", 32)
        found.append(images.imread(out) * (255 * times if name == "integers.tif" else 1))
        if more and name == "integers.tif":  # beside integers, in theirs
            succeed("superres", *line, "--out", tmp_path / "o.tif", "--overwrite")
        if more:
            found.append(np.load(errors))
    values = found[: len(found) // 2]
    for one, other in zip(values, found[len(found) // 2 :], strict=True):
        assert np.ptp(other) > 0
        assert_allclose(one, other, rtol=0, atol=5e-3 * np.abs(other).max())


def test_a_background_of_each_frame_and_of_a_volume(tmp_path):
    counts = np.random.default_rng(0).poisson(50, (3, 12, 10)).astype(np.float32)
    darks = np.arange(3, dtype=np.float32)[:, None, None] * np.ones((3, 12, 10), np.float32)
    for name, array in (("frames", counts + darks), ("plain", counts), ("darks", darks)):
        np.save(tmp_path / f"{name}.npy", array)
    common = ["--loss", "poisson", "--beta", 0.01, "--out"]
    for blur, more in (
        ("gaussian:sigma=1", ["--frames-axis", 0, "--factor", 2]),
        ("gaussian:sigma=1x1x1", ["--factor", "1,2,2"]),
    ):
        line = [tmp_path / "frames.npy", "--psf", blur, *more]
        out = tmp_path / f"{len(more)}.npy"
        succeed("superres", *line, "--background", tmp_path / "darks.npy", *common, out)
        assert abs(np.load(out).mean() - 50) < 1
    result = run("superres", *line, "--background", tmp_path / "darks.npy[1]", *common, out)
    assert result.exit_code == 1


def test_a_colour_photograph_has_one_background_for_all(tmp_path):
    frame = np.random.default_rng(0).integers(90, 110, (12, 10, 3)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "in.tif", frame)
    np.save(tmp_path / "dark.npy", np.full((12, 10), 40.0))
    line = [tmp_path / "in.tif", "--psf", "gaussian:sigma=1", "--loss", "poisson", "--beta", 0.1]
    succeed("deconvolve", *line, "--background", tmp_path / "dark.npy", "--out", tmp_path / "o.tif")
    assert abs(tifffile.imread(tmp_path / "o.tif").mean() - 60) < 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--noise", 3], "--noise would do nothing"),
        (["--register", "--refine"], "--register refines what it finds"),
        (["--nonnegative", "--bounds", "-1,1"], "--nonnegative contradicts --bounds"),
        (["--bounds", "5,2"], "a smaller and a larger number"),
        (["--bounds", "nan,2"], "a smaller and a larger number"),
        (["--noise", -1, "--beta", "discrepancy"], "noise must not be negative"),
        (["--loss", "huber", "--threshold", 0], "threshold must be positive"),
        (["--threshold", 2], "threshold is for loss"),
        (["--loss", "poisson", "--gain", "nan"], "gain must be positive"),
        (["--loss", "poisson", "--read-noise", -2], "read-noise must not be negative"),
        (["--loss", "poisson", "--background", "no.npy"], "no.npy"),
        (["--weights", "missing.fits"], "missing.fits"),
        (["--quality", 80], "--quality is of JPEG and WebP"),
    ],
)
def test_what_means_nothing_is_refused(tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    tifffile.imwrite("in.tif", np.full((9, 8), 100, np.uint8))
    result = run("superres", "in.tif", "--factor", 2, "--psf", "box:size=1", "--out", "o.tif",
                 *words)  # fmt: skip
    assert result.exit_code == 1
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert len(result.stderr.splitlines()) == 1
    assert "cannot read the weights" not in result.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--bounds", "0,1"], "leave out what half of the frames' pixels show"),
        (["--noise", 0.01, "--beta", "discrepancy"], "less than what integers leave out"),
    ],
)
def test_numbers_relative_to_white_draw_a_word(tmp_path, words, message):
    image = np.random.default_rng(0).integers(80, 120, (20, 20)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "in.tif", image)
    out = tmp_path / "o.tif"
    line = [tmp_path / "in.tif", "--factor", 2, "--psf", "box:size=1", "--out", out]
    assert message in run("superres", *line, *words).stderr


def test_flux_in_pixels_is_no_matter_where_pixels_stay(tmp_path):
    fits = pytest.importorskip("astropy.io.fits")
    header = fits.Header({"BUNIT": "Jy"})
    fits.writeto(tmp_path / "in.fits", np.random.default_rng(0).random((12, 12)), header)
    line = [tmp_path / "in.fits", "--psf", "gaussian:sigma=1", "--out"]
    assert "BUNIT" not in succeed("deconvolve", *line, tmp_path / "a.fits").stderr
    assert "BUNIT" in succeed("superres", *line, tmp_path / "b.fits", "--factor", 2).stderr
    assert run("deconvolve", *line, tmp_path / "c.fits", "--decimation", "mean").exit_code == 2


def test_a_line_is_shown_as_one(tmp_path):
    np.save(tmp_path / "line.npy", np.random.default_rng(0).random(60))
    line = [tmp_path / "line.npy", "--factor", 2, "--psf", "gaussian:sigma=2", "--beta", 0.1]
    facts = json.loads(succeed("superres", *line, "--out", tmp_path / "a.npy", "--json").stdout)
    assert (facts["frames"], facts["shape"]) == ([1, 60], [120])
    assert abs(facts["psf_width"] - 2) < 0.05
    text = succeed("superres", *line, "--out", tmp_path / "b.npy").stdout
    assert "1 of 60 " in text
    assert "1 x" not in text.replace("operator", "")


@pytest.mark.parametrize("shape", [(1, 25), (25, 1), (25,), (25, 25), (25, 25, 25)])
def test_width_is_along_what_there_is(shape):
    line = psf.gaussian((1, 25), (1.0, 2.0))[0]
    kernel = np.ones(())
    for size in shape:
        kernel = np.multiply.outer(kernel, line if size > 1 else np.ones(1))
    assert abs(width(kernel) - 2) < 0.05


def test_light_is_that_of_the_standard(tmp_path):
    """IEC 61966-2-1: the middle grey 119 is 18.4 % of light, and numbers come back."""
    numbers = np.arange(256) / 255
    assert abs(srgb.decode(numbers)[119] - 0.184) < 5e-4
    assert_allclose(srgb.encode(srgb.decode(numbers)), numbers, atol=1e-12)
    step = 1e-6
    slopes = (srgb.encode(numbers + step) - srgb.encode(numbers - step)) / (2 * step)
    assert_allclose(srgb.encode_slope(numbers), slopes, rtol=1e-4)


def test_photographs_are_solved_as_light(tmp_path):
    """Black and white stripes that no pixel resolves are half the light, not half the number."""
    frame = np.full((16, 16), 188, np.uint8)  # half of white's light
    tifffile.imwrite(tmp_path / "in.tif", frame)
    line = ["superres", tmp_path / "in.tif", "--factor", 2, "--psf", "box:size=1", "--linear",
            "--beta", 0.01]  # fmt: skip
    succeed(*line, "--out", tmp_path / "o.tif")
    assert (tifffile.imread(tmp_path / "o.tif") == 188).all()
    scene = np.indices((32, 32)).sum(axis=0) % 4 < 2
    mean = scene.reshape(16, 2, 16, 2).mean(axis=(1, 3))
    tifffile.imwrite(tmp_path / "in.tif", np.rint(255 * srgb.encode(mean)).astype(np.uint8))
    tifffile.imwrite(tmp_path / "truth.tif", (255 * scene).astype(np.uint8))
    more = ["--errors", tmp_path / "e.npy", "--truth", tmp_path / "truth.tif", "--json"]
    facts = json.loads(succeed(*line, "--out", tmp_path / "p.tif", *more).stdout)
    assert facts["psnr"] > 5
    assert np.isfinite(np.load(tmp_path / "e.npy")).all()
    np.save(tmp_path / "floats.npy", mean)
    result = run(*line[:1], tmp_path / "floats.npy", *line[2:], "--out", tmp_path / "q.tif")
    assert "--linear is for photographs" in result.stderr
