"""Singular values by structure, against those of the dense matrix."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from dhop import DHOperator, psf
from dhop.operators.spectrum import singular_values

BLURS = {
    "separable": psf.gaussian((3, 5), (0.7, 1.1)),
    "asymmetric": np.random.default_rng(0).random((4, 3)),
    "complex": np.random.default_rng(0).standard_normal((3, 3, 2)).view(complex)[..., 0],
    "separable complex": np.outer([1, 2j], [1j, 1, 3]),
    "larger than the image": np.random.default_rng(1).random((15, 17)),
}


@pytest.mark.parametrize("boundary", ["constant", "wrap", "symmetric", ("reflect", "wrap")])
@pytest.mark.parametrize("decimation", ["sum", "sample"])
@pytest.mark.parametrize("dims", [(6, 8), (7, 9), (2, 6, 4), (6, 2, 4)])
@pytest.mark.parametrize("blur", BLURS)
def test_all_singular_values(blur, dims, decimation, boundary):
    axes = (0, 2) if dims == (6, 2, 4) else (-2, -1)
    A = DHOperator(
        dims, BLURS[blur], (3, 2), decimation=decimation, boundary=boundary, phase=(1, 0), axes=axes
    )
    expected = np.linalg.svd(A.to_sparse().toarray(), compute_uv=False)
    assert_allclose(singular_values(A), expected, rtol=1e-12, atol=1e-14 * expected[0])


def test_large_ones_by_structure():
    """The largest agrees with Lanczos iteration, the sum of squares with the Frobenius norm."""
    for A in (
        DHOperator((120, 160), psf.gaussian(9, 1.5), 2, boundary="symmetric"),
        DHOperator((120, 160), psf.disk(3.3), (2, 4), boundary="wrap"),
    ):
        values = singular_values(A)
        assert values.shape == (A.shape[0],)
        assert_allclose(values[0], A.norm(2), rtol=1e-6)
        assert_allclose(np.sqrt((values**2).sum()), A.norm("fro"), rtol=1e-12)


def test_zero():
    assert not singular_values(DHOperator((6, 6), np.zeros((3, 3)), 2)).any()


def test_too_large_says_what_helps():
    with pytest.raises(ValueError, match=r"40000 x 160000 is too large .* smaller image"):
        singular_values(DHOperator((400, 400), psf.disk(3.3), 2))
    with pytest.raises(ValueError, match="too large"):
        singular_values(DHOperator((1, 100_000), psf.box((1, 3)), (1, 2)))
