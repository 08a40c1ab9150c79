"""Mosaics of colours: planes that are right by the matrix, and demosaicking that is worth it."""

import sys
from types import SimpleNamespace

import numpy as np
import oracle
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage
from skimage import data

from dhop import psf, raw, super_resolve
from dhop.registration import estimate_shifts

PATTERNS = ["RGGB", "BGGR", "GRBG", "GBRG"]
BLUR = psf.gaussian(5, 0.7)


def scene():
    """A photograph in three colours."""
    return data.astronaut()[60:188, 160:288] / 255


def mosaic_of(colours, pattern):
    found = np.empty(colours.shape[:2])
    for place, letter in zip(raw.PLACES, pattern, strict=True):
        here = (slice(place[0], None, 2), slice(place[1], None, 2))
        found[here] = colours[(*here, "RGB".index(letter))]
    return found


def solved(each, factor=2, blur=BLUR, **options):
    return super_resolve(
        each.frames, blur, factor, shifts=each.shifts, decimation="sample", **options
    ).image


@pytest.mark.parametrize("pattern", PATTERNS)
def test_planes_are_the_model_of_the_mosaic(pattern):
    """The solution of each colour is that of the matrix whose rows are the mosaic's pixels."""
    shape, beta = (8, 10), 1e-2
    mosaic = np.random.default_rng(0).random(shape)
    blur = oracle.matrix(shape, BLUR, 1, boundary="wrap")
    laplacian = oracle.matrix(shape, [[0, 1, 0], [1, -4, 1], [0, 1, 0]], 1, boundary="wrap")
    colours = raw.planes(mosaic, pattern)
    assert "".join(sorted(colours)) == "BGR"
    letters = np.tile(np.array(list(pattern)).reshape(2, 2), (4, 5))
    for colour, each in colours.items():
        rows = (letters == colour).ravel()
        A, y = blur[rows], mosaic.ravel()[rows]
        found = solved(each, beta=beta, boundary="wrap", rtol=1e-10, maxiter=5000)
        normal = A.T @ A + beta * laplacian.T @ laplacian
        assert_allclose(found.ravel(), np.linalg.solve(normal, A.T @ y), rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("pattern", PATTERNS[::2])
def test_better_than_bilinear(pattern):
    rng = np.random.default_rng(1)
    true = scene()
    blurred = np.stack([ndimage.convolve(each, BLUR, mode="reflect") for each in true.T], -1)
    blurred = blurred.swapaxes(0, 1)
    mosaic = mosaic_of(blurred, pattern) + rng.normal(0, 0.005, true.shape[:2])
    letters = np.tile(np.array(list(pattern)).reshape(2, 2), (64, 64))
    kernel = np.outer([1, 2, 1], [1, 2, 1]) / 4.0
    for k, colour in enumerate("RGB"):
        seen = (letters == colour).astype(float)
        total = ndimage.convolve(mosaic * seen, kernel, mode="mirror")
        bilinear = total / ndimage.convolve(seen, kernel, mode="mirror")
        found = solved(raw.planes(mosaic, pattern)[colour], noise=0.005)
        errors = [np.sqrt(np.mean((each - true[..., k]) ** 2)) for each in (found, bilinear)]
        assert errors[0] < 0.85 * errors[1]


@pytest.mark.slow
def test_burst():
    """Frames of known and of found shifts are better than one."""
    rng = np.random.default_rng(2)
    true = scene()
    shifts = np.array([(0, 0), (1, 0), (0, 1), (1, 1)], float)
    burst = []
    for dy, dx in shifts.astype(int):
        moved = np.roll(true, (dy, dx), (0, 1))
        blurred = np.stack([ndimage.convolve(each, BLUR, mode="wrap") for each in moved.T], -1)
        noise = rng.normal(0, 0.005, true.shape[:2])
        burst.append(mosaic_of(blurred.swapaxes(0, 1), "RGGB") + noise)
    burst = np.stack(burst)
    inner = slice(4, -4), slice(4, -4)

    def error(colours):
        found = solved(colours["R"], noise=0.005)
        return np.sqrt(np.mean((found - true[..., 0])[inner] ** 2))

    alone, together = error(raw.planes(burst[0])), error(raw.planes(burst, "RGGB", shifts))
    assert together < 0.7 * alone
    found = 2 * estimate_shifts(burst[:, ::2, ::2])
    assert_allclose(found, shifts, atol=0.3)


def test_odd_sizes_and_refusals():
    colours = raw.planes(np.arange(35.0).reshape(5, 7))
    assert_array_equal(colours["R"].frames, [[[0, 2, 4], [14, 16, 18]]])
    assert_array_equal(colours["B"].frames, [[[8, 10, 12], [22, 24, 26]]])
    assert_array_equal(colours["G"].shifts, [(0, -0.5), (-0.5, 0)])
    for wrong in (np.ones(4), np.ones((1, 4)), np.ones((2, 2, 2, 2))):
        with pytest.raises(ValueError, match="mosaics must be of shape"):
            raw.planes(wrong)
    for pattern in ("RGB", 3):
        with pytest.raises(ValueError, match="four letters"):
            raw.planes(np.ones((4, 4)), pattern)
    with pytest.raises(ValueError, match="shifts must be of shape"):
        raw.planes(np.ones((4, 4)), shifts=[1, 2])


class FakeRaw:
    """What rawpy gives for a sensor of black level 100 and white level 1100."""

    color_desc = b"RGBG"
    raw_pattern = np.array([[3, 2], [0, 1]], np.uint8)
    raw_colors_visible = np.tile(raw_pattern, (2, 3))
    raw_image_visible = np.full((4, 6), 600, np.uint16)
    black_level_per_channel = (100, 100, 100, 100)
    white_level = 1100
    camera_whitebalance = (2048.0, 1024.0, 1536.0, 0.0)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None


class TestRead:
    def test_scaled_and_named(self, tmp_path, monkeypatch):
        (tmp_path / "a.nef").touch()
        monkeypatch.setitem(sys.modules, "rawpy", SimpleNamespace(imread=lambda path: FakeRaw()))
        found = raw.read(tmp_path / "a.nef")
        assert found.pattern == "GBRG"
        assert found.balance == {"G": 1.0, "B": 1.5, "R": 2.0}
        assert_array_equal(found.pixels, np.full((4, 6), 0.5))

    def test_other_patterns(self, tmp_path, monkeypatch):
        (tmp_path / "a.raf").touch()
        fake = FakeRaw()
        fake.raw_pattern = np.zeros((6, 6), np.uint8)
        monkeypatch.setitem(sys.modules, "rawpy", SimpleNamespace(imread=lambda path: fake))
        with pytest.raises(ValueError, match="repeat every two pixels"):
            raw.read(tmp_path / "a.raf")

    def test_without_rawpy(self, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "rawpy", None)
        with pytest.raises(ModuleNotFoundError, match=r"reading a\.dng needs rawpy.*dhop\[raw\]"):
            raw.read(tmp_path / "a.dng")

    def test_a_dng(self, tmp_path):
        """By rawpy itself, of a file that tifffile writes."""
        pytest.importorskip("rawpy")
        tifffile = pytest.importorskip("tifffile")
        pixels = np.random.default_rng(3).integers(64, 1000, (32, 48)).astype("u2")
        one = (10000, 10000)
        zero = (0, 10000)
        identity = one + zero * 3 + one + zero * 3 + one
        tags = [
            (33421, "H", 2, (2, 2), True),  # CFARepeatPatternDim
            (33422, "B", 4, (1, 0, 2, 1), True),  # CFAPattern: GRBG
            (50706, "B", 4, (1, 4, 0, 0), True),  # DNGVersion
            (50708, "s", 0, "dhop", True),  # UniqueCameraModel
            (50714, "H", 1, 64, True),  # BlackLevel
            (50717, "H", 1, 1064, True),  # WhiteLevel
            (50721, "2i", 9, identity, True),  # ColorMatrix1
        ]
        path = tmp_path / "a.dng"
        tifffile.imwrite(path, pixels, photometric="CFA", extratags=tags)
        found = raw.read(path)
        assert found.pattern == "GRBG"
        assert_allclose(found.pixels, (pixels - 64.0) / 1000, atol=1e-12)
        with pytest.raises(FileNotFoundError):
            raw.read(tmp_path / "nothing.dng")
        (tmp_path / "b.dng").write_bytes(b"nothing of a photograph")
        with pytest.raises(OSError, match=r"b\.dng"):
            raw.read(tmp_path / "b.dng")
