"""What tests of exports share: small matrices that differ, and a folder with a thesis in it."""

import os

import numpy as np
import pytest

from dhop import DHOperator, load_matrix

EVERY = pytest.mark.parametrize("name", ["matrix", "matrix.npz"])
POSIX = pytest.mark.skipif(os.name == "nt", reason="needs files of POSIX")


def operator(value=1.0):
    return DHOperator((9, 12), np.full((3, 4), value), (2, 3), dtype="float64")


def holds(path, A):
    return (load_matrix(path, mmap=False) != A.to_sparse()).nnz == 0


def thesis(path, name="thesis.tex"):
    path.mkdir(exist_ok=True)
    (path / name).write_text("Chapter 1")
