"""What the README shows runs."""

import re
from pathlib import Path

import numpy as np

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
