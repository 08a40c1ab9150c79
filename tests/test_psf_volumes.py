"""PSFs of one and of three axes that are there already: turned, resampled, measured, cut."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dhop import psf

SHAPES = [(9,), (6,), (4, 7, 6), (5, 1, 8), (1, 9, 9)]


def dense(shape, seed=0):
    return np.random.default_rng(seed).random(shape) + 0.1


class TestRotate:
    def test_a_volume_turns_about_its_first_axis(self):
        volume = psf.gaussian((5, 31, 31), (1.0, 2.0, 3.0))
        made = psf.rotate(volume, 30, order=5)
        plane = psf.gaussian(made.shape[1:], (2.0, 3.0), angle=30)
        expected = np.multiply.outer(psf.gaussian((5,), 1.0), plane)
        assert_allclose(made, expected, atol=1e-4 * expected.max())

    @pytest.mark.parametrize("angle", [0, 90, 180, -90])
    def test_quarter_turns_only_move(self, angle):
        volume = dense((3, 4, 5))
        expected = np.stack([np.rot90(plane, angle // 90) for plane in volume])
        assert_array_equal(psf.rotate(volume, angle), expected)

    def test_planes_keep_their_light(self):
        volume = np.pad(dense((3, 5, 5)), ((0, 0), (4, 4), (4, 4)))
        made = psf.rotate(volume, 20, order=1)
        assert_allclose(made.sum(), volume.sum())
        assert_allclose(made.sum(axis=(1, 2)), volume.sum(axis=(1, 2)), rtol=0.02)

    def test_a_line_cannot_turn(self):
        with pytest.raises(ValueError, match="one axis cannot be turned"):
            psf.rotate([1.0, 2.0], 10)


def collected(line, ratio, middle):
    """What new pixels, `ratio` times as large, collect of the old ones, pixel by pixel."""
    half = int(np.ceil(max(middle + 0.5, line.size - 0.5 - middle) / ratio - 0.5 - 1e-9))
    found = np.zeros(2 * half + 1)
    for new in range(found.size):
        low, high = (middle + (new - half + side) * ratio for side in (-0.5, 0.5))
        for old, value in enumerate(line):
            found[new] += value * max(0, min(high, old + 0.5) - max(low, old - 0.5))
    return found


class TestResample:
    @pytest.mark.parametrize("shape", SHAPES)
    @pytest.mark.parametrize("centred", [True, False])
    def test_each_axis_collects_on_its_own(self, shape, centred):
        volume, count = dense(shape), len(shape)
        old, new = [0.3, 0.1, 0.07][:count], [0.5, 0.25, 0.05][:count]
        middle = [(size - 1) / 2 for size in shape] if centred else [0.4, 0.0, 2.0][:count]
        expected = volume
        for axis in range(count):
            args = new[axis] / old[axis], middle[axis]
            expected = np.apply_along_axis(collected, axis, expected, *args)
        made = psf.resample(volume, old, new, center=None if centred else middle)
        assert_allclose(made, expected, rtol=1e-12, atol=1e-15)
        assert_allclose(made.sum(), volume.sum(), rtol=1e-12)

    def test_anisotropic_voxels_of_a_gaussian(self):
        fine = psf.gaussian((33, 45, 45), (4.0, 5.0, 5.0))
        made = psf.resample(fine, (0.1, 0.02, 0.02), (0.3, 0.1, 0.1))
        assert_allclose(made, psf.gaussian(made.shape, (4 / 3, 1.0, 1.0)), atol=1e-4)

    @pytest.mark.parametrize("pixel", [(1, 2), (1, 2, 3, 4), 0.0])
    def test_senseless_sizes(self, pixel):
        with pytest.raises(ValueError, match="pixel must be"):
            psf.resample(np.ones((3, 3, 3)), pixel, 1)


class TestSupport:
    @pytest.mark.parametrize("energy", [0.5, 0.9, 0.99, 1.0])
    @pytest.mark.parametrize("shape", SHAPES)
    def test_the_window_keeps_what_it_says(self, shape, energy):
        blur = psf.gaussian(shape, [2.0, 1.0, 3.0][: len(shape)])
        sizes = psf.estimate_support(blur, energy)
        assert len(sizes) == len(shape)
        assert all(size % 2 for size in sizes)
        kept = psf.from_array(blur, energy=energy)
        assert kept.shape == sizes
        origin = [(size - 1) // 2 for size in shape]
        inside = np.ones(shape, bool)
        for axis, (o, size) in enumerate(zip(origin, sizes, strict=True)):
            near = np.abs(np.arange(shape[axis]) - o) <= size // 2
            inside &= near.reshape([-1 if k == axis else 1 for k in range(len(shape))])
        assert blur[inside].sum() >= energy - 1e-12

    def test_no_axis_is_longer_than_it_needs_to_be(self):
        blur = psf.gaussian((61, 61, 61), (6.0, 1.0, 3.0))
        sizes = psf.estimate_support(blur, 0.97)
        for axis, size in enumerate(sizes):
            line = blur.sum(axis=tuple({0, 1, 2} - {axis}))
            for width, enough in ((size, True), (size - 2, False)):
                part = line[30 - width // 2 : 31 + width // 2].sum()
                assert (part >= 0.99) == enough

    def test_long_axes_get_long_windows(self):
        sizes = psf.estimate_support(psf.gaussian((99,) * 3, (9.0, 3.0, 1.0)))
        assert all(longer > shorter for longer, shorter in pairwise(sizes))


class TestFromArray:
    @pytest.mark.parametrize("shape", SHAPES)
    @pytest.mark.parametrize("center", ["peak", "centroid", "index"])
    def test_the_point_comes_to_the_middle(self, shape, center):
        blur = np.full(shape, 1e-3)
        place = tuple(size // 3 for size in shape)
        if center == "centroid":
            blur[...] = 0
        blur[place] = 1.0
        made = psf.from_array(blur, center=place if center == "index" else center)
        middle = tuple((size - 1) // 2 for size in made.shape)
        assert all(size % 2 for size in made.shape)
        assert made.argmax() == np.ravel_multi_index(middle, made.shape)
        assert_allclose(made.sum(), 1)

    def test_the_border_is_on_all_sides(self):
        bead = np.full((20, 6, 7), 3.0)
        bead[1:-1, 1:-1, 1:-1] += dense((18, 4, 5))
        bead[[0, -1]] = 9.0  # fewer pixels than those of the other four sides
        made = psf.from_array(bead, background="border")
        assert_allclose(made, psf.normalise(bead - 3.0))
        line = psf.from_array([2.0, 3.0, 5.0, 2.0], background="border")
        assert_allclose(line, [0.0, 0.25, 0.75, 0.0])

    @pytest.mark.parametrize("center", [(1, 2), (1, 2, 9), (0, -1, 0)])
    def test_no_pixel_of_the_volume(self, center):
        with pytest.raises(ValueError, match="center"):
            psf.from_array(np.ones((3, 4, 5)), center=center)


class TestFiles:
    @pytest.mark.parametrize("shape", [(7,), (2,), (3, 5, 6), (4, 5, 6), (4, 1, 6), (4, 5, 5)])
    def test_arrays(self, tmp_path, shape):
        given = dense(shape)
        np.save(tmp_path / "blur.npy", given)
        assert_array_equal(psf.load(tmp_path / "blur.npy"), given)
        assert_array_equal(psf.from_file(tmp_path / "blur.npy"), given / given.sum())

    def test_axes_of_length_one_are_left_out(self, tmp_path):
        given = dense((4, 5, 6))
        np.save(tmp_path / "blur.npy", given[None, :, None][:, :, 0])
        assert_array_equal(psf.load(tmp_path / "blur.npy"), given)
        np.save(tmp_path / "blur.npy", given[:1])
        assert_array_equal(psf.load(tmp_path / "blur.npy"), given[0])

    @pytest.mark.parametrize("planes", [2, 3, 5])
    def test_pages(self, tmp_path, planes):
        tifffile = pytest.importorskip("tifffile")
        given = dense((planes, 8, 9)).astype(np.float32)
        tifffile.imwrite(tmp_path / "pages.tif", given, photometric="minisblack")
        tifffile.imwrite(tmp_path / "stack.tif", given, imagej=True, metadata={"axes": "ZYX"})
        for name in ("pages.tif", "stack.tif"):
            assert_array_equal(psf.load(tmp_path / name), given)

    def test_cubes(self, tmp_path):
        fits = pytest.importorskip("astropy.io.fits")
        given = dense((5, 8, 9))
        fits.PrimaryHDU(given).writeto(tmp_path / "cube.fits")
        assert_array_equal(psf.load(tmp_path / "cube.fits"), given)


@pytest.mark.parametrize("given", [np.float64(1.0), np.ones((2, 2, 2, 2)), np.ones((2, 0, 2))])
@pytest.mark.parametrize(
    "use",
    [
        lambda a: psf.rotate(a, 10), lambda a: psf.resample(a, 1, 2), psf.estimate_support,
        psf.from_array,
    ],
)  # fmt: skip
def test_no_psf(use, given):
    with pytest.raises(ValueError, match="psf must"):
        use(given)


@pytest.mark.parametrize(
    ("use", "match"),
    [
        (lambda: psf.airy((3, 5, 5), 2.0), "size must be one integer or two"),
        (lambda: psf.moffat((5,), 2.0, 3.0), "size must be one integer or two"),
        (lambda: psf.encircled_energy(np.ones((3, 3, 3)), 1.0), "2 dimensions, got 3"),
        (lambda: psf.encircled_energy(np.ones(3), 1.0), "2 dimensions, got 1"),
        (lambda: psf.refine(np.ones((3, 3, 3)), np.ones((8, 8)), np.ones((4, 4)), 2), "2 dim"),
        (lambda: psf.gaussian((5,), 1.0, angle=10), "angle"),
    ],
)
def test_what_is_of_images_says_so(use, match):
    with pytest.raises(ValueError, match=match):
        use()
