"""What a FITS header says of the sky, after both commands; the oracle is astropy's evaluation."""

import warnings
from fractions import Fraction

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from typer.testing import CliRunner

from dhop import cli, psf
from dhop.io.fits_rescaling import resized

fits = pytest.importorskip("astropy.io.fits")
wcs = pytest.importorskip("astropy.wcs")

SHAPE = 24, 36
SKY = {
    "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 83.6, "CRVAL2": 22.0,
    "CRPIX1": 11.3, "CRPIX2": 4.5, "CD1_1": -1e-3, "CD1_2": 3e-4, "CD2_1": 2.8e-4, "CD2_2": 1.1e-3,
}  # fmt: skip
SIP = {
    "CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP",
    "A_ORDER": 3, "B_ORDER": 2, "A_2_0": 3e-4, "A_1_1": -2e-4, "A_0_3": 1e-5, "B_0_2": 2e-4,
}  # fmt: skip
TPV = {"CTYPE1": "RA---TPV", "CTYPE2": "DEC--TPV", "PV1_1": 1.0, "PV1_4": 0.3, "PV2_5": -0.2}
ALTERNATE = {
    "CTYPE1A": "GLON-CAR", "CTYPE2A": "GLAT-CAR", "CRVAL1A": 5.0, "CRPIX1A": 3.0, "CRPIX2A": 7.0,
    "CDELT1A": -2e-3, "CDELT2A": 1e-3, "PC1_2A": 0.1,
}  # fmt: skip


def plain(header=()):
    return [fits.PrimaryHDU(image(), fits.Header(dict(header)))]


def image(shape=SHAPE):
    return np.random.default_rng(0).random(shape).astype("f4")


def lookup(name, version, seed, shape=(5, 7)):
    header = fits.Header(
        {"CRPIX1": 1.0, "CRPIX2": 2.0, "CRVAL1": -2.0, "CRVAL2": 5.0, "CDELT1": 7.0, "CDELT2": 6.0}
    )
    values = np.random.default_rng(seed).uniform(-2, 2, shape).astype("f4")
    return fits.ImageHDU(values, header, name=name, ver=version)


def with_lookups():
    """As ACS has them: a correction of columns, and one of either axis after it."""
    header = fits.Header(SKY | SIP)
    for axis in (1, 2):
        header[f"CPDIS{axis}"] = "LOOKUP"
        header.append(fits.Card.fromstring(f"DP{axis}     = 'EXTVER: {axis}'"))
        header.append(fits.Card.fromstring(f"DP{axis}     = 'NAXES: 2'"))
        header.append(fits.Card.fromstring(f"DP{axis}     = 'AXIS.{axis}: {axis}'"))
    header["D2IMDIS1"] = "LOOKUP"
    header.append(fits.Card.fromstring("D2IM1   = 'EXTVER: 1'"))
    header.append(fits.Card.fromstring("D2IM1   = 'AXIS.1: 1'"))
    return [
        fits.PrimaryHDU(header=fits.Header({"TELESCOP": "HST"})),
        fits.ImageHDU(image(), header, name="SCI"),
        lookup("D2IMARR", 1, 1, (1, 8)),
        lookup("WCSDVARR", 1, 2),
        lookup("WCSDVARR", 2, 3),
        lookup("WCSDVARR", 3, 4),
    ]


def with_a_table():
    """A cube whose third axis is given by a table, and one plane of it."""
    header = fits.Header(SKY)
    header.update(
        {"WCSAXES": 3, "CTYPE3": "WAVE-TAB", "CUNIT3": "m", "CRPIX3": 1.0, "CRVAL3": 2.0,
         "CD3_3": 1.0, "PS3_0": "WCS-TABLE", "PS3_1": "WAVELENGTH", "PV3_3": 1}
    )  # fmt: skip
    column = fits.Column("WAVELENGTH", "4D", dim="(1,4)", array=[[1e-6, 2e-6, 4e-6, 5e-6]])
    table = fits.BinTableHDU.from_columns([column], name="WCS-TABLE")
    return [fits.PrimaryHDU(image((1, *SHAPE)), header), table]


def coupled():
    """The first axis of the sky also depends on the plane."""
    header = {k: v for k, v in SKY.items() if not k.startswith("CD")} | {
        "WCSAXES": 3, "CTYPE3": "FREQ", "CRVAL3": 1e9, "CDELT1": -1e-3, "CDELT2": 2e-3,
        "CDELT3": 1e6, "PC1_3": 0.5, "PC3_1": 0.25, "PC1_2": 0.1,
    }  # fmt: skip
    return [fits.PrimaryHDU(image((1, *SHAPE)), fits.Header(header))]


FILES = {
    "cd": lambda: plain(SKY),
    "sip": lambda: plain(SKY | SIP),
    "tpv": lambda: plain(SKY | TPV),
    "alternate": lambda: plain(SKY | ALTERNATE),
    "rotated": lambda: plain(
        {k: v for k, v in SKY.items() if not k.startswith("CD")}
        | {"CDELT1": -1e-3, "CDELT2": 2e-3, "CROTA2": 30.0}
    ),
    "lookups": with_lookups,
    "table": with_a_table,
    "coupled": coupled,
}


def run(*words):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = CliRunner().invoke(cli.app, list(map(str, words)))
    assert result.exit_code == 0, result.output
    return result


def coordinates(path, key=" "):
    """The system of the first image, and its unit."""
    with fits.open(path) as units, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        unit = next(each for each in units if each.data is not None)
        return wcs.WCS(unit.header, units, key=key), unit.header


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("decimation", ["mean", "sample"])
@pytest.mark.parametrize("command", ["superres", "degrade"])
def test_every_position_stays_on_the_sky(tmp_path, name, decimation, command):
    path = tmp_path / "a.fits"
    out = tmp_path / ("b.fits.fz" if decimation == "sample" else "b.fits")
    fits.HDUList(FILES[name]()).writeto(path)
    options = ["--factor", 3, "--psf", "gaussian:sigma=1", "--decimation", decimation]
    options += ["--beta", 0.1] if command == "superres" else []
    run(command, path, *options, "--out", out)
    fixed = 1.0 if decimation == "sample" else 0.5
    scale = 3 if command == "superres" else 1 / 3
    for key in " A" if name == "alternate" else " ":
        (before, _), (after, header) = coordinates(path, key), coordinates(out, key)
        assert header["NAXIS1"] == SHAPE[1] * scale
        places = np.ones((30, before.naxis))
        places[:, :2] = np.random.default_rng(1).uniform(1, SHAPE[::-1], (30, 2))
        moved = places.copy()
        moved[:, :2] = (places[:, :2] - fixed) * scale + fixed
        expected, found = before.all_pix2world(places, 1), after.all_pix2world(moved, 1)
        apart = np.zeros_like(expected)
        for axis in (0, 1):
            beside = before.all_pix2world(places + 0.1 * np.eye(before.naxis)[axis], 1)
            apart = np.maximum(apart, 10 * np.abs(beside - expected))
        assert (apart.max(axis=1) > 0).all()
        assert (np.abs(found - expected) <= 1e-6 * apart + 1e-15 * np.abs(expected)).all()


@pytest.mark.parametrize(("decimation", "right"), [("mean", 32.9), ("sum", 32.9), ("sample", 31.9)])
def test_which_pixel_the_reference_moves_to(tmp_path, decimation, right):
    """CRPIX1 11.3, three times: 0.5 + 3 (11.3 - 0.5), but 1 + 3 (11.3 - 1) for samples."""
    path = tmp_path / "a.fits"
    fits.HDUList(FILES["cd"]()).writeto(path)
    options = ["--factor", 3, "--psf", "box:size=1", "--decimation", decimation]
    run("superres", path, *options, "--beta", 0.1, "--out", tmp_path / "b.fits")
    assert fits.getheader(tmp_path / "b.fits")["CRPIX1"] == pytest.approx(right, abs=1e-12)
    run("degrade", tmp_path / "b.fits", *options, "--out", tmp_path / "c.fits")
    assert fits.getheader(tmp_path / "c.fits")["CRPIX1"] == pytest.approx(11.3, abs=1e-12)


def test_a_star_stays_where_it_was_for_samples(tmp_path):
    """One pixel alone: the scene's star of `degrade --decimation sample` is where CRPIX says."""
    scene = np.zeros((30, 30), "f4")
    scene[12, 21] = 1.0
    header = fits.Header(SKY | {"CRPIX1": 22.0, "CRPIX2": 13.0})
    fits.PrimaryHDU(scene, header).writeto(tmp_path / "a.fits")
    options = ["--factor", 3, "--psf", "box:size=1", "--decimation", "sample"]
    run("degrade", tmp_path / "a.fits", *options, "--out", tmp_path / "b.fits")
    frame, header = fits.getdata(tmp_path / "b.fits", header=True)
    row, column = np.unravel_index(frame.argmax(), frame.shape)
    assert (header["CRPIX1"], header["CRPIX2"]) == (column + 1, row + 1) == (8, 5)


class TestMoreOfPixels:
    def test_areas_and_sides(self):
        header = fits.Header(
            {"PIXAR_SR": 9e-13, "PIXAR_A2": 0.09, "PIXSCALE": 0.3, "SECPIX1": 0.6, "XPIXSZ": 9.0}
        )
        new = resized(header, 3)
        assert_allclose([new[key] for key in header], [1e-13, 0.01, 0.1, 0.2, 3.0], rtol=1e-15)
        old = resized(new, Fraction(1, 3))
        assert_allclose([old[key] for key in header], list(header.values()), rtol=1e-14)

    @pytest.mark.parametrize("sampled", [False, True])
    def test_coordinates_of_the_detector(self, sampled):
        """Of IRAF: p = LTM q + LTV, for the same q of the detector."""
        header = fits.Header({"LTV1": -50.0, "LTM1_1": 0.5, "LTM2_2": 0.5})
        new = resized(header, 2, sampled=sampled)
        detector, fixed = 140.0, 1.0 if sampled else 0.5
        before = 0.5 * detector - 50
        after = new["LTM1_1"] * detector + new["LTV1"]
        assert after == (before - fixed) * 2 + fixed
        assert (new["LTM2_2"], "LTV2" in new) == (1.0, False)

    def test_whole_numbers_stay_whole(self):
        new = resized(fits.Header({"IMAGEW": 100, "CNPIX1": 8860, "CRPIX1": 50}), 2)
        assert [repr(new[key]) for key in ("IMAGEW", "CNPIX1", "CRPIX1")] == [
            "200",
            "17720",
            "99.5",
        ]

    def test_sections(self):
        header = fits.Header({"DATASEC": "[3:10, 1:6]", "TRIMSEC": "all", "CCDSEC": "[1:5,1:5]"})
        new = resized(header, 3)
        assert (new["DATASEC"], new["TRIMSEC"]) == ("[7:30,1:18]", "all")
        assert new["CCDSEC"] == "[1:5,1:5]"
        # Whole pixels alone.
        assert resized(header, Fraction(1, 2))["DATASEC"] == "[2:5,1:3]"

    def test_what_is_no_number_stays(self):
        header = fits.Header({"CRPIX1": "three", "CDELT1": True, "PIXSCALE": "0.3 arcsec"})
        new = resized(header, 2)
        assert (new["CRPIX1"], new["CDELT1"], new["PIXSCALE"]) == ("three", True, "0.3 arcsec")


class TestLost:
    """Distortions that cannot be kept are named, and not left there to be wrong."""

    def write(self, path, **cards):
        units = with_lookups()
        for key, value in cards.items():
            units[1].header[key] = value
        fits.HDUList(units).writeto(path)

    def test_a_missing_table(self, tmp_path):
        units = with_lookups()
        fits.HDUList([*units[:3], *units[4:]]).writeto(tmp_path / "a.fits")
        words = ["--factor", 2, "--psf", "box:size=1", "--beta", 0.1, "--out", tmp_path / "b.fits"]
        result = run("superres", tmp_path / "a.fits", *words)
        assert "will not keep of the original: distortions CPDIS1" in result.output
        after, header = coordinates(tmp_path / "b.fits")
        assert "CPDIS1" not in header
        assert (after.cpdis1, after.cpdis2 is None) == (None, False)

    @pytest.mark.parametrize("kind", ["CPDIS1", "CQDIS2", "D2IMDIS2"])
    def test_another_kind(self, tmp_path, kind):
        self.write(tmp_path / "a.fits", **{kind: "Polynomial"})
        words = ["--factor", 2, "--psf", "box:size=1", "--beta", 0.1, "--out", tmp_path / "b.fits"]
        result = run("superres", tmp_path / "a.fits", *words)
        assert f"distortions {kind}" in result.output
        assert kind not in coordinates(tmp_path / "b.fits")[1]

    def test_tables_of_other_images_stay_behind(self, tmp_path):
        self.write(tmp_path / "a.fits")
        words = ["--factor", 2, "--psf", "box:size=1", "--beta", 0.1, "--out", tmp_path / "b.fits"]
        assert "FITS extensions WCSDVARR" in run("superres", tmp_path / "a.fits", *words).output
        with fits.open(tmp_path / "b.fits") as units:
            names = [(unit.name, unit.ver) for unit in units[2:]]
        assert sorted(names) == [("D2IMARR", 1), ("WCSDVARR", 1), ("WCSDVARR", 2)]


class TestParts:
    """Which image of a file, for everything that is read."""

    def file(self, path):
        rng = np.random.default_rng(2)
        bad = np.zeros(SHAPE, "i4")
        bad[5, 7] = 4
        science = image()
        science[5, 7] = 1e6
        units = [
            fits.ImageHDU(rng.random((9, 9)), name="ERR"),
            fits.ImageHDU(science, name="SCI"),
            fits.ImageHDU(bad, name="DQ"),
            fits.ImageHDU(psf.gaussian(7, 1.0), name="PSF"),
        ]
        fits.HDUList([fits.PrimaryHDU(), *units]).writeto(path)

    def test_frame_psf_and_mask(self, tmp_path):
        path = tmp_path / "a.fits"
        self.file(path)
        np.save(tmp_path / "frame.npy", fits.getdata(path, "SCI").astype("f4"))
        np.save(tmp_path / "psf.npy", psf.gaussian(7, 1.0))
        mask = fits.getdata(path, "DQ")
        np.save(tmp_path / "mask.npy", mask.astype("u1"))
        files = {
            "a": [path, "--hdu", "SCI", "--psf", f"{path}[PSF]", "--mask", f"{path}[DQ]"],
            "b": [f"{path}[2]", "--psf", f"{path}[4]", "--mask", f"{path}[dq,1]"],
            "c": [tmp_path / "frame.npy", "--psf", tmp_path / "psf.npy", "--mask",
                  tmp_path / "mask.npy"],
        }  # fmt: skip
        found = []
        for name, words in files.items():
            out = tmp_path / f"{name}.npy"
            run("superres", *words, "--factor", 2, "--beta", 0.01, "--bits", 32, "--out", out)
            found.append(np.load(out))
        assert_array_equal(found[0], found[1])
        assert_allclose(found[0], found[2], rtol=1e-5, atol=1e-6)
        assert np.abs(found[0]).max() < 3

    def test_weights(self, tmp_path):
        path = tmp_path / "a.fits"
        good = np.random.default_rng(3).uniform(0.1, 1, SHAPE)
        units = [fits.ImageHDU(image(), name="SCI"), fits.ImageHDU(good, name="WHT")]
        fits.HDUList([fits.PrimaryHDU(), *units]).writeto(path)
        np.save(tmp_path / "weights.npy", good)
        found = []
        for weights in (f"{path}[WHT]", tmp_path / "weights.npy"):
            out = tmp_path / f"{len(found)}.fits"
            words = ["--factor", 2, "--psf", "box:size=3", "--beta", 0.01, "--weights", weights]
            run("superres", path, *words, "--out", out)
            found.append(fits.getdata(out))
        assert_array_equal(*found)

    def test_the_image_to_degrade(self, tmp_path):
        self.file(tmp_path / "a.fits")
        words = ["--factor", 1, "--psf", "box:size=1", "--out", tmp_path / "b.fits"]
        run("degrade", tmp_path / "a.fits", "--hdu", "PSF", *words)
        assert_allclose(fits.getdata(tmp_path / "b.fits"), psf.gaussian(7, 1.0), rtol=1e-6)

    def test_names_in_brackets_that_are_files(self, tmp_path):
        fits.PrimaryHDU(image()).writeto(tmp_path / "a[1].fits")
        fits.PrimaryHDU(2 * image()).writeto(tmp_path / "a.fits")
        fits.PrimaryHDU(3 * image()).writeto(tmp_path / "b.fits")
        (tmp_path / "b.fits").rename(tmp_path / "a.fits[0]")
        words = ["--factor", 1, "--psf", "box:size=1", "--overwrite", "--out", tmp_path / "o.fits"]
        run("degrade", tmp_path / "a[1].fits", *words)
        assert_array_equal(fits.getdata(tmp_path / "o.fits"), image())


@pytest.mark.parametrize(
    ("unit", "decimation", "said"),
    [
        ("electron", "mean", "sum keeps fluxes"),
        ("DN/s", "sample", "sum keeps fluxes"),
        ("Jy/pixel", "mean", "sum keeps fluxes"),
        ("ELECTRONS/S", "sum", None),
        ("MJy/sr", "mean", None),
        ("MJy/sr", "sum", "mean does"),
        ("Jy/beam", "sum", "mean does"),
        ("erg/s/cm2/arcsec2", "mean", None),
        ("K", "sum", None),
        ("", "mean", None),
    ],
)
def test_a_unit_that_the_decimation_contradicts(tmp_path, unit, decimation, said):
    fits.HDUList(plain({"BUNIT": unit})).writeto(tmp_path / "a.fits")
    words = ["--factor", 2, "--psf", "box:size=1", "--decimation", decimation]
    result = run("degrade", tmp_path / "a.fits", *words, "--out", tmp_path / "b.fits")
    assert ("BUNIT" in result.output) == (said is not None)
    assert said is None or said in result.output
    assert fits.getheader(tmp_path / "b.fits")["BUNIT"] == unit
