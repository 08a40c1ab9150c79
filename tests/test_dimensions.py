"""Lines, images and volumes: the same laws in one, two and three dimensions."""

import itertools

import numpy as np
import oracle
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import fft

from dhop import DHOperator, FrameStack, psf, singular_values, super_resolve
from dhop.cautions import PSFWarning
from dhop.methods import PLANS

METHODS = list(PLANS)
SIZES = {1: 14, 3: 7}  # at most, of an axis


def random_case(rng, ndim):
    """Arguments of an operator, of whatever kind."""
    dims = tuple(int(n) for n in rng.integers(1, SIZES[ndim] + 1, ndim))
    shape = rng.integers(1, 6, ndim)
    psf = rng.integers(-4, 5, shape).astype(float)
    kind = rng.integers(4)
    if kind == 0:  # a product of one factor for each axis
        psf = np.ones(())
        for size in shape:
            psf = np.multiply.outer(psf, rng.integers(1, 4, size).astype(float))
    elif kind == 1:  # of a profile and a plane
        psf = rng.integers(1, 4, (shape[0],) + (1,) * (ndim - 1)) * psf[:1]
    decimation = oracle.DECIMATIONS[rng.integers(3)]
    factor = [min(int(f), n) for f, n in zip(rng.choice([1, 2, 4], ndim), dims, strict=True)]
    factor = [1 << int(np.log2(f)) for f in factor]  # a mean of them is exact
    phase = [
        int(rng.integers(f)) if decimation == "sample" or n >= 2 * f else 0
        for f, n in zip(factor, dims, strict=True)
    ]
    options = {
        "decimation": decimation,
        "boundary": tuple(rng.choice(oracle.BOUNDARIES, ndim).tolist()),
        "center": tuple(int(rng.integers(-1, size + 1)) for size in shape),
        "phase": tuple(phase),
    }
    return (dims, psf, tuple(factor)), options


@pytest.mark.parametrize("ndim", [1, 3])
def test_the_matrix_and_direct_products_are_exact(ndim):
    rng = np.random.default_rng(ndim)
    for number in range(60):
        args, options = random_case(rng, ndim)
        dense = oracle.matrix(*args, **options)
        A = DHOperator(*args, method="direct", **options)
        x, y = (rng.integers(-9, 10, n).astype(float) for n in (A.shape[1], A.shape[0]))
        case = f"{number}: {args[0]}, {args[1].shape}, {args[2]}, {options}"
        assert_array_equal(A @ x, dense @ x, case)
        assert_array_equal(A.H @ y, dense.T @ y, case)
        assert_array_equal(A.to_sparse().toarray(), dense, case)
        assert_array_equal(A.to_sparse("csc").toarray(), dense, case)
        assert A.nnz == A.to_sparse().nnz, case
        rows = rng.integers(0, A.shape[0], 3)
        assert_array_equal(A.to_sparse(rows=rows).toarray(), dense[rows], case)
        assert_allclose(A.gram().to_sparse().toarray(), dense.T @ dense, 1e-13, 1e-10, err_msg=case)


@pytest.mark.parametrize("dtype", oracle.DTYPES)
@pytest.mark.parametrize("method", ["separable", "fft", "auto"])
@pytest.mark.parametrize("ndim", [1, 3])
def test_other_methods_are_the_matrix(ndim, method, dtype):
    """To `10 u log2(N) |folded|_2 |x|_2`, the bound of the Fourier method, for all."""
    rng = np.random.default_rng(0)
    for _ in range(15):
        (dims, psf, factor), options = random_case(rng, ndim)
        if np.issubdtype(dtype, np.complexfloating):
            psf = psf + 1j * rng.integers(-4, 5, psf.shape)
        A = DHOperator(dims, psf, factor, method=method, dtype=dtype, **options)
        dense = oracle.matrix(dims, psf, factor, **options)
        x, y = (rng.standard_normal(n).astype(dtype) for n in (A.shape[1], A.shape[0]))
        scale = 10 * np.finfo(dtype).eps / 2 * np.log2(A.shape[1] + 1)
        scale *= np.linalg.norm(A.model.weights)
        assert abs(A @ x - dense @ x).max() <= scale * np.linalg.norm(x)
        assert abs(A.H @ y - dense.conj().T @ y).max() <= scale * np.linalg.norm(y)


@pytest.mark.parametrize("boundary", ["wrap", ("wrap", "symmetric", "wrap")])
@pytest.mark.parametrize("method", METHODS)
def test_normal_equations(method, boundary):
    """One round trip of the Fourier method where every axis wraps."""
    rng = np.random.default_rng(6)
    for dims, shape, factor in [((4, 6, 10), (3, 3, 4), (2, 1, 2)), ((5, 6, 8), (7, 2, 3), 1)]:
        psf = rng.integers(-4, 5, shape).astype(float)
        A = DHOperator(dims, psf, factor, method=method, boundary=boundary)
        dense = oracle.matrix(dims, psf, factor, boundary=boundary)
        x = rng.integers(-9, 10, A.shape[1]).astype(float)
        expected = dense.T @ (dense @ x)
        assert_allclose(A.gram() @ x, expected, rtol=0, atol=1e-13 * abs(expected).max())


BATCHES = [
    ((2, 4, 5, 6), None),
    ((4, 2, 5, 6), (0, 2, 3)),
    ((4, 5, 2, 6), (0, 1, 3)),
    ((4, 5, 6, 2), (0, 1, 2)),
    ((4, 5, 6, 2), (2, 0, 1)),
    ((2, 3, 1, 4, 2, 5, 1), (5, 1, 3)),
    ((3, 9), None),
    ((9, 3), 0),
    ((2, 9, 3), (1,)),
]


@pytest.mark.parametrize(("dims", "axes"), BATCHES)
def test_other_axes_are_a_batch(dims, axes):
    rng = np.random.default_rng(0)
    ndim = 1 if len(dims) <= 3 else 3
    for factor, boundary in itertools.product((1, 2), ("constant", "symmetric")):
        psf = rng.integers(1, 5, (3, 2, 4)[:ndim]).astype(float)
        given = axes if axes is None or np.ndim(axes) else (axes,)
        dense = oracle.matrix(dims, psf, factor, axes=given, boundary=boundary)
        X, Y = (rng.integers(-9, 10, (n, 2)).astype(float) for n in dense.shape[::-1])
        for method in METHODS:
            A = DHOperator(dims, psf, factor, axes=axes, method=method, boundary=boundary)
            assert_allclose(A @ X, dense @ X, 0, 1e-10)
            assert_allclose(A.H @ Y, dense.T @ Y, 0, 1e-10)
            assert_allclose(A.gram() @ X, dense.T @ (dense @ X), 0, 1e-8)
            assert_allclose(A.norm(), np.linalg.norm(dense, 2), 1e-8)
        assert_array_equal(A.to_sparse().toarray(), dense)
        assert_array_equal(A.to_sparse("csc").toarray(), dense)
        assert_allclose(A.gram().to_sparse().toarray(), dense.T @ dense, 1e-12)
        for order in (1, np.inf, "fro"):
            assert_allclose(A.norm(order), np.linalg.norm(dense, order), 1e-8)
        assert_allclose(A.gram_diagonal(), (dense**2).sum(axis=0), 1e-12)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("ndim", [1, 3])
def test_bits_do_not_depend_on_workers(ndim, method):
    rng = np.random.default_rng(0)
    dims, shape = ((40, 3000), (25,)) if ndim == 1 else ((9, 41, 60), (3, 4, 5))
    psf = rng.random(shape)
    x, y = None, None
    for workers in (1, 2, 3, 7):
        A = DHOperator(dims, psf, 2, method=method, workers=workers, boundary="symmetric")
        if x is None:
            x, y = rng.standard_normal(A.dims), rng.standard_normal(A.dimsd)
            forward, backward = A.degrade(x), A.backproject(y)
        assert_array_equal(A.degrade(x), forward)
        assert_array_equal(A.backproject(y), backward)


@pytest.mark.parametrize("boundary", ["wrap", "symmetric", "constant"])
@pytest.mark.parametrize("shape", ["any", "symmetric", "product"])
@pytest.mark.parametrize(
    ("dims", "factor"), [((12,), 3), ((2, 9), 1), ((4, 6, 8), (1, 2, 2)), ((2, 4, 4, 6), 2)]
)
def test_proximal_operators_and_singular_values(dims, factor, shape, boundary):
    """In closed form in the Fourier, the cosine and the Kronecker basis, or by iterations."""
    rng = np.random.default_rng(0)
    ndim = 1 if len(dims) < 3 else 3
    psf = rng.random((3,) * ndim)
    for axis in range(ndim if shape == "symmetric" else 0):
        psf = psf + np.flip(psf, axis)
    if shape == "product":
        psf = np.ones(())
        for _ in range(ndim):
            psf = np.multiply.outer(psf, rng.random(3))
    psf /= psf.sum()
    args, options = (dims, psf, factor), {"boundary": boundary}
    A, dense = DHOperator(*args, **options), oracle.matrix(*args, **options)
    expected = np.linalg.svd(dense, compute_uv=False)
    assert_allclose(singular_values(A), expected, 0, 1e-12 * expected[0])
    other = oracle.matrix(*args, center=0, **options)
    stack = FrameStack([A, DHOperator(*args, center=0, **options)])
    for operator, matrix in ((A, dense), (stack, np.vstack([dense, other]))):
        z, y = rng.random(operator.dims), rng.random(operator.dimsd)
        system = matrix.T @ matrix + np.eye(matrix.shape[1]) / 2
        solution = np.linalg.solve(system, matrix.T @ y.ravel() + z.ravel() / 2)
        assert_allclose(operator.prox_l2(z, y, 2.0).ravel(), solution, 0, 1e-5)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("boundary", oracle.BOUNDARIES)
def test_long_lines_are_computed_in_segments(boundary, method):
    """As `numpy.pad` and a loop over the taps say; whole numbers exactly but by transforms."""
    rng = np.random.default_rng(0)
    for size, taps, factor, center in (
        (40_001, 40, 2, 13),
        (35_000, 301, 1, 300),
        (50_003, 2, 3, 1),
    ):
        psf = rng.integers(-4, 5, taps).astype(float)
        A = DHOperator((2, size), psf, factor, boundary=boundary, center=center, method=method)
        x = rng.integers(-9, 10, A.dims).astype(float)
        index = oracle.extended(size, center - taps + 1, size + center, boundary)
        extended = np.where(index < 0, 0, x[:, index])
        blurred = sum(p * extended[:, taps - 1 - k :][:, :size] for k, p in enumerate(psf))
        m = size // factor
        expected = blurred[:, : factor * m].reshape(2, m, factor).sum(axis=2)
        exact = method == "direct"
        assert_allclose(A.degrade(x), expected, 0, 0 if exact else 1e-7)
        y = rng.integers(-9, 10, A.dimsd).astype(float)
        repeated = np.pad(np.repeat(y, factor, axis=1), [(0, 0), (0, size - factor * m)])
        spread = np.zeros_like(extended)
        for k, p in enumerate(psf):
            spread[:, taps - 1 - k :][:, :size] += p * repeated
        back = np.zeros((size, 2))
        np.add.at(back, index[index >= 0], spread[:, index >= 0].T)
        assert_allclose(A.backproject(y), back.T, 0, 0 if exact else 1e-7)


def test_axes_and_psf_belong_together():
    with pytest.raises(ValueError, match="1, 2 or 3 dimensions"):
        DHOperator((4, 4), np.ones((1, 1, 1, 1)), 1)
    with pytest.raises(ValueError, match="at least three axes"):
        DHOperator((4, 4), np.ones((1, 1, 1)), 1)
    with pytest.raises(ValueError, match="axes must be one integer or three, got 2"):
        DHOperator((4, 4, 4), np.ones((1, 1, 1)), 1, axes=(0, 1))
    with pytest.raises(ValueError, match="three different ones"):
        DHOperator((4, 4, 4), np.ones((1, 1, 1)), 1, axes=(0, 1, -2))
    with pytest.raises(ValueError, match="factor must be one integer or three, got 2"):
        DHOperator((4, 4, 4), np.ones((1, 1, 1)), (1, 2))


def scene(rng, shape):
    """Where smooth noise is positive."""
    frequencies = np.meshgrid(*map(fft.fftfreq, shape), indexing="ij")
    gain = np.exp(-320 * sum(k**2 for k in frequencies))
    return (fft.ifftn(gain * fft.fftn(rng.standard_normal(shape))).real > 0).astype(float)


@pytest.mark.parametrize("boundary", ["wrap", "symmetric", "constant", "edge"])
@pytest.mark.parametrize(("dims", "factor"), [((240,), 2), ((4, 12, 16), (1, 2, 2))])
def test_super_resolution_minimises(dims, factor, boundary):
    """The gradient of the dense problem vanishes at the image, whichever solver took it there."""
    rng = np.random.default_rng(0)
    blur = rng.random((3, 3, 5)[-len(dims) :])
    blur /= blur.sum()
    options = {"decimation": "mean", "boundary": boundary}
    A = oracle.matrix(dims, blur, factor, **options)
    frame = rng.random(DHOperator(dims, blur, factor, **options).dimsd)
    found = super_resolve(frame, blur, factor, beta=0.1, boundary=boundary, rtol=1e-9)
    assert found.converged
    laplacian = np.zeros((3,) * len(dims))
    for axis in range(len(dims)):
        place = [1] * len(dims)
        for place[axis], value in ((0, 1.0), (1, -2.0), (2, 1.0)):
            laplacian[tuple(place)] += value
    S = oracle.matrix(dims, laplacian, 1, boundary=boundary)
    system = A.T @ A + 0.1 * S.T @ S
    assert_allclose(found.image.ravel(), np.linalg.solve(system, A.T @ frame.ravel()), 0, 1e-6)


@pytest.mark.parametrize(("shape", "factor"), [((2400,), 2), ((12, 64, 64), (1, 2, 2))])
def test_beta_is_near_the_best(shape, factor):
    rng = np.random.default_rng(1)
    truth = scene(rng, shape)
    line = np.exp(-(np.arange(-4, 5) ** 2) / 4.5)
    blur = line if len(shape) == 1 else np.einsum("i,j,k->ijk", line, line[2:-2], line[2:-2])
    blur = blur / blur.sum()
    A = DHOperator(shape, blur, factor, decimation="mean", boundary="symmetric")
    frame = A.degrade(truth) + 0.02 * rng.standard_normal(A.dimsd)

    def error(beta):
        return np.sqrt(np.mean((super_resolve(frame, blur, factor, beta=beta).image - truth) ** 2))

    assert error("auto") <= 1.15 * min(map(error, 10.0 ** np.arange(-5, 1)))


def test_frames_of_lines_and_volumes():
    rng = np.random.default_rng(0)
    blur = np.array([1.0, 2.0, 1.0]) / 4
    lines = rng.random((2, 30))
    moved = super_resolve(lines, blur, 2, beta=0.1, shifts=[0, 0.5])
    assert moved.image.shape == (60,)
    channels = super_resolve(lines, blur, 2, beta=0.1, channel_axis=0).image
    last = super_resolve(lines.T, blur, 2, beta=0.1, channel_axis=-1).image
    assert_array_equal(channels, last.T)
    assert_allclose(channels[1], super_resolve(lines[1], blur, 2, beta=0.1).image, 0, 1e-12)
    box = np.einsum("i,j,k->ijk", blur, blur, blur)
    stack = rng.random((2, 5, 6, 7))
    one = super_resolve(stack[0], box, (1, 2, 2), beta=0.1)
    assert one.image.shape == (5, 12, 14)
    both = super_resolve(stack, box, (1, 2, 2), beta=0.1, shifts=[[0, 0, 0], [0, 0.5, 0.5]])
    assert both.image.shape == (5, 12, 14)
    assert both.converged
    colours = super_resolve(stack, box, (1, 2, 2), beta=0.1, channel_axis=0)
    assert_allclose(colours.image[0], one.image, 0, 1e-12)
    with pytest.raises(ValueError, match="cannot be estimated"):
        super_resolve(stack, box, 2, beta=0.1, shifts="estimate")
    with pytest.raises(ValueError, match="of the psf's axes"):
        super_resolve(stack[0, 0], box, 2, beta=0.1)


@pytest.mark.parametrize("boundary", ["wrap", "symmetric", "constant"])
@pytest.mark.parametrize(
    ("dims", "factor", "name"),
    [
        ((12,), 3, "laplacian"),
        ((4, 4, 6), (1, 2, 2), "laplacian"),
        ((4, 6, 4), (2, 3, 2), "identity"),
    ],
)
def test_standard_deviations(dims, factor, name, boundary):
    """The diagonals of dense inverses: exact where there is a closed form."""
    ndim = len(dims)
    blur = np.ones(())
    for _ in range(ndim):
        blur = np.multiply.outer(blur, [0.25, 0.5, 0.25])
    options = {"boundary": boundary, "decimation": "mean"}
    A = oracle.matrix(dims, blur, factor, **options)
    frame = np.random.default_rng(0).random(DHOperator(dims, blur, factor, **options).dimsd)
    found = super_resolve(frame, blur, factor, beta=0.1, boundary=boundary, regulariser=name)
    stencil = np.zeros((3,) * ndim)
    for axis in range(ndim):
        place = [1] * ndim
        for place[axis], value in ((0, 1.0), (1, -2.0), (2, 1.0)):
            stencil[tuple(place)] += value
    S = np.eye(A.shape[1])
    if name == "laplacian":
        S = oracle.matrix(dims, stencil, 1, boundary=boundary)
    inverse = np.linalg.inv(A.T @ A + 0.1 * S.T @ S)
    expected = np.sqrt(np.diag(inverse)).reshape(dims)
    given = found.standard_deviation(noise=1.0)
    image = given if isinstance(given, np.ndarray) else given.image
    assert image.shape == dims
    assert_allclose(image, expected, 1e-6 if found.solver == "direct" else 0.2)


@pytest.mark.slow
@pytest.mark.parametrize("planes", [10, 36])
def test_beta_of_volumes_that_scenes_run_out_of(planes):
    """Whether they are hardly deeper than the PSF or much deeper."""
    rng = np.random.default_rng(0)
    truth = scene(rng, (planes + 24, 48, 48))
    blur = psf.gaussian((9, 5, 5), (2.0, 1.0, 1.0))
    A = DHOperator(truth.shape, blur, (1, 2, 2), decimation="mean", boundary="symmetric")
    frame = A.degrade(truth)[12:-12]
    frame += 0.02 * rng.standard_normal(frame.shape)

    def error(beta):
        settings = {"beta": beta, "boundary": ("edge", "symmetric", "symmetric")}
        image = super_resolve(frame, blur, (1, 2, 2), **settings).image
        return np.sqrt(np.mean((image - truth[12:-12])[3:-3] ** 2))

    assert error("auto") <= 1.15 * min(map(error, 10.0 ** np.arange(-5, 0)))


@pytest.mark.parametrize("seed", range(3))
def test_beta_of_spectra_with_lines(seed):
    """Lines are not edges; the frames are samples of one spectrum, a pixel of it apart."""
    rng = np.random.default_rng(seed)
    truth = np.zeros(880)
    truth[rng.integers(0, 880, 44)] = rng.exponential(3.0, 44)
    profile = np.exp(-0.5 * (np.arange(-4, 5) / 1.2) ** 2)
    truth = 1 + np.convolve(truth, profile / profile.sum(), "same")
    blur = psf.gaussian((13,), (2.0,))
    whole = DHOperator((880,), blur, 1, boundary="symmetric") @ truth
    frames = np.stack([whole[k : k + 860].reshape(-1, 2).mean(axis=1) for k in (10, 11)])
    frames = frames[:, 20:-10] + 0.005 * rng.standard_normal((2, 400))
    truth = truth[50:850]

    def error(beta):
        image = super_resolve(frames, blur, 2, shifts=[(0.0,), (-0.5,)], beta=beta).image
        return np.sqrt(np.mean((image - truth)[8:-8] ** 2))

    assert error("auto") <= 1.3 * min(map(error, 10.0 ** np.arange(-5, 0, 0.5)))


@pytest.mark.parametrize("seed", range(2))
def test_beta_of_a_volume_between_zeros(seed, recwarn):
    """The closed form rings at the borders: with a beta that calms it the image is blurred."""
    rng = np.random.default_rng(seed)
    truth = scene(rng, (12, 40, 40))
    blur = psf.gaussian((9, 7, 7), (2.0, 1.2, 1.2))
    A = DHOperator(truth.shape, blur, 1, boundary="constant")
    frame = A.degrade(truth) + 0.03 * rng.standard_normal(truth.shape)

    def error(beta):
        image = super_resolve(frame, blur, 1, boundary="constant", beta=beta).image
        return np.sqrt(np.mean((image - truth) ** 2))

    assert error("auto") <= 1.25 * min(map(error, 10.0 ** np.arange(-5, 0)))
    assert not [each for each in recwarn if each.category is PSFWarning]


@pytest.mark.slow
def test_beta_of_a_volume_under_a_wrong_psf():
    """It rises until the image hardly rings, and says so."""
    rng = np.random.default_rng(1)
    truth = scene(rng, (24, 32, 32))
    A = DHOperator(truth.shape, psf.gaussian((9, 5, 5), (1.5, 0.8, 0.8)), 1, boundary="wrap")
    wide = psf.gaussian((15, 15, 15), (3.0, 2.4, 2.4))
    frame = A.degrade(truth)
    with pytest.warns(PSFWarning, match="beta was raised"):
        image = super_resolve(frame, wide, 1, boundary="wrap").image
    assert np.abs(image - 0.5).max() < 2.0  # it was a hundred
    with pytest.warns(PSFWarning, match="beta was raised"):
        super_resolve(1e3 * frame, wide, 1, boundary="wrap")
