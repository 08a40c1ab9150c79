"""FITS files: which image, which numbers, and what is said besides; the oracle is astropy."""

import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from dhop import images, io
from dhop.io import Picture

fits = pytest.importorskip("astropy.io.fits")

ENDINGS = [name + packed for name in (".fits", ".fit", ".fts") for packed in ("", ".gz", ".fz")]
IMAGE = np.random.default_rng(0).normal(100, 30, (6, 8))


def copy(path, target, pixels=None, scale=1):
    """Read an image and write it, or another one, with what the file says besides."""
    picture = io.read(path)
    original = picture.original.resized(scale)
    new = picture.pixels.astype(original.dtype) if pixels is None else pixels
    axes = picture.axes if pixels is None else "CYX"[-pixels.ndim :]
    io.write(target, Picture(new, axes.translate({ord("I"): "C", ord("P"): "C"}), original))
    return target


def unkept(picture):
    return [name for name in picture.original.kept if name != "FITS header"]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_what_is_written_is_read(tmp_path, ending, kind):
    path = tmp_path / f"a{ending}"
    image = IMAGE.astype(kind)
    image[2, 3] = np.nan
    images.write(path, image, original=io.Original(np.dtype(kind)))
    assert_array_equal(io.read(path).pixels, image)
    data = fits.getdata(path)
    assert data.dtype.itemsize == image.dtype.itemsize
    assert_array_equal(data, image)
    start = path.read_bytes()[:2]
    assert (start == b"\x1f\x8b") == ending.endswith(".gz")
    with fits.open(path) as units:
        packed = any(isinstance(unit, fits.CompImageHDU) for unit in units)
    assert packed == ending.endswith(".fz")


def test_tiles_lose_nothing(tmp_path):
    """astropy rounds floating-point numbers, unless it is told not to or the image is tiny."""
    image = np.random.default_rng(0).normal(size=(80, 90)).astype("f4")
    images.write(tmp_path / "a.fits.fz", image)
    assert_array_equal(fits.getdata(tmp_path / "a.fits.fz"), image)


class TestNumbers:
    """BITPIX, BSCALE, BZERO and BLANK, as the standard defines them."""

    def raw(self, path, stored, cards):
        """A file of stored integers with cards that astropy would apply while writing."""
        fits.PrimaryHDU(stored).writeto(path)
        content = path.read_bytes()
        end = b"END".ljust(80)
        extra = b"".join(f"{key:8}= {value!r:>20}".ljust(80).encode() for key, value in cards)
        position = content.index(end)
        header = (content[:position] + extra + end).ljust(2880)
        path.write_bytes(header + content[2880:])

    @pytest.mark.parametrize("kind", ["u1", "i2", "i4", "i8"])
    @pytest.mark.parametrize(("slope", "zero"), [(1, 0), (0.1, 1e6), (-2.5, 3), (1, "unsigned")])
    @pytest.mark.parametrize("blank", [None, 5])
    @pytest.mark.parametrize("packed", [False, True])
    def test_integers(self, tmp_path, kind, slope, zero, blank, packed):
        stored = np.arange(48, dtype=kind).reshape(6, 8)
        if zero == "unsigned":
            zero = -128 if kind == "u1" else 2 ** (8 * stored.itemsize - 1)
        cards = {"BSCALE": slope, "BZERO": zero} | ({} if blank is None else {"BLANK": blank})
        path = tmp_path / "a.fits"
        if packed and kind != "i8":
            unit = fits.CompImageHDU(stored)
            unit.header.update(cards)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                unit._orig_bscale, unit._orig_bzero = slope, zero
                fits.HDUList([fits.PrimaryHDU(), unit]).writeto(path)
            with fits.open(path, do_not_scale_image_data=True) as units:
                stored = units[1].data.copy()
        else:
            self.raw(path, stored, cards.items())
        expected = stored.astype(np.longdouble) * np.longdouble(slope) + zero
        if blank is not None:
            expected[stored == blank] = np.nan
        found = io.read(path).pixels
        np.testing.assert_allclose(found, expected.astype(float), rtol=3e-16)

    def test_what_scales_the_old_numbers_is_not_kept(self, tmp_path):
        self.raw(
            tmp_path / "a.fits",
            np.arange(6, dtype="i2").reshape(2, 3),
            {"BSCALE": 0.5, "BZERO": 7, "BLANK": 3, "DATAMAX": 9, "EXPTIME": 5}.items(),
        )
        found, header = fits.getdata(copy(tmp_path / "a.fits", tmp_path / "b.fits"), header=True)
        assert_array_equal(found, [[7, 7.5, 8], [np.nan, 9, 9.5]])
        assert header["EXPTIME"] == 5
        assert {"BSCALE", "BZERO", "BLANK", "DATAMAX"}.isdisjoint(header)

    def test_nonsense(self, tmp_path):
        self.raw(tmp_path / "a.fits", np.ones((2, 3), "i2"), [("BSCALE", "x")])
        with pytest.raises(OSError, match=r"cannot read .*a\.fits"):
            io.read(tmp_path / "a.fits")


class TestParts:
    def file(self, path, primary=None):
        primary = fits.PrimaryHDU() if primary is None else primary
        names = ["SCI", "ERR", "DQ", "SCI"]
        units = [fits.ImageHDU(IMAGE + k, name=name) for k, name in enumerate(names)]
        units[3].header["EXTVER"] = 2
        fits.HDUList([primary, *units]).writeto(path)

    @pytest.mark.parametrize(
        ("part", "added"),
        [(None, 0), (1, 0), (3, 2), ("3", 2), ("SCI", 0), ("dq", 2), ("SCI,2", 3), ("sci,1", 0)],
    )
    def test_which(self, tmp_path, part, added):
        self.file(tmp_path / "a.fits")
        assert_array_equal(io.read(tmp_path / "a.fits", part).pixels, IMAGE + added)

    @pytest.mark.parametrize("part", [0, 5, -1, "WHT", "SCI,3", "DQ,2", ""])
    def test_which_is_not_there(self, tmp_path, part):
        self.file(tmp_path / "a.fits")
        with pytest.raises(ValueError, match=r"holds no image in part .*; its images are: 1 'SCI'"):
            io.read(tmp_path / "a.fits", part)

    def test_the_primary_header_stays_before_the_image(self, tmp_path):
        primary = fits.PrimaryHDU(header=fits.Header({"TELESCOP": "HST", "CRPIX1": 3.0}))
        self.file(tmp_path / "a.fits", primary)
        assert unkept(io.read(tmp_path / "a.fits")) == ["FITS extensions ERR, DQ, SCI"]
        large = np.ones((12, 16), "f4")
        for ending in ("fits", "fits.fz", "fits.gz"):
            path = copy(tmp_path / "a.fits", tmp_path / f"b.{ending}", large, 2)
            with fits.open(path) as units:
                assert len(units) == 2
                assert units[0].header["TELESCOP"] == "HST"
                assert units[0].header["CRPIX1"] == 3.0
                assert units[0].data is None
                assert units[1].name == "SCI"
                assert_array_equal(units[1].data, large)

    def test_a_primary_header_that_says_nothing_stays_too(self, tmp_path):
        for name, unit in {"a.fits": fits.ImageHDU, "a.fits.fz": fits.CompImageHDU}.items():
            header = fits.Header({"OBJECT": "M1", "CRPIX1": 3.0, "CTYPE1": "RA---TAN"})
            units = [fits.PrimaryHDU(), unit(IMAGE.astype("f4"), header)]
            fits.HDUList(units).writeto(tmp_path / name)
            path = copy(tmp_path / name, tmp_path / "b.fits", np.ones((12, 16), "f4"), 2)
            with fits.open(path) as found:
                assert [each.shape for each in found] == [(), (12, 16)]
                assert (found[1].header["OBJECT"], found[1].header["CRPIX1"]) == ("M1", 5.5)
                assert "EXTNAME" not in found[1].header
            path.unlink()

    def test_an_image_that_was_not_chosen_is_named(self, tmp_path):
        """Also the first one of the file, of which the header stays."""
        self.file(tmp_path / "a.fits", fits.PrimaryHDU(IMAGE - 1, fits.Header({"OBSERVER": "me"})))
        picture = io.read(tmp_path / "a.fits", "ERR")
        assert_array_equal(picture.pixels, IMAGE + 1)
        assert unkept(picture) == ["FITS extensions PRIMARY, SCI, DQ, SCI"]
        io.write(tmp_path / "b.fits", picture)
        with fits.open(tmp_path / "b.fits") as units:
            assert units[0].header["OBSERVER"] == "me"
            assert units[0].data is None
            assert_array_equal(units[1].data, IMAGE + 1)

    def test_headers_that_say_nothing_are_not_missed(self, tmp_path):
        for primary, missed in ({}, []), ({"OBSERVER": "me"}, ["FITS header"]):
            units = [fits.PrimaryHDU(header=fits.Header(primary)), fits.ImageHDU(IMAGE)]
            fits.HDUList(units).writeto(tmp_path / "a.fits", overwrite=True)
            picture = io.read(tmp_path / "a.fits")
            assert io.unkept(tmp_path / "b.npy", picture.original) == missed

    def test_what_is_no_image(self, tmp_path):
        column = fits.Column("x", "D", array=[1.0])
        groups = fits.GroupData(
            np.ones((3, 1, 1, 4, 5), "f4"), bitpix=-32, parnames=["a"], pardata=[np.arange(3)]
        )
        files = {
            "table": [fits.PrimaryHDU(), fits.BinTableHDU.from_columns([column])],
            "groups": [fits.GroupsHDU(groups)],
            "lookup": [fits.PrimaryHDU(), fits.ImageHDU(IMAGE, name="WCSDVARR")],
        }
        for name, units in files.items():
            fits.HDUList(units).writeto(tmp_path / f"{name}.fits")
            with pytest.raises(ValueError, match=rf"{name}\.fits holds no image; its images are"):
                io.read(tmp_path / f"{name}.fits")


class TestCubes:
    def file(self, path, shape, **cards):
        cube = np.random.default_rng(1).random(shape)
        fits.PrimaryHDU(cube, fits.Header(cards)).writeto(path)
        return cube

    @pytest.mark.parametrize("shape", [(1, 1, 6, 8), (5, 6, 8), (1, 4, 6, 8), (4, 1, 6, 8)])
    def test_planes(self, tmp_path, shape):
        cube = self.file(tmp_path / "a.fits", shape)
        pixels, original = images.load(tmp_path / "a.fits")
        assert_array_equal(np.moveaxis(pixels.reshape(6, 8, -1), -1, 0).reshape(shape), cube)
        images.write(tmp_path / "b.fits", pixels, original=original)
        assert_array_equal(fits.getdata(tmp_path / "b.fits"), cube)

    def test_frames_become_one(self, tmp_path):
        cube = self.file(tmp_path / "a.fits", (5, 3, 6, 8), CTYPE3="FREQ", CTYPE4="TIME")
        pixels, original = images.load(tmp_path / "a.fits", frames_axis=0)
        assert_array_equal(np.moveaxis(pixels, -1, 1), cube)
        images.write(tmp_path / "b.fits", pixels[0], original=original)
        with fits.open(tmp_path / "b.fits") as units:
            assert units[0].shape == (1, 3, 6, 8)
            assert units[0].header["CTYPE4"] == "TIME"
            assert_array_equal(units[0].data[0], cube[0])

    @pytest.mark.parametrize("cards", [{}, {"CTYPE3": "FREQ"}, {"CTYPE3": "STOKES"}])
    def test_frames_on_request(self, tmp_path, cards):
        cube = self.file(tmp_path / "a.fits", (5, 6, 8), **cards)
        assert_array_equal(images.load(tmp_path / "a.fits", frames_axis=0)[0], cube)
        assert images.load(tmp_path / "a.fits")[0].shape == (6, 8, 5)

    def test_planes_of_time_are_one_or_the_other(self, tmp_path):
        cube = self.file(tmp_path / "a.fits", (5, 6, 8), CTYPE3="UTC")
        with pytest.raises(ValueError, match="frames"):
            images.load(tmp_path / "a.fits")
        assert_array_equal(images.load(tmp_path / "a.fits", frames_axis=0)[0], cube)


BAD = {
    "unparsable": b"BADVALUE= 1.2.3 / no number",
    "bare text": b"BADVALUE= text without quotes",
    "open string": b"BADVALUE= 'open",
    "bytes": b"BADVALUE= \xff\xfe\x00",
    "nan": b"BADVALUE=                  NaN",
    "infinite": b"BADVALUE=               1e9999",
    "lower case": b"badvalue=                    3",
    "signs": b"BAD%VAL =                    3",
    "no blank": b"BADVALUE=3",
    "missing": b"BADVALUE=",
    "continued": b"CONTINUE  5",
    "position": b"CRPIX1  = 'three'",
}


class TestNonstandardCards:
    """Found before the solve, named, and left out; what can be mended is."""

    @pytest.mark.parametrize("name", BAD)
    @pytest.mark.parametrize("extension", [False, True])
    def test_each(self, tmp_path, name, extension):
        header = fits.Header({"OBJECT": "M1", "PLACE": 1, "CRVAL2": 3.0, "EXPTIME": 30.0})
        units = [fits.PrimaryHDU(IMAGE, header)]
        if extension:
            units = [fits.PrimaryHDU(header=header), fits.ImageHDU(IMAGE, header)]
        fits.HDUList(units).writeto(tmp_path / "a.fits")
        content = (tmp_path / "a.fits").read_bytes()
        start = b"PLACE   =                    1".ljust(80)
        assert content.count(start) == len(units)
        (tmp_path / "a.fits").write_bytes(content.replace(start, BAD[name].ljust(80)))
        picture = io.read(tmp_path / "a.fits")
        assert_array_equal(picture.pixels, IMAGE)
        path = copy(tmp_path / "a.fits", tmp_path / "b.fits", np.ones((12, 16), "f4"), 2)
        with fits.open(path) as units:
            for unit in units:
                assert unit.header["EXPTIME"] == 30.0
                assert (unit.header.get("OBJECT") == "M1") == (name != "continued")
                unit.verify("exception")
            kept = name == "position" or "BADVALUE" in units[-1].header
        keyword = {"continued": "OBJECT", "signs": "BAD%VAL"}.get(name, "BADVALUE")
        named = f"FITS cards {', '.join([keyword] * (1 + extension))}" in unkept(picture)
        assert kept != named


@pytest.mark.parametrize(
    ("kind", "tile", "options"),
    [
        ("u2", (1, 16), {"compression_type": "RICE_1"}),
        ("i4", (4, 8), {"compression_type": "HCOMPRESS_1"}),
        ("f4", (4, 16), {"compression_type": "RICE_1", "quantize_level": 4.0}),
        ("f8", (12, 3), {"compression_type": "GZIP_2", "quantize_level": 0.0}),
    ],
)
def test_packed_images_are_read_by_tiles(tmp_path, kind, tile, options):
    """Any slice is that of all, as astropy unpacks it, also if threads read at a time."""
    image = np.random.default_rng(0).integers(0, 60000 if kind == "u2" else 3000, (12, 16))
    unit = fits.CompImageHDU(image.astype(kind), tile_shape=tile, **options)
    if kind == "i4":
        unit.header["BLANK"] = int(image[3, 4])
    fits.HDUList([fits.PrimaryHDU(), unit]).writeto(tmp_path / "a.fits.fz")
    whole = io.read(tmp_path / "a.fits.fz").pixels
    assert_array_equal(np.nan_to_num(whole), np.nan_to_num(fits.getdata(tmp_path / "a.fits.fz")))
    pixels = io.opened(tmp_path / "a.fits.fz").pixels
    assert (pixels.shape, pixels.ndim, pixels.dtype) == (whole.shape, 2, whole.dtype)
    assert pixels.chunks == tile
    parts = [np.s_[2:9, 3:15], np.s_[:, -1:], np.s_[7], np.s_[...], np.s_[4:4, :]]
    with ThreadPoolExecutor(4) as pool:
        for part, found in zip(5 * parts, pool.map(pixels.__getitem__, 5 * parts), strict=True):
            assert_array_equal(found, whole[part])
    assert_array_equal(np.asarray(pixels), whole)
