"""What the README shows runs."""

import re
from pathlib import Path

import numpy as np

import dhop

README = Path(__file__).parents[1] / "README.md"


def test_python_blocks(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL):
        exec(compile(block, "README.md", "exec"), names)
    assert "DHOperator" in capsys.readouterr().out
    assert (tmp_path / "dh.npz").exists()
    assert names["solution"].converged
    assert np.abs(names["S"] @ names["x"] - names["A"] @ names["x"]).max() < 1e-12


def test_the_reference_has_every_public_name():
    page = (README.parent / "docs" / "reference.md").read_text()
    for name in dhop.__all__:
        assert re.search(rf"^\.\. auto\w+:: (dhop\.)?{name}$", page, re.MULTILINE), name
