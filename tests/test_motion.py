"""Motions, and those of other packages, each as that package itself applies it."""

import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.ndimage import gaussian_filter, map_coordinates
from skimage import transform

from dhop import motion

SHAPE = 40, 52
TURN = [[0.96, 0.11, 2.5], [-0.09, 1.02, -1.25], [0, 0, 1]]
TILT = [[0.96, 0.11, 2.5], [-0.09, 1.02, -1.25], [1e-3, -7e-4, 1]]


def places():
    return np.indices(SHAPE, float)


def reference():
    return gaussian_filter(np.random.default_rng(0).random((50, 60)), 2)


def same_as_warped(found, warped, tolerance):
    """Whether that is the reference at the positions of a motion, between pixels linearly."""
    where = motion.positions(found, SHAPE)
    size = np.reshape([50, 60], (2, 1, 1))
    inside = ((where > 1e-3) & (where < size - 1.001)).all(axis=0)
    assert inside.mean() > 0.7
    values = map_coordinates(reference(), where, order=1)
    assert_allclose(values[inside], warped[inside], atol=tolerance)


@pytest.mark.parametrize("matrix", [np.eye(3), TURN, TILT, 2 * np.array(TILT)])
def test_a_matrix_pixel_by_pixel(matrix):
    found = motion.positions(matrix, SHAPE)
    for i, j in ((0, 0), (39, 0), (7, 51), (39, 51)):
        row, column, scale = np.dot(matrix, (i, j, 1))
        assert_allclose(found[:, i, j], (row / scale, column / scale), rtol=1e-13)


def test_a_map_and_a_function():
    rows, columns = places()
    given = np.stack([rows + 0.1 * columns, np.where(rows > 3, columns, 7)])
    assert_array_equal(motion.positions(given, SHAPE), given)
    assert_array_equal(
        motion.positions(lambda r, c: (r + 0.1 * c, c - r), SHAPE)[1], columns - rows
    )


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((2, 3, 3)), np.zeros((2, *SHAPE), complex), lambda r, c: (r, r * np.nan)],
)
def test_what_is_no_motion(wrong):
    with pytest.raises(ValueError, match=r"motion .* positions of shape .*\(2, 40, 52\)"):
        motion.positions(wrong, SHAPE)


def test_refusals():
    with pytest.raises(ValueError, match="invertible"):
        motion.from_opencv(np.diag([1, 0, 1]))
    with pytest.raises(ValueError, match="finite"):
        motion.positions(np.diag([1, np.nan, 1]), SHAPE)
    with pytest.raises(ValueError, match="horizon"):
        motion.positions([[1, 0, 0], [0, 1, 0], [-0.05, 0, 1]], SHAPE)
    with pytest.raises(ValueError, match="4 x 4 matrix"):
        motion.positions(np.eye(3), (3, 4, 5))
    with pytest.raises(ValueError, match="one to three axes"):
        motion.positions(np.eye(5), (2, 3, 4, 5))
    with pytest.raises(TypeError, match="array of numbers"):
        motion.positions("shift", SHAPE)
    with pytest.raises(ValueError, match=r"\(2, 3\) or \(3, 3\)"):
        motion.from_opencv(np.eye(2))
    with pytest.raises(ValueError, match=r"\(m0, m1, 2\)"):
        motion.from_pixmap(np.zeros((2, 5, 5)))


SKIMAGE = {
    "euclidean": transform.EuclideanTransform(rotation=0.1, translation=(3, -1.5)),
    "similarity": transform.SimilarityTransform(scale=0.95, rotation=-0.1, translation=(3, 1.5)),
    "affine": transform.AffineTransform(scale=(0.9, 1.05), shear=0.1, translation=(2, 4)),
    "projective": transform.ProjectiveTransform([[1, 0.1, 1], [-0.1, 0.9, 5], [1e-3, 5e-4, 1]]),
    "piecewise": transform.PiecewiseAffineTransform.from_estimate(
        [(-20, -20), (90, -20), (-20, 90), (90, 90)], [(-15, -20), (90, -16), (-20, 88), (95, 90)]
    ),
    "polynomial": transform.PolynomialTransform([[1, 0.9, 0.1, 1e-3, 0, 0], [2, 0, 1, 0, 0, 1e-3]]),
}


@pytest.mark.parametrize("name", SKIMAGE)
def test_scikit_image(name):
    """`warp` takes of each pixel of its result where that lies in its argument."""
    given = SKIMAGE[name]
    expected = transform.warp(reference(), given, order=1, output_shape=SHAPE)
    found = motion.from_skimage(given)
    assert callable(found) == (name in ("piecewise", "polynomial"))
    same_as_warped(found, expected, 1e-6)
    rows, columns = places()
    points = given(np.stack([columns, rows], axis=-1).reshape(-1, 2)).T[::-1].reshape(2, *SHAPE)
    assert_allclose(motion.positions(found, SHAPE), points, atol=1e-11)


def test_points_of_the_frame_are_the_source():
    """As one estimates with scikit-image, from points (x, y)."""
    rows, columns = places()
    there = motion.positions(TURN, SHAPE)
    source, target = (np.stack([c, r], axis=-1).reshape(-1, 2) for r, c in ((rows, columns), there))
    found = transform.AffineTransform.from_estimate(source, target)
    assert_allclose(motion.from_skimage(found), TURN, atol=1e-9)


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        np.eye(3),
        transform.FundamentalMatrixTransform(),
        transform.EuclideanTransform(dimensionality=3),
    ],
)
def test_what_takes_no_points_of_a_plane(wrong):
    with pytest.raises(TypeError, match="transform must take points"):
        motion.from_skimage(wrong)


def test_opencv():
    cv2 = pytest.importorskip("cv2")
    image = reference().astype("f4")
    back = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    affine = np.array([[0.98, 0.07, 3.25], [-0.1, 1.01, 2.5]])
    expected = cv2.warpAffine(image, affine, SHAPE[::-1], flags=back)
    same_as_warped(motion.from_opencv(affine), expected, 5e-3)  # rounded to 1/32 of a pixel
    tilt = np.vstack([affine, [1e-3, -5e-4, 1]])
    expected = cv2.warpPerspective(image, tilt, SHAPE[::-1], flags=back)
    same_as_warped(motion.from_opencv(tilt), expected, 5e-3)  # rounded to 1/32 of a pixel
    points = np.random.default_rng(1).uniform(0, 50, (20, 1, 2))
    there = cv2.transform(points, affine)
    estimated = motion.from_opencv(cv2.estimateAffine2D(points, there)[0])
    assert_allclose(estimated, motion.from_opencv(affine), atol=1e-6)
    estimated = motion.from_opencv(
        cv2.findHomography(points, cv2.perspectiveTransform(points, tilt))[0]
    )
    assert_allclose(estimated, motion.from_opencv(tilt), atol=1e-6)


def test_the_order_of_drizzle():
    """Pixel (i, j) of the frame lies at x, y = pixmap[i, j] of the mosaic, both from 0."""
    pixmap = np.empty((2, 3, 2))
    for i, j in np.ndindex(2, 3):
        pixmap[i, j] = 10 * j + 1, 20 * i + 2
    pixmap[0, 0] = np.nan
    found = motion.from_pixmap(pixmap)
    assert_array_equal(found[:, 1, 2], (22, 21))
    assert np.isnan(found[:, 0, 0]).all()


def test_drizzle_itself():
    utils = pytest.importorskip("drizzle.utils")
    given, there = wcs.WCS(header(SIP)), wcs.WCS(header(TURNED))
    pixmap = utils.calc_pixmap(given, there, shape=SHAPE)
    assert_allclose(motion.from_pixmap(pixmap), motion.from_wcs(given, there, SHAPE), atol=1e-6)


wcs = pytest.importorskip("astropy.wcs")
fits = pytest.importorskip("astropy.io.fits")

SKY = {
    "NAXIS": 2, "NAXIS1": 52, "NAXIS2": 40, "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN",
    "CRVAL1": 83.6, "CRVAL2": 22.0, "CRPIX1": 11.3, "CRPIX2": 4.5,
    "CD1_1": -1e-3, "CD1_2": 3e-4, "CD2_1": 2.8e-4, "CD2_2": 1.1e-3,
}  # fmt: skip
SIP = SKY | {
    "CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP",
    "A_ORDER": 3, "B_ORDER": 2, "A_2_0": 3e-4, "A_1_1": -2e-4, "A_0_3": 1e-5, "B_0_2": 2e-4,
}  # fmt: skip
TPV = SKY | {
    "CTYPE1": "RA---TPV",
    "CTYPE2": "DEC--TPV",
    "PV1_1": 1.0,
    "PV1_4": 0.3,
    "PV2_1": 1.0,
    "PV2_5": -0.2,
}
TURNED = SKY | {"CRPIX1": 8.0, "CRPIX2": 9.0, "CD1_1": -9e-4, "CD1_2": -2e-4, "CD2_1": -3e-4}
PLACES = {"plain": SKY, "sip": SIP, "tpv": TPV, "turned": TURNED}


def header(cards):
    return fits.Header(cards)


def with_tables():
    """A table of distortions for each axis, in extensions of their own."""
    first = fits.PrimaryHDU(np.zeros(SHAPE), header(SIP))
    hdus = fits.HDUList([first])
    places = {"CRPIX1": 1.0, "CRPIX2": 1.0, "CRVAL1": 1, "CRVAL2": 1, "CDELT1": 9, "CDELT2": 10}
    for axis in (1, 2):
        first.header[f"CPDIS{axis}"] = "LOOKUP"
        for field in (f"EXTVER: {axis}", "NAXES: 2", "AXIS.1: 1", "AXIS.2: 2"):
            first.header.append(fits.Card.fromstring(f"DP{axis}     = '{field}'"))
        values = np.random.default_rng(axis).uniform(-2, 2, (5, 7)).astype("f4")
        hdus.append(fits.ImageHDU(values, header(places), name="WCSDVARR", ver=axis))
    return wcs.WCS(first.header, hdus)


@pytest.mark.parametrize("target", PLACES)
@pytest.mark.parametrize("source", PLACES)
def test_sky(source, target):
    """There by astropy, and back again."""
    found = motion.from_wcs(header(PLACES[source]), header(PLACES[target]), SHAPE)
    one, other = (wcs.WCS(header(PLACES[name])) for name in (source, target))
    rows, columns = places()
    world = one.all_pix2world(columns, rows, 0)
    there = other.all_world2pix(*world, 0, tolerance=1e-7)
    assert_allclose(found, there[::-1], atol=1e-6)
    assert_allclose(other.all_pix2world(*found[::-1], 0), world, atol=1e-9)  # a micro-pixel
    assert_array_equal(motion.from_wcs(one, other, SHAPE), found)


def test_tables_of_distortions():
    given, other = with_tables(), wcs.WCS(header(TURNED))
    rows, columns = places()
    there = other.all_world2pix(*given.all_pix2world(columns, rows, 0), 0)[::-1]
    assert_allclose(motion.from_wcs(given, other, SHAPE), there, atol=1e-6)
    assert np.abs(there - motion.from_wcs(header(SIP), other, SHAPE)).max() > 1


def test_other_systems_of_coordinates():
    """FK4 and galactic ones, as `pixel_to_pixel` has them."""
    utils = pytest.importorskip("astropy.wcs.utils")
    center = pytest.importorskip("astropy.coordinates").SkyCoord(83.6, 22.0, unit="deg").galactic
    galactic = wcs.WCS(header(SKY | {
        "CTYPE1": "GLON-TAN", "CTYPE2": "GLAT-TAN", "CRVAL1": center.l.deg, "CRVAL2": center.b.deg,
    }))  # fmt: skip
    old = wcs.WCS(header(SKY | {"RADESYS": "FK4", "EQUINOX": 1950.0}))
    rows, columns = places()
    for one, other in ((old, galactic), (galactic, old)):
        there = utils.pixel_to_pixel(one, other, columns, rows)[::-1]
        assert_allclose(motion.from_wcs(one, other, SHAPE), there, atol=1e-6)


def test_declination_first_and_more_axes():
    plain, other = wcs.WCS(header(SKY)), wcs.WCS(header(TURNED))
    expected = motion.from_wcs(plain, other, SHAPE)
    swapped = wcs.WCS(header(TURNED | {
        "CTYPE1": "DEC--TAN", "CTYPE2": "RA---TAN", "CRVAL1": 22.0, "CRVAL2": 83.6,
        "CD1_1": TURNED["CD2_1"], "CD1_2": TURNED["CD2_2"],
        "CD2_1": TURNED["CD1_1"], "CD2_2": TURNED["CD1_2"],
    }))  # fmt: skip
    assert_allclose(motion.from_wcs(plain, swapped, SHAPE), expected, atol=1e-9)
    cube = header(SKY | {
        "NAXIS": 3, "CTYPE3": "FREQ", "CRVAL3": 1e9, "CRPIX3": 1.0, "CD3_3": 1e6})  # fmt: skip
    assert_allclose(motion.from_wcs(cube, other, SHAPE), expected, atol=1e-9)


@pytest.mark.filterwarnings("ignore:All-NaN slice:RuntimeWarning")  # of astropy
def test_sky_that_does_not_fit():
    with pytest.raises(ValueError, match="the reference has no coordinates of the sky"):
        motion.from_wcs(header(SKY), header({"CTYPE1": "LINEAR", "CTYPE2": "LINEAR"}), SHAPE)
    behind = header(SKY | {"CRVAL1": 263.6, "CRVAL2": -22.0})
    assert np.isnan(motion.from_wcs(behind, header(SKY), SHAPE)).all()
    with pytest.raises(ValueError, match="distortions of the reference cannot be inverted"):
        motion.from_wcs(behind, header(SIP), SHAPE)


def test_without_astropy(monkeypatch):
    monkeypatch.setitem(sys.modules, "astropy.wcs", None)
    with pytest.raises(ModuleNotFoundError, match=r'from_wcs needs astropy.*"dhop\[fits\]"'):
        motion.from_wcs(None, None, SHAPE)
