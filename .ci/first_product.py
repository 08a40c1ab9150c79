"""What a wheel must do where it is installed alone: one product, its adjoint and its matrix."""

import sys
from importlib.metadata import version
from importlib.util import find_spec

import numpy as np

import dhop

assert "src" not in dhop.__file__.replace("\\", "/").split("/"), dhop.__file__
assert find_spec("matplotlib") is None, "an extra came with the library"
assert dhop.__version__ == version("dhop")
assert not [name for name in sys.modules if name.partition(".")[0] == "numba"]

A = dhop.DHOperator((6, 4), np.ones((3, 3)), 2)
x = np.arange(24.0).reshape(6, 4)
blurred = sum(np.pad(x, 1)[i : i + 6, j : j + 4] for i in range(3) for j in range(3))
expected = blurred.reshape(3, 2, 2, 2).sum(axis=(1, 3))
assert np.array_equal(A.degrade(x), expected)
assert np.array_equal(A.to_sparse() @ x.ravel(), expected.ravel())
assert (A @ x.ravel()) @ expected.ravel() == x.ravel() @ (A.H @ expected.ravel())
print("dhop", dhop.__version__, "multiplies")
