"""What others do with a LinearOperator, they can do with this one."""

import doctest
import itertools
import warnings
from pathlib import Path

import numpy as np
import oracle
import pytest
import scipy
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import linalg
from scipy.sparse.linalg.tests import test_interface as conformance

from dhop import DHOperator

SCIPY_1_18 = tuple(int(part) for part in scipy.__version__.split(".")[:2]) >= (1, 18)


@pytest.fixture(params=oracle.BOUNDARIES)
def pair(request):
    """An operator with a real PSF, and its matrix."""
    psf = np.random.default_rng(0).standard_normal((4, 3))
    A = DHOperator((9, 10), psf, 2, boundary=request.param)
    return A, A.to_sparse()


class TestSolvers:
    """The same answer on the operator and on its matrix."""

    def data(self, A):
        return np.random.default_rng(1).standard_normal(A.shape[0])

    def test_lsqr(self, pair):
        A, matrix = pair
        y = self.data(A)
        one, other = (linalg.lsqr(a, y, damp=0.1, atol=1e-13, btol=1e-13)[0] for a in pair)
        assert_allclose(one, other, rtol=0, atol=1e-10 * abs(other).max())
        damped = np.vstack([matrix.toarray(), 0.1 * np.eye(A.shape[1])])
        expected = np.linalg.lstsq(damped, np.append(y, np.zeros(A.shape[1])))[0]
        assert_allclose(one, expected, rtol=0, atol=1e-8 * abs(expected).max())

    def test_lsmr(self, pair):
        y = self.data(pair[0])
        settings = {"damp": 0.1, "atol": 1e-13, "btol": 1e-13, "maxiter": 1000}
        one, other = (linalg.lsmr(a, y, **settings)[0] for a in pair)
        assert_allclose(one, other, rtol=0, atol=1e-10 * abs(other).max())

    def test_cg(self, pair):
        """On the normal equations, with a small shift."""
        A, matrix = pair
        b = A.H @ self.data(A)
        shift = linalg.aslinearoperator(0.1 * np.eye(A.shape[1]))
        one, info = linalg.cg(A.gram() + shift, b, rtol=1e-12)
        assert info == 0
        other, info = linalg.cg(matrix.T @ matrix + 0.1 * np.eye(A.shape[1]), b, rtol=1e-12)
        assert info == 0
        assert_allclose(one, other, rtol=0, atol=1e-9 * abs(other).max())

    def test_svds(self, pair):
        A, matrix = pair
        v0 = np.ones(min(A.shape))
        one, other = (linalg.svds(a, k=4, v0=v0, return_singular_vectors=False) for a in pair)
        assert_allclose(one, other, rtol=1e-10)
        expected = np.linalg.svd(matrix.toarray(), compute_uv=False)[:4]
        assert_allclose(np.sort(one)[::-1], expected, rtol=1e-10)

    def test_eigsh(self, pair):
        A, matrix = pair
        v0 = np.ones(A.shape[1])
        one = linalg.eigsh(A.gram(), k=4, v0=v0, return_eigenvectors=False)
        other = linalg.eigsh(matrix.T @ matrix, k=4, v0=v0, return_eigenvectors=False)
        assert_allclose(one, other, rtol=1e-10)

    def test_onenormest(self, pair):
        A, matrix = pair
        square = A.gram()
        exact = abs(matrix.T @ matrix).sum(axis=0).max()
        assert linalg.onenormest(square) <= exact * (1 + 1e-12)


class TestAlgebra:
    """scipy's arithmetic of operators."""

    def test_sums_products_and_powers(self, pair):
        A, matrix = pair
        M, x = matrix.toarray(), np.random.default_rng(2).standard_normal(A.shape[1])
        for actual, expected in [
            ((2 * A) @ x, 2 * (M @ x)),
            ((A + A) @ x, 2 * (M @ x)),
            ((A - 3 * A) @ x, -2 * (M @ x)),
            ((-A) @ x, -(M @ x)),
            ((A @ A.H) @ (M @ x), M @ (M.T @ (M @ x))),
            ((A.H @ A) ** 2 @ x, M.T @ (M @ (M.T @ (M @ x)))),
            (A.gram() @ x, M.T @ (M @ x)),
        ]:
            assert_allclose(actual, expected, rtol=0, atol=1e-12 * abs(expected).max())

    @pytest.mark.parametrize("scale", [2, -0.5, 3j, np.float32(4), np.float64(0.5)])
    @pytest.mark.parametrize("dtype", oracle.DTYPES)
    def test_multiples(self, dtype, scale):
        """Exact, of numpy's dtype, and still between arrays."""
        psf = oracle.integer_psf(np.random.default_rng(0), (3, 2), 1, dtype)
        A = DHOperator((6, 5), psf, 2, boundary="edge")
        M = A.to_sparse().toarray()
        x = oracle.integers(np.random.default_rng(1), A.shape[1], dtype)
        y = oracle.integers(np.random.default_rng(2), A.shape[0], dtype)
        multiples = [scale * A, A * scale, A.dot(scale), -(-scale * A), (scale.conjugate() * A.H).H]
        expected = scale * M
        for B in multiples:
            assert B.dtype == np.result_type(dtype, scale)
            assert_array_equal(B @ x, expected @ x)
            assert_array_equal(B.H @ y, expected.conj().T @ y)
            assert_array_equal(B.T @ y, expected.T @ y)
            assert_array_equal(B.degrade(x.reshape(A.dims)).ravel(), expected @ x)
        assert_array_equal((A / 4) @ x, (M / 4) @ x)

    def test_multiples_that_are_not_computed_with(self, pair):
        with pytest.raises(TypeError, match="multiple of dtype"):
            np.longdouble(2) * pair[0] * np.longdouble(2)

    def test_array_from_the_left(self, pair):
        """`X @ A` is `(A.T @ X.T).T`."""
        A, matrix = pair
        X = np.random.default_rng(3).standard_normal((3, A.shape[0]))
        assert_allclose(X @ A, X @ matrix, rtol=0, atol=1e-12)
        assert_allclose(X[0] @ A, X[0] @ matrix, rtol=0, atol=1e-12)

    def test_aslinearoperator_is_itself(self, pair):
        assert linalg.aslinearoperator(pair[0]) is pair[0]


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_transpose_is_not_the_adjoint(dtype):
    rng = np.random.default_rng(4)
    psf = oracle.integer_psf(rng, (3, 4), 1, dtype)
    A = DHOperator((5, 6), psf, 2, boundary="symmetric")
    matrix = oracle.matrix((5, 6), psf, 2, boundary="symmetric")
    identity = np.eye(A.shape[0])
    assert_array_equal(A.T @ identity, matrix.T)
    assert_array_equal(A.H @ identity, matrix.conj().T)
    assert_array_equal(A.adjoint() @ identity, matrix.conj().T)
    assert_array_equal(identity @ A, matrix)


class Case(DHOperator):
    """scipy's tests look for this attribute, which its own operators have."""

    args = ()


def scipy_cases():
    """Pairs of an operator of the 2 x 3 shape that scipy's test feeds, and its matrix."""
    for dtype in oracle.DTYPES:
        for boundary in oracle.BOUNDARIES:
            psf = np.array([[1, 2, 3, 4]]).astype(dtype)
            if np.issubdtype(dtype, np.complexfloating):
                psf = psf + np.asarray(1j, dtype) * psf[:, ::-1]
            options = {"decimation": "sample", "boundary": boundary}
            A = Case((1, 3), psf, (1, 2), **options)
            matrix = oracle.matrix((1, 3), psf, (1, 2), **options)
            yield from [(A, matrix), (A.H.H, matrix), (A.T.T, matrix)]


@pytest.mark.parametrize("name", ["test_basic", "test_dot"])
def test_scipy_accepts_the_operator(name):
    """scipy's own tests of `LinearOperator`, on our operator."""
    suite = conformance.TestAsLinearOperator()
    suite.cases = list(scipy_cases())
    test = getattr(suite, name)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        test(np) if SCIPY_1_18 else test()


@pytest.mark.skipif(not hasattr(conformance, "TestDotTests"), reason="a test of newer SciPy")
@pytest.mark.parametrize("dtype", oracle.DTYPES)
def test_scipy_dot_tests(dtype):
    """What SciPy expects of the products' shapes, dtypes and agreement.

    Its tolerance is relative to sums that may cancel, so the operator is one that does not round.
    """
    suite = conformance.TestDotTests()
    psf = np.array([[0, 2]], dtype)
    real = psf.real.dtype.name
    kind = {"complex_data": np.issubdtype(dtype, np.complexfloating)}
    for boundary in oracle.BOUNDARIES:
        A = DHOperator((6, 5), psf, 2, boundary=boundary, decimation="sample")
        for operator in (A, A.H, A.T, A.gram()):
            suite.check_matvec(np, operator, real, **kind)
            suite.check_matmat(np, operator, real, **kind, check_dot=True)


class TestPyLops:
    @pytest.fixture(autouse=True)
    def pylops(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.pylops = pytest.importorskip("pylops")

    @pytest.mark.parametrize("dtype", oracle.DTYPES)
    def test_dottest(self, dtype):
        psf = np.random.default_rng(6).standard_normal((4, 3)).astype(dtype)
        A = DHOperator((9, 10), psf, 2, boundary="reflect")
        # Of the size of the sums, not of their difference, which the test's random numbers may
        # bring near zero.
        size = np.linalg.norm(A.to_sparse().data) * np.sqrt(A.shape[0])
        atol = 10 * np.finfo(A.dtype).eps * size
        kind = 3 if A.dtype.kind == "c" else 0
        assert self.pylops.utils.dottest(A, *A.shape, rtol=0, atol=atol, complexflag=kind)

    def test_vstack(self):
        rng = np.random.default_rng(7)
        psf = oracle.integer_psf(rng, (4, 3))
        A, B = DHOperator((9, 10), psf, 2), DHOperator((9, 10), psf, 3, boundary="wrap")
        stack = self.pylops.VStack([A, B])
        x = oracle.integers(rng, 90)
        expected = np.append(A @ x, B @ x)
        assert_array_equal(stack.matvec(x), expected)
        assert_array_equal(stack.rmatvec(expected), A.H @ (A @ x) + B.H @ (B @ x))
        assert self.pylops.utils.dottest(stack, *stack.shape, rtol=1e-10)

    def test_composes_with_a_pylops_operator(self):
        rng = np.random.default_rng(8)
        A = DHOperator((9, 10), oracle.integer_psf(rng, (4, 3)), 2)
        diagonal = oracle.integers(rng, 90)
        x = oracle.integers(rng, 90)
        composed = self.pylops.aslinearoperator(A) @ self.pylops.Diagonal(diagonal)
        assert_array_equal(composed.matvec(x), A @ (diagonal * x))
        y = oracle.integers(rng, 20)
        assert_array_equal(composed.rmatvec(y), diagonal * (A.H @ y))

    def test_multiplies_images(self):
        """PyLops' own habit: what has the shape `dims` gives what has the shape `dimsd`."""
        rng = np.random.default_rng(9)
        A = DHOperator((9, 10), oracle.integer_psf(rng, (4, 3)), 2)
        image = oracle.integers(rng, A.dims)
        assert_array_equal(self.pylops.aslinearoperator(A) @ image, A.degrade(image))


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_prox_is_deepinvs(factor):
    """Both in closed form; deepinv samples where its filter has its middle."""
    deepinv = pytest.importorskip("deepinv")
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    size, blur = 12 * factor, rng.random((5, 5))
    physics = deepinv.physics.Downsampling(
        img_size=(1, size, size), filter=torch.tensor(blur)[None, None], factor=factor,
        padding="circular",
    )  # fmt: skip
    unit = torch.eye(size * size, dtype=torch.float64).reshape(-1, 1, 1, size, size)
    matrix = torch.stack([physics.A(each).ravel() for each in unit], 1).numpy()
    options = {"boundary": "wrap", "decimation": "sample"}
    operators = (
        DHOperator((size, size), blur, factor, center=center, phase=phase, **options)
        for center, phase in itertools.product(range(5), range(factor))
    )
    A = next(A for A in operators if np.array_equal(A.to_sparse().toarray(), matrix))
    z, y = rng.standard_normal(A.dims), rng.standard_normal(A.dimsd)
    theirs = physics.prox_l2(torch.tensor(z)[None, None], torch.tensor(y)[None, None], 1.7)
    assert_allclose(A.prox_l2(z, y, 1.7), theirs[0, 0].numpy(), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("package", "heading"), [("torch", "## torch"), ("jax", "## JAX")])
def test_differentiates(package, heading):
    """What the page tells to write: the package's own checks of gradients are its examples."""
    pytest.importorskip(package)
    page = Path(__file__).parents[1] / "docs" / "howto" / "torch.md"
    section = page.read_text().partition(f"\n{heading}\n")[2].partition("\n## ")[0]
    examples = doctest.DocTestParser().get_doctest(section, {}, package, str(page), 0)
    assert len(examples.examples) > 5
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert doctest.DocTestRunner().run(examples).failed == 0
