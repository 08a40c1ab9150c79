"""What the pictures show is what the operator is."""

import sys

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure
from numpy.testing import assert_allclose, assert_array_equal

from dhop import DHOperator, FrameStack, plots, psf
from dhop.plots import matrix
from dhop.psf.ellipses import ellipse

mpl.use("agg")


@pytest.fixture(autouse=True)
def _closed():
    yield
    pyplot.close("all")


@pytest.fixture
def ax():
    return Figure().subplots()


def shown(ax):
    return ax.images[0].get_array()


DRAW = {
    "psf": lambda **options: plots.psf(psf.airy(9, 2.0), **options)[0],
    "field": lambda **options: plots.field(
        psf.Field([[psf.box(3), psf.gaussian(3, 1.0)]], ([4], [0, 9])), **options
    ),
    "widths": lambda **options: plots.widths(
        psf.Field([[psf.gaussian(9, 1.0)] * 2], ([4], [0, 9])), **options
    ),
    "spy": lambda **options: plots.spy(DHOperator((6, 8), psf.box(3), 2), **options),
    "row": lambda **options: plots.row(DHOperator((6, 8), psf.box(3), 2), 3, **options),
    "response": lambda **options: plots.frequency_response(
        DHOperator((6, 8), psf.box(3), 2), **options
    ),
    "values": lambda **options: plots.singular_values(DHOperator((6, 8), psf.box(3), 2), **options),
}


@pytest.mark.parametrize("name", DRAW)
class TestEveryPicture:
    def test_draws_on_the_given_axes(self, name, ax):
        assert DRAW[name](ax=ax) is ax
        assert not pyplot.get_fignums()

    def test_or_on_new_ones(self, name):
        drawn = DRAW[name]()
        assert pyplot.get_fignums() == [drawn.figure.number]

    def test_says_what_it_shows(self, name, ax):
        DRAW[name](ax=ax)
        ax.figure.canvas.draw()
        assert ax.get_xlabel()
        assert ax.get_ylabel()
        if ax.images:
            (bar,) = ax.child_axes
            assert bar.get_ylabel()


class TestPsf:
    def test_image_sections_and_energy(self):
        blur = psf.gaussian((5, 7), (1.0, 1.5))
        image, sections, energy = plots.psf(blur)
        assert_array_equal(shown(image), blur)
        assert image.images[0].get_extent() == [-3.5, 3.5, 2.5, -2.5]
        across, down = sections.lines
        assert_array_equal(across.get_data(), [np.arange(-3, 4), blur[2]])
        assert_array_equal(down.get_data(), [np.arange(-2, 3), blur[:, 3]])
        radii, fractions = energy.lines[0].get_data()
        assert_allclose(fractions, psf.encircled_energy(blur, radii))
        assert_allclose(fractions[[0, -1]], [0, 1])

    def test_logarithmic(self):
        image, sections, _ = plots.psf(psf.motion(7, 30), log=True)
        assert shown(image).min() == pytest.approx(1e-6 * shown(image).max())
        assert sections.get_yscale() == "log"

    def test_complex(self, ax):
        plots.psf(np.full((3, 3), 3 + 4j), ax=ax)
        assert_array_equal(shown(ax), np.full((3, 3), 5))

    def test_number_of_axes(self):
        with pytest.raises(ValueError, match="one Axes or three, got 2"):
            plots.psf(psf.box(3), ax=Figure().subplots(1, 2))


class TestSpy:
    A = DHOperator((12, 10), psf.gaussian((3, 4), 1.0), 2, boundary="wrap")

    @pytest.mark.parametrize("rows", [None, slice(3, 20), slice(-4, None)])
    @pytest.mark.parametrize("columns", [None, slice(10, 77)])
    def test_entries(self, rows, columns, ax, monkeypatch):
        monkeypatch.setattr(matrix, "ENTRIES", 50)  # several blocks
        plots.spy(self.A, rows=rows, columns=columns, ax=ax)
        expected = self.A.to_sparse().toarray()[rows or slice(None), columns or slice(None)]
        assert_array_equal(shown(ax).filled(0), expected)
        assert_array_equal(shown(ax).mask, expected == 0)
        left, right, bottom, top = ax.images[0].get_extent()
        assert (bottom - top, right - left) == expected.shape

    def test_cells_show_the_largest_entry(self, ax, monkeypatch):
        monkeypatch.setattr(matrix, "CELLS", 10)
        plots.spy(self.A, ax=ax)
        dense = np.abs(self.A.to_sparse().toarray())  # 30 x 120
        assert_array_equal(shown(ax).filled(0), dense.reshape(10, 3, 10, 12).max(axis=(1, 3)))

    def test_only_the_part_is_built(self, ax, monkeypatch):
        """A corner of a matrix that would take 480 GB."""
        A = DHOperator((4_000, 4_000), psf.box(99), 2)
        plots.spy(A, rows=slice(0, 10), columns=slice(0, 400), ax=ax)
        assert shown(ax).shape == (10, 400)

    def test_frames(self, ax):
        stack = FrameStack([self.A, self.A])
        plots.spy(stack, ax=ax)
        assert shown(ax).shape == stack.shape

    @pytest.mark.parametrize("rows", [slice(0, 8, 2), slice(5, 5), slice(1000, 2000)])
    def test_senseless_parts(self, rows):
        with pytest.raises(ValueError, match="rows"):
            plots.spy(self.A, rows=rows)


class TestRow:
    @pytest.mark.parametrize("decimation", ["sum", "sample"])
    @pytest.mark.parametrize("axes", [(1, 2), (2, 1), (0, 2)])
    def test_is_the_row(self, axes, decimation, ax):
        blur = np.random.default_rng(0).random((3, 4))
        A = DHOperator((6, 8, 9), blur, (2, 3), axes=axes, phase=(1, 0), decimation=decimation)
        pixel = tuple(n - 2 for n in A.dimsd)
        number = int(np.ravel_multi_index(pixel, A.dimsd))
        whole = A.to_sparse().toarray()[number].reshape(A.dims)
        away = next(k for k in range(3) if k not in axes)
        image = whole.take(pixel[away], away)
        if axes[0] > axes[1]:
            image = image.T
        plots.row(A, pixel, margin=100, ax=ax)
        assert_array_equal(shown(ax), image)
        plots.row(A, number, margin=100, ax=ax)
        assert_array_equal(ax.images[1].get_array(), image)
        corner = ax.patches[0].get_xy()
        start = [A.phase[k] + A.factor[k] * pixel[axes[k]] - 0.5 for k in (1, 0)]
        assert_array_equal(corner, start)

    def test_crops_to_what_is_seen(self, ax):
        A = DHOperator((40, 60), psf.box(3), 2)
        plots.row(A, (0, 10), margin=2, ax=ax)
        assert ax.images[0].get_extent() == [16.5, 24.5, 4.5, -0.5]
        assert_allclose(shown(ax).sum(), A.row_sums()[10])

    def test_signed_and_empty(self, ax):
        plots.row(DHOperator((6, 6), [[1.0, -3.0]], (1, 2)), 0, ax=ax)
        assert ax.images[0].get_clim() == (-2.0, 2.0)
        plots.row(DHOperator((6, 6), np.zeros((3, 3)), 2), 0, ax=ax)
        assert not ax.images[1].get_array().any()

    @pytest.mark.parametrize("pixel", [9, -1, (3, 0), (0,), (0, 0, 0)])
    def test_no_such_pixel(self, pixel):
        with pytest.raises(IndexError, match=str(pixel).rstrip(",)")[:2].lstrip("(")):
            plots.row(DHOperator((6, 6), psf.box(3), 2), pixel)


class TestFrequencyResponse:
    def test_is_the_gain_of_waves(self, ax):
        """Blur a wave: its amplitude changes by the gain at its frequency."""
        blur = np.random.default_rng(0).random((4, 3))
        A = DHOperator((60, 6), blur, (3, 2), boundary="wrap")
        plots.frequency_response(A, axis=0, ax=ax)
        bands = [line for line in ax.lines if line.get_color() == "tab:blue"]
        frequency = np.concatenate([line.get_xdata() for line in bands])
        gain = np.concatenate([line.get_ydata() for line in bands])
        for waves in (0, 4, 17, 29):
            wave = np.exp(2j * np.pi * waves / 60 * np.arange(60))[:, None] * np.ones(6)
            blurred = np.abs(A.degrade(wave))
            assert_allclose(blurred, blurred[0, 0], rtol=1e-12)
            assert_allclose(np.interp(waves / 60, frequency, gain), blurred[0, 0], atol=1e-3)

    @pytest.mark.parametrize("factor", [1, 2, 3, 4])
    def test_aliases_appear_where_waves_look_alike(self, factor, ax):
        A = DHOperator((factor * 20, 1), [[1.0], [0.5]], (factor, 1), decimation="sample")
        plots.frequency_response(A, axis=0, ax=ax)
        pairs = {"tab:blue": [], "tab:red": []}
        for line in ax.lines:
            if line.get_color() in pairs:
                pairs[line.get_color()].append(line)
        assert len(pairs["tab:red"]) == factor - 1
        place = factor * np.arange(20)
        for true, seen in zip(pairs["tab:blue"][1:], pairs["tab:red"], strict=True):
            assert_array_equal(true.get_ydata(), seen.get_ydata())
            for f, g in zip(true.get_xdata()[::50], seen.get_xdata()[::50], strict=True):
                assert 0 <= g <= 0.5 / factor + 1e-15
                assert_allclose(
                    np.cos(2 * np.pi * f * place), np.cos(2 * np.pi * g * place), atol=1e-12
                )

    def test_axis(self):
        with pytest.raises(ValueError, match="axis must be 0 or 1"):
            plots.frequency_response(DHOperator((6, 6), psf.box(3), 2), axis=2)


class TestSingularValues:
    def test_are_those_of_the_matrix(self, ax):
        A = DHOperator((8, 10), psf.gaussian(3, 0.6), 2)
        plots.singular_values(A, ax=ax)
        number, value = ax.lines[0].get_data()
        assert_array_equal(number, np.arange(1, 21))
        assert_allclose(value, np.linalg.svd(A.to_sparse().toarray(), compute_uv=False))

    def test_below_rounding_is_said(self, ax):
        plots.singular_values(DHOperator((8, 8), psf.box(2), 1, boundary="wrap"), ax=ax)
        assert len(ax.lines[0].get_xdata()) == 49
        assert ax.texts[0].get_text() == "15 below rounding"

    def test_zero(self, ax):
        plots.singular_values(DHOperator((8, 8), np.zeros((1, 1)), 1), ax=ax)
        assert ax.texts[0].get_text() == "64 below rounding"


def test_without_matplotlib_says_what_to_install(monkeypatch):
    for name in list(sys.modules):
        if name.startswith("dhop.plots"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'pip install "dhop\[plot\]"'):
        __import__("dhop.plots")


class TestVolume:
    given = np.random.default_rng(0).random((4, 5, 6))

    @pytest.mark.parametrize("projections", [False, True])
    def test_what_is_seen_along_each_axis(self, projections):
        axes = plots.volume(self.given, voxel=(3, 1, 2), projections=projections)
        middles = self.given[1], self.given[:, 2], self.given[:, :, 2]
        for axis, (ax, middle) in enumerate(zip(axes, middles, strict=True)):
            expected = self.given.max(axis=axis) if projections else middle
            assert_array_equal(shown(ax), expected)
        assert_allclose(axes[0].images[0].get_extent(), (-6, 6, 2.5, -2.5))
        assert_allclose(axes[1].images[0].get_extent(), (-6, 6, 6, -6))
        assert [ax.get_xlabel().split()[0] for ax in axes] == ["column", "column", "row"]

    def test_a_psf_of_three_axes(self):
        axes = plots.psf(self.given * 1j, log=True)
        assert len(axes) == 3
        assert_array_equal(shown(axes[0]), self.given[1])

    def test_errors(self, ax):
        with pytest.raises(ValueError, match="stack must have 3 dimensions, got 2"):
            plots.volume(self.given[0])
        with pytest.raises(ValueError, match="three Axes, got 1"):
            plots.volume(self.given, ax=[ax])
        with pytest.raises(ValueError, match="the psf has 3 axes"):
            plots.row(DHOperator((4, 5, 6), self.given, 1), 0)


@pytest.mark.parametrize("ndim", [1, 3])
def test_the_response_of_lines_and_volumes(ndim):
    lines = [np.array([1.0, 2.0, 1.0]) / 4, np.array([3.0, 1.0]), np.array([1.0])]
    blur = lines[0] if ndim == 1 else np.einsum("i,j,k->jik", *lines)
    A = DHOperator((9,) * ndim, blur, 1)
    ax = plots.frequency_response(A, axis=0 if ndim == 1 else 1)
    frequency, gain = ax.lines[0].get_data()
    scale = 1 if ndim == 1 else 4
    assert_allclose(gain, scale * np.cos(np.pi * frequency) ** 2, 0, 1e-12)


def test_field_shows_every_psf_at_its_node(ax):
    stamps = np.arange(1.0, 25).reshape(2, 2, 2, 3)
    plots.field(psf.Field(stamps, ([4, 8], [0, 9.5])), log=False, ax=ax)
    assert_array_equal(shown(ax)[2:, :3], stamps[1, 0])
    assert_array_equal(shown(ax)[:2, 3:], stamps[0, 1])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0", "9.5"]
    assert ax.get_yticks().tolist() == [0.5, 2.5]


@pytest.mark.parametrize("draw", [plots.field, plots.widths])
def test_fields_of_nothing_and_what_is_none(draw, ax):
    draw(psf.Field(np.zeros((1, 2, 3, 3)), ([0], [0, 4])), ax=ax)
    with pytest.raises(TypeError, match="got Modes"):
        draw(psf.Modes(np.ones((2, 3, 3)), np.ones((2, 4, 4))), ax=ax)
    with pytest.raises(ValueError, match="field of images"):
        draw(psf.Field(np.ones((2, 3)), ([0, 4],)), ax=ax)


@pytest.mark.parametrize("turn", [0, 30, 90, 135])
def test_widths_are_those_of_the_gaussians(ax, turn):
    """Gaussians sampled along and across a direction, counter-clockwise with rows downward."""
    rows, columns = np.mgrid[-15:16, -15:16]
    angle = np.radians(turn)
    along = columns * np.cos(angle) - rows * np.sin(angle)
    across = columns * np.sin(angle) + rows * np.cos(angle)
    stamps = [[np.exp(-0.5 * ((along / a) ** 2 + (across / b) ** 2))]
              for a, b in ((3.0, 1.5), (2.0, 2.0))]  # fmt: skip
    plots.widths(psf.Field(stamps, ([0, 10], [4])), ax=ax)
    widths, sticks = ax.collections
    assert_allclose(np.ravel(widths.get_array()), [np.sqrt(4.5), 2], rtol=1e-6)
    expected = [0.5 * np.cos(angle), 0.5 * np.sin(angle)]
    found = np.array([sticks.U[0], sticks.V[0]])
    assert_allclose(found * np.sign(found @ expected), expected, atol=1e-5)
    assert_allclose([sticks.U[1], sticks.V[1]], 0, atol=1e-5)
    assert ax.yaxis_inverted()


def test_noise_far_from_a_psf_does_not_widen_it():
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[-30:31, -30:31]
    stamp = np.exp(-(rows**2 + columns**2) / 8) + 1e-3 * rng.standard_normal((61, 61))
    assert abs(ellipse(stamp).sigma - 2) < 0.02
    assert np.isnan(ellipse(np.zeros((5, 5)))).all()


@pytest.mark.parametrize(
    ("draw", "match"),
    [
        (lambda A: plots.row(FrameStack([A, A]), 0), "row is drawn of a DHOperator, got FrameSt"),
        (lambda A: plots.frequency_response(A.H), "of a DHOperator, got Transpose"),
        (lambda A: plots.spy(np.eye(3)), "a matrix is drawn of an operator of dhop, got ndarray"),
        (lambda A: plots.spy(A, rows=3), "rows must be a slice, got 3"),
    ],
)
def test_what_cannot_be_drawn_is_named(draw, match):
    with pytest.raises(TypeError, match=match):
        draw(DHOperator((4, 4), psf.box(3), 2))


def test_a_psf_of_zeros_has_no_logarithms(ax):
    plots.psf(np.zeros((3, 3)), log=True, ax=ax)
    assert_array_equal(ax.images[0].get_array(), np.zeros((3, 3)))
