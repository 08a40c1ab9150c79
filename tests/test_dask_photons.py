"""Richardson's and Lucy's iteration in chunks: the formula, and where it ends."""

import numpy as np
import oracle
import pytest
from numpy.testing import assert_allclose

from dhop import psf, super_resolve

da = pytest.importorskip("dask.array")
dask = pytest.importorskip("dask")

from dhop.dask import super_resolve as in_chunks  # noqa: E402

BLUR = psf.gaussian(3, 0.8)
LUCY = {"loss": "poisson", "solver": "richardson-lucy"}


@pytest.fixture(autouse=True)
def one_thread():
    with dask.config.set(scheduler="synchronous"):
        yield


@pytest.mark.parametrize("scratch", [False, True])
def test_the_first_step_is_the_formula(tmp_path, scratch):
    """Of dense matrices: x A^T(w n / m) / A^T w, with gain, background and mask."""
    rng = np.random.default_rng(0)
    frames = rng.poisson(9.0, (2, 6, 8)) * 3.0
    weights = (rng.random(frames.shape) > 0.2).astype(float)
    start = rng.random((12, 16)) + 0.5
    A = np.vstack([
        oracle.matrix((12, 16), BLUR, 2, center=c, boundary="symmetric", decimation="mean")
        for c in [(1, 1), (0, 2)]
    ])  # fmt: skip
    w, n = weights.ravel(), frames.ravel() / 3
    x = start.ravel()
    m = A @ x / 3 + 1.5 / 3
    assert (A.T @ w > 0).all()
    expected = x * (A.T @ (w * n / m)) / (A.T @ w)
    found = in_chunks(
        da.from_array(frames, chunks=(1, 3, 4)), BLUR, 2, shifts=[(0, 0), (0.5, -0.5)],
        weights=weights, background=1.5, gain=3.0, x0=start, maxiter=1, rtol=0.0,
        scratch=tmp_path / "files" if scratch else None, **LUCY,
    )  # fmt: skip
    assert_allclose(found.image.compute().ravel(), expected, rtol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("rtol", [0.0, 1e-6])
def test_as_in_memory(rtol):
    """The accelerated steps, and the end where noise alone could be what is left."""
    scene = 200 * np.outer(np.hanning(24), np.hanning(32)) + 5
    frames = np.random.default_rng(1).poisson(scene[::2, ::2], (2, 12, 16)).astype(float)
    options = {"shifts": [(0, 0), (0.5, 0.5)], "maxiter": 6, "rtol": rtol, **LUCY}
    expected = super_resolve(frames, BLUR, 2, **options)
    found = in_chunks(da.from_array(frames, chunks=(1, 6, 8)), BLUR, 2, **options)
    assert (found.iterations, found.converged) == (expected.iterations, expected.converged)
    assert found.solver == "richardson-lucy"
    assert_allclose(found.image.compute(), expected.image, rtol=1e-6)


@pytest.mark.parametrize(
    ("more", "words"), [({"beta": 0.1}, "no prior"), ({"regulariser": "tv"}, "without a prior")]
)
def test_what_it_does_not_go_with(more, words):
    frames = da.ones((1, 8, 8), chunks=4)
    with pytest.raises(ValueError, match=words):
        in_chunks(frames, BLUR, 2, **LUCY | more)
