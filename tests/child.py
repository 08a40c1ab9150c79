"""Run Python code in an interpreter of its own: whatever may kill it, kills only that."""

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

import dhop

# Of a test that needs machine code, or arrays too large for plain Python loops.
COMPILED = pytest.mark.skipif(
    bool(os.environ.get("NUMBA_DISABLE_JIT")), reason="nothing is compiled"
)
PATH = [str(Path(dhop.__file__).parents[1]), str(Path(__file__).parent)]


def environment(more=None):
    """Of a child that imports what we do."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(PATH), **(more or {})}


def run(code, *, timeout=120, warnings="error", env=None):
    """Run `code`; return what it printed. A bad exit, a warning or a hang is a failure."""
    result = subprocess.run(
        [sys.executable, "-W", warnings, "-c", dedent(code)],
        env=environment(env),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert result.returncode == 0, f"exit {result.returncode}\n{result.stdout}\n{result.stderr}"
    return result.stdout


# What a child may begin with: a shared operator that has not been used yet, and its exact answer.
SHARED = """
    import concurrent.futures, multiprocessing, operator, os, signal, sys, threading, time
    import numpy as np
    import oracle
    from dhop import DHOperator

    rng = np.random.default_rng(0)
    psf = oracle.integer_psf(rng, (9, 8))
    image = oracle.integers(rng, (400, 300))
    A = DHOperator(image.shape, psf, 2, boundary="reflect", method="direct")
    expected = oracle.degrade(image, psf, 2, boundary="reflect").ravel()
    x = image.ravel()
"""
