"""What the README shows runs."""

import re
from pathlib import Path

import numpy as np
import pytest
from skimage import data

import dhop

README = Path(__file__).parents[1] / "README.md"


@pytest.fixture
def burst(tmp_path, monkeypatch):
    """The images that the first block reads: a photograph, moved by fractions of their pixels."""
    monkeypatch.chdir(tmp_path)
    Path("burst").mkdir()
    scene = data.camera()[100:212, 180:292] / 255
    blur, rng = dhop.psf.gaussian(9, 1.2), np.random.default_rng(0)
    for number, move in enumerate(rng.uniform(-1, 1, (8, 2))):
        moved, center = dhop.psf.shift(blur, move)
        A = dhop.DHOperator(scene.shape, moved, 2, center=center, decimation="mean")
        frame = A.degrade(scene)[4:-4, 4:-4] + 0.01 * rng.standard_normal((48, 48))
        dhop.imwrite(f"burst/{number}.png", frame, bits=8)


@pytest.mark.usefixtures("burst")
def test_python_blocks(capsys):
    names = {}
    for block in re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL):
        exec(compile(block, "README.md", "exec"), names)
    assert "DHOperator" in capsys.readouterr().out
    assert Path("dh.npz").exists()
    assert dhop.imread("sharp.png").shape == (96, 96)
    assert names["solution"].converged
    assert np.abs(names["S"] @ names["x"] - names["A"] @ names["x"]).max() < 1e-12


def test_the_reference_has_every_public_name():
    page = (README.parent / "docs" / "reference.md").read_text()
    for name in dhop.__all__:
        assert re.search(rf"^\.\. auto\w+:: (dhop\.)?{name}$", page, re.MULTILINE), name
