"""Formats, colour models, types and byte orders, as frame, PSF and mask: right, or refused."""

import io
from dataclasses import dataclass

import numpy as np
import pytest
import tifffile
from numpy.testing import assert_allclose, assert_array_equal
from pictures import GREY, PALETTE, RGB, bmp, npy, packed, png, tiff, unpacked
from PIL import Image, JpegImagePlugin

import dhop
from dhop import images, psf

RNG = np.random.default_rng(5)
SHAPE = 6, 7  # of which rows are no whole bytes
ORDERS = {"little": "<", "big": ">"}


@dataclass
class Cell:
    """A file, and the numbers that are in it: of light, or why they are refused."""

    ending: str
    content: bytes
    numbers: np.ndarray | None = None
    white: float | None = None
    refused: str = ""
    transparent: bool = False


def numbers(kind, *more, bits=None):
    """Random ones of a type, with zeros and the extremes among them."""
    kind = np.dtype(kind)
    if kind.kind == "f":
        array = RNG.normal(100, 50, (*SHAPE, *more)).round(1).astype(kind)
    else:
        least, most = np.iinfo(kind).min, np.iinfo(kind).max
        if bits:
            most = 2**bits - 1
        array = RNG.integers(least, most, (*SHAPE, *more), kind, endpoint=True)
        array[0, 0], array[0, 1] = least, most
    array[1, :3] = 0
    return array


def cells():
    """All cells by name."""
    for name, order in ORDERS.items():
        yield from _grey_tiffs(name, order)
        yield from _colour_tiffs(name, order)
        yield from _arrays(name, order)
    yield from _pngs()
    yield from _bitmaps()


def _grey_tiffs(name, order):
    for kind in ("u1", "u2", "u4", "i1", "i2", "i4", "f2", "f4", "f8"):
        array = numbers(kind)
        white = {"u1": 255, "u2": 65535}.get(kind)
        yield f"{name} grey {kind}", Cell("tif", tiff(array, order=order), array, white)
        content = tiff(array, order=order, photometric=0)
        dark = Cell("tif", content, refused="MINISWHITE of")
        if white:
            dark = Cell("tif", content, white - array.astype(int), white)
        yield f"{name} min-is-white {kind}", dark
    for bits in (1, 2, 4, 6, 10, 12, 14):
        array = numbers("u1" if bits <= 8 else "u2", bits=bits)
        white = 2**bits - 1
        for photometric in (0, 1):
            content = tiff(array, order=order, bits=bits, photometric=photometric)
            meant = array if photometric else white - array
            yield (
                f"{name} {bits} bits, photometric {photometric}",
                Cell("tif", content, meant, white),
            )
    for samples, extra, light in ((2, [0], 2), (2, [1], 1), (2, [2], 1), (5, [0] * 4, 5)):
        for planar in (False, True):
            array = numbers("u2", samples)
            content = tiff(array, order=order, extra=extra, planar=planar)
            meant = array[..., 0] if light == 1 else array
            yield (
                f"{name} grey with {extra}, planar {planar}",
                Cell("tif", content, meant, 65535, transparent=light == 1),
            )
    for photometric in (5, 6, 8, 32803, 34892):
        samples = 4 if photometric == 5 else 3
        content = tiff(numbers("u1", samples), order=order, photometric=photometric)
        yield f"{name} photometric {photometric}", Cell("tif", content, refused="convert it to")


def _colour_tiffs(name, order):
    for kind in ("u1", "u2", "i2", "u4", "f4", "f8"):
        for planar in (False, True):
            array = numbers(kind, 3)
            content = tiff(array, order=order, photometric=RGB, planar=planar)
            white = {"u1": 255, "u2": 65535}.get(kind)
            yield f"{name} RGB {kind}, planar {planar}", Cell("tif", content, array, white)
    for extra, light in ((None, 4), ([0], 4), ([1], 3), ([2], 3)):
        array = numbers("u1", 4)
        content = tiff(array, order=order, photometric=RGB, extra=extra)
        yield (
            f"{name} RGB with {extra}",
            Cell("tif", content, array[..., :light], 255, transparent=light == 3),
        )
    for bits, span in ((4, 257), (8, 257), (8, 256), (8, 1)):
        palette = RNG.integers(0, 256, (3, 2**bits))
        palette[:, 0] = 0
        index = numbers("u1", bits=bits)
        content = tiff(index, order=order, bits=bits, photometric=PALETTE, palette=palette * span)
        meant = np.moveaxis(palette[:, index], 0, -1)
        yield f"{name} palette {bits} bits of {span}", Cell("tif", content, meant, 255)
    palette = RNG.integers(0, 65536, (3, 256))
    index = numbers("u1")
    content = tiff(index, order=order, photometric=PALETTE, palette=palette)
    meant = np.moveaxis(palette[:, index], 0, -1)
    yield f"{name} palette of 16 bits", Cell("tif", content, meant, 65535)
    grey = np.tile(np.arange(256)[::-1], (3, 1))
    content = tiff(index, order=order, photometric=PALETTE, palette=grey * 257)
    yield f"{name} palette of greys", Cell("tif", content, 255 - index.astype(int), 255)


def _arrays(name, order):
    for kind in ("u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8"):
        white = {"u1": 255, "u2": 65535}.get(kind)
        for more in ((), (3,)):
            array = numbers(kind, *more)
            for fortran in (False, True):
                content = npy(array, order, fortran=fortran)
                yield (
                    f"{name} npy {kind} {more}, Fortran {fortran}",
                    Cell("npy", content, array, white),
                )
    flags = numbers("u1", bits=1).astype(bool)
    yield f"{name} npy of flags", Cell("npy", npy(flags, order), flags, 1)
    bands = numbers("u2", 4)
    yield f"{name} npy of four bands", Cell("npy", npy(bands, order), bands, 65535)
    stack = numbers("f4", 9)
    yield f"{name} npy of unknown axes", Cell("npy", npy(stack, order), refused="axis of frames")
    for text in ("S4", "M8[s]", "U2"):
        array = np.zeros(SHAPE, text)
        yield f"{name} npy {text}", Cell("npy", npy(array, order), refused="not one image")


def _pngs():
    for bits in (1, 2, 4, 8, 16):
        array = numbers("u2" if bits == 16 else "u1", bits=bits)
        yield f"png grey {bits}", Cell("png", png(array, bits, 0), array, 2**bits - 1)
        if bits <= 8:
            palette = RNG.integers(0, 256, (2**bits, 3))
            palette[0] = 0
            content = png(array, bits, 3, palette=palette)
            yield f"png palette {bits}", Cell("png", content, palette[array], 255)
    for bits, kind in ((8, "u1"), (16, "u2")):
        white = 2**bits - 1
        for colours, samples in ((2, 3), (4, 2), (6, 4)):
            array = numbers(kind, samples)
            meant = {2: array[..., 0], 3: array, 4: array[..., :3]}[samples]
            content = png(array, bits, colours)
            yield (
                f"png of kind {colours}, {bits} bits",
                Cell("png", content, meant, white, transparent=colours > 2),
            )
        clear = numbers(kind)
        content = png(clear, bits, 0, transparency=b"\0\0")
        yield (
            f"png grey {bits}, one transparent",
            Cell("png", content, clear, white, transparent=True),
        )


def _bitmaps():
    for upwards in (True, False):
        for bits in (1, 4, 8):
            index = numbers("u1", bits=bits)
            palette = RNG.integers(0, 256, (2**bits, 3))
            palette[0] = 0
            content = bmp(index, bits, palette=palette, upwards=upwards)
            yield f"bmp {bits}, upwards {upwards}", Cell("bmp", content, palette[index], 255)
        colours = numbers("u1", 3)
        content = bmp(colours, 24, upwards=upwards)
        yield f"bmp colours, upwards {upwards}", Cell("bmp", content, colours, 255)


CELLS = dict(cells())


@pytest.mark.parametrize("name", CELLS)
def test_frames_point_spread_functions_and_masks(name, tmp_path):
    cell = CELLS[name]
    path = tmp_path / f"a.{cell.ending}"
    path.write_bytes(cell.content)
    check_frame(cell, path)
    check_point_spread_function(cell, path)
    check_mask(cell, path)


def check_frame(cell, path):
    if cell.refused:
        with pytest.raises(ValueError, match=cell.refused):
            images.load(path)
        return
    pixels, original = images.load(path)
    meant = cell.numbers.astype(np.float64)
    assert_allclose(pixels, meant / (cell.white or 1), rtol=1e-15)
    assert (original.white is None) == (cell.white is None)
    compact, _ = images.load(path, compact=True)
    assert_array_equal(compact, pixels.astype(compact.dtype))
    assert_array_equal(dhop.imread(path), pixels)


def check_point_spread_function(cell, path):
    if cell.refused and cell.ending == "npy" and np.load(path).ndim == 3:
        assert psf.load(path).shape == np.load(path).shape  # a volume
        return
    if cell.refused:
        with pytest.raises(ValueError, match=f"{cell.refused}|not one image"):
            psf.load(path)
        return
    meant = cell.numbers.astype(np.float64)
    coloured = meant.ndim == 3 and cell.ending != "npy"  # which says of no axis what it is
    if coloured and meant.shape[2] != 3:
        with pytest.raises(ValueError, match="not one image"):
            psf.load(path)
        return
    meant = meant.mean(axis=2) if coloured else meant
    loaded = psf.load(path)
    assert_allclose(loaded / loaded.max(), meant / meant.max(), rtol=1e-13)


def check_mask(cell, path):
    """An image without transparent pixels marks what is not black."""
    if cell.refused:
        with pytest.raises(ValueError, match=cell.refused):
            images.load_mask(path)
        return
    marked = cell.numbers != 0
    marked = marked.any(axis=2) if marked.ndim == 3 else marked
    assert ("transparency" in images.load(path)[1].kept) == cell.transparent
    if cell.transparent:
        with pytest.raises(ValueError, match="transparent pixels"):
            images.load_mask(path)
    else:
        assert_array_equal(images.load_mask(path), marked)


class TestStripsAndTiles:
    """What other programs write, of many parts and packed in many ways."""

    @pytest.mark.parametrize("compression", [None, "lzw", "zlib", "packbits", "zstd", "lzma"])
    @pytest.mark.parametrize("parts", [{"rowsperstrip": 5}, {"tile": (16, 32)}])
    @pytest.mark.parametrize("kind", ["u1", "u2", "f4"])
    def test_parts(self, tmp_path, compression, parts, kind):
        array = RNG.integers(0, 256, (35, 43, 3)).astype(kind)
        predictor = compression in ("lzw", "zlib")
        for order in ORDERS.values():
            tifffile.imwrite(
                tmp_path / "a.tif", array, photometric="rgb", compression=compression,
                predictor=predictor, byteorder=order, **parts,
            )  # fmt: skip
            white = {"u1": 255, "u2": 65535}.get(kind, 1)
            assert_allclose(images.imread(tmp_path / "a.tif"), array / white, rtol=1e-15)

    @pytest.mark.parametrize("mode", ["L", "RGB", "YCbCr"])
    def test_jpeg_inside(self, tmp_path, mode):
        rows, columns = np.mgrid[:64, :80]
        smooth = np.dstack([2 * rows, 2 * columns, rows + columns]).astype(np.uint8)
        picture = Image.fromarray(smooth).convert(mode)
        picture.save(tmp_path / "a.tif", compression="jpeg", quality=100)
        shown = smooth if mode != "L" else np.asarray(picture)
        assert_allclose(images.imread(tmp_path / "a.tif"), shown / 255, atol=0.02)
        with pytest.raises(ValueError, match="take a PNG"):
            images.load_mask(tmp_path / "a.tif")

    def test_fax(self, tmp_path):
        flags = RNG.random((20, 30)) > 0.5
        Image.fromarray(flags).save(tmp_path / "a.tif", compression="group4")
        assert_array_equal(images.load_mask(tmp_path / "a.tif"), flags)


class TestPhotographs:
    @pytest.mark.parametrize("ending", ["jpg", "webp"])
    @pytest.mark.parametrize("mode", ["L", "RGB"])
    def test_lossy(self, tmp_path, ending, mode):
        rows, columns = np.mgrid[:64, :80]
        smooth = np.dstack([2 * rows, 2 * columns, rows + columns]).astype(np.uint8)
        picture = Image.fromarray(smooth).convert(mode)
        picture.save(tmp_path / f"a.{ending}", quality=100)
        pixels = images.imread(tmp_path / f"a.{ending}")
        shown = np.asarray(picture) / 255
        if pixels.ndim > shown.ndim:  # WebP has no grey
            shown = np.dstack([shown] * 3)
        assert_allclose(pixels, shown, atol=0.03)
        with pytest.raises(ValueError, match="take a PNG"):
            images.load_mask(tmp_path / f"a.{ending}")

    def test_inks(self, tmp_path):
        Image.new("CMYK", (8, 8)).save(tmp_path / "a.jpg")
        with pytest.raises(ValueError, match="CMYK; convert it"):
            images.imread(tmp_path / "a.jpg")

    @pytest.mark.parametrize("ending", ["webp", "png", "gif"])
    def test_films(self, tmp_path, ending):
        film = [Image.fromarray(numbers("u1", 3)) for _ in range(3)]
        film[0].save(tmp_path / f"a.{ending}", save_all=True, append_images=film[1:])
        with pytest.raises(ValueError, match="holds 3 images, not one"):
            images.imread(tmp_path / f"a.{ending}")


def written(path):
    """The integers in a file, by another library than it was written with or by hand."""
    content = path.read_bytes()
    if path.suffix == ".npy":
        return np.load(path)
    if path.suffix == ".tif":
        with tifffile.TiffFile(path) as file:
            return np.asarray(file.pages[0].asarray())
    if path.suffix == ".png":
        return unpacked(content)
    return np.asarray(Image.open(io.BytesIO(content)))


class TestWritten:
    @pytest.mark.parametrize("colours", [(), (3,)], ids=["grey", "colours"])
    @pytest.mark.parametrize(
        ("ending", "bits"),
        [("png", 8), ("png", 16), ("tif", 8), ("tif", 16), ("bmp", 8)],
    )
    def test_integers(self, tmp_path, ending, bits, colours):
        array = numbers(f"u{bits // 8}", *colours)
        path = tmp_path / f"a.{ending}"
        for given, options in ((array, {}), (array / (2**bits - 1), {"bits": bits})):
            dhop.imwrite(path, given, **options)
            found = written(path)
            assert found.dtype == array.dtype
            assert_array_equal(found, array)
            path.unlink()

    @pytest.mark.parametrize("kind", ["i1", "i2", "i4", "u4", "u8", "i8"])
    def test_counts(self, tmp_path, kind):
        array = numbers(kind)
        dhop.imwrite(tmp_path / "a.npy", array)
        assert_array_equal(np.load(tmp_path / "a.npy"), array)
        if kind.endswith("8"):
            with pytest.raises(ValueError, match="holds no"):
                dhop.imwrite(tmp_path / "a.tif", array)
        else:
            dhop.imwrite(tmp_path / "a.tif", array)
            assert_array_equal(tifffile.imread(tmp_path / "a.tif"), array)
        with pytest.raises(ValueError, match="holds no"):
            dhop.imwrite(tmp_path / "a.png", array)

    @pytest.mark.parametrize("ending", ["tif", "ome.tif", "npy"])
    @pytest.mark.parametrize("kind", ["f2", "f4", "f8"])
    def test_floats(self, tmp_path, ending, kind):
        array = numbers(kind)
        path = tmp_path / f"a.{ending}"
        dhop.imwrite(path, array)
        assert_array_equal(dhop.imread(path), array.astype(np.float64))
        if ending == "npy":
            assert np.load(path).dtype == array.dtype

    @pytest.mark.parametrize("ending", ["jpg", "webp"])
    def test_quality(self, tmp_path, ending):
        noise = numbers("u1", 3) / 255
        sizes = []
        for quality in (20, 95):
            dhop.imwrite(tmp_path / f"{quality}.{ending}", noise, quality=quality)
            sizes.append((tmp_path / f"{quality}.{ending}").stat().st_size)
        assert sizes[0] < sizes[1]
        if ending == "jpg":
            with Image.open(tmp_path / "95.jpg") as picture:
                tables = picture.quantization
                assert JpegImagePlugin.get_sampling(picture) == 0  # colours as fine as grey
            assert tables[0][0] == 2  # 16 at the quality 50, a tenth of it at 95
        for quality in (0, 101):
            with pytest.raises(ValueError, match="quality must be 1 to 100"):
                dhop.imwrite(tmp_path / f"b.{ending}", noise, quality=quality)

    def test_what_is_no_image(self, tmp_path):
        for array in (
            np.zeros(5),
            np.zeros((3, 4), complex),
            np.zeros((0, 3)),
            np.full((2, 2), "a"),
        ):
            with pytest.raises(ValueError, match="is not an image"):
                dhop.imwrite(tmp_path / "a.tif", array)
        with pytest.raises(ValueError, match="has masked values"):
            dhop.imwrite(tmp_path / "a.tif", np.ma.masked_less(numbers("u1"), 9))
        with pytest.raises(ValueError, match="values up to 4000 do not fit"):
            dhop.imwrite(tmp_path / "a.png", np.full((3, 4), 4000.0))


def test_rows_are_packed_as_the_standards_say():
    assert packed([[1, 0, 1]], 1) == b"\xa0"
    assert packed([[0xABC, 0xDEF]], 12) == b"\xab\xcd\xef"
    assert tiff(np.zeros((1, 1), "u1"))[:8] == b"II*\0\x08\0\0\0"
    assert GREY == 1
