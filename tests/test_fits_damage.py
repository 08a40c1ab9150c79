"""Damaged FITS files are read, or refused in one line; what was read can be written."""

import gzip
import io

import numpy as np
import pytest

from dhop import images, psf
from dhop.io import Options

fits = pytest.importorskip("astropy.io.fits")

READERS = {"frame": images.load, "PSF": psf.from_file, "mask": images.load_mask}
IMAGE = np.random.default_rng(1).integers(0, 1000, (12, 14))
HEADER = {
    "CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP", "CRPIX1": 3.0, "CRVAL1": 3.0,
    "CD1_1": -1e-4, "CD2_2": 1e-4, "A_ORDER": 2, "A_2_0": 1e-5, "OBJECT": "M1", "BUNIT": "adu",
    "PIXAR_SR": 1e-12, "DATASEC": "[1:9,1:9]", "LONG": "x" * 100, "CPDIS1": "LOOKUP",
}  # fmt: skip
TEXTS = [
    b"99999999",
    b"-1      ",
    b"1e400   ",
    b"'       ",
    b"NaN     ",
    b"T       ",
    b"\xff\0a     ",
]


def content(*units):
    file = io.BytesIO()
    fits.HDUList(list(units)).writeto(file)
    return file.getvalue()


def scaled():
    unit = fits.PrimaryHDU(IMAGE.astype("u2"), fits.Header(HEADER))
    unit.header["BLANK"] = 5 - 2**15
    return unit


def extensions():
    lookup = fits.ImageHDU(np.ones((5, 6), "f4"), name="WCSDVARR")
    primary = fits.PrimaryHDU(header=fits.Header({"TELESCOP": "HST"}))
    image = fits.ImageHDU(IMAGE.astype("f4"), fits.Header(HEADER), name="SCI")
    return content(primary, image, fits.ImageHDU(IMAGE.astype("i4"), name="DQ"), lookup)


def packed(kind, compression):
    unit = fits.CompImageHDU(
        IMAGE.astype(kind), fits.Header(HEADER), compression_type=compression, quantize_level=0
    )
    return content(fits.PrimaryHDU(), unit)


FILES = {
    "a.fits": lambda: content(scaled()),
    "extensions.fits": extensions,
    "a.fits.gz": lambda: gzip.compress(content(scaled())),
    "rice.fits.fz": lambda: packed("i2", "RICE_1"),
    "hcompress.fits.fz": lambda: packed("i4", "HCOMPRESS_1"),
    "gzip.fits.fz": lambda: packed("f4", "GZIP_2"),
}


def damaged(whole, rng):
    """Bytes cut off, changed, left out or put in, cards exchanged, values of cards replaced."""
    found = bytearray(whole)
    start = rng.integers(len(found))
    cards = 80 * rng.integers(min(len(found), 5760) // 80 - 1, size=2)
    match rng.integers(6):
        case 0:
            del found[start:]
        case 1:
            found[start] = rng.integers(256)
        case 2:
            found[rng.integers(min(len(found), 5760))] = rng.integers(256)
        case 3:
            found[start : start + rng.integers(200)] = rng.bytes(rng.integers(200))
        case 4:
            first, second = (slice(card, card + 80) for card in cards)
            found[first], found[second] = found[second], found[first]
        case _:
            place = cards[0] + rng.integers(10, 30)
            found[place : place + 8] = TEXTS[rng.integers(len(TEXTS))]
    return bytes(found)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::dhop.cautions.MetadataWarning")
@pytest.mark.parametrize("name", FILES)
def test_random_damages(tmp_path, name):
    whole = FILES[name]()
    rng = np.random.default_rng(len(name))
    path, out = tmp_path / name, tmp_path / "out.fits"
    path.write_bytes(whole)
    exact = [reader(path) for reader in READERS.values()]
    assert len(exact) == 3
    for _ in range(30):
        path.write_bytes(damaged(whole, rng))
        for use, reader in READERS.items():
            try:
                found = reader(path)
            except (OSError, ValueError) as error:
                text = str(error)
                assert text, use
                assert len(text.splitlines()) == 1, text
                assert "broken" in text or name in text or "psf" in text.lower(), text
                continue
            if use != "frame":
                continue
            pixels, original = found
            larger = original.resized(2)
            new = np.zeros((2 * pixels.shape[0], 2 * pixels.shape[1], *pixels.shape[2:]))
            images.check(out, None, larger, new.shape)
            images.write(out, new, None, larger, Options(overwrite=True))
            with fits.open(out) as units:
                assert sum(unit.is_image and unit.size > 0 for unit in units) in (1, 2)


@pytest.mark.parametrize("cut", [2, 9, 200])
def test_a_gzipped_file_is_looked_at_to_its_end(tmp_path, cut):
    """The checksum at its end is the only thing that tells of changed pixels."""
    whole = bytearray(gzip.compress(content(scaled())))
    whole[-cut] ^= 255
    (tmp_path / "a.fits.gz").write_bytes(whole)
    with pytest.raises(OSError, match=r"cannot read .*a\.fits\.gz"):
        images.load(tmp_path / "a.fits.gz")


@pytest.mark.parametrize("axes", [(99999, 99999), (2**31, 2**31), (-5, 5), (0, 5)])
def test_sizes_that_are_not_there(tmp_path, axes):
    whole = content(fits.PrimaryHDU(np.ones((3, 4), "f4")))
    for number, old, new in zip((1, 2), (4, 3), axes, strict=True):
        whole = whole.replace(
            f"NAXIS{number}  = {old:>20}".encode(), f"NAXIS{number}  = {new:>20}".encode()
        )
    for ending, pack in {"fits": bytes, "fits.gz": gzip.compress}.items():
        path = tmp_path / f"a.{ending}"
        path.write_bytes(pack(whole))
        for reader in READERS.values():
            with pytest.raises((OSError, ValueError), match=r"a\.fits"):
                reader(path)
