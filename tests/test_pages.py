"""What `Solution.plot` draws of lines, volumes, the sky, moved frames and brightness."""

import io
import sys

import matplotlib as mpl
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dhop import psf, super_resolve
from dhop.reconstruction.report.panels import Shades

mpl.use("agg")

BLUR = psf.gaussian(5, 1.0)
LINE = psf.gaussian((5,), 1.0)
rng = np.random.default_rng(0)


def titled(figure, start):
    """The axes whose title begins so."""
    return next(ax for ax in figure.axes if ax.get_title().startswith(start))


def shown(ax):
    return ax.images[0].get_array()


def test_lines(monkeypatch):
    """Frames are where their pixels lie, the band is the deviation; scikit-image is not asked."""
    monkeypatch.setitem(sys.modules, "skimage", None)
    frames, shifts = rng.random((2, 20)), [0, 0.5]
    weights = np.ones((2, 20))
    weights[1, 4] = 0
    frames[1, 4] = np.nan
    solution = super_resolve(frames, LINE, 2, shifts=shifts, beta=0.1, weights=list(weights))
    deviation = solution.standard_deviation(0.1)
    figure = solution.plot(deviation)
    figure.savefig(io.BytesIO())
    ax = figure.axes[0]
    first, second, line = ax.lines
    assert_allclose(first.get_xdata(), np.arange(20) * 2 + 0.5)
    assert_allclose(second.get_xdata(), np.arange(20) * 2 - 0.5)
    assert_array_equal(first.get_ydata(), frames[0])
    assert_array_equal(second.get_ydata(), frames[1])
    assert_array_equal(line.get_ydata(), solution.image)
    (band,) = ax.collections
    below = band.get_paths()[0].vertices[:, 1].min()
    assert_allclose(below, (solution.image - deviation).min())
    assert_allclose(
        [each.get_ydata() for each in titled(figure, "residuals").lines],
        solution.residuals()[:, 0],
    )


def test_lines_of_channels_and_of_sums():
    frames = rng.random((20, 3))
    solution = super_resolve(frames, LINE, 2, channel_axis=-1, beta=1e-3, decimation="sum")
    ax = solution.plot().axes[0]
    assert len(ax.lines) == 6
    assert_allclose(ax.lines[0].get_ydata(), frames[:, 0] / 2, rtol=1e-6)
    assert_array_equal(ax.lines[5].get_ydata(), solution.image[:, 2])


def test_each_channel_converges_on_a_line_of_its_own():
    blurs = [BLUR, psf.gaussian(5, 0.8)]  # so that channels are solved one by one
    options = {"channel_axis": -1, "beta": 0.1, "boundary": "constant"}
    solution = super_resolve(rng.random((8, 9, 2)), blurs, 2, **options)
    lines = titled(solution.plot(), "cg").lines
    assert len(lines) == 2
    assert all((np.diff(line.get_xdata()) > 0).all() for line in lines)
    drawn = np.concatenate([line.get_ydata() for line in lines])
    assert_array_equal(drawn, [step.residual for step in solution.history])


@pytest.mark.slow
@pytest.mark.parametrize("channels", [None, 2])
def test_volumes(channels):
    shape = (6, 8, 10) if channels is None else (channels, 6, 8, 10)
    frames, blur = rng.random(shape), psf.gaussian((3, 3, 3), 0.7)
    axis = None if channels is None else 0
    solution = super_resolve(frames, blur, (1, 2, 2), beta=0.1, channel_axis=axis)
    deviation = solution.standard_deviation(0.1)
    figure = solution.plot(deviation)
    figure.savefig(io.BytesIO())
    image = solution.image.reshape(-1, 6, 16, 20).mean(axis=0)
    frame = frames.reshape(-1, 6, 8, 10).mean(axis=0)
    shades = Shades(frames)
    for first, volume in (("frame 1 of 1", frame), ("super-resolved", image)):
        for axis, name in enumerate(("plane", "row", "column")):
            middle = (volume.shape[axis] - 1) // 2
            ax = next(
                ax for ax in figure.axes
                if ax.get_title().startswith(first) and ax.get_title().endswith(f"{name} {middle}")
            )  # fmt: skip
            assert_allclose(shown(ax), shades.of(volume.take(middle, axis)), atol=1e-12)
    root = np.sqrt((deviation.reshape(-1, 6, 16, 20) ** 2).mean(axis=0))
    assert_allclose(shown(titled(figure, "standard deviation")), root[2])


def test_the_sky_is_stretched():
    """About linear within the noise, logarithmic above."""
    sky = 5 + rng.standard_normal(10_000)
    shades = Shades(np.append(sky, np.full(100, 1e4)), "asinh")
    faint, near, ten, hundred = shades.of(np.array([5.0, 6.0, 1e2, 1e3]))
    assert 0.05 < faint < near < ten < hundred < 1
    assert_allclose(hundred - ten, np.log(10) / np.log(1e4 / 1e3) * (1 - hundred), rtol=0.1)
    assert_array_equal(shades.of(np.array([-1e3, 1e5])), [0, 1])
    linear = Shades(np.append(sky, np.full(100, 1e4)))
    assert linear.of(np.array(1e2)) < 0.02
    frame = sky.reshape(100, 100)
    frame[:2] = 1e3
    solution = super_resolve(frame, BLUR, 2, beta=0.1)
    drawn = [shown(solution.plot(stretch=each).axes[0]) for each in ("linear", "asinh")]
    assert abs(drawn[0] - drawn[1]).max() > 0.05
    with pytest.raises(ValueError, match="stretch"):
        solution.plot(stretch="log")


def test_flat_frames_are_drawn():
    for stretch in ("linear", "asinh"):
        solution = super_resolve(np.ones((12, 12)), BLUR, 2, beta=0.1)
        solution.plot(stretch=stretch).savefig(io.BytesIO())


def test_shifts_and_brightness():
    scene = rng.random((12, 12))
    frames = np.stack([scene, 1.2 * scene + 0.5])
    given = {"shifts": [[0, 0], [0.25, -0.5]], "beta": 0.1}
    solution = super_resolve(frames, BLUR, 2, photometry="both", **given)
    figure = solution.plot(np.ones((24, 24)))
    figure.savefig(io.BytesIO())
    (places,) = titled(figure, "shifts").lines[2:]
    assert_array_equal(places.get_xydata(), [[0, 0], [-0.5, 0.25]])
    ax = titled(figure, "brightness of")
    assert_array_equal(ax.lines[0].get_ydata(), solution.photometry.gains)
    (other,) = (each for each in figure.axes if each.get_ylabel() == "offset")
    assert_array_equal(other.lines[0].get_ydata(), solution.photometry.offsets)
    plain = super_resolve(frames, BLUR, 2, **given)
    heights = [bar.get_height() for bar in titled(plain.plot(), "residuals of").patches]
    assert_allclose(heights, np.sqrt((plain.residuals() ** 2).mean(axis=(1, 2))))


def test_a_deviation_of_another_shape_is_refused():
    solution = super_resolve(np.eye(12), BLUR, 2, beta=0.1)
    with pytest.raises(ValueError, match=r"deviation must have the shape of the image, \(24, 24\)"):
        solution.plot(np.ones((12, 12)))
