"""``dhop superres --motion``: found, from files, and from sky coordinates."""

import json
import re

import numpy as np
import pytest
from bursts import quality
from moving import burst, motions, photograph
from numpy.testing import assert_allclose
from scipy.ndimage import gaussian_filter, map_coordinates
from typer.testing import CliRunner

from dhop import cli, images, psf, super_resolve

SHAPE = 48, 52


@pytest.fixture(scope="module")
def given():
    return motions("euclidean", 4, SHAPE, turn=4)


@pytest.fixture(scope="module")
def folder(given, tmp_path_factory):
    """Four turned frames as 16-bit files."""
    folder = tmp_path_factory.mktemp("turned")
    for number, frame in enumerate(burst(photograph(), given, SHAPE)):
        images.write(folder / f"frame{number}.png", frame, 16)
    return folder


def run(folder, *words, ending="png", count=4):
    frames = [folder / f"frame{number}.{ending}" for number in range(count)]
    return CliRunner().invoke(
        cli.app,
        [str(each) for each in (
            "superres", *frames, "--factor", 2, "--psf", "gaussian:sigma=1", "--beta", 0.01,
            "--overwrite", *words,
        )],
    )  # fmt: skip


def succeed(folder, *words, **more):
    result = run(folder, "--json", *words, **more)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.slow
def test_found(folder, given):
    facts = succeed(folder, "--motion", "euclidean", "--out", folder / "euclidean.npy", count=3)
    assert facts["model"] == "euclidean"
    assert_allclose(np.array(facts["motion"])[:, :2, :2], given[:3, :2, :2], atol=0.002)
    assert facts["fits"] == [True] * 3
    assert facts["refined"][0] == 0
    assert 0 <= max(facts["refined"]) < 0.1
    words = run(folder, "--motion", "auto", "--out", folder / "auto.npy", count=3).stdout
    assert re.search(r"motion +euclidean", words)
    frames = np.stack([images.imread(folder / f"frame{number}.png") for number in range(3)])
    expected = super_resolve(
        frames.astype("f4"), cli.parsing.parse_psf("gaussian:sigma=1"), 2, motion=facts["motion"],
        beta=0.01,
    ).image  # fmt: skip
    for model in ("euclidean", "auto"):
        assert_allclose(np.load(folder / f"{model}.npy"), expected, atol=1e-5)


def test_matrices_of_files(folder, given):
    frames = np.stack([images.imread(folder / f"frame{number}.png") for number in range(4)])
    blur = cli.parsing.parse_psf("gaussian:sigma=1")
    expected = super_resolve(frames.astype("f4"), blur, 2, motion=given, beta=0.01).image
    np.save(folder / "motion.npy", given)
    (folder / "motion.json").write_text(json.dumps(given.tolist()))
    np.savetxt(folder / "motion.txt", given.reshape(-1, 9))
    np.savetxt(folder / "rows.csv", given.reshape(-1, 3), delimiter=",")
    for name in ("motion.npy", "motion.json", "motion.txt", "rows.csv"):
        facts = succeed(folder, "--motion", folder / name, "--out", folder / "out.npy")
        assert facts["model"] is None
        assert_allclose(facts["motion"], given, atol=1e-12)
        assert_allclose(np.load(folder / "out.npy"), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--motion", "euclidian"], "there is no file euclidian, and motions are shift, euclidean"),
        (["--motion", "affine", "--register"], "take --motion alone"),
        (["--motion", "affine", "--refine"], "take --motion alone"),
        (["--motion", "wcs"], "in FITS files only"),
        (["--motion", "three.txt"], "4 frames, but 3 motions"),
        (["--motion", "words.txt"], "nine numbers for each frame"),
        (["--motion", "empty.txt"], "nine numbers for each frame"),
        (["--motion", "words.json"], "nine numbers for each frame"),
        (["--motion", "flat.npy"], "motion of frame 0 must be"),
    ],
)
def test_errors_in_words(folder, tmp_path, monkeypatch, words, says):
    monkeypatch.chdir(tmp_path)
    np.savetxt("three.txt", np.eye(3))
    (tmp_path / "words.txt").write_text("a turn\n")
    (tmp_path / "empty.txt").write_text("\n")
    (tmp_path / "words.json").write_text('{"turn": 3}')
    np.save("flat.npy", np.zeros((4, 2, 2)))
    result = run(folder, *words, "--out", "out.npy")
    assert result.exit_code == 1
    assert says in re.sub(r"\s+", " ", result.stderr)
    assert not (tmp_path / "out.npy").exists()


def test_motions_are_not_overwritten(folder, given):
    np.save(folder / "kept.npy", given)
    result = run(folder, "--motion", folder / "kept.npy", "--out", folder / "kept.npy")
    assert result.exit_code == 1
    assert_allclose(np.load(folder / "kept.npy"), given)


def test_sky_coordinates(tmp_path):
    """Dithers of a distorted camera: sharper than one frame, and in the right place of the sky."""
    fits, wcs = pytest.importorskip("astropy.io.fits"), pytest.importorskip("astropy.wcs")
    sky = {
        "CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP", "CRVAL1": 83.6, "CRVAL2": 22.0,
        "CRPIX1": 26.0, "CRPIX2": 24.0, "A_ORDER": 2, "B_ORDER": 2, "A_2_0": 3e-4, "B_1_1": 2e-4,
    }  # fmt: skip
    scene = photograph()[150:300, 150:300]
    fine = (np.indices((96, 104)) - 0.5) / 2  # pixels of the frames that are half as large
    rng = np.random.default_rng(0)
    frames, first, truth = [], None, None
    for number, (turn, move) in enumerate([(0, 0), (3, 1.3), (-2, -0.7), (1, 0.4)]):
        angle = np.radians(turn)
        header = fits.Header(sky | {
            "CRPIX1": 26.0 + move, "CD1_1": -1e-4 * np.cos(angle), "CD1_2": 1e-4 * np.sin(angle),
            "CD2_1": 1e-4 * np.sin(angle), "CD2_2": 1e-4 * np.cos(angle),
        })  # fmt: skip
        own = wcs.WCS(header)
        first = first or own
        world = own.all_pix2world(*fine[::-1], 0)
        places = np.array(first.all_world2pix(*world, 0, tolerance=1e-6))[::-1]
        seen = map_coordinates(scene, 2 * places + 23.5, order=5, mode="mirror")
        truth = seen if truth is None else truth
        blurred = gaussian_filter(seen, 1.0, mode="nearest")
        frame = blurred.reshape(48, 2, 52, 2).mean(axis=(1, 3))
        frames.append(frame + 0.01 * rng.standard_normal(frame.shape))
        fits.PrimaryHDU(frames[-1], header).writeto(tmp_path / f"frame{number}.fits")
    facts = succeed(tmp_path, "--motion", "wcs", "--out", tmp_path / "out.fits", ending="fits")
    assert facts["motion"][0] == np.eye(3).tolist()
    assert facts["motion"][1:] == [None] * 3
    image, header = fits.getdata(tmp_path / "out.fits", header=True)
    alone = super_resolve(frames[0], psf.gaussian(9, 1.0), 2, beta=0.003).image
    assert quality(image, truth) > quality(alone, truth) + 1
    world = first.all_pix2world(*fine[::-1], 0)
    assert_allclose(
        wcs.WCS(header).all_pix2world(*np.indices((96, 104))[::-1], 0), world, rtol=1e-10
    )
