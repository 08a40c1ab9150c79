"""Headers of files, enlarged: the sky and the millimetres stay where they are."""

import numpy as np
import pytest
import tifffile
from numpy.testing import assert_allclose, assert_array_equal

from dhop import images
from dhop.io.fits_rescaling import resized

SKY = {
    "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 83.6, "CRVAL2": 22.0,
    "CRPIX1": 11.3, "CRPIX2": 4.5,
}  # fmt: skip
TURNED = {"CD1_1": -1e-3, "CD1_2": 3e-4, "CD2_1": 2.8e-4, "CD2_2": 1.1e-3}
SIP = {
    "CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP",
    "A_ORDER": 3, "B_ORDER": 2, "A_2_0": 3e-4, "A_1_1": -2e-4, "A_0_3": 1e-5, "B_0_2": 2e-4,
    "AP_ORDER": 2, "BP_ORDER": 2, "AP_2_0": -3e-4, "BP_1_0": 1e-6,
}  # fmt: skip
SYSTEMS = {
    "cd": SKY | TURNED,
    "cdelt": SKY | {"CDELT1": -1e-3, "CDELT2": 1.2e-3, "CROTA2": 20.0},
    "pc": SKY | {"CDELT1": -1e-3, "CDELT2": 1e-3, "PC1_1": 0.9, "PC1_2": -0.4, "PC2_1": 0.4},
    "steps of one": SKY,
    "no reference pixel": {k: v for k, v in SKY.items() if "CRPIX" not in k} | TURNED,
    "sip": SKY | TURNED | SIP,
}


@pytest.fixture
def fits():
    return pytest.importorskip("astropy.io.fits")


@pytest.fixture
def make_wcs():
    return pytest.importorskip("astropy.wcs").WCS


def positions(shape=(8, 10)):
    """Columns and rows of pixel centres and of places between them, from 0."""
    rng = np.random.default_rng(0)
    return rng.uniform(0, shape[1], 20).round(1), rng.uniform(0, shape[0], 20).round(1)


class TestSky:
    @pytest.mark.parametrize("factor", [1, 2, 3, 4])
    @pytest.mark.parametrize("name", SYSTEMS)
    def test_blocks_of_pixels_stay_on_the_sky(self, fits, make_wcs, name, factor):
        header = fits.Header(SYSTEMS[name])
        before, after = make_wcs(header), make_wcs(resized(header, factor))
        columns, rows = positions()
        assert_allclose(
            after.all_pix2world((columns + 0.5) * factor - 0.5, (rows + 0.5) * factor - 0.5, 0),
            before.all_pix2world(columns, rows, 0),
            rtol=1e-12,
        )

    def test_a_block_is_centred_on_its_pixel(self, fits, make_wcs):
        header = fits.Header(SYSTEMS["cd"])
        before, after = make_wcs(header), make_wcs(resized(header, 2))
        inside = after.all_pix2world([8, 9, 8, 9], [12, 12, 13, 13], 0)
        assert_allclose(np.mean(inside, axis=1), before.all_pix2world(4, 6, 0), atol=1e-8)

    def test_samples_stay_on_the_sky(self, fits, make_wcs):
        header = fits.Header(SYSTEMS["sip"])
        before, after = make_wcs(header), make_wcs(resized(header, 3, sampled=True))
        columns, rows = positions()
        assert_allclose(
            after.all_pix2world(columns * 3, rows * 3, 0),
            before.all_pix2world(columns, rows, 0),
            rtol=1e-12,
        )

    def test_alternate_coordinates_too(self, fits, make_wcs):
        header = fits.Header(SYSTEMS["cd"])
        header.update({f"{key}A": value for key, value in SYSTEMS["pc"].items()})
        new = resized(header, 2)
        for version in " A":
            before, after = make_wcs(header, key=version), make_wcs(new, key=version)
            columns, rows = positions()
            assert_allclose(
                after.wcs_pix2world(columns * 2 + 0.5, rows * 2 + 0.5, 0),
                before.wcs_pix2world(columns, rows, 0),
                rtol=1e-12,
            )

    def test_the_polynomials_back_are_scaled(self, fits, make_wcs):
        header = fits.Header(SYSTEMS["sip"])
        before, after = make_wcs(header), make_wcs(resized(header, 3))
        columns, rows = positions()
        pixels = before.sip_foc2pix(columns, rows, 1)
        scaled = after.sip_foc2pix(columns * 3, rows * 3, 1)
        assert_allclose(scaled, [(each - 0.5) * 3 + 0.5 for each in pixels], rtol=1e-12)

    def test_without_a_sky_nothing_is_invented(self, fits):
        header = fits.Header({"OBJECT": "M1", "EXPTIME": 30.0})
        new = resized(header, 2)
        assert [*new] == ["OBJECT", "EXPTIME", "HISTORY"]
        assert [*header] == ["OBJECT", "EXPTIME"]


class TestFitsFiles:
    def write(self, fits, path, data, **keys):
        unit = fits.PrimaryHDU(data)
        unit.header.update(SYSTEMS["cd"] | keys)
        unit.writeto(path)

    def test_the_header_is_kept(self, fits, make_wcs, tmp_path):
        self.write(
            fits, tmp_path / "a.fits", np.ones((6, 8), "f4"), OBJECT="M1", EXPTIME=30.0, DATAMAX=1
        )
        _, original = images.load(tmp_path / "a.fits")
        images.write(tmp_path / "b.fits", np.ones((18, 24)), original=original.resized(3))
        header = fits.getheader(tmp_path / "b.fits")
        assert "DATAMAX" not in header
        assert (header["OBJECT"], header["EXPTIME"]) == ("M1", 30.0)
        assert (header["NAXIS1"], header["NAXIS2"], header["BITPIX"]) == (24, 18, -32)
        assert_allclose(
            make_wcs(header).pixel_to_world_values(1, 1),
            make_wcs(fits.Header(SYSTEMS["cd"])).pixel_to_world_values(0, 0),
            rtol=1e-12,
        )

    @pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint16, np.int32])
    def test_counts_keep_their_scale_and_become_floats(self, fits, tmp_path, kind):
        counts = np.arange(48, dtype=kind).reshape(6, 8)
        self.write(fits, tmp_path / "a.fits", counts)
        pixels, original = images.load(tmp_path / "a.fits")
        assert_array_equal(pixels, counts)
        images.write(tmp_path / "b.fits", pixels + 0.5, original=original)
        data, header = fits.getdata(tmp_path / "b.fits", header=True)
        assert data.dtype == ">f4"
        assert "BZERO" not in header
        assert_array_equal(data, counts + 0.5)

    def test_blank_counts_are_nan(self, fits, tmp_path):
        self.write(fits, tmp_path / "a.fits", np.arange(6, dtype="i2").reshape(2, 3), BLANK=4)
        assert_array_equal(images.imread(tmp_path / "a.fits"), [[0, 1, 2], [3, np.nan, 5]])

    def test_axes_of_one_and_channels(self, fits, tmp_path):
        for leading in [(1, 1), (5,), (1, 4)]:
            path = tmp_path / f"{leading}.fits"
            cube = np.random.default_rng(0).random((*leading, 6, 8))
            self.write(fits, path, cube)
            pixels, original = images.load(path)
            channels = np.prod(leading)
            assert pixels.shape == ((6, 8) if channels == 1 else (6, 8, channels))
            path.unlink()
            images.write(path, pixels, original=original)
            assert_array_equal(fits.getdata(path), cube)

    def test_the_first_image_of_several_units(self, fits, tmp_path):
        image = np.random.default_rng(0).random((6, 8))
        units = [fits.PrimaryHDU(), fits.ImageHDU(image, name="SCI"), fits.ImageHDU(2 * image)]
        fits.HDUList(units).writeto(tmp_path / "a.fits")
        pixels, original = images.load(tmp_path / "a.fits")
        assert_array_equal(pixels, image)
        images.write(tmp_path / "b.fits", pixels, original=original.resized(1))
        assert_array_equal(fits.getdata(tmp_path / "b.fits"), image)
        fits.HDUList([fits.PrimaryHDU()]).writeto(tmp_path / "c.fits")
        with pytest.raises(ValueError, match=r"c\.fits holds no image"):
            images.imread(tmp_path / "c.fits")


class TestTiffFiles:
    @pytest.mark.parametrize("text", ["ImageJ=1.54f\nunit=micron\n", "Kamera, Grün"])
    def test_resolution_is_scaled_and_the_description_kept(self, tmp_path, text):
        tifffile.imwrite(
            tmp_path / "a.tif", np.zeros((6, 8), "u2"), metadata=None, description=text.encode(),
            resolution=(300.5, 150.25), resolutionunit="CENTIMETER", iccprofile=b"profile",
        )  # fmt: skip
        pixels, original = images.load(tmp_path / "a.tif")
        images.write(
            tmp_path / "b.tif", pixels.repeat(3, 0).repeat(3, 1), None, original.resized(3)
        )
        with tifffile.TiffFile(tmp_path / "b.tif") as file:
            page = file.pages[0]
            assert page.shape == (18, 24)
            assert page.dtype == np.uint16
            assert page.get_resolution() == (901.5, 450.75)
            assert page.resolutionunit == tifffile.RESUNIT.CENTIMETER
            assert page.description == text.strip()
            assert page.iccprofile == b"profile"

    def test_descriptions_that_count_pixels_are_not_kept(self, tmp_path):
        for name, options in {"a.tif": {}, "a.ome.tif": {"ome": True}}.items():
            tifffile.imwrite(tmp_path / name, np.zeros((6, 8), "u2"), **options)
            pixels, original = images.load(tmp_path / name)
            out = tmp_path / f"out.{name}"
            images.write(out, pixels[:4, :4], original=original.resized(2))
            assert images.imread(out).shape == (4, 4)

    def test_nothing_to_keep(self, tmp_path):
        images.write(tmp_path / "a.tif", np.zeros((6, 8)))
        pixels, original = images.load(tmp_path / "a.tif")
        images.write(tmp_path / "b.tif", pixels, original=original.resized(2))
        assert images.imread(tmp_path / "b.tif").shape == (6, 8)
