"""What ``dhop info`` tells of operators that are too large to be made."""

import json
import time
from functools import partial

import numpy as np
import oracle
import pytest
from typer.testing import CliRunner

from dhop import DHOperator, cli, psf
from dhop.cli import extrapolation
from dhop.matrix.sparse import FORMATS

DISK = psf.disk(1.5)  # of which some taps are zero


@pytest.mark.parametrize("boundary", oracle.BOUNDARIES)
@pytest.mark.parametrize("factor", [1, 2, (3, 2)])
def test_facts_of_large_operators_are_those_of_short_ones(monkeypatch, boundary, factor):
    """Of lengths that a dense matrix can still be of."""
    monkeypatch.setattr(extrapolation, "LONG", {2: 4})
    monkeypatch.setattr(extrapolation, "REACHES", 2)
    make = partial(DHOperator, psf=DISK, factor=factor, boundary=boundary, dtype="f4")
    dims = 25, 31
    found, whole = extrapolation.Extrapolated.of(dims, make), make(dims)
    assert np.prod(found.small.dims) < np.prod(dims)
    dense = oracle.matrix(dims, DISK, factor, boundary=boundary)
    assert found.nnz == np.count_nonzero(dense)
    assert (found.dimsd, found.shape) == (whole.dimsd, dense.shape)
    for format in FORMATS:
        assert found.nbytes(format) == whole.sparse_nbytes(format)
    for ord in (1, np.inf):
        assert found.small.norm(ord) == pytest.approx(np.linalg.norm(dense, ord), rel=1e-6)


def test_any_size_at_once():
    begin = time.process_time()
    words = ["info", "--size", str(10**9), str(10**9), "--factor", "2", "--psf", "box:size=3"]
    result = CliRunner().invoke(cli.app, [*words, "--json"])
    assert result.exit_code == 0, result.output
    assert time.process_time() - begin < 2
    facts = json.loads(result.stdout)
    # A folded tap of four pixels a side, less one that either end reads outside.
    assert facts["nnz"] == (4 * 5 * 10**8 - 2) ** 2
    assert facts["dimsd"] == [5 * 10**8] * 2
    assert facts["largest"] is None


@pytest.mark.parametrize("size", [(600, 8, 8), (8, 8, 8, 8)])
def test_a_size_of_more_axes_than_the_psf(size):
    words = ["info", "--size", *map(str, size), "--factor", "2", "--psf", "box:size=3"]
    result = CliRunner().invoke(cli.app, words)
    assert result.exit_code == 1
    assert f"one number for each axis of the psf, of 2 axes, got {len(size)}" in result.stderr
