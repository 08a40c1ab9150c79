"""The commands, as a user calls them."""

import re

import imageio.v3 as imageio
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from dhop import DHOperator, cli, images, load_matrix, psf
from dhop.cli.terminal import errors_in_words


@pytest.fixture
def frame(tmp_path):
    """A 40 x 30 photograph-like frame of a smooth scene and its PNG file."""
    rows, columns = np.mgrid[:80, :60]
    scene = 0.5 + 0.4 * np.sin(rows / 5) * np.cos(columns / 7)
    A = DHOperator(scene.shape, psf.gaussian(9, 1.0), 2, decimation="mean", boundary="symmetric")
    path = tmp_path / "frame.png"
    imageio.imwrite(path, np.rint(A.degrade(scene) * 255).astype(np.uint8))
    return scene, path


def call(*arguments):
    return CliRunner().invoke(cli.app, [str(each) for each in arguments])


def superres(*frames, out, psf="gaussian:sigma=1", **options):
    extra = [text for key, value in options.items() for text in (f"--{key}", value)]
    return call("superres", *frames, "--factor", 2, "--psf", psf, "--out", out, *extra)


def test_demo_beats_bicubic_and_says_by_how_much(tmp_path):
    result = call("demo", "--out", tmp_path / "demo.png")
    assert result.exit_code == 0, result.output
    gain = re.search(r"gain\s+\+([\d.]+) dB over bicubic", result.output)
    assert float(gain[1]) > 2
    assert "MB as CSR" in result.output
    picture = imageio.imread(tmp_path / "demo.png")
    assert picture.shape[1] > 1200
    assert picture[..., :3].std() > 30


@pytest.mark.parametrize("ending", ["png", "tif", "npy"])
def test_superres_recovers_the_scene(frame, tmp_path, ending):
    scene, path = frame
    out = tmp_path / f"out.{ending}"
    result = superres(path, out=out, beta=1e-4)
    assert result.exit_code == 0, result.output
    image = np.load(out) if ending == "npy" else imageio.imread(out)
    if ending != "npy":
        assert image.dtype == np.uint8
        image = image / 255
    assert image.shape == scene.shape
    assert np.abs(image - scene)[6:-6, 6:-6].max() < 0.02


def test_several_frames_and_sixteen_bits(frame, tmp_path):
    scene, path = frame
    result = superres(path, path, path, out=tmp_path / "out.png", bits=16)
    assert result.exit_code == 0, result.output
    image = imageio.imread(tmp_path / "out.png")
    assert image.dtype == np.uint16
    assert np.abs(image / 65535 - scene).mean() < 0.02


def test_colours_together(tmp_path):
    rng = np.random.default_rng(0)
    imageio.imwrite(tmp_path / "in.png", rng.integers(0, 255, (20, 30, 3), np.uint8))
    result = superres(tmp_path / "in.png", out=tmp_path / "out.png")
    assert result.exit_code == 0, result.output
    assert imageio.imread(tmp_path / "out.png").shape == (40, 60, 3)


def test_transparency_is_left_out(tmp_path):
    rng = np.random.default_rng(0)
    imageio.imwrite(tmp_path / "in.png", rng.integers(0, 255, (20, 30, 4), np.uint8))
    assert images.imread(tmp_path / "in.png").shape == (20, 30, 3)
    imageio.imwrite(tmp_path / "stack.tif", np.zeros((5, 20, 30), np.float32))
    with pytest.raises(ValueError, match="not a single image"):
        images.imread(tmp_path / "stack.tif")


def test_psf_from_a_file(frame, tmp_path):
    np.save(tmp_path / "psf.npy", psf.gaussian(9, 1.0))
    result = superres(frame[1], out=tmp_path / "out.npy", psf=tmp_path / "psf.npy")
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"psf": "gauss:sigma=1"}, "neither a file nor one of the psfs"),
        ({"psf": "gaussian:width=1"}, "write it as gaussian:sigma="),
        ({"psf": "gaussian:sigma=one"}, "write it as gaussian:sigma="),
        ({"psf": "gaussian:sigma=-1"}, "sigma must be positive"),
        ({"boundary": "mirror"}, "did you mean 'reflect'"),
        ({"psf": "box:size=3.7"}, "whole number of pixels"),
        ({"psf": "gaussian:sigma=inf"}, "the width of a psf must be finite"),
        ({"bits": 12}, "bits must be 8 or 16"),
        ({"bits": 16, "out": "out.jpg"}, ".jpg holds no 16 bits"),
        ({"beta": -1}, "beta must not be negative"),
        ({"out": "nowhere/out.png"}, "nowhere is not a folder"),
    ],
)
def test_errors_in_words(frame, tmp_path, change, words):
    result = superres(frame[1], **{"out": tmp_path / "out.png", **change})
    assert result.exit_code == 1
    assert words in re.sub(r"\s+", " ", result.stderr)


def test_missing_and_mismatched_images(frame, tmp_path):
    assert superres(tmp_path / "none.png", out=tmp_path / "out.png").exit_code == 1
    (tmp_path / "text.png").write_text("no image")
    result = superres(tmp_path / "text.png", out=tmp_path / "out.png")
    assert result.exit_code == 1
    assert "text.png, it is broken or of another format" in result.stderr
    imageio.imwrite(tmp_path / "other.png", np.zeros((5, 5), np.uint8))
    result = superres(frame[1], tmp_path / "other.png", out=tmp_path / "out.png")
    assert result.exit_code == 1
    assert "(5, 5)" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["demo", "--out", "demo.xyz"], "the picture is one of"),
        (["demo", "--out", "nowhere/demo.png"], "nowhere is not a folder"),
        (["demo", "--noise", -1], "noise must not be negative"),
        (["demo", "--sigma", -1], "sigma must be positive"),
        (["demo", "--sigma", "nan"], "the width of a psf must be finite"),
        (["bench", "--factor", 0], "factor must be positive"),
        (["bench", "--size", 0], "dims must be positive"),
        (["export", "nowhere/a.npz", "--size", 9, 9, "--factor", 2, "--psf", "box:size=3"],
         "nowhere is not a folder"),
        (["export", "a.npz", "--size", 400_000, 400_000, "--factor", 2, "--psf", "box:size=25"],
         "error: a.npz: the matrix takes 32"),
    ],
)  # fmt: skip
def test_refusals(tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    result = call(*arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert words in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_error_is_one_line(capsys):
    with pytest.raises(typer.Exit), errors_in_words():
        raise ValueError("an array of\n  two lines")
    assert capsys.readouterr().err == "error: an array of two lines\n"


@pytest.mark.parametrize("name", ["a.npz", "a.mtx", "a"])
def test_export(tmp_path, name):
    arguments = ["--size", 20, 24, "--factor", 2, "--psf", "gaussian:sigma=1,size=5"]
    result = call("export", tmp_path / name, *arguments)
    assert result.exit_code == 0, result.output
    A = DHOperator((20, 24), psf.gaussian(5, 1.0), 2, dtype="float32")
    assert f"{A.nnz:,} nonzeros" in result.output
    assert (load_matrix(tmp_path / name).astype(np.float32) != A.to_sparse()).nnz == 0
    again = call("export", tmp_path / name, *arguments)
    assert again.exit_code == 1
    assert "exists; give --overwrite to replace it" in again.output
    assert call("export", tmp_path / name, *arguments, "--overwrite").exit_code == 0
