"""TIFF, by tifffile."""

import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.io import geotiff, orientation, tiff_chain, tiff_colours, tiff_microscopy
from dhop.io.errors import ContentError, in_words, require_plausible
from dhop.io.formats import Format, Options, Part, flat_or_deep
from dhop.io.picture import Constant, Metadatum, Original, Picture, Resolution, Unkept
from dhop.io.replacement import open_whole
from dhop.io.strips import ROWS, strips
from dhop.runtime.extras import needed

Array = NDArray[Any]

TYPES = ("c8", "c16", "u1", "i1", "u2", "i2", "u4", "i4", "f8", "f4")
OME = (".ome.tif", ".ome.tiff")
TEXTS = {271: "Make", 272: "Model", 306: "DateTime", 315: "Artist", 33432: "Copyright"}
EXIF = (34665, 34853)
XMP = 700
NODATA = 42113
TILE = 256, 256  # of images that are written in chunks
LARGEST = 2**32  # resolution that a fraction of 32-bit integers holds
# Compressions to write; lossy ones are replaced, not applied a second time.
LOSSLESS = {
    "LZW": "lzw", "ADOBE_DEFLATE": "zlib", "DEFLATE": "zlib", "PACKBITS": "packbits",
    "ZSTD": "zstd", "LZMA": "lzma", "JPEG": "zlib",
}  # fmt: skip
LOSSY = ("JPEG", "OJPEG", "WEBP", "JPEG2000", "JPEG_2000_LOSSY", "JPEGXL", "JPEGXR", "LERC")

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # damage raises an error


@dataclass(frozen=True)
class Layout(Metadatum):
    """How pixels and channels are laid out in a file."""

    missed = False

    options: dict[str, Any]  # of tifffile
    rgb: bool  # whether the first three channels are colours
    channels: str  # "contig" within a pixel, "separate" planes of one page, or "pages"


def read(path: Path, part: Part = None) -> Picture:
    """All pages, turned upright after their orientation tag."""
    return _read(path, False)


def opened(path: Path, part: Part = None) -> Picture:
    """As `read`, but pixels that need no decoding beyond decompression stay in the file."""
    return _read(path, True)


@dataclass(frozen=True)
class Pages:
    """Pages of one image, decoded when they are sliced."""

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __getitem__(self, index: Any) -> Array:
        zarr = needed("zarr", "dask", f"reading parts of {self.path.name}")
        with in_words(self.path), needed("tifffile", "cli", "TIFF").TiffFile(self.path) as file:
            pages = zarr.open(file.series[0].aszarr(), mode="r")
            return np.asarray(pages[index], self.dtype)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        with in_words(self.path), needed("tifffile", "cli", "TIFF").TiffFile(self.path) as file:
            return np.asarray(file.series[0].asarray(), dtype or self.dtype)


def _read(path: Path, lazy: bool) -> Picture:
    with in_words(path):
        library = needed("tifffile", "cli", f"reading {path.name}")
        tiff_chain.require_acyclic(path)
        with library.TiffFile(path, _multifile=False) as file:
            images = _images(path, file)
            page = images[0].keyframe
            tiff_colours.require_known(path, page)
            tile = page.tilewidth * page.tilelength * page.samplesperpixel
            values = max(len(images) * images[0].size, tile)
            require_plausible(path, values * page.bitspersample // 8, values)
            kept = _metadata(file, page)
            axes = images[0].axes.replace("S", "C").replace("Q", "I")
            if lazy and len(images) == 1 and _plain(page):
                kind = images[0].dtype.newbyteorder("=")
                pages: Any = Pages(path, images[0].shape, kind)
                found = tiff_colours.decoded(path, page, pages, axes)
            else:
                pixels = np.asarray(images[0].asarray())
                if len(images) > 1:
                    pixels = np.stack([pixels, *(each.asarray() for each in images[1:])])
                    axes = "I" + axes
                pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
                pixels = orientation.upright(pixels, axes, page.tags.valueof(orientation.TAG))
                found = tiff_colours.decoded(path, page, pixels, axes)
            nodata, lossy = _nodata(page), page.compression.name in LOSSY
    if found.transparent:
        kept["transparency"] = Unkept()
    original = Original(found.pixels.dtype, found.white, kept)
    return Picture(found.pixels, found.axes, original, lossy, nodata)


def write(path: Path, picture: Picture, ending: str, options: Options) -> None:
    """Channels keep their layout; by default RGB is interleaved, other channels get pages."""
    imwrite = needed("tifffile", "cli", f"writing {path.name}").imwrite
    channels = picture.pixels.shape[picture.axes.index("C")] if "C" in picture.axes else 1
    layout = picture.original.kept.get("layout")
    if not isinstance(layout, Layout):
        rgb = channels == 3
        layout = Layout({}, rgb, "contig" if rgb else "pages")
    more = dict(layout.options)
    if "predictor" in more:
        more["predictor"] = 3 if picture.pixels.dtype.kind == "f" else 2
    axes = "ZYXC" if layout.channels == "contig" else "ZCYX"
    axes = "".join(axis for axis in axes if axis in picture.axes)
    planes = picture.pixels.shape[picture.axes.index("Z")] if "Z" in picture.axes else 1
    more["photometric"] = "rgb" if layout.rgb and channels >= 3 else "minisblack"
    pages = channels if layout.channels == "pages" else 1
    if channels > 1 and pages == 1:
        more["planarconfig"] = layout.channels
        extra = channels - (3 if more["photometric"] == "rgb" else 1)
        more["extrasamples"] = ["unspecified"] * extra
    more |= _metadata_options(picture.original, ending in OME, pages, planes)
    if ending in OME or (pages * planes > 1 and "description" not in more):
        named = axes if pages > 1 else axes.replace("C", "S" if channels > 1 else "")
        more["metadata"] = {"axes": named, **(more["metadata"] or {})}
    pixels = picture.arranged(axes)
    if isinstance(pixels, np.ndarray):
        given: Any = np.ascontiguousarray(pixels)
    else:
        tile = more.setdefault("tile", TILE)
        more |= {"shape": pixels.shape, "dtype": pixels.dtype}
        given = _tiles(pixels, tile, samples=axes.endswith("C"))
    with open_whole(path) as file:
        imwrite(file, given, software="dhop", **more)


def _tiles(pixels: Any, tile: tuple[int, int], samples: bool) -> Iterator[Array]:
    """The tiles of a Dask array, with one strip of rows in memory at a time."""
    rows, columns = tile
    for strip in strips(pixels, rows * max(1, ROWS // rows), samples=samples):
        for row in range(0, len(strip), rows):
            for column in range(0, strip.shape[1], columns):
                part = strip[row : row + rows, column : column + columns]
                yield np.ascontiguousarray(part)


def _images(path: Path, file: Any) -> list[Any]:
    """The series of pages that form one image: a single one, or several alike.

    Overviews and masks are left out.
    """
    first, *more = file.series
    if first.keyframe.is_reduced or first.keyframe.is_mask:
        raise ContentError(f"{path} begins with a small or a masking image; convert it")
    more = [each for each in more if not (each.keyframe.is_reduced or each.keyframe.is_mask)]

    def kind(series: Any) -> tuple[Any, ...]:
        return series.shape, series.dtype, series.axes, series.keyframe.photometric

    if any(kind(each) != kind(first) for each in more):
        raise ContentError(f"{path} holds {1 + len(more)} images that differ in shape or type")
    return [first, *more]


def _plain(page: Any) -> bool:
    """Whether pixels need no decoding: upright, without palette or alpha."""
    upright = page.tags.valueof(orientation.TAG, default=1) not in range(2, 9)
    shown = page.photometric.name in ("MINISBLACK", "RGB") and page.bitspersample > 1
    return upright and shown and not page.extrasamples


def _nodata(page: Any) -> float | None:
    """The value of missing pixels in GDAL's tag."""
    with suppress(TypeError, ValueError):  # there is no tag, or it holds no number
        return float(page.tags.valueof(NODATA))
    return None


def _metadata(file: Any, page: Any) -> dict[str, Metadatum]:
    kept: dict[str, Metadatum] = {"layout": _layout(page)}
    tag = page.tags.valueof(orientation.TAG, default=1)
    if "XResolution" in page.tags and "YResolution" in page.tags:
        across, down = page.get_resolution()
        if tag in orientation.SWAPPED:
            across, down = down, across
        unit = getattr(page.resolutionunit, "name", "NONE").lower()
        known = min(across, down) > 0 and max(across, down) < LARGEST
        if known and (unit != "none" or across != down or file.is_imagej):
            kept["resolution"] = Resolution(across, down, unit)
    if page.iccprofile:
        kept["colour profile"] = Constant(page.iccprofile)
    texts = {tag: page.tags.valueof(tag) for tag in TEXTS}
    if texts := {tag: text for tag, text in texts.items() if isinstance(text, str)}:
        kept["author and date"] = Constant(texts)
    if any(tag in page.tags for tag in EXIF):
        kept["EXIF"] = Unkept()
    if XMP in page.tags:
        kept["XMP"] = Unkept()
    if NODATA in page.tags:
        kept["GDAL's nodata"] = Unkept()
    if geography := geotiff.read(page):
        if tag in range(2, 9):
            kept["GeoTIFF tags of a turned image"] = Unkept()
        else:
            kept["GeoTIFF tags"] = geography
    if file.is_ome:
        if sizes := tiff_microscopy.voxels(page.description):
            kept["voxel size"] = sizes
        if tiff_microscopy.annotated(page.description):
            kept["OME annotations"] = Unkept()
    elif file.is_imagej:
        kept["ImageJ description"] = tiff_microscopy.imagej(page.description)
    elif page.description and not file.is_shaped:
        kept["description"] = Constant(page.description)
    return kept


def _layout(page: Any) -> Layout:
    options: dict[str, Any] = {}
    if compression := LOSSLESS.get(page.compression.name):
        options["compression"] = compression
        if page.predictor > 1:
            options["predictor"] = True
    if page.is_tiled and page.tilelength % 16 == page.tilewidth % 16 == 0:
        options["tile"] = (page.tilelength, page.tilewidth)
    channels = "pages"
    if page.samplesperpixel > 1:
        channels = "separate" if page.planarconfig == 2 else "contig"
    kind = getattr(page.photometric, "name", "")
    if kind == "PALETTE":
        channels = "contig"
    return Layout(options, kind in ("RGB", "YCBCR", "PALETTE"), channels)


def _metadata_options(original: Original, ome: bool, pages: int, planes: int) -> dict[str, Any]:
    """Options of tifffile that write the metadata."""
    kept, more = original.kept, dict[str, Any](metadata=None)
    resolution, voxels = kept.get("resolution"), kept.get("voxel size")
    if isinstance(voxels, tiff_microscopy.Voxels):
        if ome:
            more["metadata"] = dict(voxels.sizes)
        if not isinstance(resolution, Resolution) or resolution.unit == "none":
            resolution = voxels.resolution()
        if not ome and planes > 1 and (deep := voxels.spacing()):
            more["description"] = deep.text(pages, planes).encode()
    if ome:
        more |= {"ome": True, "metadata": more["metadata"] or {}}
    if isinstance(resolution, Resolution) and max(resolution.across, resolution.down) < LARGEST:
        more["resolution"] = resolution.across, resolution.down
        more["resolutionunit"] = resolution.unit.upper()
    extra: list[Any] = []
    for name, each in kept.items():
        if name == "colour profile" and isinstance(each, Constant):
            more["iccprofile"] = each.value
        elif name == "description" and isinstance(each, Constant) and not ome:
            more["description"] = each.value.encode()
        elif isinstance(each, tiff_microscopy.ImageJ) and not ome:
            more["description"] = each.text(pages, planes).encode()
        elif name == "author and date" and isinstance(each, Constant):
            extra += [(tag, "s", 0, text.encode(), True) for tag, text in each.value.items()]
        elif isinstance(each, geotiff.Geography):
            extra += each.extratags()
    return more | {"extratags": extra}


KEEPS = frozenset({"resolution", "colour profile", "author and date", "GeoTIFF tags", "voxel size"})
WORDS = KEEPS | {"description", "ImageJ description"}
PLAIN = (".tif", ".tiff")
TIFF = Format(PLAIN, TYPES, WORDS, read, write, flat_or_deep, opened, chunks=PLAIN)
OME_TIFF = Format(OME, TYPES, KEEPS, read, write, flat_or_deep, opened, chunks=OME)
