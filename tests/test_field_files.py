"""Fields of PSFs as they are published, against the profiles that the files were made of."""

import json

import numpy as np
import pytest

from dhop import DHOperator, psf

fits = pytest.importorskip("astropy.io.fits")

WIDTHS = {(0, 0): 1.0, (60, 0): 1.2, (0, 40): 1.1, (60, 40): 1.4}  # by column and row


def profile(width, places):
    """A round Gaussian as pixels of the detector receive it: its values there, of sum one."""
    line = np.exp(-(places**2) / (2 * width**2))
    stamp = np.outer(line, line)
    return stamp / stamp.sum()


def samples(oversampling, reach=6):
    return np.arange(-reach * oversampling, reach * oversampling + 1) / oversampling


def stdpsf(path):
    data = np.array([profile(WIDTHS[place], samples(4)) for place in sorted(WIDTHS, key=by_row)])
    cards = {"NXPSFS": 2, "NYPSFS": 2, "IPSFX01": 1, "IPSFX02": 61, "JPSFY01": 1, "JPSFY02": 41}
    fits.PrimaryHDU(16 * data, fits.Header(cards)).writeto(path)


def stpsf(path):
    places = [(60, 40), (0, 0), (0, 40), (60, 0)]
    header = fits.Header({f"DET_YX{k}": f"({y}.0, {x}.0)" for k, (x, y) in enumerate(places)})
    header["OVERSAMP"] = 4
    data = np.array([profile(WIDTHS[place], samples(4)) for place in places])
    fits.PrimaryHDU(data, header).writeto(path)


def by_row(place):
    return place[::-1]


@pytest.mark.parametrize("write", [stdpsf, stpsf])
@pytest.mark.parametrize("factor", [1, 2, 3, 4])
def test_grids_are_read_in_pixels_of_the_scene(tmp_path, write, factor):
    write(tmp_path / "grid.fits")
    field = psf.Field.from_file(tmp_path / "grid.fits", factor)
    assert [each.tolist() for each in field.positions] == [[0, 40 * factor], [0, 60 * factor]]
    for (column, row), width in WIDTHS.items():
        found = field.at(factor * row, factor * column)
        reach = found.shape[0] // 2
        expected = profile(width, np.arange(-reach, reach + 1) / factor)
        np.testing.assert_allclose(found, expected, atol=1e-3 * expected.max())
        np.testing.assert_allclose(found.sum(), 1)


def test_a_star_is_seen_as_the_file_says(tmp_path):
    stdpsf(tmp_path / "grid.fits")
    field = psf.Field.from_file(tmp_path / "grid.fits", 4)
    A = DHOperator((160, 240), field, 4, decimation="sample")
    scene = np.zeros((160, 240))
    scene[80, 120] = 1000  # the middle of the detector's pixel (20, 30), half way between nodes
    width = [np.mean([profile(w, samples(1))[k, 6] for w in WIDTHS.values()]) for k in range(13)]
    seen = A.degrade(scene)[14:27, 30]
    np.testing.assert_allclose(seen / seen.sum(), width / np.sum(width), rtol=2e-2)


def test_psfex_polynomials(tmp_path):
    rng = np.random.default_rng(0)
    masks = rng.random((6, 9, 9)) * np.array([1, 0.1, 0.1, 0.1, 0.1, 0.1])[:, None, None]
    column = fits.Column("PSF_MASK", format="486E", dim="(9,9,6)", array=masks[None])
    table = fits.BinTableHDU.from_columns([column], name="PSF_DATA")
    table.header.update({"POLNAXIS": 2, "POLNGRP": 1, "POLDEG1": 2, "PSF_SAMP": 0.5})
    table.header.update({"POLZERO1": 501.0, "POLSCAL1": 800.0})
    table.header.update({"POLZERO2": 301.0, "POLSCAL2": 400.0})
    table.writeto(tmp_path / "stars.psf")
    field = psf.Field.from_file(tmp_path / "stars.psf", 2)
    for column, row in ((100, 100), (500, 300), (900, 250)):
        x, y = (column - 500) / 800, (row - 300) / 400
        terms = [1, x, x**2, y, x * y, y**2]
        expected = sum(t * mask for t, mask in zip(terms, masks, strict=True))
        np.testing.assert_allclose(
            field.at(2 * row, 2 * column), expected / expected.sum(), rtol=1e-6
        )


def test_what_is_no_grid_is_refused(tmp_path):
    fits.PrimaryHDU(np.ones((3, 5, 5))).writeto(tmp_path / "cube.fits")
    with pytest.raises(ValueError, match="holds no field"):
        psf.Field.from_file(tmp_path / "cube.fits")
    header = fits.Header({"NXPSFS": 2, "NYPSFS": 2, "IPSFX01": 1})
    fits.PrimaryHDU(np.ones((4, 5, 5)), header).writeto(tmp_path / "short.fits")
    with pytest.raises(ValueError, match="tells no grid"):
        psf.Field.from_file(tmp_path / "short.fits")
    with pytest.raises(OSError, match="no file"):
        psf.Field.from_file(tmp_path / "nowhere.fits")
    with pytest.raises(ValueError, match="not the nodes of a grid"):
        psf.Field.from_grid(np.ones((3, 5, 5)), [(0, 0), (1, 0), (0, 1)], 2)
    with pytest.raises(ValueError, match="places"):
        psf.Field.from_grid(np.ones((3, 5, 5)), [(0, 0), (1, 0)], 2)


def piff(path, grids, missing, interp=None):
    """A file as Piff writes it, of a detector whose columns are -v and rows -u on the sky."""
    rng = np.random.default_rng(1)
    x, y = np.append(rng.uniform(1, 401, (2, 20)), [[1, 401], [401, 1]], axis=1)
    known = np.ones((9, 9), bool)
    known[[(4,), (4, 4, 5)][missing > 1], [(4,), (4, 5, 4)][missing > 1]] = missing == 0
    q = np.zeros((known.sum(), 3))
    q[:, 0], q[:, 2] = (grid[known] for grid in grids)  # what does not change, and grows with u

    def table(name, **columns):
        made = [
            fits.Column(name=key, array=np.asarray(value), format=kind, dim=dim)
            for key, (value, kind, dim) in columns.items()
        ]
        return fits.BinTableHDU.from_columns(made, name=name)

    model = {"type": (["PixelGrid"], "9A", None), "scale": ([0.25], "D", None),
             "size": ([9], "K", None)}  # fmt: skip
    if interp:
        model["interp"] = ([interp], "30A", None)
    stars = {"x": x, "y": y, "u": -(y - 1) / 4, "v": -(x - 1) / 4}
    fits.HDUList([
        fits.PrimaryHDU(),
        table("psf_stars", **{key: (value, "D", None) for key, value in stars.items()}),
        table("psf_model", **model),
        table("psf_interp", type=(["BasisPolynomial"], "15A", None), order=([1], "K", None)),
        table("psf_interp_solution", q=(q[None], f"{q.size}D", f"(3,{len(q)})")),
    ]).writeto(path)  # fmt: skip


@pytest.mark.parametrize("missing", [0, 1, 3])
def test_piff_grids_of_pixels(tmp_path, missing):
    rng = np.random.default_rng(2)
    grids = rng.random((2, 9, 9))
    grids = grids + grids[:, ::-1, ::-1]  # the centroid is in the middle
    grids[0] *= 16 / grids[0].sum()  # and the flux, in pixels of 1/4, is one
    grids[1] -= grids[1].mean()
    grids[1] *= 1e-3
    piff(tmp_path / "sky.piff", grids, missing)
    field = psf.Field.from_file(tmp_path / "sky.piff")
    assert [(nodes[0], nodes[-1]) for nodes in field.positions] == [(0, 400), (0, 400)]
    for row, column in ((0, 0), (100, 50), (200, 325)):
        seen = (grids[0] - row / 4 * grids[1])[::-1, ::-1].T
        np.testing.assert_allclose(field.at(row, column), seen / seen.sum(), atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("interp", [None, "galsim.Lanczos(5)"])
def test_piff_grids_between_their_pixels(tmp_path, interp):
    grids = np.array([profile(1.2, np.arange(-4, 5)), np.zeros((9, 9))])
    piff(tmp_path / "sky.piff", 16 * grids, 0, interp)
    field = psf.Field.from_file(tmp_path / "sky.piff", 3)
    reach = field.shape[0] // 2
    expected = profile(1.2, np.arange(-reach, reach + 1) / 3)
    np.testing.assert_allclose(field.at(9, 9), expected, atol=2e-2 * expected.max())


def test_piff_with_the_pixels_of_a_detector(tmp_path):
    """Twice as large ones in the middle: the star is half as wide there, in pixels."""
    grids = np.array([profile(1.2, np.arange(-4, 5)), np.zeros((9, 9))])
    piff(tmp_path / "sky.piff", 16 * grids, 0)

    def jacobian(column, row):
        step = -0.5 if abs(column - 200) < 40 else -0.25
        return [[0, step], [step, 0]]

    field = psf.Field.from_file(tmp_path / "sky.piff", jacobian=jacobian)
    plain = psf.Field.from_file(tmp_path / "sky.piff")
    middle = field.at(200, 200)
    np.testing.assert_array_equal(field.at(200, 50), plain.at(200, 50))
    some = plain.at(200, 50)[::2, ::2]
    np.testing.assert_allclose(middle[2:-2, 2:-2], some / some.sum(), atol=1e-9)
    for wrong in ([[1, 0], [1, 0]], [1, 0], [[np.nan, 0], [0, 1]]):
        with pytest.raises(ValueError, match=r"jacobian must give .* of 0, 0"):
            psf.Field.from_file(tmp_path / "sky.piff", jacobian=lambda *_, wrong=wrong: wrong)
    with pytest.raises(ValueError, match=r"jacobian fails of 0, 0: .*division by zero"):
        psf.Field.from_file(tmp_path / "sky.piff", jacobian=lambda column, row: 1 / column)
    stdpsf(tmp_path / "grid.fits")
    with pytest.raises(ValueError, match="no model of Piff"):
        psf.Field.from_file(tmp_path / "grid.fits", jacobian=jacobian)


def test_other_models_of_piff_are_refused(tmp_path):
    piff(tmp_path / "sky.piff", np.ones((2, 9, 9)), 0)
    with fits.open(tmp_path / "sky.piff", mode="update") as file:
        file["psf_model"].data["type"] = "Moffat"
    with pytest.raises(ValueError, match="got Moffat by BasisPolynomial"):
        psf.Field.from_file(tmp_path / "sky.piff")


def test_the_command_line_tells_and_takes(tmp_path, monkeypatch):
    cli = pytest.importorskip("dhop.cli")
    from typer.testing import CliRunner

    monkeypatch.chdir(tmp_path)
    stdpsf("grid.fits")

    def call(*words, code=0):
        result = CliRunner().invoke(cli.app, ["psf", "grid.fits", *words])
        assert result.exit_code == code, result.output
        return result.output

    told = json.loads(call("--field", "--factor", "4", "--plot", "field.png", "--json"))
    assert told["grid"] == [2, 2]
    assert told["columns"] == [0, 240]
    np.testing.assert_allclose(told["sigma"], [4 * 1.0, 4 * 1.4], rtol=1e-3)
    np.testing.assert_allclose(told["ellipticity"], 0, atol=1e-3)
    assert (tmp_path / "field.png").stat().st_size
    assert "2 x 2 psfs" in call("--field")
    call("--field", "--factor", "2", "--at", "80,0", "--out", "one.npy")
    found = np.load("one.npy")
    reach = found.shape[0] // 2
    expected = profile(WIDTHS[0, 40], np.arange(-reach, reach + 1) / 2)
    np.testing.assert_allclose(found, expected, atol=1e-3 * expected.max())
    assert "give --field" in call("--at", "1,2", code=1)
    assert "--at row,column" in call("--field", "--out", "two.npy", code=1)
    assert "at must be row,column" in call("--field", "--at", "1", code=1)


def test_points_have_no_width_that_could_be_told(capsys):
    fields = pytest.importorskip("dhop.cli.fields")
    points = np.zeros((1, 2, 3, 3))
    points[..., 1, 1] = 1
    fields.show_field(psf.Field(points, ([0], [0, 4])), "points", None, False, False, True)
    told = json.loads(capsys.readouterr().out)
    assert told["sigma"] == told["ellipticity"] == [None, None]
