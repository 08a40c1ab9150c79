"""Frames and weights in any unit: the image scales with them, and nothing else happens."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import dhop
from dhop import psf, super_resolve

BLUR = psf.gaussian(5, 1.0)
FRAMES = np.random.default_rng(0).random((3, 8, 7))
SHIFTS = [(0, 0), (0.3, -0.2), (-0.4, 0.1)]
WAYS = [
    {"solver": "auto"},
    {"solver": "cg", "boundary": "reflect"},
    {"solver": "lsqr"},
    {"solver": "lsmr"},
    {"nonnegative": True},
    {"solver": "direct", "boundary": "wrap"},
]
POWERS = {np.float32: (-90, 90), np.float64: (-900, -100, 100, 900)}
ids = {"ids": lambda value: "-".join(map(str, value.values())) if value is dict else None}


def solve(count, scale, dtype, weights=None, **options):
    """One frame or several, of a scale that is applied in float64."""
    options = {"beta": 0.01, "rtol": 1e-5} | options
    frames = (FRAMES[:count] * np.float64(scale)).astype(dtype)
    return super_resolve(frames, BLUR, 2, shifts=SHIFTS[:count], weights=weights, **options)


@pytest.mark.parametrize("way", WAYS, **ids)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", [1, 3])
def test_powers_of_two_change_no_digit(count, dtype, way):
    expected = solve(count, 1.0, dtype, **way)
    assert expected.converged
    for power in POWERS[dtype]:
        scale = 2.0**power
        found = solve(count, scale, dtype, **way)
        assert_array_equal(found.image, np.ldexp(expected.image, power))
        assert found.image.dtype == dtype
        assert found.iterations == expected.iterations
        assert found.converged
        assert_allclose(found.residual_norm, scale * expected.residual_norm, rtol=1e-12)


@pytest.mark.parametrize("way", WAYS, **ids)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_scale_with_beta(dtype, way):
    """Weights of one over the variance, in units where that is 1e34, or 1e-34."""
    expected = solve(3, 1.0, dtype, [4.0, 1.0, 2.0], **way)
    for unit in (1e-17, 1e17, 1e-60, 1e60):
        weights = [weight / unit**2 for weight in (4.0, 1.0, 2.0)]
        scale = unit if dtype == np.float64 or 1e-20 < unit < 1e20 else 1.0
        found = solve(3, scale, dtype, weights, **way | {"beta": 0.01 / unit**2})
        assert found.converged
        assert found.beta == 0.01 / unit**2
        # Both have converged to the same tolerance.
        assert_allclose(found.image / np.float64(scale), expected.image, rtol=0, atol=2e-4)
        norm = expected.residual_norm * (scale / unit)
        assert_allclose(found.residual_norm, norm, rtol=1e-4)


def test_a_variance_in_physical_units():
    """The zero image, "converged", once."""
    for options in WAYS[:-1]:
        expected = solve(1, 1.0, np.float64, [1e4], **options, beta=1e2)
        found = solve(1, 1e-15, np.float32, [1e34], **options, beta=1e32)
        assert found.converged
        assert_allclose(found.image / 1e-15, expected.image, rtol=0, atol=2e-4)
    nothing = solve(1, 1e-15, np.float32, [1e34], beta=0.01, maxiter=3000)
    assert nothing.converged  # to the smallest of images that fit the frame exactly
    fit = nothing.operator.operators[0].degrade(nothing.image) / 1e-15
    assert_allclose(fit, FRAMES[0], rtol=0, atol=1e-3)


@pytest.mark.parametrize("unit", [1e-25, 1e25])
def test_a_psf_in_other_units(unit):
    """It is divided by its sum."""
    expected = super_resolve(FRAMES[0], BLUR, 2, beta=0.01)
    found = super_resolve(FRAMES[0].astype(np.float32), BLUR * unit, 2, beta=0.01)
    assert found.converged
    assert_allclose(found.image, expected.image, rtol=0, atol=1e-5)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
@pytest.mark.parametrize("way", WAYS, **ids)
def test_everything_is_in_the_units_of_the_user(way, scale):
    images = []
    frames = (FRAMES * scale).astype(np.float32)
    x0 = np.full((16, 14), 3 * scale)
    found = super_resolve(
        frames, BLUR, 2, shifts=SHIFTS, beta=1e-11, x0=x0, weights=[1e-9, 2e-9, 1e-9],
        callback=images.append, **way,
    )  # fmt: skip
    assert found.converged
    assert_array_equal(found.frames, frames)
    assert found.beta == 1e-11
    assert_allclose(found.operator.weights, [1e-9, 2e-9, 1e-9])
    if way.get("solver") not in ("lsqr", "lsmr"):
        assert_array_equal(images[-1].image, found.image)
        assert all(0.01 * scale < abs(step.image).max() < 100 * scale for step in images)
    wide = found.operator.data(frames.astype(float)) - found.operator @ found.image.ravel()
    assert_allclose(found.residuals().ravel(), wide, rtol=0, atol=1e-6 * abs(wide).max())
    assert_allclose(found.residual_norm, np.linalg.norm(wide / scale) * scale, rtol=1e-6)


def test_subnormal_frames():
    """As near as their format can tell, with the noise that deblurring makes of its steps."""
    expected = solve(1, 1.0, np.float64, solver="auto").image
    for dtype, scale, digit in ((np.float32, 1e-40, 2e-45), (np.float64, 1e-318, 5e-324)):
        found = solve(1, scale, dtype, solver="auto").image
        frames = (FRAMES[:1] * scale).astype(dtype)
        tolerance = 50 * max(digit, abs(frames - FRAMES[:1] * scale).max())
        assert_allclose(found.astype(float), expected * scale, rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", [">f4", "<f4", ">f8", ">i2"])
def test_byte_order_changes_nothing(name):
    frames = (100 * FRAMES).astype(name)
    native = frames.astype(frames.dtype.newbyteorder("="))
    found, expected = (super_resolve(each, BLUR, 2, beta=0.01).image for each in (frames, native))
    assert found.dtype == (np.float32 if name.endswith("f4") else np.float64)
    assert found.dtype.isnative
    assert_array_equal(found, expected)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dtype", "way"),
    [(np.float32, {"nonnegative": True, "regulariser": "identity"}), (np.float64, {})],
)
def test_in_chunks(dtype, way):
    da = pytest.importorskip("dask.array")
    dask = pytest.importorskip("dask")
    given = {"shifts": SHIFTS, "beta": 0.1, "rtol": 1e-4, **way}

    def chunked(scale, weights=None, **options):
        frames = da.from_array((FRAMES * np.float64(scale)).astype(dtype), chunks=(1, 4, 7))
        with dask.config.set(scheduler="sync"):
            found = dhop.super_resolve(frames, BLUR, 2, weights=weights, **given | options)
            return found, found.image.compute()

    expected, image = chunked(1.0)
    for power in (min(POWERS[dtype]), max(POWERS[dtype])):
        found, scaled = chunked(2.0**power)
        assert found.converged
        assert_array_equal(scaled, np.ldexp(image, power))
        assert_allclose(found.residual_norm, 2.0**power * expected.residual_norm, rtol=1e-12)
    weights = [1e34, np.full((8, 7), 1e34), da.full((8, 7), 1e34)]
    found, scaled = chunked(1e-17, weights, beta=1e33)
    assert found.converged
    assert_allclose(scaled / 1e-17, image, rtol=0, atol=1e-3)
    assert_allclose(found.residual_norm, expected.residual_norm, rtol=1e-3)
    norm = np.linalg.norm(found.residuals().compute())
    assert_allclose(norm, found.residual_norm, rtol=1e-5)
