"""Layers of torch and functions of JAX: right, and differentiable by the frameworks' own checks."""

import copy
import pickle
import warnings

import numpy as np
import oracle
import pytest
from child import run
from numpy.testing import assert_allclose

import dhop
from dhop import DHOperator, FrameStack

DIMS = (6, 7)


def operator(dtype="float64"):
    rng = np.random.default_rng(0)
    psf = rng.standard_normal((3, 2)).astype(dtype)
    if np.dtype(dtype).kind == "c":
        psf = psf + (1j * rng.standard_normal((3, 2))).astype(dtype)
    options = {"boundary": "reflect"}
    return DHOperator(DIMS, psf, 2, **options), oracle.matrix(DIMS, psf, 2, **options)


def batch(dtype="float64", size=(2, 3)):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((*size, *DIMS))
    if np.dtype(dtype).kind == "c":
        x = x + 1j * rng.standard_normal(x.shape)
    return x.astype(dtype)


def expected(matrix, x, dimsd):
    return (x.reshape(-1, matrix.shape[1]) @ matrix.T).reshape(*x.shape[:2], *dimsd)


def test_without_the_library():
    """Both say what to install, and `import dhop` loads neither."""
    run("""
        import sys
        import dhop
        assert not {"torch", "jax"} & set(sys.modules)
        sys.modules["torch"] = sys.modules["jax"] = None  # as if they were not installed
        for make, name in (dhop.torch.layer, "torch"), (dhop.jax.call, "jax"):
            try:
                make(None)
            except ModuleNotFoundError as error:
                assert "install it with" in str(error), error
                assert f"dhop[{name}]" in str(error), error
            else:
                raise AssertionError(name)
    """)


class TestTorch:
    @pytest.fixture(autouse=True)
    def torch(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.torch = pytest.importorskip("torch")

    @pytest.mark.parametrize("of", oracle.DTYPES)
    @pytest.mark.parametrize("dtype", oracle.DTYPES)
    def test_is_the_matrix_on_batches(self, dtype, of):
        A, matrix = operator(of)
        x = batch(dtype)
        y = dhop.torch.layer(A)(self.torch.from_numpy(x))
        single = np.dtype(dtype).itemsize == (8 if np.dtype(dtype).kind == "c" else 4)
        complex_ = "c" in (np.dtype(dtype).kind, np.dtype(of).kind)
        names = ("complex64", "complex128") if complex_ else ("float32", "float64")
        assert str(y.dtype) == f"torch.{names[not single]}"
        rough = single or np.dtype(of) in (np.float32, np.complex64)
        assert_allclose(y, expected(matrix, x, A.dimsd), rtol=0, atol=1e-5 if rough else 1e-13)

    @pytest.mark.parametrize("of", ["float64", "complex128"])
    @pytest.mark.parametrize("dtype", ["float64", "complex128"])
    def test_derivatives(self, dtype, of):
        """Backward, forward and twice."""
        layer = dhop.torch.layer(operator(of)[0])
        x = self.torch.from_numpy(batch(dtype, (2, 1))).requires_grad_()
        check = self.torch.autograd
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert check.gradcheck(layer, x, check_forward_ad=True)
            assert check.gradgradcheck(lambda x: abs(layer(x)) ** 2, x)

    @pytest.mark.parametrize("make", [lambda A: A.H, lambda A: FrameStack([A, 2 * A])])
    def test_expressions(self, make):
        E = make(operator()[0])
        x = self.torch.rand(2, *E.dims, dtype=self.torch.float64, requires_grad=True)
        assert self.torch.autograd.gradcheck(dhop.torch.layer(E), x)

    def test_layouts_of_memory(self):
        A, matrix = operator()
        x = batch()
        strided = self.torch.from_numpy(x).permute(3, 1, 0, 2).contiguous().permute(2, 1, 3, 0)
        assert not strided.is_contiguous()
        assert_allclose(dhop.torch.layer(A)(strided), expected(matrix, x, A.dimsd), atol=1e-13)
        z = batch("complex128")
        conjugated = dhop.torch.layer(A)(self.torch.from_numpy(z).conj())
        assert_allclose(conjugated, expected(matrix, z.conj(), A.dimsd), atol=1e-13)

    @pytest.mark.parametrize("name", ["float16", "bfloat16"])
    def test_half_precision(self, name):
        """As under autocast: computed in single precision, gradients too."""
        A, matrix = operator("float32")
        x = self.torch.from_numpy(batch()).to(getattr(self.torch, name)).requires_grad_()
        y = dhop.torch.layer(A)(x)
        assert y.dtype == x.dtype
        exact = expected(matrix, x.detach().double().numpy(), A.dimsd)
        assert_allclose(y.detach().double(), exact, rtol=0, atol=0.01 * abs(exact).max())
        y.sum().backward()
        assert x.grad.dtype == x.dtype

    def test_of_a_network(self):
        """It is a module among others, is copied, pickled and mapped, and learns through."""
        torch = self.torch
        A, matrix = operator("float32")
        net = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 3, padding=1), dhop.torch.layer(A))
        x = torch.from_numpy(batch("float32", (2, 1)))
        for same in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
            assert torch.equal(same(x), net(x))
        net(x).square().sum().backward()
        assert net[0].weight.grad.abs().sum() > 0
        assert list(net[1].parameters()) == []
        assert "DHOperator" in repr(net)
        mapped = torch.func.vmap(net[1], in_dims=1, out_dims=1)(x)
        assert_allclose(mapped, expected(matrix, x.numpy(), A.dimsd), atol=1e-5)
        gradient = torch.func.grad(lambda x: net[1](x).square().sum())(x)
        twice = 2 * expected(matrix, x.numpy(), A.dimsd).reshape(-1, A.shape[0]) @ matrix
        assert_allclose(gradient.reshape(twice.shape), twice, atol=1e-4)

    def test_refusals(self):
        layer = dhop.torch.layer(operator()[0])
        with pytest.raises(TypeError, match=r"floating-point tensors, got torch\.int64"):
            layer(self.torch.ones(DIMS, dtype=self.torch.int64))
        for wrong in [(7, 6), (42,), ()]:
            with pytest.raises(ValueError, match=r"\(6, 7\)"):
                layer(self.torch.ones(wrong))
        with pytest.raises(TypeError, match="operator of dhop, got ndarray"):
            dhop.torch.layer(np.eye(3))


class TestJax:
    @pytest.fixture(autouse=True)
    def jax(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.jax = pytest.importorskip("jax")
        self.jax.config.update("jax_enable_x64", True)
        yield
        self.jax.config.update("jax_enable_x64", False)

    @pytest.mark.parametrize("of", oracle.DTYPES)
    @pytest.mark.parametrize("dtype", oracle.DTYPES)
    def test_is_the_matrix_on_batches(self, dtype, of):
        A, matrix = operator(of)
        x = batch(dtype)
        y = self.jax.jit(dhop.jax.call(A))(x)
        single = np.dtype(dtype).itemsize == (8 if np.dtype(dtype).kind == "c" else 4)
        complex_ = "c" in (np.dtype(dtype).kind, np.dtype(of).kind)
        names = ("complex64", "complex128") if complex_ else ("float32", "float64")
        assert y.dtype == names[not single]
        rough = single or np.dtype(of) in (np.float32, np.complex64)
        assert_allclose(y, expected(matrix, x, A.dimsd), rtol=0, atol=1e-5 if rough else 1e-13)

    @pytest.mark.parametrize("of", ["float64", "complex128"])
    @pytest.mark.parametrize("dtype", ["float64", "complex128"])
    def test_derivatives(self, dtype, of):
        from jax.test_util import check_grads

        function = dhop.jax.call(operator(of)[0])
        check_grads(lambda x: abs(function(x)) ** 2, (batch(dtype, (2, 1)),), 2, modes=["rev"])

    def test_gradient_is_the_adjoint(self):
        """Of a misfit, compiled and mapped."""
        jax = self.jax
        A, matrix = operator()
        function = dhop.jax.call(A)
        x = batch()
        gradient = jax.jit(jax.grad(lambda x: (function(x) ** 2).sum()))(x)
        exact = 2 * expected(matrix, x, A.dimsd).reshape(-1, A.shape[0]) @ matrix
        assert_allclose(gradient.reshape(exact.shape), exact, rtol=0, atol=1e-12)
        mapped = jax.vmap(jax.vmap(function), in_axes=1, out_axes=1)(x)
        assert_allclose(mapped, expected(matrix, x, A.dimsd), rtol=0, atol=1e-12)

    def test_precision(self):
        """Single unless told otherwise, though the operator is of double; half as half."""
        self.jax.config.update("jax_enable_x64", False)
        function = dhop.jax.call(operator()[0])
        assert function(batch()).dtype == np.float32
        for name in ("float16", "bfloat16"):
            x = self.jax.numpy.asarray(batch(), name)
            assert function(x).dtype == name
            assert self.jax.grad(lambda x: function(x).sum())(x).dtype == name

    def test_refusals(self):
        function = dhop.jax.call(operator()[0])
        with pytest.raises(TypeError, match="floating-point arrays, got int64"):
            function(np.ones(DIMS, np.int64))
        for wrong in [(7, 6), (42,), ()]:
            with pytest.raises(ValueError, match=r"\(6, 7\)"):
                self.jax.jit(function)(np.ones(wrong))
        with pytest.raises(TypeError, match="operator of dhop, got ndarray"):
            dhop.jax.call(np.eye(3))
