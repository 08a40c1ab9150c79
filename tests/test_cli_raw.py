"""Raw photographs at the command line: for each colour the normal equations of its pixels."""

import numpy as np
import oracle
import pytest
from numpy.testing import assert_allclose
from typer.testing import CliRunner

from dhop import cli, raw
from dhop.cli.parsing import parse_psf

BALANCE = {"R": 2.0, "G": 1.0, "B": 1.5}
BETA = 0.1
LAPLACIAN = [[0, 1, 0], [1, -4, 1], [0, 1, 0]]


def run(*words):
    return CliRunner().invoke(cli.app, [str(word) for word in words])


@pytest.fixture
def camera(tmp_path, monkeypatch):
    """Files of a camera without rawpy: what is in them is told here."""
    stored = {}

    def read(path):
        if path not in stored:
            raise OSError(f"cannot read {path}")
        return raw.Mosaic(stored[path], "RGGB", BALANCE)

    monkeypatch.setattr(raw, "read", read)

    def store(name, pixels):
        stored[tmp_path / name] = pixels
        return tmp_path / name

    return store


@pytest.mark.parametrize("factor", [1, 2, "1,3"])
def test_each_colour_solves_its_own_equations(camera, tmp_path, factor):
    """Pixels of the sensor are means of `factor` pixels, of which a colour has some."""
    shape = 6, 8
    steps = np.broadcast_to([int(k) for k in str(factor).split(",")], 2)
    dims = tuple(shape * steps)
    pixels = np.random.default_rng(0).random(shape)
    blur = parse_psf("gaussian:sigma=0.7")
    path, out = camera("a.dng", pixels), tmp_path / "out.npy"
    words = "--psf", "gaussian:sigma=0.7", "--factor", factor, "--beta", BETA
    result = run("superres", path, *words,
                 "--boundary", "wrap", "--rtol", 1e-9, "--out", out)  # fmt: skip
    assert result.exit_code == 0, result.output
    found = np.load(out)
    A = oracle.matrix(dims, blur, tuple(steps), decimation="mean", boundary="wrap")
    S = oracle.matrix(dims, LAPLACIAN, 1, boundary="wrap")
    letters = np.tile(np.array(list("RGGB")).reshape(2, 2), (3, 4)).ravel()
    for k, colour in enumerate("RGB"):
        B, y = A[letters == colour], pixels.ravel()[letters == colour]
        image = np.linalg.solve(B.T @ B + BETA * S.T @ S, B.T @ y).reshape(dims)
        assert_allclose(found[..., k], BALANCE[colour] * image, rtol=0, atol=1e-6)


def test_a_burst_as_a_picture(camera, tmp_path):
    """Deconvolved together, written as sRGB: a grey scene is grey, of the right tone."""
    light = 0.2 / np.tile([[2.0, 1.0], [1.0, 1.5]], (8, 10))
    paths = [camera(f"{k}.DNG", light) for k in range(2)]
    out = tmp_path / "out.png"
    result = run("deconvolve", *paths, "--psf", "gaussian:sigma=0.7", "--beta", 0.01, "--out", out)
    assert result.exit_code == 0, result.output
    from dhop import imread

    assert imread(out).shape == (16, 20, 3)
    assert_allclose(imread(out), 1.055 * 0.2 ** (1 / 2.4) - 0.055, atol=2e-3)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--motion", "auto"], "do not take --motion"),
        (["--frames-axis", "0"], "do not take --frames-axis"),
        (["--decimation", "sum"], "do not take --decimation"),
        (["--psf", "estimate"], "do not take --psf estimate"),
        (["b.png"], "take frames of one kind"),
        (["none.dng"], "none.dng"),
        (["small.dng"], "small.dng is (4, 4)"),
    ],
)
def test_what_raw_photographs_do_not_take(camera, tmp_path, monkeypatch, more, words):
    monkeypatch.chdir(tmp_path)
    path = camera("a.dng", np.ones((6, 8)))
    camera("small.dng", np.ones((4, 4)))
    more = [str(tmp_path / each) if each.endswith(".dng") else each for each in more]
    psf = [] if "--psf" in more else ["--psf", "box:size=3"]
    result = run("superres", path, "--factor", 1, *psf, "--out", "o.png", *more)
    assert result.exit_code == 1, result.output
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_without_rawpy(tmp_path):
    """One line that says what to install, or that the file is none."""
    (tmp_path / "a.dng").write_bytes(b"no raw file")
    words = "--psf", "box:size=3", "--factor", 1, "--out", tmp_path / "o.png"
    result = run("superres", tmp_path / "a.dng", *words)
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert "a.dng" in result.stderr
