"""Hypothesis: every legal input matches the oracle, every illegal one gets a clear refusal."""

import tempfile

import numpy as np
import oracle
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from layouts import LAYOUTS
from numpy.testing import assert_array_equal
from things import HUGE, THINGS, attempt

from dhop import DHOperator, workers

SIDES = [1, 2, 3, 4, 5, 7, 8, 9, 11]


@st.composite
def operators(draw):
    """Arguments of a small `DHOperator` with an integer PSF."""
    dtype = draw(st.sampled_from(oracle.DTYPES))
    decimation = draw(st.sampled_from(oracle.DECIMATIONS))
    batch = draw(st.lists(st.integers(1, 3), max_size=2))
    ndim = len(batch) + 2
    axes = draw(st.permutations(range(ndim)))[:2]
    sizes = [draw(st.sampled_from(SIDES)) for _ in axes]
    factor, phase = [], []
    for size in sizes:
        factor.append(draw(st.integers(1, size if decimation != "sample" else 4)))
        room = size if decimation == "sample" else size - factor[-1] + 1
        phase.append(draw(st.integers(0, min(factor[-1], room) - 1)))
    dims = list(batch)
    for axis, size in sorted(zip(axes, sizes, strict=True)):
        dims.insert(axis, size)
    shape = [draw(st.integers(1, 7)) for _ in axes]
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    make = draw(st.sampled_from([oracle.integer_psf, oracle.sparse_psf]))
    psf = make(rng, tuple(shape), factor if decimation == "mean" else 1, dtype)
    options = {
        "decimation": decimation,
        "boundary": tuple(draw(st.sampled_from(oracle.BOUNDARIES)) for _ in axes),
        "center": draw(st.none() | st.tuples(st.integers(-9, 12), st.integers(-9, 12))),
        "phase": tuple(phase),
        "axes": tuple(a - draw(st.sampled_from([0, ndim])) for a in axes),
    }
    return (tuple(dims), psf, tuple(factor)), options


def check_operator(case, method, layout, operand, columns):
    """Equal to the oracle; to rounding where transforms or factors were computed."""
    args, options = case
    A = DHOperator(*args, method=method, **options)
    matrix = oracle.matrix(*args, **options)
    exact = A.method == "direct"
    rng = np.random.default_rng(0)

    def read(x):  # by the columns of a product: the images as they are continued
        images = np.moveaxis(x.reshape(*A.dims, -1), -1, 0)
        axes = tuple(axis + 1 for axis in A.axes)
        return oracle.continued(images, *args[1:], **{**options, "axes": axes})

    def summed(y):  # by an adjoint: the results for all places of a pixel
        places = np.sqrt(max(1, oracle.terms(*args, **options).max()))
        return places * np.atleast_2d(y.T)

    for product, reference, length, involved in [
        (lambda x: A @ x, matrix, A.shape[1], read),
        (lambda y: A.H @ y, matrix.conj().T, A.shape[0], summed),
        (lambda y: A.T @ y, matrix.T, A.shape[0], summed),
    ]:
        shape = length if columns is None else (length, columns)
        x = oracle.integers(rng, shape).astype(operand)
        result = product(LAYOUTS[layout](x))
        assert result.dtype == np.result_type(A.dtype, operand)
        if exact:
            assert_array_equal(result, reference @ x)
        else:
            unit = np.finfo(np.result_type(A.dtype, operand)).eps / 2
            images = involved(x.astype(np.complex128))
            size = np.sqrt((abs(images) ** 2).sum(axis=tuple(range(1, images.ndim))))
            bound = 10 * unit * np.log2(A.shape[1] + 1) * np.linalg.norm(A.model.weights) * size
            error = abs(result - reference @ x)
            assert (error <= (bound[0] if columns is None else bound)).all()
    explicit = A.to_sparse()
    assert_array_equal(explicit.toarray(), matrix)
    assert explicit.nnz == A.nnz == np.count_nonzero(oracle.terms(*args, **options))


legal = given(
    operators(),
    st.sampled_from(["auto", "direct", "direct", "separable", "fft"]),
    st.sampled_from(sorted(LAYOUTS)),
    st.sampled_from(["i1", "i4", "f2", "f4", "f8", "c8", "c16"]),
    st.none() | st.integers(0, 3),
)


@legal
def test_legal_input_matches_the_oracle(case, method, layout, operand, columns):
    check_operator(case, method, layout, operand, columns)


@pytest.mark.fuzz
@pytest.mark.timeout(3600)
@settings.get_profile("fuzz")
@legal
def test_legal_input_matches_the_oracle_for_long(case, method, layout, operand, columns):
    check_operator(case, method, layout, operand, columns)


ARGUMENTS = {
    "dims": THINGS,
    "psf": THINGS,
    "factor": THINGS | st.sampled_from(HUGE),
    "decimation": THINGS,
    "boundary": THINGS,
    "center": THINGS | st.sampled_from(HUGE),
    "phase": THINGS | st.sampled_from(HUGE),
    "axes": THINGS | st.sampled_from(HUGE),
    "method": THINGS,
    "dtype": THINGS,
    "workers": THINGS,
}
METHODS = ["matvec", "rmatvec", "matmat", "rmatmat", "degrade", "backproject", "gram", "norm"]
METHODS += ["to_sparse", "sparse_nbytes", "__matmul__", "__rmatmul__", "__add__"]
LEGAL = {"dims": (6, 6), "psf": np.arange(6.0).reshape(2, 3), "factor": 2}


def check_arguments(changes):
    """A right operator or a clear refusal."""
    A = attempt(DHOperator, **{**LEGAL, **changes})
    if A is not None and max(A.shape) < 1000:
        identity = np.eye(A.shape[1])
        assert_array_equal(A @ identity, A.to_sparse().toarray())
        assert_array_equal(A.H @ np.eye(A.shape[0]), A.to_sparse().conj().T.toarray())


some_names = st.lists(st.sampled_from(sorted(ARGUMENTS)), min_size=1, max_size=2, unique=True)
illegal = given(
    some_names.flatmap(
        lambda names: st.fixed_dictionaries({name: ARGUMENTS[name] for name in names})
    )
)


@illegal
@example({"center": 2**70})
@example({"factor": 2**40, "decimation": "sample"})
def test_any_arguments_give_an_operator_or_a_clear_refusal(changes):
    check_arguments(changes)


@pytest.mark.fuzz
@pytest.mark.timeout(3600)
@settings.get_profile("fuzz")
@illegal
def test_any_arguments_for_long(changes):
    check_arguments(changes)


@given(st.sampled_from(METHODS), THINGS)
def test_any_operand_gives_a_result_or_a_clear_refusal(method, operand):
    A = DHOperator(**LEGAL)
    before = A.to_sparse().toarray()
    attempt(getattr(A, method), operand)
    assert_array_equal(A @ np.eye(36), before)


@given(st.sampled_from(["image", "out"]), THINGS)
def test_any_out_gives_a_result_or_a_clear_refusal(name, thing):
    A = DHOperator(**LEGAL)
    arguments = {"image": np.ones((6, 6)), "out": np.ones((3, 3)), name: thing}
    attempt(A.degrade, **arguments)


OPTIONS = [
    ("to_sparse", "format"),
    ("to_sparse", "rows"),
    ("to_sparse", "progress"),
    ("sparse_nbytes", "format"),
    ("export", "path"),
    ("export", "format"),
    ("gram", "weights"),
    ("norm", "ord"),
    ("warmup", "dtype"),
]


@given(st.sampled_from(OPTIONS), THINGS)
def test_any_option_gives_a_result_or_a_clear_refusal(option, thing):
    A = DHOperator(**LEGAL)
    method, name = option
    with tempfile.TemporaryDirectory() as folder:
        arguments = {"path": f"{folder}/a.npz"} if method == "export" else {}
        if name != "path" or not isinstance(thing, str):  # a name is a file here
            arguments[name] = thing
        attempt(getattr(A, method), **arguments)
    assert_array_equal(A @ np.eye(36), A.to_sparse().toarray())


@given(THINGS | st.sampled_from(HUGE))
def test_any_sizes_give_blocks_or_a_clear_refusal(size):
    attempt(lambda: list(DHOperator(**LEGAL).row_blocks(size)))


@given(THINGS | st.sampled_from(HUGE))
def test_any_count_of_workers_is_one_or_a_clear_refusal(count):
    def limited():
        with workers(count):
            return DHOperator(**LEGAL) @ np.ones(36)

    result = attempt(limited)
    assert result is None or (result == DHOperator(**LEGAL) @ np.ones(36)).all()
