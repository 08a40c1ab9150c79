"""The commands about a model: what it does to an image, what it would be, and its PSF."""

import json
import re

import imageio.v3 as imageio
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tifffile import imread, imwrite
from typer.testing import CliRunner

from dhop import DHOperator, cli, psf
from dhop.cli.parsing import PSFS, parse_psf


def call(*arguments, code=0):
    result = CliRunner().invoke(cli.app, [str(each) for each in arguments])
    assert result.exit_code == code, result.output
    return result


def facts(*arguments):
    result = call(*arguments, "--json")
    assert result.stderr == ""
    return json.loads(result.stdout)


def rows(*arguments):
    """The table that a command prints, by the words of its first column."""
    lines = call(*arguments).stdout.splitlines()
    return dict(line.strip().split("  ", 1) for line in lines)


def words(result):
    return " ".join(result.stderr.split())


class TestParsePsf:
    @pytest.mark.parametrize(
        ("text", "made"),
        [
            ("gaussian:sigma=1.5", psf.gaussian(13, 1.5)),
            ("gaussian:sigma=1.5,size=7", psf.gaussian(7, 1.5)),
            ("gaussian:sigma=1x2", psf.gaussian((9, 17), (1, 2))),
            ("gaussian:sigma=1x2,size=5x9,angle=30", psf.gaussian((5, 9), (1, 2), angle=30)),
            ("gaussian:sigma=1x2,angle=30", psf.gaussian(17, (1, 2), angle=30)),
            ("box:size=2x5", psf.box((2, 5))),
            ("disk:radius=2.5", psf.disk(2.5)),
            ("motion:length=9", psf.motion(9)),
            ("motion:length=9,angle=-20", psf.motion(9, -20)),
            ("airy:radius=1.5", psf.airy(17, 1.5)),
            ("airy:radius=2,size=9,obstruction=0.3", psf.airy(9, 2, obstruction=0.3)),
            ("moffat:fwhm=1.5,beta=3", psf.moffat(13, 1.5, 3)),
            ("moffat: beta=3, fwhm=2, size=4", psf.moffat(4, 2, 3)),
        ],
    )
    def test_makers(self, text, made):
        assert_allclose(parse_psf(text), made, rtol=1e-14)

    def test_every_maker_is_written_here(self):
        makers = {"airy", "box", "disk", "gaussian", "moffat", "motion"}
        assert set(PSFS) == makers <= set(psf.__all__)

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", "'' is neither a file nor one of the psfs"),
            ("gausian:sigma=1", "did you mean gaussian"),
            ("box", "write it as box:size=..."),
            ("box:size", "write it as box:size=..."),
            ("box:size=3=3", "write it as box:size=..."),
            ("box:size=3x3x3", "write it as box:size=..."),
            ("box:width=3", "write it as box:size=..."),
            ("disk:radius=2x3", "write it as disk:radius=..."),
            ("motion:angle=3", r"write it as motion:length=...\[,angle=...\]"),
            ("moffat:fwhm=3", r"write it as moffat:fwhm=...,beta=...\[,size=...\]"),
            ("box:size=3,size=4", "says something twice"),
            ("box:size=2.5", "whole number of pixels"),
            ("airy:radius=0", "radius must be positive"),
            ("moffat:fwhm=-1,beta=2", "fwhm must be positive"),
            ("none.fits", "neither a file"),
        ],
    )
    def test_errors(self, text, words):
        with pytest.raises(ValueError, match=words):
            parse_psf(text)


class TestDegrade:
    @pytest.fixture
    def scene(self, tmp_path):
        path = tmp_path / "scene.npy"
        np.save(path, np.random.default_rng(0).random((30, 41)))
        return path

    def test_is_the_model(self, scene, tmp_path):
        arguments = ["--factor", 3, "--psf", "motion:length=5,angle=30", "--boundary", "wrap"]
        out = tmp_path / "out.npy"
        found = facts("degrade", scene, *arguments, "--decimation", "sum", "--out", out)
        A = DHOperator((30, 41), psf.motion(5, 30), 3, boundary="wrap")
        assert_array_equal(np.load(out), A.degrade(np.load(scene)))
        assert found["frame"] == list(A.dimsd) == [10, 13]
        assert found["out"] == str(out)

    def test_noise_is_seeded(self, scene, tmp_path):
        def frame(*options):
            out = tmp_path / "out.npy"
            options = [*options, "--out", out, "--overwrite"]
            call("degrade", scene, "--factor", 1, "--psf", "box:size=1", *options)
            return np.load(out) - np.load(scene)

        assert not frame().any()
        noise = frame("--noise", 0.1)
        assert abs(noise.std() - 0.1) < 0.01
        assert_array_equal(frame("--noise", 0.1), noise)
        assert (frame("--noise", 0.1, "--seed", 1) != noise).all()

    @pytest.mark.parametrize("kind", ["i2", "i4", "u4"])
    def test_counts_stay_what_they_are(self, tmp_path, kind):
        counts = np.random.default_rng(0).integers(2, 30_000, (8, 10)).astype(kind)
        imwrite(tmp_path / "in.tif", counts)
        options = ["--psf", "box:size=1", "--out", tmp_path / "out.tif", "--json"]
        found = call("degrade", tmp_path / "in.tif", "--factor", 2, *options)
        assert found.stderr == ""
        assert json.loads(found.stdout)["clipped"] == 0
        expected = np.rint(counts.reshape(4, 2, 5, 2).mean(axis=(1, 3)))
        assert_array_equal(imread(tmp_path / "out.tif"), expected)

    def test_counts_that_are_too_large(self, tmp_path):
        imwrite(tmp_path / "in.tif", np.full((8, 10), 30_000, "i2"))
        options = ["--psf", "box:size=1", "--decimation", "sum", "--out", tmp_path / "out.tif"]
        found = call("degrade", tmp_path / "in.tif", "--factor", 2, *options)
        assert "20 of 20 values do not fit the integers of" in found.stderr
        assert "--decimation mean keeps the brightness" in found.stderr
        assert (imread(tmp_path / "out.tif") == 32767).all()

    def test_noise_is_clipped_whatever_the_decimation(self, scene, tmp_path):
        options = ["--psf", "box:size=1", "--noise", 1, "--out", tmp_path / "out.png"]
        said = call("degrade", scene, "--factor", 2, *options).stderr
        assert "were clipped; --bits 32 in a .tif keeps them\n" in said

    def test_missing_pixels_are_not_black(self, tmp_path):
        tags = [(42113, "s", 0, "7", True)]
        counts = np.random.default_rng(0).integers(0, 9, (8, 10), np.uint8)
        imwrite(tmp_path / "in.tif", counts, extratags=tags, metadata=None)
        words = ["degrade", tmp_path / "in.tif", "--factor", 2, "--psf", "box:size=1", "--out"]
        assert "NaN or infinite do not fit" in call(*words, tmp_path / "out.png", code=1).stderr
        assert not (tmp_path / "out.png").exists()
        call(*words, tmp_path / "out.tif", "--bits", 32)
        absent = (counts == 7).reshape(4, 2, 5, 2).any(axis=(1, 3))
        assert_array_equal(np.isnan(imread(tmp_path / "out.tif")), absent)

    def test_colours_and_integers(self, tmp_path):
        given = np.random.default_rng(0).integers(0, 255, (8, 10, 3), np.uint8)
        imageio.imwrite(tmp_path / "in.png", given)
        arguments = ["--factor", 2, "--psf", "box:size=1", "--out", tmp_path / "out.png"]
        table = rows("degrade", tmp_path / "in.png", *arguments)
        assert "8 x 10 x 3" in table["scene"]
        expected = given.reshape(4, 2, 5, 2, 3).mean(axis=(1, 3)) / 255
        assert_allclose(imageio.imread(tmp_path / "out.png") / 255, expected, atol=0.51 / 255)

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            ({"factor": 0}, "factor must be positive"),
            ({"factor": 99}, "no output is left"),
            ({"noise": -1}, "noise must not be negative"),
            ({"noise": "nan"}, "noise must not be negative"),
            ({"seed": -1}, "seed must not be negative"),
            ({"out": "nowhere/a.png"}, "nowhere is not a folder"),
            ({"bits": 7}, "bits must be 8 or 16"),
            ({"boundary": "mirror"}, "did you mean 'reflect'"),
            ({"decimation": "median"}, "decimation must be one of"),
        ],
    )
    def test_errors(self, scene, tmp_path, change, expected):
        options = {"factor": 2, "psf": "box:size=1", "out": tmp_path / "out.npy"} | change
        flags = [text for key, value in options.items() for text in (f"--{key}", value)]
        assert expected in words(call("degrade", scene, *flags, code=1))
        assert not (tmp_path / "out.npy").exists()

    @pytest.mark.parametrize("name", ["none.png", "text.png", "text.npy", "text.tif", "", "text"])
    @pytest.mark.filterwarnings("ignore")  # decoders' own words
    def test_unreadable_images(self, tmp_path, name):
        for each in ("text.png", "text.npy", "text.tif", "text"):
            (tmp_path / each).write_text("no")
        flags = ["--factor", 2, "--psf", "box:size=1", "--out", tmp_path / "out.png"]
        said = words(call("degrade", tmp_path / name, *flags, code=1))
        assert said.startswith(f"error: {'there is no file' if 'text' not in name else 'cannot'}")
        assert str(tmp_path / name) in said


class TestInfo:
    MODEL = "--size", 24, 30, "--factor", 2, "--psf", "gaussian:sigma=0.7,size=5"

    def test_is_what_the_operator_says(self):
        found = facts("info", *self.MODEL, "--boundary", "symmetric", "--dtype", "float64")
        A = DHOperator((24, 30), psf.gaussian(5, 0.7), 2, boundary="symmetric")
        S = A.to_sparse()
        assert found["shape"] == list(S.shape)
        assert found["nnz"] == S.nnz
        assert found["nbytes"]["csr"] == S.data.nbytes + S.indices.nbytes + S.indptr.nbytes
        assert set(found["nbytes"]) == {"csr", "csc", "bsr", "coo"}
        assert found["method"] == A.method
        assert set(found["predicted_seconds"]) == {"direct", "separable", "fft"}
        assert all(0 < seconds < 1 for seconds in found["predicted_seconds"].values())
        values = np.linalg.svd(S.toarray(), compute_uv=False)
        assert_allclose(found["largest"], values[0], rtol=1e-10)
        assert found["largest"] <= found["norm_bound"] * (1 + 1e-12)
        assert_allclose(found["smallest"], values[-1], rtol=1e-10)
        assert_allclose(found["condition"], np.linalg.cond(S.toarray()), rtol=1e-9)

    def test_for_people(self):
        table = rows("info", *self.MODEL)
        assert "180 x 720, float32" in table["operator"]
        assert "condition number" in table["singular values"]
        assert "csr" in table["explicit matrix"]

    def test_singular(self):
        arguments = "--size", 16, 16, "--factor", 1, "--psf", "box:size=2", "--boundary", "wrap"
        found = facts("info", *arguments)
        assert found["condition"] is None
        assert found["unknown"] == "singular to the rounding of float32"
        assert found["unknown"] in rows("info", *arguments)["singular values"]

    def test_too_large_to_decompose(self):
        arguments = "--size", 400, 400, "--factor", 2, "--psf", "motion:length=5,angle=20"
        found = facts("info", *arguments)
        assert found["largest"] is found["smallest"] is found["condition"] is None
        assert "too large" in found["unknown"]
        assert_allclose(found["norm_bound"], 2, rtol=1e-6)
        assert "at most 2; a matrix of" in rows("info", *arguments)["singular values"]

    def test_larger_than_memory(self):
        found = facts("info", "--size", 4000, 4000, "--factor", 2, "--psf", "box:size=99")
        assert found["nbytes"]["csr"] > 4e11
        table = rows("info", "--size", 9000, 9000, "--factor", 2, "--psf", "box:size=99")
        assert re.search(r"direct [\d.]+ s, separable [\d.]+ ms", table["predicted time"])

    def test_errors(self):
        assert "float33" in words(call("info", *self.MODEL, "--dtype", "float33", code=1))
        assert "Missing option" in call("info", "--factor", 2, code=2).stderr
        line = call("info", *self.MODEL[:2], "--factor", 2, "--psf", "box:size=3", code=1)
        assert "of at least two axes" in words(line)
        call("info", "--size", "wide", "--factor", 2, "--psf", "box:size=3", code=2)


class TestPsf:
    def test_tells(self):
        found = facts("psf", "gaussian:sigma=2x3,size=31")
        assert found["shape"] == [31, 31]
        assert_allclose(found["sigma"], np.sqrt(np.array([4, 9]) + 1 / 12), rtol=1e-4)
        assert_allclose(found["centroid"], 0, atol=1e-12)
        made = psf.gaussian(31, (2, 3))
        assert_allclose(found["peak"], made.max())
        assert found["support"] == list(psf.estimate_support(made, 0.99))
        for fraction, radius in found["radii"].items():
            assert_allclose(psf.encircled_energy(made, radius), float(fraction), atol=1e-3)
        table = rows("psf", "gaussian:sigma=2x3,size=31")
        assert "31 x 31, gaussian:sigma=2x3,size=31" in table["psf"]
        assert "0, 0 from the middle" in table["centroid"]

    @pytest.mark.parametrize("ending", ["npy", "tif", "ome.tif", "fits", "fit", "fits.gz"])
    def test_saves(self, tmp_path, ending):
        if "fit" in ending:
            pytest.importorskip("astropy")
        out = tmp_path / f"a.{ending}"
        for again in ([], ["--overwrite"]):
            found = facts("psf", "disk:radius=3.3", "--out", out, *again)
        assert found["written"] == [str(out)]
        assert_allclose(parse_psf(str(out)), psf.disk(3.3), rtol=1e-6)

    def test_prepares(self, tmp_path):
        frame = np.full((61, 60), 5.0)
        frame[3:54, 8:59] += psf.gaussian(51, 6.0)
        np.save(tmp_path / "star.npy", frame)
        flags = ["--background", "border", "--center", "peak", "--pixel", 1, "--new-pixel", 3]
        out = tmp_path / "out.npy"
        call("psf", tmp_path / "star.npy", *flags, "--energy", 0.97, "--out", out)
        made = np.load(out)
        assert_allclose(made, psf.gaussian(made.shape, 2.0), atol=1e-4)
        assert made.shape[0] < 15
        call("psf", "motion:length=5", "--rotate", 90, "--out", out, "--overwrite")
        assert_array_equal(np.load(out), psf.motion(5).T)
        call("psf", "box:size=3", "--center", "0,0", "--out", out, "--overwrite")
        assert np.load(out).shape == (5, 5)

    def test_parts_of_fits_files(self, tmp_path):
        fits = pytest.importorskip("astropy.io.fits")
        path = tmp_path / "a.fits"
        parts = [fits.PrimaryHDU(np.ones((3, 3))), fits.ImageHDU(np.ones((1, 5)), name="FINE")]
        fits.HDUList(parts).writeto(path)
        assert facts("psf", path)["shape"] == [3, 3]
        assert facts("psf", path, "--hdu", 1)["shape"] == [1, 5]
        assert facts("psf", path, "--hdu", "fine")["shape"] == [1, 5]
        assert "holds no image in part '7'" in words(call("psf", path, "--hdu", 7, code=1))

    @pytest.mark.slow
    @pytest.mark.parametrize("ending", ["png", "pdf", "svg"])
    def test_draws(self, tmp_path, ending):
        picture = tmp_path / f"a.{ending}"
        call("psf", "airy:radius=3", "--plot", picture, "--log")
        assert picture.stat().st_size > 5000

    @pytest.mark.parametrize(
        ("flags", "expected"),
        [
            (["--out", "a.png"], "written to .npy, .fits or .tif, not '.png'; --plot draws"),
            (["--out", "nowhere/a.npy"], "nowhere is not a folder"),
            (["--plot", "nowhere/a.png"], "nowhere is not a folder"),
            (["--plot", "a.xyz"], "xyz"),
            (["--pixel", "2"], "give both --pixel and --new-pixel"),
            (["--pixel", "0", "--new-pixel", "2"], "pixel must be positive"),
            (["--background", "sky"], "background must be a number or border, got 'sky'"),
            (["--center", "middle"], "center must be peak, centroid or row,column"),
            (["--center", "9,9"], "center (9, 9) is not a pixel"),
            (["--energy", "2"], "energy must be in"),
            (["--hdu", "1"], "'box:size=3' is none"),
            (["--rotate", "nan"], "angle must be finite"),
        ],
    )
    def test_errors(self, flags, expected):
        assert expected in words(call("psf", "box:size=3", *flags, code=1))


class TestOtherCommands:
    def test_export(self, tmp_path):
        out = tmp_path / "dh.npz"
        found = facts("export", out, "--size", 8, 10, "--factor", 2, "--psf", "box:size=3")
        A = DHOperator((8, 10), psf.box(3), 2)
        expected = {"shape": [20, 80], "nnz": A.nnz, "dtype": "float32", "out": str(out)}
        assert found == expected
        assert out.exists()

    def test_export_over_what_is_no_export(self, tmp_path, monkeypatch):
        """Refused before the PSF is read, whatever is said about overwriting."""
        thesis = tmp_path / "work" / "thesis.tex"
        thesis.parent.mkdir()
        thesis.write_text("Chapter 1")
        monkeypatch.chdir(thesis.parent)
        monkeypatch.setenv("HOME", "nowhere")
        for target, what in [
            (thesis.parent, "the working directory"),
            (".", "the working directory"),
            ("..", "a folder that holds 'work'"),
            (tmp_path, "a folder that holds 'work'"),
            ("/", "a mount point"),
        ]:
            flags = ["--size", 8, 10, "--factor", 2, "--psf", "missing.npy"]
            for more in ([], ["--overwrite"]):
                said = words(call("export", target, *flags, *more, code=1))
                assert f"error: {target} is {what}; what an export replaces is a file" in said
        assert list(tmp_path.rglob("*")) == [thesis.parent, thesis]
        assert thesis.read_text() == "Chapter 1"

    def test_export_of_nothing(self, tmp_path):
        """No entries, so nothing to divide progress by."""
        np.save(tmp_path / "far.npy", np.eye(1, 99, 98))
        flags = ["--size", 4, 4, "--factor", 1, "--psf", tmp_path / "far.npy"]
        assert facts("export", tmp_path / "dh.npz", *flags)["nnz"] == 0

    def test_demo(self, tmp_path):
        found = facts("demo", "--out", tmp_path / "demo.png")
        assert found["gain"] > 2
        assert set(found["quality"]) == {"bicubic", "dhop"}
