"""Image files: what is read, written and said of the pixels."""

import sys

import numpy as np
import pytest
import tifffile
from numpy.testing import assert_allclose, assert_array_equal
from PIL import ExifTags, Image

from dhop import images, io
from dhop.io.picture import Resolution

RNG = np.random.default_rng(0)
SHAPES = {"grey": (7, 9), "colours": (7, 9, 3)}


@pytest.fixture(params=SHAPES.values(), ids=SHAPES)
def shape(request):
    return request.param


def integers(shape, kind):
    bounds = np.iinfo(kind)
    array = RNG.integers(bounds.min, bounds.max, shape, kind, endpoint=True)
    array.flat[:2] = bounds.min, bounds.max
    return array


class TestRoundTrips:
    @pytest.mark.parametrize("ending", ["png", "tif", "tiff"])
    @pytest.mark.parametrize("kind", [np.uint8, np.uint16])
    def test_integers_keep_their_type_and_every_value(self, tmp_path, ending, kind, shape):
        if ending == "png" and kind == np.uint16 and len(shape) == 3:
            pytest.importorskip("imagecodecs")
        array = integers(shape, kind)
        most = np.iinfo(kind).max
        given = np.asfortranarray(array / most)
        images.write(tmp_path / f"a.{ending}", given, 8 * array.itemsize)
        pixels, original = images.load(tmp_path / f"a.{ending}")
        assert original.dtype == kind
        assert pixels.dtype == np.float64
        assert_array_equal(pixels, array / most)
        images.write(tmp_path / f"b.{ending}", pixels, original=original)
        again, _ = images.load(tmp_path / f"b.{ending}")
        assert_array_equal(again, pixels)

    @pytest.mark.parametrize("kind", [np.int16, np.int32, np.uint32])
    def test_other_integers_of_tiff(self, tmp_path, kind, shape):
        array = integers(shape, kind)
        path = tmp_path / "a.tif"
        tifffile.imwrite(path, array, photometric="rgb" if array.ndim == 3 else "minisblack")
        pixels, original = images.load(path)
        path.unlink()
        images.write(path, pixels, original=original)
        assert tifffile.imread(path).dtype == kind
        assert_array_equal(tifffile.imread(path), array)

    @pytest.mark.parametrize("ending", ["tif", "npy", "fits", "fits.gz", "fit"])
    @pytest.mark.parametrize("kind", [np.float32, np.float64])
    def test_floats_keep_their_scale(self, tmp_path, ending, kind, shape):
        if "fit" in ending:
            pytest.importorskip("astropy")
        array = RNG.normal(1e4, 1e5, shape).astype(kind)
        array.flat[3] = np.nan
        path = tmp_path / f"a.{ending}"
        images.write(path, array, original=io.Original(np.dtype(kind)))
        pixels, original = images.load(path)
        assert original.dtype == kind
        assert_array_equal(pixels, array)

    def test_jpeg_is_near(self, tmp_path, shape):
        rows, columns = np.mgrid[:40, :60]
        image = 0.5 + 0.4 * np.sin(rows / 9) * np.cos(columns / 11)
        image = image if len(shape) == 2 else np.stack([image] * 3, axis=-1)
        images.write(tmp_path / "a.jpg", image)
        assert_allclose(images.imread(tmp_path / "a.jpg"), image, atol=0.05)

    def test_many_channels_of_a_tiff(self, tmp_path):
        channels = integers((5, 7, 9), np.uint16)
        tifffile.imwrite(
            tmp_path / "a.tif", channels, photometric="minisblack", metadata={"axes": "CYX"}
        )
        pixels, original = images.load(tmp_path / "a.tif")
        assert pixels.shape == (7, 9, 5)
        images.write(tmp_path / "b.tif", pixels, original=original)
        assert_array_equal(tifffile.imread(tmp_path / "b.tif"), channels)
        assert_array_equal(images.imread(tmp_path / "b.tif"), pixels)

    def test_compressed_tiff(self, tmp_path):
        pytest.importorskip("imagecodecs")
        array = integers((20, 30, 3), np.uint16)
        tifffile.imwrite(tmp_path / "a.tif", array, compression="lzw", photometric="rgb")
        assert_array_equal(images.imread(tmp_path / "a.tif"), array / 65535)


class TestTypes:
    @pytest.mark.parametrize(
        ("given", "ending", "written"),
        [
            (np.uint16, "jpg", np.uint8),
            (np.uint8, "tif", np.uint8),
            (np.float32, "png", np.uint16),
            (np.uint16, "npy", np.float64),
            (np.uint64, "tif", np.float32),
        ],
    )
    def test_a_type_that_the_format_does_not_hold(self, tmp_path, given, ending, written):
        path = tmp_path / f"a.{ending}"
        images.write(path, np.full((8, 8), 0.5), original=io.Original(np.dtype(given)))
        found = np.load(path).dtype if ending == "npy" else images.load(path)[1].dtype
        assert found == written

    def test_values_outside_are_clipped(self, tmp_path):
        assert images.write(tmp_path / "a.png", np.array([[-0.5, 0.0, 1.0, 1.5]]), 8) == 2
        assert_array_equal(images.imread(tmp_path / "a.png"), [[0, 0, 1, 1]])

    @pytest.mark.parametrize("kind", [np.int16, np.int32, np.uint32])
    def test_counts_are_clipped_at_the_ends_of_their_type(self, tmp_path, kind):
        least, most = np.iinfo(kind).min, np.iinfo(kind).max
        inside = np.array([[least - 0.4, 3.0, 300.0, most + 0.4]])
        outside = np.array([[least - 0.6, -1e12, 1e12, most + 0.6]])
        for k, (image, clipped) in enumerate([(inside, 0), (outside, 4)]):
            path = tmp_path / f"{k}.tif"
            assert images.write(path, image, original=io.Original(np.dtype(kind))) == clipped
            assert_array_equal(tifffile.imread(path), np.rint(image).clip(least, most))

    @pytest.mark.parametrize(
        ("values", "fine"), [((0, 1), True), ((-0.1, 1.2), True), ((0, 4000), False)]
    )
    @pytest.mark.parametrize("bits", [8, 16])
    def test_numbers_on_another_scale_are_no_integers(self, tmp_path, values, fine, bits):
        array = np.array([*values, np.nan])
        floats = io.Original(np.dtype("f4"))
        images.check_range(tmp_path / "a.tif", array, 32, floats)
        images.check_range(tmp_path / "a.tif", array, bits, io.Original(np.dtype("u2"), 65535))
        if fine:
            images.check_range(tmp_path / "a.tif", array, bits, floats)
        else:
            with pytest.raises(ValueError, match="up to 4000 do not fit integers"):
                images.check_range(tmp_path / "a.tif", array, bits, floats)

    @pytest.mark.parametrize("ending", ["npy", "png", "tif", "bmp"])
    def test_flags(self, tmp_path, ending):
        array = RNG.random((5, 7)) < 0.5
        path = tmp_path / f"a.{ending}"
        images.imwrite(path, array)
        found = np.load(path) if ending == "npy" else np.asarray(Image.open(path))
        assert found.dtype == (bool if ending == "npy" else np.uint8)
        assert_array_equal(found, np.where(array, True if ending == "npy" else 255, 0))
        assert_array_equal(images.load_mask(path), array)

    @pytest.mark.parametrize("ending", ["png", "jpg", "tif", "bmp", "npy"])
    @pytest.mark.parametrize("bits", [None, 8])
    def test_a_black_image(self, tmp_path, ending, bits):
        if ending == "npy" and bits:
            return
        images.imwrite(tmp_path / f"a.{ending}", np.zeros((6, 7)), bits=bits)
        assert_array_equal(images.imread(tmp_path / f"a.{ending}"), np.zeros((6, 7)))

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_integers_are_not_made_of_what_is_no_number(self, tmp_path, value):
        image = np.array([[0.5, value, 0.25]])
        for ending, bits in [("png", None), ("jpg", None), ("tif", 8), ("tif", 16)]:
            with pytest.raises(ValueError, match=r"NaN or infinite do not .* a \.tif with 32 bits"):
                images.imwrite(tmp_path / f"a.{ending}", image, bits=bits)
        assert list(tmp_path.iterdir()) == []
        images.imwrite(tmp_path / "a.tif", image, bits=32)
        assert_array_equal(images.imread(tmp_path / "a.tif"), image)


class TestBadFiles:
    @pytest.mark.parametrize("name", ["a.png", "a.tif", "a.npy", "a.jpg", "a.fits", "a.xyz"])
    def test_missing_or_no_image(self, tmp_path, name):
        if name.endswith("fits"):
            pytest.importorskip("astropy")
        with pytest.raises(FileNotFoundError, match=r"there is no file .*\.\w+$"):
            images.imread(tmp_path / name)
        (tmp_path / name).write_text("no image")
        with pytest.raises((OSError, ValueError)):
            images.imread(tmp_path / name)
        (tmp_path / name).unlink()
        (tmp_path / name).mkdir()
        with pytest.raises(FileNotFoundError, match="only a folder of that name"):
            images.imread(tmp_path / name)

    def test_a_damaged_png_of_sixteen_bits(self, tmp_path):
        pytest.importorskip("imagecodecs")
        images.write(tmp_path / "a.png", RNG.random((20, 30, 3)), 16)
        (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:200])
        with pytest.raises(OSError, match=r"cannot read .*a\.png"):
            images.imread(tmp_path / "a.png")

    def test_a_stack_is_no_image(self, tmp_path):
        tifffile.imwrite(tmp_path / "a.tif", np.zeros((5, 7, 9), "f4"), photometric="minisblack")
        with pytest.raises(ValueError, match="not a single image"):
            images.imread(tmp_path / "a.tif")

    def test_inks_are_refused(self, tmp_path):
        tifffile.imwrite(tmp_path / "a.tif", np.zeros((7, 9, 4), "u1"), photometric="separated")
        with pytest.raises(ValueError, match="SEPARATED; convert it to grey or RGB"):
            images.imread(tmp_path / "a.tif")

    @pytest.mark.parametrize(
        ("name", "bits", "words"),
        [
            ("none/a.png", None, "none is not a folder"),
            ("a.xyz", None, "its ending is none of"),
            ("a.png", 12, "bits must be 8 or 16, or 32"),
            ("a.jpg", 16, r"holds no 16 bits; write a \.png or \.tif"),
            (
                "a.png",
                32,
                r"holds no 32 bits; write a \.npy or \.tif or \.ome\.tif or \.fits or \.zarr$",
            ),
        ],
    )
    def test_what_cannot_be_written(self, tmp_path, name, bits, words):
        with pytest.raises((OSError, ValueError), match=words):
            images.imwrite(tmp_path / name, np.zeros((3, 3)), bits=bits)

    def test_too_many_colours(self, tmp_path):
        with pytest.raises(ValueError, match=r"no 5 channels; write a \.tif"):
            images.imwrite(tmp_path / "a.png", np.zeros((3, 3, 5)))

    def test_fits_without_astropy_names_the_command(self, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "astropy.io.fits", None)
        (tmp_path / "a.fits").touch()
        for attempt in (images.imread, images.check):
            with pytest.raises(ImportError, match=r'pip install "dhop\[fits\]"'):
                attempt(tmp_path / "a.fits")


# Shown, of what is in the file, for each orientation tag.
SHOWN = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: np.swapaxes(a, 0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.swapaxes(a[::-1, ::-1], 0, 1),
    8: lambda a: np.rot90(a),
}


class TestOrientation:
    """Where the tag says that the first row and the first column of the file are shown."""

    @pytest.fixture(params=SHOWN)
    def tag(self, request):
        return request.param

    @pytest.mark.parametrize("ending", ["jpg", "png"])
    def test_photographs(self, tmp_path, tag, ending, shape):
        image = Image.fromarray(integers(shape, np.uint8))
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = tag
        image.save(tmp_path / f"plain.{ending}")
        image.save(tmp_path / f"tagged.{ending}", exif=exif)
        expected = SHOWN[tag](images.imread(tmp_path / f"plain.{ending}"))
        assert_array_equal(images.imread(tmp_path / f"tagged.{ending}"), expected)

    def test_png_of_sixteen_bits(self, tmp_path, tag):
        pytest.importorskip("imagecodecs")
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = tag
        array = integers((7, 9), np.uint16)
        Image.fromarray(array).save(tmp_path / "a.png", exif=exif, dpi=(300, 150))
        pixels, original = images.load(tmp_path / "a.png")
        assert_array_equal(pixels, SHOWN[tag](array) / 65535)
        found = original.kept["resolution"]
        assert_allclose(
            (found.across, found.down), (150, 300) if tag > 4 else (300, 150), rtol=1e-3
        )

    @pytest.mark.parametrize("planes", ["contig", "separate"])
    def test_tiff(self, tmp_path, tag, planes, shape):
        array = integers(shape, np.uint16)
        options = {"photometric": "minisblack"}
        if array.ndim == 3:
            options = {"photometric": "rgb", "planarconfig": planes}
        stored = np.moveaxis(array, -1, 0) if planes == "separate" and array.ndim == 3 else array
        path = tmp_path / "a.tif"
        tifffile.imwrite(
            path, stored, extratags=[(274, "H", 1, tag, True)], resolution=(300, 150), **options
        )
        pixels, original = images.load(path)
        assert_array_equal(pixels, SHOWN[tag](array) / 65535)
        assert original.kept["resolution"] == Resolution(
            *((150, 300) if tag > 4 else (300, 150)), "inch"
        )
        path.unlink()
        images.write(path, pixels, original=original)
        assert_array_equal(images.imread(path), pixels)


def test_axes_and_qualities_are_integers(tmp_path):
    np.save(tmp_path / "in.npy", np.ones((2, 3, 4)))
    with pytest.raises(TypeError, match="an axis of frames or channels must be an integer"):
        images.imread(tmp_path / "in.npy", frames_axis="x")
    with pytest.raises(TypeError, match="quality must be an integer, got 'x'"):
        images.imwrite(tmp_path / "out.jpg", np.ones((3, 4)), quality="x")
