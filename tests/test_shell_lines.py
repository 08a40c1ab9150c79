"""What README and documentation show in the shell runs, on small files of those names."""

import glob
import json
import re
import shlex
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile
from scipy.ndimage import gaussian_filter
from typer.testing import CliRunner

from dhop import cli, psf, raw

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", "docs/start.md", "docs/*/*.md"]


def lines():
    """Calls of dhop, each once, and the pages they are on, without demonstration and downloads."""
    seen = set()
    for page in sorted(path for pattern in PAGES for path in ROOT.glob(pattern)):
        for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                line = " ".join(line.split())
                if line.startswith("dhop ") and line not in {"dhop demo", *seen}:
                    seen.add(line)
                    yield pytest.param(line, id=f"{page.stem}: {line}")


WRITTEN = ("--out", "--report", "--plot")


@pytest.fixture
def files(tmp_path, monkeypatch):
    """The files that the lines read."""
    fits = pytest.importorskip("astropy.io.fits")
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    scene = gaussian_filter(rng.random((44, 44)), 1.5)
    scene = (scene - scene.min()) / np.ptp(scene)
    star = 10 + 500 * np.pad(psf.gaussian(15, 1.5), ((4, 8), (7, 5)))
    for folder in ("burst", "night", "dither"):
        Path(folder).mkdir()
    for number in range(3):
        frame = scene[number : number + 32, 2 * number : 2 * number + 32]
        frame = (frame + 0.01 * rng.standard_normal(frame.shape)).clip(0, 1)  # without, beta is 0
        imageio.imwrite(f"burst/{number}.png", np.rint(255 * frame).astype(np.uint8))
        imageio.imwrite(f"burst/{number}.tif", frame.astype(np.float32))
        fits.writeto(f"night/{number}.fits", frame)
        sky = {
            "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CDELT1": -1e-4, "CDELT2": 1e-4,
            "CRPIX1": 22.0 - 2 * number, "CRPIX2": 22.0 - number,
        }  # fmt: skip
        fits.writeto(f"dither/{number}.fits", frame, fits.Header(sky))
        fits.writeto(f"exposure-{number}.fits", frame[:20, :20], fits.Header(sky))
        tifffile.imwrite("stack.tif", frame, append=number > 0, photometric="minisblack")
    for name in ("photo.png", "photo.jpg", "frame.png", "scene.png"):
        imageio.imwrite(name, np.rint(255 * scene).astype(np.uint8))
    tifffile.imwrite("mosaic.tif", scene.astype(np.float32))
    for name in ("photo.dng", *(f"burst/{number}.dng" for number in range(3))):
        Path(name).touch()
    mosaic = raw.Mosaic(scene, "RGGB", {"R": 2.0, "G": 1.0, "B": 1.5})
    monkeypatch.setattr(raw, "read", lambda path: mosaic)  # without rawpy
    imageio.imwrite("dead.png", np.zeros((32, 32), np.uint8))
    matrices = [[[1, 0, n], [0, 1, 2 * n], [0, 0, 1]] for n in range(3)]
    Path("motion.json").write_text(json.dumps(matrices))
    Path("shifts.txt").write_text("0 0\n-1 -2\n-2 -4\n")
    fits.writeto("exposure.fits", np.full((32, 32), 2.0))
    for name in ("star.fits", "beam.fits"):
        fits.writeto(name, star)
    np.save("star.npy", star)
    fine = fits.ImageHDU(psf.gaussian(41, 4.0))
    fits.HDUList([fits.PrimaryHDU(), fine]).writeto("fine.fits")
    visit = {"SCI": scene, "DQ": np.zeros((44, 44), "i4"), "PSF": psf.gaussian(7, 1.0)}
    units = [fits.ImageHDU(values, name=name) for name, values in visit.items()]
    fits.HDUList([fits.PrimaryHDU(), *units]).writeto("visit.fits")
    fits.writeto("bands.fits", np.stack([scene, 2 * scene, 3 * scene]))
    for name, sigma in (("psf", 1.0), ("g", 1.1), ("r", 1.0), ("i", 0.9)):
        fits.writeto(f"{name}.fits", psf.gaussian(7, sigma))
    cards = {"NXPSFS": 2, "NYPSFS": 1, "IPSFX01": 1, "IPSFX02": 4096, "JPSFY01": 1025}
    fields = np.array([psf.gaussian(41, sigma) for sigma in (4.0, 6.0)])
    fits.writeto("STDPSF_WFC3UV_F606W.fits", fields, fits.Header(cards))
    np.save("psf.npy", psf.gaussian(7, 1.0))
    np.save("blur.npy", np.multiply.outer([0.25, 0.5, 0.25], psf.gaussian(5, 1.0)))
    np.save("spectrum.npy", scene[30])
    tifffile.imwrite("cells.tif", rng.poisson(100 + 400 * scene).astype(np.float32))
    tifffile.imwrite("psf.tif", psf.gaussian(7, 1.0).astype(np.float32))
    counts = rng.poisson(10 + 90 * np.stack([scene] * 3)).astype(np.uint16)
    tifffile.imwrite("counts.tif", counts, photometric="minisblack")


@pytest.mark.slow
@pytest.mark.parametrize("line", list(lines()))
def test_shell_line(files, line):
    command, *words = shlex.split(line.partition(">")[0].replace("800 800", "80 80"))
    assert command == "dhop"
    words = [name for word in words for name in (sorted(glob.glob(word)) or [word])]
    flags = [flag for flag in WRITTEN if flag in words and "--dry-run" not in words]
    written = [words[words.index(flag) + 1] for flag in flags]
    for name in written:
        Path(name).unlink(missing_ok=True)
    result = CliRunner().invoke(cli.app, words)
    assert result.exit_code == 0, result.output
    for name in written:
        assert Path(name).stat().st_size > 0
