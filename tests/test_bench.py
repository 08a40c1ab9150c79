"""What is timed side by side computes the same."""

import json
import time
from functools import partial
from itertools import groupby

import numpy as np
import pytest
from typer.testing import CliRunner

from dhop import DHOperator, cli, psf
from dhop.cli import timing as bench


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("decimation", ["sum", "mean", "sample"])
@pytest.mark.parametrize("boundary", ["constant", "wrap", "symmetric", "reflect", "edge"])
@pytest.mark.parametrize("kind", ["separable", "dense"])
def test_peers_give_the_same_product(kind, boundary, decimation):
    rng = np.random.default_rng(0)
    blur = psf.gaussian((7, 5), 1.2) if kind == "separable" else rng.random((7, 5))
    A = DHOperator((24, 36), blur, (2, 3), decimation=decimation, boundary=boundary, dtype="f4")
    for adjoint, shape, expected in [(False, A.dims, A.degrade), (True, A.dimsd, A.backproject)]:
        image = rng.random(shape).astype(np.float32)
        peers = bench.peers(A, adjoint)
        assert len(peers) >= (1 if adjoint and boundary != "constant" else 3)
        for name, product in (bench.methods(A, adjoint) | peers).items():
            result = np.asarray(product(image)).reshape(expected(image).shape)
            np.testing.assert_allclose(result, expected(image), rtol=1e-4, atol=1e-6, err_msg=name)


def test_times_are_interleaved():
    calls = []
    products = {name: lambda x, n=name: calls.append(n) for name in "ab"}
    times = bench.interleaved(products, np.zeros(1), rounds=3, warm=1e-3)
    assert set(times) == {"a", "b"}
    assert all(seconds >= 0 for seconds in times.values())
    turns = [name for name, _ in groupby(calls)]
    assert turns == list("abababab")
    assert len(calls) > len(turns)  # some are repeated before they count


def test_the_first_call_of_a_turn_does_not_count():
    """It finds memory that another package's product has given back."""
    calls = []

    def slow(_):
        calls.append(time.sleep(0.2 if len(calls) % 2 else 0.06))

    assert 0.06 <= bench.interleaved({"slow": slow}, np.zeros(1), rounds=3)["slow"] < 0.2
    assert len(calls) == 1 + 3 * 2


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(bench, "interleaved", partial(bench.interleaved, rounds=2, warm=1e-3))


@pytest.mark.usefixtures("short")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
class TestCommand:
    def test_table(self):
        arguments = ["bench", "--size", "64", "--psf", "gaussian:sigma=1", "--adjoint"]
        result = CliRunner().invoke(cli.app, arguments)
        assert result.exit_code == 0, result.output
        assert "dhop separable" in result.output
        assert "fastest:" in result.output

    def test_json(self):
        arguments = ["--size", "16", "--psf", "box:size=3", "--dtype", "float64", "--json"]
        result = CliRunner().invoke(cli.app, ["bench", *arguments])
        assert result.stderr == ""
        found = json.loads(result.stdout)
        assert found["dims"] == [16, 16]
        assert found["dtype"] == "float64"
        assert {"dhop direct", "dhop separable", "dhop fft"} <= set(found["seconds"])
        assert found["fastest"] in found["seconds"]
