"""EXIF that says nothing sensible costs itself alone, never the photograph."""

from fractions import Fraction

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational, ImageFileDirectory_v2

from dhop import images
from dhop.cautions import MetadataWarning
from dhop.io import Options

PIXELS = np.random.default_rng(0).integers(0, 255, (32, 48), np.uint8)


def save(path, name, value, kind, tag=1):
    """A photograph with an EXIF tag of a given type, and an orientation."""
    directory = ImageFileDirectory_v2()
    directory[ExifTags.Base.Orientation] = tag
    directory.tagtype[name] = kind
    directory[name] = value
    directory[ExifTags.Base.Make] = "Kamera"
    exif = b"Exif\0\0II*\0\x08\0\0\0" + directory.tobytes(8)
    Image.fromarray(PIXELS).save(path, exif=exif)


@pytest.mark.parametrize("ending", ["jpg", "png", "webp"])
def test_a_resolution_that_is_no_number(tmp_path, ending):
    """As of cameras that do not know it; it stays what it is."""
    for name in (ExifTags.Base.XResolution, ExifTags.Base.YResolution):
        path = tmp_path / f"{name}.{ending}"
        save(path, name, IFDRational(0, 0), 5)
        image, original = images.load(path)
        images.write(tmp_path / "b.png", image, 8, original.resized(2), Options(overwrite=True))
        with Image.open(tmp_path / "b.png") as found:
            assert found.getexif()[ExifTags.Base.Make] == "Kamera"
            assert np.isnan(float(found.getexif()[name]))


@pytest.mark.parametrize("tag", [1, 6])
def test_exif_that_is_not_understood_is_named(tmp_path, tag):
    save(tmp_path / "a.jpg", ExifTags.Base.XResolution, "seventy", 2, tag)
    Image.fromarray(PIXELS).save(tmp_path / "plain.jpg")
    image, original = images.load(tmp_path / "a.jpg")
    plain = images.imread(tmp_path / "plain.jpg")
    assert_array_equal(image, np.rot90(plain, -1) if tag == 6 else plain)
    with pytest.warns(MetadataWarning, match="will not keep of the original: EXIF$"):
        images.check(tmp_path / "b.jpg", None, original.resized(2), image.shape)


def test_sizes_stay_whole(tmp_path):
    """Also of a factor whose inverse no floating-point number is."""
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ExifImageWidth] = 49
    Image.fromarray(PIXELS).save(tmp_path / "a.jpg", exif=exif)
    found = Image.Exif()
    found.load(images.load(tmp_path / "a.jpg")[1].resized(Fraction(1, 49)).kept["EXIF"].data)
    assert found.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ExifImageWidth] == 1
