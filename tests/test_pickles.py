"""Fault 29: what one version of SciPy has pickled, another loads.

``python tests/test_pickles.py`` writes the file of the SciPy that is installed.
"""

import pickle
from pathlib import Path

import numpy as np
import pytest
import scipy
from numpy.testing import assert_array_equal

from dhop import DHOperator

FOLDER = Path(__file__).parent / "pickles"


def operators():
    """By name: an operator, its adjoint, its transpose, and a multiple of it."""
    psf = np.array([[1, 2, 0], [0, 1j, 3]])
    A = DHOperator((2, 4), psf, (1, 2), boundary="reflect", decimation="mean", phase=(0, 1))
    return {"A": A, "A.H": A.H, "A.T": A.T, "2 * A": 2 * A}


@pytest.mark.parametrize("version", ["1.17", "1.18"])
@pytest.mark.parametrize("name", operators())
def test_fault_29_pickles_of_other_versions(version, name):
    found = pickle.loads((FOLDER / f"scipy-{version}.pickle").read_bytes())[name]
    expected = operators()[name]
    identity = np.eye(expected.shape[1])
    assert found.dtype == expected.dtype
    assert_array_equal(found @ identity, expected @ identity)
    assert_array_equal(found.H @ np.eye(expected.shape[0]), expected.H @ np.eye(expected.shape[0]))


if __name__ == "__main__":
    release = ".".join(scipy.__version__.split(".")[:2])
    (FOLDER / f"scipy-{release}.pickle").write_bytes(pickle.dumps(operators()))
