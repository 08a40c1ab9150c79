"""Singular values by structure, against those of the dense matrix."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from dhop import DHOperator, FrameStack, psf
from dhop.operators import lanczos, spectrum
from dhop.operators.spectrum import singular_values

BLURS = {
    "separable": psf.gaussian((3, 5), (0.7, 1.1)),
    "asymmetric": np.random.default_rng(0).random((4, 3)),
    "complex": np.random.default_rng(0).standard_normal((3, 3, 2)).view(complex)[..., 0],
    "separable complex": np.outer([1, 2j], [1j, 1, 3]),
    "larger than the image": np.random.default_rng(1).random((15, 17)),
}


@pytest.mark.parametrize("decimation", ["sum", "sample"])
@pytest.mark.parametrize("dims", [(6, 8), (7, 9), (2, 6, 4), (6, 2, 4)])
@pytest.mark.parametrize("blur", BLURS)
def test_all_singular_values(blur, dims, decimation):
    options = {"decimation": decimation, "phase": (1, 0)}
    options["axes"] = (0, 2) if dims == (6, 2, 4) else (-2, -1)
    for boundary in "constant", "wrap", "symmetric", ("reflect", "wrap"):
        A = DHOperator(dims, BLURS[blur], (3, 2), boundary=boundary, **options)
        expected = np.linalg.svd(A.to_sparse().toarray(), compute_uv=False)
        close = {"rtol": 1e-12, "atol": 1e-14 * expected[0], "err_msg": str(boundary)}
        assert_allclose(singular_values(A), expected, **close)


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


FEW = {
    "equal values": lambda: DHOperator((20, 20), psf.disk(2.3), 2, boundary="symmetric"),
    "wrap": lambda: DHOperator((24, 18), psf.disk(2.3), (2, 3), boundary="wrap"),
    "reflect": lambda: DHOperator((19, 22), psf.disk(2.3), 2, boundary="reflect"),
    "complex": lambda: DHOperator((18, 16), BLURS["complex"], 2),
    "single precision": lambda: DHOperator((18, 16), psf.disk(2.3), 2, dtype=np.float32),
    "batch": lambda: DHOperator((3, 16, 14), psf.disk(1.6), 2),
    "stack": lambda: FrameStack(
        [DHOperator((14, 12), psf.gaussian(5, width), 2) for width in (0.6, 0.9, 1.2, 1.5, 1.8)]
    ),
    "weighted": lambda: FrameStack(
        [DHOperator((14, 12), psf.gaussian(5, width), 2) for width in (0.6, 1.2)], [1.0, 4.0]
    ),
    "expression": lambda: (
        DHOperator((14, 12), psf.disk(1.6), 2) + DHOperator((14, 12), psf.box(3), 2)
    ),
    "adjoint": lambda: DHOperator((14, 12), psf.disk(1.6), 2).H,
    "zero": lambda: DHOperator((8, 8), np.zeros((3, 3)), 2),
    "tiny": lambda: DHOperator((2, 4), psf.disk(1.6), 2),
}


@pytest.mark.slow
@pytest.mark.parametrize("factored", [True, False])
@pytest.mark.parametrize("case", FEW)
def test_a_few_by_iteration(case, factored, monkeypatch):
    A = FEW[case]()
    expected = np.linalg.svd(A.to_sparse().toarray().astype(complex), compute_uv=False)
    monkeypatch.setattr(spectrum, "_all", refuse)
    if not factored:
        monkeypatch.setattr(lanczos, "FACTORED", 0)
    for k in (1, 2, 7):
        k = min(k, len(expected))
        largest = singular_values(A, k)
        if case == "stack" and not factored:  # of which a hundred are next to zero
            with pytest.raises(RuntimeError, match="the smallest singular values are too near"):
                singular_values(A, k, which="smallest")
            break
        smallest = singular_values(A, k, which="smallest")
        accuracy = 1e-6 if A.dtype.itemsize == 4 else 1e-7 if expected[-1] < 1e-7 else 1e-10
        assert_allclose(largest, expected[:k], 0, accuracy * expected[0])
        assert_allclose(smallest, expected[-k:], 0, accuracy * expected[0])


def refuse(A):
    raise spectrum._TooLargeError(A.shape)


@pytest.mark.parametrize("which", ["largest", "smallest"])
def test_a_few_where_all_are_known(which):
    A = DHOperator((12, 16), psf.gaussian(5, 0.8), 2)
    expected = np.linalg.svd(A.to_sparse().toarray(), compute_uv=False)
    expected = expected[:5] if which == "largest" else expected[-5:]
    assert_allclose(singular_values(A, 5, which=which), expected, 0, 1e-14)


@pytest.mark.slow
def test_a_large_one_by_iteration():
    """The image that wraps has them in closed form, and hardly others."""
    blur = psf.disk(3.3)
    found = singular_values(DHOperator((250, 250), blur, 2, boundary="constant"), 3)
    near = singular_values(DHOperator((250, 250), blur, 2, boundary="wrap"))[:3]
    assert_allclose(found, near, rtol=2e-3)
    assert (found < near[0]).all()


def test_a_few_of_too_many():
    A = DHOperator((8, 8), psf.box(3), 2)
    with pytest.raises(ValueError, match="has 16 values, not 17"):
        singular_values(A, 17)
    with pytest.raises(ValueError, match="k must be positive"):
        singular_values(A, 0)
    with pytest.raises(ValueError, match="did you mean 'smallest'"):
        singular_values(A, 1, which="smalest")
    with pytest.raises(TypeError, match="an operator of dhop has singular values, got ndarray"):
        singular_values(np.eye(3), 1)
