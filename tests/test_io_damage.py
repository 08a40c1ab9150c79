"""Damaged and hostile files are read, or refused in one line; they neither hang nor fill memory."""

import io
import os
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
import tifffile
from pictures import LONG, SHORT, tiff
from PIL import Image

from dhop import images, psf

READERS = {"frame": images.load, "PSF": psf.load, "mask": images.load_mask}
GREY = np.random.default_rng(1).integers(0, 256, (24, 33), np.uint8)
COLOURS = np.random.default_rng(2).integers(0, 256, (24, 33, 3), np.uint8)
LONGEST = 400  # letters of an error


def by_pillow(ending, pixels=COLOURS, palette=None, **options):
    file, picture = io.BytesIO(), Image.fromarray(pixels)
    (picture.quantize(palette) if palette else picture).save(file, ending, **options)
    return file.getvalue()


def by_tifffile(pixels, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, **options)
    return file.getvalue()


def by_numpy(pixels):
    file = io.BytesIO()
    np.save(file, pixels)
    return file.getvalue()


def deep_png(folder):
    images.write(folder / "deep.png", COLOURS / 255, 16)
    return (folder / "deep.png").read_bytes()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Bytes of files by name, of all formats and of what they may contain."""
    exif = Image.Exif()
    exif[0x0112] = 6
    stack = np.stack([GREY] * 4)
    return {
        "a.npy": by_numpy(GREY),
        "float.npy": by_numpy(GREY.astype("f4")),
        "a.jpg": by_pillow("JPEG", exif=exif),
        "a.webp": by_pillow("WEBP", exif=exif),
        "exact.webp": by_pillow("WEBP", lossless=True),
        "a.bmp": by_pillow("BMP"),
        "a.gif": by_pillow("GIF"),
        "grey.png": by_pillow("PNG", GREY),
        "palette.png": by_pillow("PNG", palette=9),
        "deep.png": deep_png(tmp_path_factory.mktemp("deep")),
        "a.tif": by_tifffile(GREY),
        "tiles.tif": by_tifffile(COLOURS, photometric="rgb", compression="zlib", tile=(16, 16)),
        "lzw.tif": by_tifffile(COLOURS, photometric="rgb", compression="lzw", predictor=True),
        "jpeg.tif": by_tifffile(COLOURS, photometric="rgb", compression="jpeg"),
        "bits.tif": by_tifffile(GREY.astype("u2"), bitspersample=12, photometric="minisblack"),
        "palette.tif": by_pillow("TIFF", palette=9),
        "fax.tif": by_pillow("TIFF", GREY > 100, compression="group4"),
        "imagej.tif": by_tifffile(stack, imagej=True),
        "a.ome.tif": by_tifffile(stack, ome=True),
    }


NAMES = (
    "a.npy", "float.npy", "a.jpg", "a.webp", "exact.webp", "a.bmp", "a.gif", "grey.png",
    "palette.png", "deep.png", "a.tif", "tiles.tif", "lzw.tif", "jpeg.tif", "bits.tif",
    "palette.tif", "fax.tif", "imagej.tif", "a.ome.tif",
)  # fmt: skip


def damaged(content, rng):
    """Cut off, changed at some places, most of them in the header, shortened, or overwritten."""
    new = bytearray(content)
    kind, place = rng.integers(6), rng.integers(len(new))
    if kind == 0:
        del new[place:]
    elif kind in (1, 2):
        end = len(new) if kind == 1 else min(len(new), 200)
        for k in rng.integers(0, end, rng.integers(1, 9)):
            new[k] = rng.integers(256)
    elif kind == 3:
        del new[place : place + rng.integers(1, 40)]
    elif kind == 4:
        new[place : place + rng.integers(1, 40)] = rng.bytes(rng.integers(1, 40))
    else:
        new[place : place + 8] = b"\xff" * 8
    return bytes(new)


def refusal(reader, path):
    """What a reader says of a file; nothing if it reads it."""
    try:
        reader(path)
    except (OSError, ValueError) as error:
        return str(error)
    return ""


def read_or_refused(path):
    for name, reader in READERS.items():
        words = refusal(reader, path)
        assert "\n" not in words, name
        assert "<_io." not in words, name
        assert len(words) < LONGEST + len(str(path)), name


@pytest.mark.parametrize("name", NAMES)
def test_some_damages(whole, tmp_path, name):
    rng = np.random.default_rng(0)
    for _ in range(25):
        (tmp_path / name).write_bytes(damaged(whole[name], rng))
        read_or_refused(tmp_path / name)


@pytest.mark.fuzz
@pytest.mark.parametrize("name", NAMES)
def test_many_damages(whole, tmp_path, name):
    rng = np.random.default_rng(1)
    for _ in range(400):
        (tmp_path / name).write_bytes(damaged(whole[name], rng))
        read_or_refused(tmp_path / name)


def test_a_decoder_writes_nothing_to_the_terminal(whole, tmp_path):
    """Neither through Python's logging nor past it."""
    rng = np.random.default_rng(2)
    for name, content in whole.items():
        for k in range(10):
            (tmp_path / f"{k}{name}").write_bytes(damaged(content, rng))
    program = (
        "import sys, pathlib\nfrom dhop import images\n"
        "for path in pathlib.Path(sys.argv[1]).iterdir():\n"
        "    try: images.load(path)\n"
        "    except (OSError, ValueError): pass\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, timeout=200
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, b"", b"")


def chunk(kind, content):
    end = struct.pack(">L", zlib.crc32(kind + content))
    return struct.pack(">L", len(content)) + kind + content + end


def vast_png(bits, kind):
    header = struct.pack(">LLBBBBB", 60000, 60000, bits, kind, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(bytes(99))), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def vast_tiff(rows, columns, *more):
    """A small one whose tags say otherwise; the later of two is the one that counts."""
    content = bytearray(tiff(np.zeros((1, 1), np.uint8), tags=more))
    for k in range(10, len(content) - 12, 12):
        if content[k : k + 2] == struct.pack("<H", 256):
            content[k + 8 : k + 12] = struct.pack("<L", columns)
        if content[k : k + 2] == struct.pack("<H", 257):
            content[k + 8 : k + 12] = struct.pack("<L", rows)
    return bytes(content)


def vast_npy(shape, kind="<f8"):
    head = f"{{'descr': {kind!r}, 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode()


def circle(turns):
    """A TIFF in which the last page is followed by the first."""
    pages = [8 + 6 * k for k in range(turns)]
    chain = b"".join(struct.pack("<HL", 0, after) for after in [*pages[1:], 8])
    return b"II*\0" + struct.pack("<L", 8) + chain


def laughs():
    """XML of OME that would become ten to the eleventh letters."""
    names = "".join(f'<!ENTITY a{k} "{f"&a{k - 1};" * 10}">' for k in range(1, 12))
    xml = f'<?xml version="1.0"?><!DOCTYPE OME [<!ENTITY a0 "ha">{names}]><OME>&a11;</OME>'
    return by_tifffile(GREY[:3, :3], description=xml, metadata=None)


HOSTILE = {
    "laughs.tif": laughs(),
    "png": vast_png(8, 2),
    "deep.png": vast_png(16, 2),
    "bit.png": vast_png(1, 0),
    "a.tif": vast_tiff(60000, 60000),
    "b.tif": vast_tiff(2**32 - 1, 2**32 - 1),
    "tile.tif": vast_tiff(
        9, 9, (322, LONG, [2**24]), (323, LONG, [2**24]), (324, LONG, [8]), (325, LONG, [9])
    ),
    "samples.tif": vast_tiff(9, 9, (277, SHORT, [65535])),
    "circle.tif": circle(1),
    "ring.tif": circle(7),
    "a.npy": vast_npy((100_000, 100_000)),
    "none.npy": vast_npy((10**11, 0)),
    "void.npy": vast_npy((10**9, 100), "|V0"),
    "text.npy": vast_npy((10**9, 100), "|S0"),
    "less.npy": vast_npy((-1, 3)),
    "deep.npy": b"\x93NUMPY\x01\x00" + struct.pack("<H", 60) + b"(" * 59 + b"\n",
    "version.npy": b"\x93NUMPY\x09\x00" + bytes(100),
    "a.bmp": b"BM" + struct.pack("<LHHL", 99, 0, 0, 54)
    + struct.pack("<LllHHLLllLL", 40, 60000, 60000, 1, 24, 0, 0, 1, 1, 0, 0),
    "a.gif": b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0) + b",\0\0\0\0" + b"\xff" * 4,
    "empty.tif": b"", "empty.npy": b"", "empty.png": b"", "empty.jpg": b"", "empty.xyz": b"",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs Linux")
def test_few_bytes_neither_hang_nor_fill_the_memory(tmp_path):
    for name, content in HOSTILE.items():
        assert len(content) < 1500
        (tmp_path / name).write_bytes(content)
    program = (
        "import resource, sys, pathlib\nimport test_io_damage as t\n"
        "import tifffile, PIL.Image, imagecodecs\n"
        "limit = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (limit + 2**28,) * 2)\n"
        "for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):\n"
        "    for name, reader in t.READERS.items():\n"
        "        words = t.refusal(reader, path)\n"
        "        assert words and 'memory' not in words and chr(10) not in words, (path, words)\n"
    )
    here = {**os.environ, "PYTHONPATH": os.pathsep.join([os.path.dirname(__file__), *sys.path])}
    run = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, timeout=60, env=here
    )
    assert run.returncode == 0, run.stderr.decode()


def test_what_compresses_well_is_no_bomb(tmp_path):
    """The darkest of frames, ten thousand pixels wide, are still read."""
    Image.new("1", (12_000, 12_000)).save(tmp_path / "a.png")
    assert not images.load_mask(tmp_path / "a.png").any()
    dark = np.zeros((6000, 7000), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", dark, compression="zlib", compressionargs={"level": 9})
    assert (tmp_path / "a.tif").stat().st_size < dark.size / 900
    assert images.load_mask(tmp_path / "a.tif").shape == dark.shape
