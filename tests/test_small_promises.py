"""Small things that a user expects without asking."""

import json
import runpy
import subprocess
import sys
from inspect import signature

import numpy as np
import pytest
from matplotlib import pyplot
from numpy.testing import assert_allclose, assert_array_equal
from typer.testing import CliRunner

import dhop
from dhop import DHOperator, cli, images, psf, registration, super_resolve
from dhop.cli.terminal import show
from dhop.metrics import compare
from dhop.psf.origin import centroid, peak
from dhop.reconstruction.report import images as report_images

BLUR = psf.gaussian(5, 1.0)


def call(*words):
    return CliRunner().invoke(cli.app, [str(word) for word in words])


class TestPackage:
    def test_names(self):
        assert dhop.__version__
        modules = {"plots", "dask", "torch", "jax", "raw"}
        assert {*modules, "__version__", *dhop.__all__} == set(dir(dhop))
        assert all(hasattr(dhop, name) for name in dir(dhop))
        with pytest.raises(AttributeError, match="'nothing'"):
            dhop.nothing  # noqa: B018

    def test_plots_are_imported_when_asked_for(self):
        code = (
            "import sys, dhop; assert 'matplotlib' not in sys.modules; dhop.plots.psf;"
            "from dhop import *; assert 'matplotlib' in sys.modules"
        )
        subprocess.run([sys.executable, "-c", code], check=True)

    @pytest.mark.parametrize(
        "public",
        [
            *(getattr(dhop, name) for name in dhop.__all__),
            *(getattr(module, name) for module in (psf, dhop.plots) for name in module.__all__),
            *(dhop.motion.positions, dhop.motion.from_wcs, dhop.raw.planes, compare),
            *(registration.register, registration.estimate_shifts, registration.estimate_motion),
            *(dhop.FrameStack.from_motion, psf.Field.from_file, psf.Field.from_stars),
        ],
        ids=lambda public: getattr(public, "__name__", ""),
    )
    def test_help_fits_a_screen(self, public):
        """Types take many lines there, and are told below in words."""
        if not callable(public):
            return
        kinds = [public, *(vars(public).values() if isinstance(public, type) else [])]
        for each in kinds:
            if callable(each) and not getattr(each, "__name__", "_").startswith("_"):
                assert len(str(signature(each))) < 450
                assert all(p.annotation is p.empty for p in signature(each).parameters.values())

    def test_python_m(self, monkeypatch, capsys):
        monkeypatch.setattr(sys, "argv", ["dhop", "--version"])
        with pytest.raises(SystemExit) as ended:
            runpy.run_module("dhop", run_name="__main__")
        assert not ended.value.code
        assert capsys.readouterr().out == f"dhop {dhop.__version__}\n"


class TestMultiples:
    A = DHOperator((4, 6), np.arange(6.0).reshape(2, 3), 2)
    X = np.random.default_rng(0).standard_normal((4, 6))

    @pytest.mark.parametrize("two", [2, 2.0, np.float64(2), np.array(2.0), np.array(2)])
    def test_any_scalar(self, two):
        expected = 2 * self.A.degrade(self.X)
        for B in (self.A * two, two * self.A, self.A / (1 / two), (self.A / two) * 4):
            assert_array_equal(B.degrade(self.X), expected)
            assert_allclose(B.H.degrade(expected), 2 * self.A.backproject(expected), rtol=1e-15)

    def test_a_complex_divisor(self):
        B = self.A / 2j
        assert_array_equal(B.degrade(self.X), self.A.degrade(self.X) / 2j)
        y = np.ones(self.A.dimsd)
        assert_array_equal(B.backproject(y), self.A.backproject(y) / -2j)

    def test_what_is_no_scalar(self):
        for divisor in (np.ones(2), self.A, "2"):
            with pytest.raises((TypeError, ValueError)):
                self.A / divisor
        with pytest.raises(ValueError):
            self.A @ np.array(2.0)


class TestMetrics:
    def test_relative_error_is_that_of_the_norms(self):
        rng = np.random.default_rng(0)
        truth = rng.random((9, 8)) + 5
        image = truth + 0.1 * rng.standard_normal(truth.shape)
        expected = np.sqrt(np.sum((image - truth) ** 2) / np.sum(truth**2))
        for unit in (1, 2.0**-600, 2.0**600):
            found = compare(unit * image, unit * truth)["relative_rmse"]
            assert_allclose(found, expected, rtol=1e-12)

    def test_offsets_count(self):
        """Brightness above zero is part of the truth, of which the error is a part."""
        truth = np.eye(8) + 9
        assert_allclose(
            compare(truth + 1, truth)["relative_rmse"], 8 / np.linalg.norm(truth), rtol=1e-12
        )

    def test_the_same_image(self):
        truth = np.random.default_rng(1).random((3, 9, 9))
        assert compare(truth, truth) == {
            "psnr": np.inf, "ssim": pytest.approx(1), "relative_rmse": 0,
        }  # fmt: skip

    @pytest.mark.parametrize("side", [1, 2, 3, 4, 6, 7, 8])
    def test_small_images(self, side):
        truth = np.random.default_rng(2).random((side, 12))
        found = compare(truth + 0.1, truth)
        assert_allclose(found["psnr"], 20 + 20 * np.log10(np.ptp(truth)), rtol=1e-12)
        assert np.isnan(found["ssim"]) == (side < 3)

    def test_truths_that_are_none(self):
        for truth, words in ((np.ones((8, 8)), "constant"), (np.full((8, 8), np.nan), "finite")):
            with pytest.raises(ValueError, match=words):
                compare(np.eye(8), truth)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_json_is_json(number, capsys, tmp_path):
    facts = {
        "float": number, "scalar": np.float32(number), "array": np.array([[1, number]]),
        "list": [1, (number, None)], "path": tmp_path, "count": np.int64(3), "yes": np.bool_(True),
        "deep": {"er": number},
    }  # fmt: skip
    show({}, facts, True)
    assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail) == {
        "float": None, "scalar": None, "array": [[1, None]], "list": [1, [None, None]],
        "path": str(tmp_path), "count": 3, "yes": True, "deep": {"er": None},
    }  # fmt: skip


class TestStars:
    def test_the_peak_of_a_clipped_star_is_the_middle_of_its_plateau(self):
        star = np.pad(psf.gaussian(15, 3.0), ((2, 4), (5, 1)))
        clipped = np.minimum(star, 0.7 * star.max())
        clipped[0, 0] = clipped.max()  # a hot pixel is no star
        assert peak(clipped) == (9, 12)
        clipped[0, 0] = 0
        made = psf.from_array(clipped, center="peak")
        assert_allclose(made, made[::-1, ::-1], rtol=0, atol=1e-15)

    def test_the_centroid_is_signed(self):
        """Noise on one side of a star weighs nothing, however large."""
        rng = np.random.default_rng(3)
        star = 100 * np.pad(psf.gaussian(9, 1.0), ((6, 6), (6, 26)))
        noise = rng.standard_normal((21, 20)) * 3
        star[:, 21:] += np.hstack([noise, -noise[:, ::-1]])[:, :20]
        star[:, 21:31] -= star[:, 21:31].mean()
        star[:, 31:] -= star[:, 31:].mean()
        rows, columns = np.indices(star.shape)
        expected = (rows * star).sum() / star.sum(), (columns * star).sum() / star.sum()
        assert_allclose(centroid(star), expected, rtol=1e-12)
        assert abs(centroid(star)[1] - 10) < abs(centroid(abs(star))[1] - 10) / 3

    def test_without_a_sum(self):
        with pytest.raises(ValueError, match="no centroid"):
            psf.from_array([[1.0, -1.0]], center="centroid")


class TestReport:
    SCENE = np.random.default_rng(4).random((12, 10))

    def solve(self, decimation="mean", frame=None, **options):
        A = DHOperator(self.SCENE.shape, BLUR, 2, decimation=decimation, boundary="symmetric")
        frame = A.degrade(self.SCENE) if frame is None else frame
        beta = 1e-3 if decimation == "mean" else 16e-3  # of data four times as large
        return super_resolve(frame, BLUR, 2, beta=beta, decimation=decimation, **options)

    def shown(self, figure, number):
        return np.asarray(figure.axes[number].images[0].get_array())

    def test_a_notebook_shows_it_and_pyplot_does_not_know(self):
        before = pyplot.get_fignums()
        assert self.solve().plot()._repr_png_().startswith(b"\x89PNG")
        assert pyplot.get_fignums() == before

    def test_sums_are_as_bright_as_means(self):
        mean, total = (self.solve(kind).plot() for kind in ("mean", "sum"))
        for number in range(5):
            pair = [self.shown(page, number) for page in (mean, total)]
            assert_allclose(*pair, rtol=0, atol=1e-9)

    @pytest.mark.parametrize("value", [1e6, -1e6, np.nan, np.inf])
    def test_masked_pixels_set_no_shades(self, value):
        frame = DHOperator(self.SCENE.shape, BLUR, 2, boundary="symmetric").degrade(self.SCENE) / 4
        weights = np.ones(frame.shape)
        weights[2, 1] = 0
        good, bad = frame.copy(), frame.copy()
        bad[2, 1] = value
        pages = [self.solve(frame=each, weights=[weights]).plot() for each in (good, bad)]
        for number in range(6):
            assert_array_equal(*(self.shown(page, number) for page in pages))

    def test_nothing_seen_of_the_first_frame(self):
        frames = np.stack([np.full((6, 5), np.nan), self.SCENE[:6, :5]])
        assert self.solve(frame=frames, weights="finite").plot().axes

    @pytest.mark.parametrize("missing", ["matplotlib", "skimage"])
    def test_without_packages_it_names_the_command(self, monkeypatch, missing):
        solution = self.solve()
        monkeypatch.setitem(sys.modules, missing, None)
        monkeypatch.delitem(sys.modules, report_images.__name__)
        with pytest.raises(ImportError, match=rf'{missing}; install .* pip install "dhop\[cli\]"'):
            solution.plot()


class TestCommands:
    def test_demo_says_what_it_measured(self, tmp_path):
        found = call("demo", "--out", tmp_path / "demo.png")
        assert "to the photograph" in found.stdout
        assert "over bicubic enlargement of the same frame" in found.stdout

    @pytest.mark.parametrize(
        ("decimation", "name", "clipped"),
        [("mean", "a.png", 0), ("sum", "a.png", 30), ("sum", "a.tif", 30), ("sum", "a.npy", 0)],
    )
    def test_degrade_says_what_it_clips(self, tmp_path, decimation, name, clipped):
        images.write(tmp_path / "scene.tif", np.full((12, 10), 0.5), 8)
        options = ["--factor", 2, "--psf", "box:size=3", "--decimation", decimation, "--json"]
        options += ["--bits", 32] if name.endswith("npy") else []
        found = call("degrade", tmp_path / "scene.tif", *options, "--out", tmp_path / name)
        assert json.loads(found.stdout)["clipped"] == clipped
        assert ("were clipped" in found.stderr) == bool(clipped)

    def test_center(self, tmp_path):
        np.save(tmp_path / "star.npy", np.pad(BLUR, ((2, 0), (0, 0))))
        np.save(tmp_path / "frame.npy", np.random.default_rng(0).random((12, 10)))
        made = {}
        for center in (None, "peak", "centroid", "4,2"):
            out = tmp_path / f"{center}.npy"
            words = ["superres", tmp_path / "frame.npy", "--factor", 2, "--beta", 0.1]
            words += ["--psf", tmp_path / "star.npy", "--out", out]
            found = call(*words, *(["--center", center] if center else []))
            assert found.exit_code == 0, found.output
            assert ("from its origin" in found.stderr) == (center is None)
            made[center] = np.load(out)
        assert_allclose(made["peak"], made["4,2"], atol=1e-9)
        assert_allclose(made["centroid"], made["4,2"], atol=1e-9)
        assert abs(made[None] - made["peak"]).max() > 0.1

    def test_one_tolerance(self):
        import inspect

        from dhop.cli.superres import superres
        from dhop.dask import super_resolve as chunked

        functions = super_resolve, superres, chunked, DHOperator.prox_l2
        assert len({inspect.signature(each).parameters["rtol"].default for each in functions}) == 1
