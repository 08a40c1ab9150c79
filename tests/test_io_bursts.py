"""Frames, channels, masks and weights in one file or in many."""

import numpy as np
import pytest
import tifffile
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from typer.testing import CliRunner

import dhop
from dhop import cli, images, psf, super_resolve

RNG = np.random.default_rng(4)
FRAMES = RNG.integers(20, 200, (5, 12, 14), np.uint8)
BLUR = psf.gaussian(9, 1.0)
MOVES = RNG.uniform(-1, 1, (5, 2)).round(2)


def save(path, stack):
    """Five pages by whichever program: of TIFF, ImageJ, OME, or an array."""
    kind = path.name.partition(".")[0]
    if path.suffix == ".npy":
        np.save(path, stack)
    elif kind == "imagej":
        tifffile.imwrite(path, stack, imagej=True, metadata={"axes": "TYX"})
    elif kind == "depth":
        tifffile.imwrite(path, stack, imagej=True, metadata={"axes": "ZYX"})
    elif kind == "ome":
        tifffile.imwrite(path, stack, ome=True, metadata={"axes": "TYX"})
    elif kind == "loop":
        with tifffile.TiffWriter(path) as file:
            for page in stack:
                file.write(page)
    elif kind == "pillow":
        pages = [Image.fromarray(page) for page in stack]
        pages[0].save(path, save_all=True, append_images=pages[1:])
    else:
        tifffile.imwrite(path, stack, photometric="minisblack")


STACKS = ["a.npy", "a.tif", "imagej.tif", "depth.tif", "ome.ome.tif", "pillow.tif", "loop.tif"]


def run(*words):
    return CliRunner().invoke(cli.app, [str(word) for word in words])


def superres(*frames, out, **options):
    words = ["superres", *frames, "--factor", 2, "--psf", "gaussian:sigma=1,size=9", "--out", out]
    words += ["--beta", 0.01, "--bits", 32]
    for name, value in options.items():
        for each in value if isinstance(value, list) else [value]:
            words += [f"--{name.replace('_', '-')}", each]
    result = run(*words)
    assert result.exit_code == 0, result.output
    return np.load(out)


class TestAxes:
    @pytest.mark.parametrize("name", STACKS)
    def test_frames_and_channels(self, tmp_path, name):
        save(tmp_path / name, FRAMES)
        assert_array_equal(dhop.imread(tmp_path / name, frames_axis=0), FRAMES / 255)
        assert_array_equal(dhop.imread(tmp_path / name, frames_axis=-3), FRAMES / 255)
        channels = np.moveaxis(FRAMES, 0, -1)
        assert_array_equal(dhop.imread(tmp_path / name, channel_axis=0), channels / 255)
        with pytest.raises(ValueError, match=r"shape \(5, 12, 14\), not a single.*axis of frames"):
            dhop.imread(tmp_path / name)

    def test_frames_of_colours(self, tmp_path):
        colours = RNG.integers(0, 256, (4, 12, 14, 3), np.uint8)
        np.save(tmp_path / "a.npy", colours)
        tifffile.imwrite(tmp_path / "a.tif", colours, photometric="rgb")
        for name in ("a.npy", "a.tif"):
            assert_array_equal(dhop.imread(tmp_path / name, frames_axis=0), colours / 255)
        np.save(tmp_path / "b.npy", np.moveaxis(colours, -1, 1))
        found = dhop.imread(tmp_path / "b.npy", frames_axis=0, channel_axis=1)
        assert_array_equal(found, colours / 255)

    def test_frames_last(self, tmp_path):
        np.save(tmp_path / "a.npy", np.moveaxis(FRAMES, 0, -1))
        assert_array_equal(dhop.imread(tmp_path / "a.npy", frames_axis=2), FRAMES / 255)

    @pytest.mark.parametrize(
        ("shape", "axes", "words"),
        [
            ((5, 12, 14), {"frames_axis": 3}, "without axis 3"),
            ((5, 12, 14), {"frames_axis": 0, "channel_axis": 0}, "count frames and channels at on"),
            ((5, 12, 14), {"frames_axis": 0, "channel_axis": -3}, "count frames and channels at o"),
            ((5, 12, 14), {"channel_axis": -4}, "without axis -4"),
            ((2, 5, 12, 14), {"frames_axis": 0}, "not a single image"),
            ((12,), {}, "not a single image"),
            ((), {}, "not a single image"),
            ((12, 14), {"frames_axis": 0}, "not a single image"),
            ((0, 14), {}, "no pixels"),
            ((5, 0, 14), {"frames_axis": 0}, "no pixels"),
        ],
    )
    def test_shapes_that_do_not_fit(self, tmp_path, shape, axes, words):
        np.save(tmp_path / "a.npy", np.zeros(shape))
        with pytest.raises(ValueError, match=words):
            dhop.imread(tmp_path / "a.npy", **axes)

    @pytest.mark.parametrize("shape", [(1, 12, 14), (12, 14, 1), (1, 1, 12, 14)])
    def test_axes_of_one(self, tmp_path, shape):
        np.save(tmp_path / "a.npy", FRAMES[0].reshape(shape))
        assert_array_equal(dhop.imread(tmp_path / "a.npy"), FRAMES[0] / 255)

    def test_one_row(self, tmp_path):
        np.save(tmp_path / "a.npy", FRAMES[0, :1])
        assert dhop.imread(tmp_path / "a.npy").shape == (1, 14)

    def test_a_file_may_say_that_an_axis_is_rows(self, tmp_path):
        tifffile.imwrite(tmp_path / "a.tif", FRAMES[:3], photometric="minisblack")
        with pytest.raises(ValueError, match="not a single image"):
            dhop.imread(tmp_path / "a.tif", frames_axis=1)

    def test_pages_that_differ(self, tmp_path):
        with tifffile.TiffWriter(tmp_path / "a.tif") as file:
            file.write(FRAMES[0])
            file.write(FRAMES[1, :4])
        with pytest.raises(ValueError, match="2 images that differ in shape or type"):
            dhop.imread(tmp_path / "a.tif", frames_axis=0)

    def test_overviews_are_not_meant(self, tmp_path):
        """As GDAL writes them behind the image, and cameras before it."""
        for name, order in {"a.tif": 1, "b.tif": -1}.items():
            pages = [(FRAMES[0], {}), (FRAMES[0, ::2, ::2], {"subfiletype": 1})]
            with tifffile.TiffWriter(tmp_path / name) as file:
                for page, options in pages[::order]:
                    file.write(page, **options)
        assert_array_equal(dhop.imread(tmp_path / "a.tif"), FRAMES[0] / 255)
        with pytest.raises(ValueError, match="begins with a small"):
            dhop.imread(tmp_path / "b.tif")


class TestBursts:
    @pytest.mark.parametrize("name", STACKS)
    def test_a_burst_in_one_file(self, tmp_path, name):
        save(tmp_path / name, FRAMES)
        np.savetxt(tmp_path / "shifts.txt", MOVES)
        shifts = {"shifts": tmp_path / "shifts.txt"}
        found = superres(tmp_path / name, out=tmp_path / "out.npy", frames_axis=0, **shifts)
        expected = super_resolve((FRAMES / 255).astype("f4"), BLUR, 2, shifts=MOVES, beta=0.01)
        assert_array_equal(found, expected.image)

    def test_several_files_of_several_frames(self, tmp_path):
        save(tmp_path / "a.npy", FRAMES[:2])
        save(tmp_path / "b.npy", FRAMES[2:])
        both = tmp_path / "a.npy", tmp_path / "b.npy"
        found = superres(*both, out=tmp_path / "out.npy", frames_axis=0)
        expected = super_resolve((FRAMES / 255).astype("f4"), BLUR, 2, beta=0.01)
        assert_array_equal(found, expected.image)

    def test_bands(self, tmp_path):
        """A file of five bands by pixels, none of them transparency, becomes one of five bands."""
        bands = np.moveaxis(FRAMES, 0, -1)
        tifffile.imwrite(tmp_path / "a.tif", bands, photometric="minisblack", planarconfig="contig")
        words = "--factor", 2, "--psf", "gaussian:sigma=1,size=9", "--beta", 0.01
        result = run("superres", tmp_path / "a.tif", *words, "--out", tmp_path / "b.tif")
        assert result.exit_code == 0, result.output
        found = tifffile.imread(tmp_path / "b.tif")
        assert (found.shape, found.dtype) == ((24, 28, 5), np.uint8)
        for k in range(5):
            alone = super_resolve((FRAMES[k] / 255).astype("f4"), BLUR, 2, beta=0.01)
            assert_allclose(found[..., k], alone.image.clip(0, 1) * 255, atol=0.51)


class TestMasks:
    BAD = RNG.random((12, 14)) < 0.2

    def variants(self, folder):
        """The same mask as programs write it."""
        flags = self.BAD
        tifffile.imwrite(folder / "flags.tif", flags)
        Image.fromarray(flags).save(folder / "fax.tif", compression="group4")
        Image.fromarray(flags).save(folder / "bit.png")
        Image.fromarray(np.where(flags, np.uint8(255), np.uint8(0))).save(folder / "grey.png")
        np.save(folder / "flags.npy", flags)
        tifffile.imwrite(folder / "counts.tif", flags.astype("i4") * 4096)
        tifffile.imwrite(folder / "floats.tif", flags.astype("f4") / 3)
        marks = np.where(flags, np.uint8(3), np.uint8(0))
        label = Image.fromarray(marks).convert("P")
        label.putpalette([0, 0, 0, 9, 9, 9, 50, 50, 50, 200, 0, 0])
        label.save(folder / "labels.png")
        red = np.zeros((12, 14, 3), np.uint8)
        red[flags, 0] = 255
        Image.fromarray(red).save(folder / "red.png")
        Image.fromarray(red).save(folder / "exact.bmp")
        return sorted(folder.iterdir())

    def test_all_kinds_of_files_mean_the_same(self, tmp_path):
        for path in self.variants(tmp_path):
            assert_array_equal(images.load_mask(path), self.BAD, err_msg=path.name)

    @pytest.mark.parametrize("reader", [images.load_mask, images.load_weights])
    def test_planes_that_a_file_calls_channels(self, tmp_path, reader):
        """With an axis of frames they are one for each, as in FITS, and in stacks of channels."""
        fits = pytest.importorskip("astropy.io.fits")
        marks = (RNG.random(FRAMES.shape) < 0.1).astype(np.uint8)
        fits.writeto(tmp_path / "a.fits", marks)
        tifffile.imwrite(tmp_path / "a.tif", marks, imagej=True, metadata={"axes": "CYX"})
        tifffile.imwrite(tmp_path / "a.ome.tif", marks, metadata={"axes": "CYX"})
        np.save(tmp_path / "a.npy", marks)
        for path in sorted(tmp_path.iterdir()):
            assert_array_equal(reader(path, 0), marks, err_msg=path.name)
            assert_array_equal(reader(path, -3), marks, err_msg=path.name)
            with pytest.raises(ValueError, match="not a single image"):
                reader(path, None if path.suffix == ".npy" else 1)

    def test_one_for_all_frames_of_a_file(self, tmp_path):
        for path in self.variants(tmp_path):
            assert_array_equal(images.load_mask(path, 0), self.BAD, err_msg=path.name)
        np.save(tmp_path / "weights.npy", FRAMES[0])
        assert_array_equal(images.load_weights(tmp_path / "weights.npy", 0), FRAMES[0])

    def test_masks_of_a_burst(self, tmp_path):
        """One for all, one file for each frame, or all in one file."""
        marks = RNG.random(FRAMES.shape) < 0.1
        save(tmp_path / "frames.tif", FRAMES)
        save(tmp_path / "masks.tif", marks.astype(np.uint8))
        paths = []
        for k, mark in enumerate(marks):
            paths.append(tmp_path / f"{k}.png")
            Image.fromarray(mark).save(paths[-1])
        each = [
            superres(tmp_path / "frames.tif", out=tmp_path / f"{k}.npy", frames_axis=0, mask=mask)
            for k, mask in enumerate((paths, tmp_path / "masks.tif"))
        ]
        expected = super_resolve(
            (FRAMES / 255).astype("f4"), BLUR, 2, weights=list((~marks).astype(float)), beta=0.01,
        )  # fmt: skip
        assert_allclose(each[0], expected.image, atol=1e-6)
        assert_array_equal(each[0], each[1])


class TestWeights:
    MAPS = RNG.integers(0, 5, FRAMES.shape).astype("u2")

    def expected(self, weights):
        frames = (FRAMES / 255).astype("f4")
        return super_resolve(frames, BLUR, 2, weights=weights, beta=0.01).image

    def test_maps(self, tmp_path):
        """Their numbers are as they are in the file, not parts of the largest of a type."""
        save(tmp_path / "frames.npy", FRAMES)
        save(tmp_path / "maps.tif", self.MAPS)
        paths = []
        for k, weights in enumerate(self.MAPS):
            paths.append(tmp_path / f"{k}.png")
            Image.fromarray(weights).save(paths[-1])
        options = {"out": tmp_path / "out.npy", "frames_axis": 0}
        expected = self.expected(list(self.MAPS.astype(float)))
        for given in (paths, tmp_path / "maps.tif"):
            found = superres(tmp_path / "frames.npy", weights=given, **options)
            assert_allclose(found, expected, atol=1e-6)
            (tmp_path / "out.npy").unlink()
        found = superres(tmp_path / "frames.npy", weights=paths[0], **options)
        assert_allclose(found, self.expected([self.MAPS[0].astype(float)] * 5), atol=1e-6)

    def test_numbers_and_masks(self, tmp_path):
        save(tmp_path / "frames.npy", FRAMES)
        bad = RNG.random((12, 14)) < 0.2
        Image.fromarray(bad).save(tmp_path / "bad.png")
        found = superres(
            tmp_path / "frames.npy", out=tmp_path / "out.npy", frames_axis=0,
            weights="1,2,0,4,5", mask=tmp_path / "bad.png",
        )  # fmt: skip
        maps = [np.where(bad, 0.0, weight) for weight in (1, 2, 0, 4, 5)]
        assert_allclose(found, self.expected(maps), atol=1e-6)

    @pytest.mark.parametrize(
        ("weights", "words"),
        [
            ("1,2", "5 frames, but 2 weights"),
            (["a.png", "a.png"], "5 frames, but 2 weights"),
            ("small.png", r"is (3, 4), but a frame is (12, 14)"),
            ("colours.png", "holds 3 channels, not weights"),
            ("none.png", "or name images"),
        ],
    )
    def test_what_does_not_fit(self, tmp_path, monkeypatch, weights, words):
        monkeypatch.chdir(tmp_path)
        Image.fromarray(FRAMES[0]).save("a.png")
        Image.fromarray(FRAMES[0, :3, :4]).save("small.png")
        Image.fromarray(FRAMES[0, :, :, np.newaxis].repeat(3, 2)).save("colours.png")
        save(tmp_path / "frames.npy", FRAMES)
        given = [each for one in np.atleast_1d(weights) for each in ("--weights", one)]
        result = run(
            "superres", "frames.npy", "--factor", 2, "--psf", "box:size=1", "--out", "out.npy",
            "--frames-axis", 0, *given,
        )  # fmt: skip
        assert result.exit_code == 1
        assert words in result.stderr


@pytest.mark.parametrize(
    ("one", "other", "fine"),
    [
        ("u1.npy", "i4.npy", False), ("u1.png", "f4.tif", False), ("f4.fits", "u1.png", False),
        ("u1.png", "u2.npy", True), ("f4.fits", "i4.tif", True), ("f4.npy", "f8.tif", True),
    ],
)  # fmt: skip
def test_frames_of_two_scales(tmp_path, monkeypatch, one, other, fine):
    """Those of which a number is white go together, and those of which none is."""
    monkeypatch.chdir(tmp_path)
    for name, frame in ((one, FRAMES[0]), (other, FRAMES[1])):
        kind, ending = name.split(".")
        if ending == "fits":
            pytest.importorskip("astropy.io.fits").writeto(name, frame.astype(kind))
        else:
            dhop.imwrite(name, frame.astype(kind))
    words = "--factor", 1, "--psf", "box:size=1", "--beta", 0.1, "--out", "out.npy"
    result = run("superres", one, other, *words)
    assert result.exit_code == (0 if fine else 1), result.output
    if not fine:
        first, second = sorted((one, other), key=lambda name: not name.startswith("u"))
        assert f"{first} has a white, which is 1, and {second} has numbers" in result.stderr


def test_integers_of_unknown_scale(tmp_path):
    """They are right in a format that holds them, and refused in one that would make them black."""
    for kind in ("i4", "i8", "u4"):
        np.save(tmp_path / "a.npy", FRAMES[0].astype(kind))
        tifffile.imwrite(tmp_path / "a.tif", FRAMES[0].astype(kind))
        for source in ("a.npy", "a.tif"):
            common = ["--factor", 1, "--psf", "box:size=1", "--out"]
            refused = run("degrade", tmp_path / source, *common, tmp_path / "b.png")
            assert refused.exit_code == 1
            assert "do not fit integers" in refused.stderr
            out = tmp_path / f"{kind}{source}.npy"
            assert run("degrade", tmp_path / source, *common, out).exit_code == 0
            assert_allclose(np.load(out), FRAMES[0], rtol=1e-6)
    tifffile.imwrite(tmp_path / "c.tif", FRAMES[0].astype("i4"))
    result = run("degrade", tmp_path / "c.tif", *common, tmp_path / "d.tif")
    assert result.exit_code == 0
    assert_array_equal(tifffile.imread(tmp_path / "d.tif"), FRAMES[0].astype("i4"))
