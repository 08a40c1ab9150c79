"""What files say besides their pixels follows these, or is named where it cannot."""

import warnings
from fractions import Fraction
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile
from numpy.testing import assert_allclose, assert_array_equal
from pictures import RATIONAL, tiff
from PIL import ExifTags, Image, PngImagePlugin
from typer.testing import CliRunner

from dhop import cli, images
from dhop.cautions import MetadataWarning
from dhop.io import Options, Original
from dhop.io.picture import Constant

SHAPE = 32, 48
PROFILE = b"a colour profile of some bytes" * 9
SCALES = [Fraction(3), Fraction(1, 2)]
REPLACED = Options(overwrite=True)


def pixels(scale=Fraction(1), channels=()):
    shape = [int(size * scale) for size in SHAPE]
    return np.random.default_rng(0).integers(0, 255, (*shape, *channels), np.uint8)


def resized(source, target, scale, sampled=False, channels=()):
    """What is written of an image of the size of `source` times `scale`."""
    _, original = images.load(source)
    image = pixels(scale, channels) / 255
    images.write(target, image, 8, original.resized(scale, sampled=sampled), REPLACED)


def doubles(number, values):
    return (number, "d", len(values), tuple(map(float, values)), True)


KEYS = [1, 1, 0, 2, 1024, 0, 1, 1, 1025, 0, 1, 1]  # projected; the last is the kind of raster


def geotiff(path, point, by_matrix):
    keys = (34735, "H", 12, (*KEYS[:-1], 2 if point else 1), True)
    if by_matrix:
        tags = [doubles(34264, [9, 2, 0, 5000, -1, -8, 0, 7000, 0, 0, 0, 0, 0, 0, 0, 1])]
    else:
        tags = [doubles(33550, [10, 20, 0]), doubles(33922, [3, 5, 0, 4000, 6000, 0])]
    words = (34737, "s", 0, "somewhere|", True)
    tifffile.imwrite(path, pixels(), extratags=[keys, *tags, words], metadata=None)


def on_earth(path, columns, rows):
    """Where positions, counted in pixels from the corner of the first, lie (OGC 19-008r4, 7.2)."""
    with tifffile.TiffFile(path) as file:
        tags = file.pages[0].tags
        point = tags.valueof(34735)[-1] == 2
        i, j = (np.asarray(each, float) - (0.5 if point else 0) for each in (columns, rows))
        if matrix := tags.valueof(34264):
            a = np.reshape(matrix, (4, 4))
            return a[0, 0] * i + a[0, 1] * j + a[0, 3], a[1, 0] * i + a[1, 1] * j + a[1, 3]
        across, down, _ = tags.valueof(33550)
        i0, j0, _, x, y, _ = tags.valueof(33922)
        return x + (i - i0) * across, y - (j - j0) * down


class TestEarth:
    @pytest.mark.parametrize("scale", SCALES, ids=str)
    @pytest.mark.parametrize("sampled", [False, True])
    @pytest.mark.parametrize("point", [False, True])
    @pytest.mark.parametrize("by_matrix", [False, True])
    def test_places_stay(self, tmp_path, scale, sampled, point, by_matrix):
        geotiff(tmp_path / "a.tif", point, by_matrix)
        resized(tmp_path / "a.tif", tmp_path / "b.tif", scale, sampled)
        columns, rows = np.array([0, 2.5, 48]), np.array([0, 7.5, 32])
        # Of blocks the corner stays where it was, of samples the middle of the first pixel.
        fixed = 0.5 if sampled else 0
        after = [(each - fixed) * float(scale) + fixed for each in (columns, rows)]
        assert_allclose(
            on_earth(tmp_path / "b.tif", *after), on_earth(tmp_path / "a.tif", columns, rows)
        )
        with tifffile.TiffFile(tmp_path / "b.tif") as file:
            assert file.pages[0].tags.valueof(34737) == "somewhere|"

    def test_commands(self, tmp_path):
        geotiff(tmp_path / "a.tif", False, False)
        common = ["--factor", "2", "--psf", "gaussian:sigma=1", "--out"]
        for command, more, scale in (("superres", ["--beta", "0.01"], 2), ("degrade", [], 0.5)):
            out = tmp_path / f"{command}.tif"
            result = CliRunner().invoke(
                cli.app, [command, str(tmp_path / "a.tif"), *common, str(out), *more]
            )
            assert result.exit_code == 0, result.output
            assert result.stderr == ""
            corners = np.array([0, 48]), np.array([0, 32])
            assert_allclose(
                on_earth(out, corners[0] * scale, corners[1] * scale),
                on_earth(tmp_path / "a.tif", *corners),
            )

    def test_missing_values_are_nan(self, tmp_path):
        for kind, nodata in (("i2", "-999"), ("f4", "-3.4e38"), ("f8", "nan"), ("u1", "7")):
            array = np.arange(20.0).reshape(4, 5).astype(kind)
            array[1, 2] = float(nodata)
            tags = [(42113, "s", 0, nodata, True)]
            tifffile.imwrite(tmp_path / "a.tif", array, extratags=tags, metadata=None)
            absent = array == array[1, 2] if nodata != "nan" else np.isnan(array)
            found, original = images.load(tmp_path / "a.tif")
            assert_array_equal(np.isnan(found), absent)
            assert original.dtype == kind
        tags = [(42113, "s", 0, "-1", True)]
        tifffile.imwrite(tmp_path / "b.tif", pixels(), extratags=tags, metadata=None)
        assert np.isfinite(images.imread(tmp_path / "b.tif")).all()

    @pytest.mark.parametrize("nodata", ["0", "1", "-9999", "none"])
    def test_a_mask_marks_what_is_in_the_file(self, tmp_path, nodata):
        marks = (np.arange(20).reshape(4, 5) % 3 == 0).astype(np.uint8)
        tags = [(42113, "s", 0, nodata, True)]
        tifffile.imwrite(tmp_path / "a.tif", marks, extratags=tags, metadata=None)
        assert_array_equal(images.load_mask(tmp_path / "a.tif"), marks == 1)
        absent = marks == float(nodata) if nodata != "none" else np.zeros_like(marks, bool)
        assert_array_equal(np.isnan(images.load_weights(tmp_path / "a.tif")), absent)
        assert_array_equal(np.isnan(images.imread(tmp_path / "a.tif")), absent)


class TestMicroscopes:
    @pytest.mark.parametrize("scale", SCALES, ids=str)
    def test_imagej(self, tmp_path, scale):
        tifffile.imwrite(
            tmp_path / "a.tif", np.stack([pixels()] * 5), imagej=True, resolution=(4.0, 8.0),
            metadata={"axes": "CYX", "unit": "um", "spacing": 2.5, "finterval": 0.3,
                      "min": 0.0, "max": 9.0, "xorigin": 7},
        )  # fmt: skip
        resized(tmp_path / "a.tif", tmp_path / "b.tif", scale, channels=(5,))
        with tifffile.TiffFile(tmp_path / "b.tif") as file:
            said = file.imagej_metadata
            assert file.series[0].axes == "CYX"
            assert (said["unit"], said["spacing"], said["finterval"]) == ("um", 2.5, 0.3)
            assert (said["images"], said["channels"]) == (5, 5)
            assert said["xorigin"] == pytest.approx(7 * scale)
            assert "max" not in said
            assert_allclose(file.pages[0].get_resolution(), np.multiply((4.0, 8.0), float(scale)))

    @pytest.mark.parametrize("scale", SCALES, ids=str)
    def test_ome(self, tmp_path, scale):
        sizes = {"PhysicalSizeX": 0.25, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.5,
                 "PhysicalSizeYUnit": "nm", "PhysicalSizeZ": 3.0}  # fmt: skip
        stack = np.stack([pixels()] * 4)
        tifffile.imwrite(tmp_path / "a.ome.tif", stack, metadata={"axes": "CYX", **sizes})
        resized(tmp_path / "a.ome.tif", tmp_path / "b.ome.tif", scale, channels=(4,))
        with tifffile.TiffFile(tmp_path / "b.ome.tif") as file:
            found = ElementTree.fromstring(file.ome_metadata).find("{*}Image/{*}Pixels").attrib
            assert file.series[0].axes == "CYX"
        assert float(found["PhysicalSizeX"]) == pytest.approx(0.25 / scale)
        assert float(found["PhysicalSizeY"]) == pytest.approx(0.5 / scale)
        assert (found["PhysicalSizeXUnit"], found["PhysicalSizeZ"]) == ("nm", "3.0")
        assert (int(found["SizeX"]), int(found["SizeC"])) == (48 * scale, 4)
        resized(tmp_path / "a.ome.tif", tmp_path / "c.tif", scale, channels=(4,))
        with tifffile.TiffFile(tmp_path / "c.tif") as file:
            across, down = file.pages[0].get_resolution()  # for a centimetre
        assert across == pytest.approx(4e7 * scale, rel=1e-6)
        assert down == pytest.approx(2e7 * scale, rel=1e-6)

    def test_grey_and_colours_in_ome(self, tmp_path):
        for channels in ((), (3,)):
            for kind in (8, 16):
                image = pixels(channels=channels) / 255
                images.write(tmp_path / "a.ome.tif", image, kind, None, REPLACED)
                assert_allclose(images.imread(tmp_path / "a.ome.tif"), image, atol=1e-5)


class TestLayout:
    @pytest.mark.parametrize(
        "options",
        [
            {"compression": "zlib", "predictor": 2, "tile": (16, 32)},
            {"compression": "lzw", "rowsperstrip": 3},
            {"compression": "zstd"},
            {"planarconfig": "separate", "compression": "packbits"},
            {"planarconfig": "contig"},
        ],
    )
    @pytest.mark.parametrize("bands", [3, 5])
    def test_compression_tiles_and_planes(self, tmp_path, options, bands):
        options = {"planarconfig": "contig"} | options
        array = pixels(channels=(bands,))
        stored = np.moveaxis(array, -1, 0) if options["planarconfig"] == "separate" else array
        colours = "rgb" if bands == 3 else "minisblack"
        tifffile.imwrite(tmp_path / "a.tif", stored, photometric=colours, **options)
        resized(tmp_path / "a.tif", tmp_path / "b.tif", Fraction(2), channels=(bands,))
        with tifffile.TiffFile(tmp_path / "a.tif") as a, tifffile.TiffFile(tmp_path / "b.tif") as b:
            before, after = a.pages[0], b.pages[0]
            for name in ("compression", "predictor", "planarconfig", "photometric", "is_tiled"):
                assert getattr(before, name) == getattr(after, name)
            if before.is_tiled:
                assert after.tile == before.tile
            assert after.samplesperpixel == bands
        assert_array_equal(images.imread(tmp_path / "b.tif"), pixels(Fraction(2), (bands,)) / 255)

    def test_what_lost_something_loses_no_more(self, tmp_path):
        tifffile.imwrite(tmp_path / "a.tif", pixels(), compression="jpeg")
        resized(tmp_path / "a.tif", tmp_path / "b.tif", Fraction(2))
        with tifffile.TiffFile(tmp_path / "b.tif") as file:
            assert file.pages[0].compression.name == "ADOBE_DEFLATE"
        assert_array_equal(images.imread(tmp_path / "b.tif"), pixels(Fraction(2)) / 255)

    def test_floats_of_a_compressed_file(self, tmp_path):
        tifffile.imwrite(tmp_path / "a.tif", pixels(), compression="zlib", predictor=2)
        _, original = images.load(tmp_path / "a.tif")
        images.write(tmp_path / "b.tif", pixels() / 255, 32, original)
        assert_allclose(images.imread(tmp_path / "b.tif"), pixels() / 255, rtol=1e-7)


class TestPhotographs:
    def save(self, path, tag=1, **more):
        exif = Image.Exif()
        exif[ExifTags.Base.Make] = "Kamera"
        exif[ExifTags.Base.Orientation] = tag
        camera = exif.get_ifd(ExifTags.IFD.Exif)
        camera[ExifTags.Base.ExifImageWidth] = SHAPE[1]
        camera[ExifTags.Base.ExifImageHeight] = SHAPE[0]
        camera[ExifTags.Base.FocalPlaneXResolution] = 500.0
        Image.fromarray(pixels(channels=(3,))).save(
            path, exif=exif, icc_profile=PROFILE, dpi=(300, 150), **more
        )

    @pytest.mark.parametrize("scale", SCALES, ids=str)
    @pytest.mark.parametrize("tag", [1, 6])
    @pytest.mark.parametrize("source", ["jpg", "png", "webp"])
    @pytest.mark.parametrize(("target", "bits"), [("jpg", 8), ("png", 8), ("png", 16), ("webp", 8)])
    def test_all_is_kept(self, tmp_path, scale, tag, source, target, bits):
        self.save(tmp_path / f"a.{source}", tag)
        image, original = images.load(tmp_path / f"a.{source}")
        rows, columns = (int(size * scale) for size in image.shape[:2])
        new = np.zeros((rows, columns, 3))
        images.write(tmp_path / f"b.{target}", new, bits, original.resized(scale))
        with Image.open(tmp_path / f"b.{target}") as found:
            exif, info = found.getexif(), found.info
            camera = exif.get_ifd(ExifTags.IFD.Exif)
        assert info["icc_profile"] == PROFILE
        assert exif[ExifTags.Base.Make] == "Kamera"
        assert ExifTags.Base.Orientation not in exif
        assert camera[ExifTags.Base.ExifImageWidth] == columns
        assert camera[ExifTags.Base.ExifImageHeight] == rows
        assert float(camera[ExifTags.Base.FocalPlaneXResolution]) == pytest.approx(500 * scale)
        if "webp" not in (source, target):
            dpi = (150, 300) if tag > 4 else (300, 150)
            assert_allclose(info["dpi"], [each * float(scale) for each in dpi], atol=0.51)

    def test_texts_of_a_png(self, tmp_path):
        texts = PngImagePlugin.PngInfo()
        texts.add_text("Title", "Möwe")
        texts.add_text("Software", "camera 1.0")
        Image.fromarray(pixels()).save(tmp_path / "a.png", pnginfo=texts)
        for bits in (8, 16):
            _, original = images.load(tmp_path / "a.png")
            images.write(tmp_path / f"{bits}.png", pixels() / 255, bits, original)
            with Image.open(tmp_path / f"{bits}.png") as found:
                assert found.text == {"Title": "Möwe", "Software": "camera 1.0"}

    @pytest.mark.parametrize(("target", "bits"), [("tif", 8), ("png", 8), ("png", 16), ("bmp", 8)])
    def test_resolution_and_profile_between_formats(self, tmp_path, target, bits):
        tifffile.imwrite(
            tmp_path / "a.tif", pixels(), resolution=(100, 200), resolutionunit="CENTIMETER",
            iccprofile=PROFILE,
        )  # fmt: skip
        _, original = images.load(tmp_path / "a.tif")
        images.write(tmp_path / f"b.{target}", pixels() / 255, bits, original)
        with Image.open(tmp_path / f"b.{target}") as found:
            assert_allclose(found.info["dpi"], (254, 508), rtol=0.001)
            if target != "bmp":
                assert found.info["icc_profile"] == PROFILE


class TestNothingOfItCostsTheResult:
    def test_names_in_any_script(self, tmp_path):
        tags = [(315, "s", 0, "José Müller".encode(), True), (33432, "s", 0, b"\xff me", True)]
        tifffile.imwrite(tmp_path / "a.tif", pixels(), extratags=tags, metadata=None)
        resized(tmp_path / "a.tif", tmp_path / "b.tif", Fraction(2))
        with tifffile.TiffFile(tmp_path / "b.tif") as file:
            assert file.pages[0].tags.valueof(315) == "José Müller"

    @pytest.mark.parametrize(
        ("number", "values"),
        [(33550, [1.0]), (33922, [1.0] * 7), (34264, [1.0] * 15)],
        ids=["scale", "tie points", "matrix"],
    )
    def test_broken_tags_of_the_earth(self, tmp_path, number, values):
        tags = [doubles(number, values)]
        tifffile.imwrite(tmp_path / "a.tif", pixels(), extratags=tags, metadata=None)
        resized(tmp_path / "a.tif", tmp_path / "b.tif", Fraction(2))
        with tifffile.TiffFile(tmp_path / "b.tif") as file:
            assert number not in file.pages[0].tags

    @pytest.mark.parametrize(("across", "down"), [((0, 1), (1, 1)), ((1, 0), (1, 1))])
    def test_resolutions_that_are_none(self, tmp_path, across, down):
        content = tiff(pixels(), tags=[(282, RATIONAL, across), (283, RATIONAL, down)])
        (tmp_path / "a.tif").write_bytes(content)
        resized(tmp_path / "a.tif", tmp_path / "b.tif", Fraction(2))
        resized(tmp_path / "a.tif", tmp_path / "b.png", Fraction(2))

    def test_what_a_library_does_not_write(self, tmp_path):
        class Strange(str):
            __slots__ = ()

            def encode(self, *_):
                raise KeyError("strange")

        original = Original(np.dtype("u1"), 255, {"description": Constant(Strange("a"))})
        with pytest.warns(MetadataWarning, match="cannot be written: 'strange'"):
            images.write(tmp_path / "a.tif", pixels() / 255, 8, original)
        assert_array_equal(tifffile.imread(tmp_path / "a.tif"), pixels())

    def test_what_does_not_fit_is_refused_before(self, tmp_path):
        exif = Image.Exif()
        exif[ExifTags.Base.ImageDescription] = "long " * 20_000
        Image.fromarray(pixels()).save(tmp_path / "a.png", exif=exif)
        image, original = images.load(tmp_path / "a.png")
        images.check(tmp_path / "b.png", None, original, image.shape)
        with pytest.raises(ValueError, match=r"a \.jpg holds no EXIF of 100,"):
            images.check(tmp_path / "b.jpg", None, original, image.shape)
        for ending, most in (("webp", 16383), ("jpg", 65500)):
            images.check(tmp_path / f"b.{ending}", shape=(1, most))
            with pytest.raises(ValueError, match="too large for its format"):
                images.check(tmp_path / f"b.{ending}", shape=(1, most + 1))

    def test_a_result_that_is_too_large(self, tmp_path):
        Image.fromarray(np.zeros((2, 9000), np.uint8)).save(tmp_path / "a.png")
        words = ["superres", str(tmp_path / "a.png"), "--factor", "2", "--psf", "box:size=1"]
        result = CliRunner().invoke(cli.app, [*words, "--out", str(tmp_path / "b.webp")])
        assert result.exit_code == 1
        assert "an image of (4, 18000) is too large" in result.stderr


def lossy_sources(folder):
    """Files with what not every format keeps, and the names of that."""
    geotiff(folder / "geo.tif", False, False)
    TestPhotographs().save(folder / "camera.jpg")
    Image.fromarray(pixels(channels=(4,))).save(folder / "clear.png")
    tifffile.imwrite(folder / "a.ome.tif", pixels(), metadata={"PhysicalSizeX": 1.0})
    with tifffile.TiffFile(folder / "a.ome.tif") as file:
        xml = file.ome_metadata.replace("<Image ", '<Instrument ID="Instrument:0"/><Image ')
    tifffile.imwrite(folder / "said.ome.tif", pixels(), description=xml.encode(), metadata=None)
    Image.fromarray(pixels()).save(folder / "comment.jpg", comment="by hand")
    tags = [(42113, "s", 0, "-1", True)]
    tifffile.imwrite(folder / "nodata.tif", pixels(), extratags=tags, metadata=None)
    return {
        "geo.tif": {"png": "GeoTIFF tags", "npy": "GeoTIFF tags", "tif": ""},
        "camera.jpg": {
            "tif": "EXIF", "bmp": "colour profile, EXIF", "webp": "resolution", "png": "",
            "npy": "colour profile, resolution, EXIF",
        },
        "clear.png": {"png": "transparency", "tif": "transparency"},
        "a.ome.tif": {"ome.tif": "", "tif": "", "png": "voxel size"},
        "said.ome.tif": {"ome.tif": "OME annotations", "tif": "OME annotations"},
        "comment.jpg": {"jpg": "comment", "png": "comment"},
        "nodata.tif": {"tif": "GDAL's nodata", "png": "GDAL's nodata"},
    }  # fmt: skip


def test_what_is_lost_is_named(tmp_path):
    for source, targets in lossy_sources(tmp_path).items():
        image, original = images.load(tmp_path / source)
        for target, names in targets.items():
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                images.check(tmp_path / f"b.{target}", None, original, image.shape)
            assert len(told) == bool(names), (source, target, told)
            if names:
                assert told[0].category is MetadataWarning
                message = f"b.{target} will not keep of the original: {names}"
                assert str(told[0].message) == message


def test_a_command_names_what_is_lost(tmp_path):
    lossy_sources(tmp_path)
    common = ["--factor", "2", "--psf", "gaussian:sigma=1", "--out", str(tmp_path / "b.bmp")]
    result = CliRunner().invoke(cli.app, ["degrade", str(tmp_path / "camera.jpg"), *common])
    assert result.exit_code == 0
    assert result.stderr == "warning: b.bmp will not keep of the original: colour profile, EXIF\n"
