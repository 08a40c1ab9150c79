"""PSFs that are there already: scaled, turned, resampled, measured, read from files."""

import sys

import imageio.v3 as imageio
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import erf

from dhop import psf


class TestNormalise:
    def test_sum_is_one(self):
        assert_array_equal(psf.normalise([[1, 2], [3, 2]]), np.array([[1, 2], [3, 2]]) / 8)

    def test_leaves_its_argument_alone(self):
        given = np.array([[1.0, 3.0]])
        psf.normalise(given)
        assert_array_equal(given, [[1, 3]])

    @pytest.mark.parametrize("zero_sum", [np.zeros((3, 3)), [[1, -1]]])
    def test_sum_zero_is_refused(self, zero_sum):
        with pytest.raises(ValueError, match="sum"):
            psf.normalise(zero_sum)


class TestRotate:
    @pytest.mark.parametrize("angle", [-270, -90, 0, 90, 180, 450])
    @pytest.mark.parametrize("shape", [(3, 5), (4, 3), (1, 1)])
    def test_quarter_turns_only_move_pixels(self, angle, shape):
        given = np.random.default_rng(0).random(shape)
        assert_array_equal(psf.rotate(given, angle), np.rot90(given, angle // 90))

    @pytest.mark.parametrize("angle", [20, 45, -70, 133.0])
    def test_a_smooth_psf_is_what_its_formula_turns_to(self, angle):
        made = psf.rotate(psf.gaussian(41, (2.0, 4.0)), angle, order=5)
        expected = psf.gaussian(made.shape, (2.0, 4.0), angle=angle)
        assert_allclose(made, expected, atol=2e-5)  # pixels do not turn: 1e-3 of the peak
        assert_allclose(made.sum(), 1, rtol=1e-12)

    @pytest.mark.parametrize("shape", [(5, 9), (4, 7), (6, 6), (1, 9)])
    def test_room_and_parity(self, shape):
        """The turned array fits, and its middle stays a pixel or between pixels."""
        given = np.random.default_rng(0).random(shape)
        for angle in (10, 45, 80, 200):
            made = psf.rotate(given, angle, order=1)
            turn = np.deg2rad(angle)
            size = [
                abs(np.cos(turn)) * shape[0] + abs(np.sin(turn)) * shape[1],
                abs(np.sin(turn)) * shape[0] + abs(np.cos(turn)) * shape[1],
            ]
            for old, new, needed in zip(shape, made.shape, size, strict=True):
                assert new % 2 == old % 2
                assert needed - 1e-9 <= new < needed + 2

    def test_point_symmetry_is_kept(self):
        made = psf.rotate(psf.disk(3.3), 37)
        assert_allclose(made, made[::-1, ::-1], atol=1e-15)

    def test_complex(self):
        given = np.random.default_rng(0).random((5, 5, 2)).view(complex)[..., 0]
        made = psf.rotate(given, 30, order=1)
        assert made.dtype == np.complex128
        assert_allclose(made.sum(), given.sum())

    @pytest.mark.parametrize("angle", [np.nan, np.inf])
    def test_senseless_angle(self, angle):
        with pytest.raises(ValueError, match="angle"):
            psf.rotate(np.ones((3, 3)), angle)


class TestResample:
    @pytest.mark.parametrize("oversampling", [1, 2, 3, 4, 5])
    @pytest.mark.parametrize("size", [60, 45])
    def test_of_an_oversampled_psf_is_the_integral(self, oversampling, size):
        """From fine pixels to coarse ones: exact where their borders meet."""
        fine = psf.gaussian(size, 1.2 * oversampling)
        made = psf.resample(fine, 1, oversampling)
        assert all(n % 2 for n in made.shape)
        assert_allclose(made.sum(), 1, rtol=1e-12)
        if (size - oversampling) % 2 == 0:
            assert_allclose(made, psf.gaussian(made.shape, 1.2), atol=1e-12)
        else:
            assert_allclose(made, psf.gaussian(made.shape, 1.2), atol=0.02)

    def test_of_a_block_is_a_block(self):
        assert_allclose(psf.resample(psf.box(9), 2, 6), psf.box(3), rtol=1e-14)
        assert_allclose(psf.resample(psf.box(3), 6, 2), psf.box(9), rtol=1e-14)

    @pytest.mark.parametrize(("old", "new"), [(10, 27), (3, 10), (20, 7), (8, 8), (4, 1)])
    @pytest.mark.parametrize("center", [(3, 2), (0, 4), (3.5, 1.5), None])
    def test_collects_what_falls_on_a_pixel(self, old, new, center):
        """Counted in units that divide both pixels, doubled so that halves of them are whole."""
        given = np.random.default_rng(0).random((8, 5))
        made = psf.resample(given, old / 10, new / 10, center=center)
        middle = (3.5, 2) if center is None else center
        fine = np.kron(given, np.full((2 * old, 2 * old), 1 / (2 * old) ** 2))
        for axis in (0, 1):
            half = made.shape[axis] // 2
            begin = round((middle[axis] + 0.5) * 2 * old) - (2 * half + 1) * new
            bins = (np.arange(fine.shape[axis]) - begin) // (2 * new)
            assert bins.min() >= 0
            assert bins.max() < made.shape[axis]
            rows = np.moveaxis(fine, axis, 0)
            summed = np.zeros((made.shape[axis], *rows.shape[1:]))
            np.add.at(summed, bins, rows)
            fine = np.moveaxis(summed, 0, axis)
        assert_allclose(made, fine, rtol=1e-12, atol=1e-14)

    def test_same_pixels_are_the_same_psf(self):
        given = np.random.default_rng(0).random((5, 7))
        assert_allclose(psf.resample(given, 0.1, 0.1), given, rtol=1e-13)

    @pytest.mark.parametrize("pixel", [0, -1, np.nan, (1, 2, 3)])
    def test_senseless_pixels(self, pixel):
        with pytest.raises(ValueError, match="pixel"):
            psf.resample(np.ones((3, 3)), pixel, 1)
        with pytest.raises(ValueError, match="new_pixel"):
            psf.resample(np.ones((3, 3)), 1, pixel)


class TestEncircledEnergy:
    def test_of_a_gaussian(self):
        """``1 - exp(-r**2 / (2 sigma**2))``."""
        sigma = 20.0
        radii = np.array([[0, 10, 20], [30, 50, 70]])
        found = psf.encircled_energy(psf.gaussian(301, sigma), radii)
        assert found.shape == radii.shape
        assert_allclose(found, -np.expm1(-((radii / sigma) ** 2) / 2), atol=3e-4)

    def test_counts_the_area_of_pixels(self):
        assert_allclose(
            psf.encircled_energy(psf.box(1), [0.25, 0.5]), np.pi * np.array([1, 4]) / 16
        )
        assert_allclose(psf.encircled_energy(psf.box(3), 1.5 * np.sqrt(2)), 1)
        assert_allclose(psf.encircled_energy(psf.box(3), 100), 1)

    @pytest.mark.parametrize("shape", [(1, 5), (3, 3), (4, 6)])
    def test_all_radii(self, shape):
        """From nothing to all, without a step back or a warning."""
        radii = np.linspace(0, np.hypot(*shape) / 2, 500)
        found = psf.encircled_energy(psf.box(shape), radii)
        assert_allclose(found[[0, -1]], [0, 1])
        assert (np.diff(found) > -1e-15).all()

    def test_center(self):
        one = np.zeros((4, 6))
        one[3, 1] = 2
        assert_allclose(psf.encircled_energy(one, 0.5, center=(3, 1)), np.pi / 4)
        assert psf.encircled_energy(one, 0.5) == 0

    def test_negative_radius(self):
        with pytest.raises(ValueError, match="negative"):
            psf.encircled_energy(psf.box(3), [1, -1])


class TestEstimateSupport:
    @pytest.mark.parametrize("energy", [0.5, 0.9, 0.99, 0.9999])
    def test_of_a_gaussian(self, energy):
        """The error function says how wide either axis must be."""
        rows, columns = psf.estimate_support(psf.gaussian(301, (20.0, 3.0)), energy)
        for found, sigma in [(rows, 20.0), (columns, 3.0)]:
            kept = (1 + energy) / 2
            assert erf(found / 2 / sigma / np.sqrt(2)) >= kept - 1e-12
            assert erf((found / 2 - 1) / sigma / np.sqrt(2)) < kept

    @pytest.mark.parametrize("shape", [(9, 9), (8, 5), (1, 30)])
    def test_window_keeps_the_energy(self, shape):
        given = np.random.default_rng(1).exponential(size=shape)
        for energy in (0.3, 0.8, 0.95, 1.0):
            rows, columns = psf.estimate_support(given, energy)
            middle = [(n - 1) // 2 for n in shape]
            part = given[
                max(middle[0] - rows // 2, 0) : middle[0] + rows // 2 + 1,
                max(middle[1] - columns // 2, 0) : middle[1] + columns // 2 + 1,
            ]
            assert part.sum() >= energy * given.sum() * (1 - 1e-12)

    def test_all_of_it(self):
        """Zeros around a PSF are no part of it, though any other value is."""
        given = np.pad([[1e-300, 1.0, 1e-300]], 4)
        assert psf.estimate_support(given, 1.0) == (1, 3)
        assert psf.estimate_support(psf.motion(9)) == (1, 9)

    @pytest.mark.parametrize("energy", [0, -1, 1.01, np.nan])
    def test_senseless_energy(self, energy):
        with pytest.raises(ValueError, match="energy"):
            psf.estimate_support(psf.box(3), energy)

    def test_nothing(self):
        with pytest.raises(ValueError, match="zero everywhere"):
            psf.estimate_support(np.zeros((3, 3)))


class TestFromArray:
    def test_alone_it_normalises(self):
        given = np.random.default_rng(0).random((4, 7)).astype(np.float32)
        assert_allclose(psf.from_array(given), given / given.sum(dtype=float), rtol=1e-12)

    @pytest.mark.parametrize("place", [(0, 0), (3, 4), (5, 8), (2, 1)])
    @pytest.mark.parametrize("center", ["peak", "centroid", "index"])
    def test_a_point_comes_to_the_middle(self, place, center):
        given = np.zeros((6, 9))
        given[place] = 3
        made = psf.from_array(given, center=place if center == "index" else center)
        expected = np.zeros(made.shape)
        expected[made.shape[0] // 2, made.shape[1] // 2] = 1
        assert all(n % 2 for n in made.shape)
        assert_array_equal(made, expected)

    def test_nothing_is_lost_by_centring(self):
        given = np.random.default_rng(0).random((5, 8))
        made = psf.from_array(given, center=(1, 6))
        assert made.shape == (7, 13)
        assert_array_equal(made[2:, :8], psf.normalise(given))
        assert np.count_nonzero(made) == given.size

    def test_a_star_on_the_sky(self):
        """Background, noise, an off-centre star: what comes out is the star's profile."""
        rng = np.random.default_rng(0)
        frame = np.full((80, 70), 100.0)
        frame[20:51, 5:36] += 1e6 * psf.gaussian(31, 2.0)
        frame += rng.standard_normal(frame.shape)
        made = psf.from_array(frame, background="border", center="peak", energy=0.98)
        assert made.shape[0] == made.shape[1] < 20
        assert_allclose(made, psf.gaussian(made.shape, 2.0), atol=1e-4)

    def test_background_is_a_number(self):
        given = np.full((3, 3), 2.0)
        given[1, 1] = 6
        expected = np.zeros((3, 3))
        expected[1, 1] = 1
        assert_array_equal(psf.from_array(given, background=2), expected)
        assert_array_equal(psf.from_array(given, background="border"), expected)

    def test_energy(self):
        made = psf.from_array(psf.gaussian(99, 2.0), energy=0.99)
        assert made.shape == psf.estimate_support(psf.gaussian(99, 2.0), 0.99)
        assert_allclose(made, psf.gaussian(made.shape, 2.0), rtol=1e-12)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"center": "middle"}, "center must be one of 'peak', 'centroid'"),
            ({"center": (3, 0)}, "is not a pixel"),
            ({"background": "sky"}, "background must be one of"),
            ({"background": 1.0}, "sum 0"),
            ({"energy": 2}, "energy must be in"),
        ],
    )
    def test_senseless_values(self, change, words):
        with pytest.raises(ValueError, match=words):
            psf.from_array(np.ones((3, 3)), **change)


class TestCentroid:
    @pytest.mark.parametrize("noise", [0.0, 1e-3, 3e-3, 1e-2])
    def test_noise_about_zero_cancels(self, noise):
        """A star far from the middle, on a bright sky: absolute values would draw it there."""
        rows, columns = np.mgrid[:41, :41]
        star = np.exp(-((rows - 12) ** 2 + (columns - 28) ** 2) / 4.5) + 5
        star += noise * np.random.default_rng(1).standard_normal(star.shape)
        made = psf.from_array(star, background="border", center="centroid")
        peak = np.unravel_index(made.argmax(), made.shape)
        assert np.abs(np.subtract(peak, np.array(made.shape) // 2)).max() <= 1

    def test_negative_rings_count(self):
        made = psf.from_array([[0, 5, 0, 0, -1]], center="centroid")  # (5 - 4) / 4, pixel 0
        assert_array_equal(made, np.array([[0, 0, 0, 0, 0, 5, 0, 0, -1]]) / 4)

    def test_a_psf_without_a_sum(self):
        with pytest.raises(ValueError, match="sum is zero"):
            psf.from_array([[1.0, -1.0]], center="centroid")


class TestFiles:
    given = np.arange(20, dtype=np.uint8).reshape(4, 5)

    @pytest.mark.parametrize("name", ["a.npy", "a.png", "a.tif", "a.TIFF", "a.bmp"])
    def test_numbers_are_left_as_they_are(self, tmp_path, name):
        path = tmp_path / name
        if name.endswith("npy"):
            np.save(path, self.given)
        else:
            imageio.imwrite(path, self.given)
        loaded = psf.load(path)
        assert loaded.dtype == np.float64
        assert_array_equal(loaded, self.given)
        assert_array_equal(psf.from_file(str(path)), self.given / 190)

    def test_sixteen_bits_and_floats(self, tmp_path):
        imageio.imwrite(tmp_path / "a.png", self.given.astype(np.uint16) * 1000)
        assert_array_equal(psf.load(tmp_path / "a.png"), self.given * 1000.0)
        imageio.imwrite(tmp_path / "a.tif", self.given.astype(np.float32) / 7)
        assert_array_equal(psf.load(tmp_path / "a.tif"), self.given.astype(np.float32) / 7)

    def test_colours_and_transparency(self, tmp_path):
        colours = np.stack([self.given, self.given + 3, self.given + 6], axis=-1)
        opaque = np.full((*self.given.shape, 1), 200, np.uint8)
        imageio.imwrite(tmp_path / "a.png", np.concatenate([colours, opaque], axis=-1))
        assert_array_equal(psf.load(tmp_path / "a.png"), self.given + 3.0)

    def test_fits(self, tmp_path):
        fits = pytest.importorskip("astropy.io.fits")
        path = tmp_path / "a.fits.gz"
        second = fits.ImageHDU(self.given.astype(">f4") / 3, name="FINE")
        table = fits.BinTableHDU.from_columns([fits.Column("a", "J", array=[1, 2])], name="LIST")
        fits.HDUList([fits.PrimaryHDU(), table, second, fits.ImageHDU(self.given[None])]).writeto(
            path
        )
        assert_array_equal(psf.load(path), (self.given / np.float32(3)).astype(np.float32))
        assert_array_equal(psf.load(path, hdu=3), self.given)
        assert_array_equal(psf.load(path, hdu="fine"), psf.load(path))
        with pytest.raises(ValueError, match=r"no image in part 'coarse'; .* 2 'FINE', 3 ''"):
            psf.load(path, hdu="coarse")
        with pytest.raises(ValueError, match="holds no image in part 1"):
            psf.load(path, hdu=1)
        fits.PrimaryHDU().writeto(tmp_path / "empty.fits")
        with pytest.raises(ValueError, match="holds no image"):
            psf.load(tmp_path / "empty.fits")

    def test_prepared_as_an_array_is(self, tmp_path):
        frame = np.full((30, 30), 7.0)
        frame[2:23, 6:27] += psf.gaussian(21, 1.5)
        np.save(tmp_path / "star.npy", frame)
        options = {"background": 7.0, "center": "peak", "energy": 0.95}
        made = psf.from_file(tmp_path / "star.npy", **options)
        assert_array_equal(made, psf.from_array(frame, **options))

    @pytest.mark.parametrize("name", ["a.npy", "a.png", "a.tif", "a.fits", "a.nothing"])
    @pytest.mark.parametrize(
        "content", [b"", b"no image", b"\x89PNG\r\n\x1a\n\0\0", b"SIMPLE  = T"]
    )
    @pytest.mark.filterwarnings("ignore")  # astropy's and Pillow's own words
    def test_broken_files(self, tmp_path, name, content):
        if name == "a.fits":
            pytest.importorskip("astropy")
        (tmp_path / name).write_bytes(content)
        with pytest.raises(OSError, match=r"cannot read .*a\..*broken or of another format: ."):
            psf.load(tmp_path / name)

    def test_not_one_image(self, tmp_path):
        np.save(tmp_path / "cube.npy", np.zeros((2, 4, 5, 6)))
        with pytest.raises(ValueError, match=r"shape \(2, 4, 5, 6\), not one image"):
            psf.load(tmp_path / "cube.npy")
        np.save(tmp_path / "words.npy", np.array([["a"]]))
        with pytest.raises(ValueError, match="not one image"):
            psf.load(tmp_path / "words.npy")

    def test_no_pickles(self, tmp_path):
        np.save(tmp_path / "a.npy", np.array([[{}]]), allow_pickle=True)
        with pytest.raises(OSError, match="cannot read"):
            psf.load(tmp_path / "a.npy")

    def test_missing(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="there is no file"):
            psf.load(tmp_path / "none.fits")

    def test_hdu_of_what_has_none(self, tmp_path):
        np.save(tmp_path / "a.npy", self.given)
        with pytest.raises(ValueError, match="hdu is for FITS"):
            psf.load(tmp_path / "a.npy", hdu=1)

    @pytest.mark.parametrize(
        ("name", "module", "extra"), [("a.fits", "astropy", "fits"), ("a.png", "PIL", "cli")]
    )
    def test_missing_packages_are_named(self, tmp_path, monkeypatch, name, module, extra):
        (tmp_path / name).write_bytes(b"")
        for loaded in [each for each in sys.modules if each.split(".")[0] == module]:
            monkeypatch.delitem(sys.modules, loaded)
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(ImportError, match=rf'pip install "dhop\[{extra}\]"'):
            psf.load(tmp_path / name)
