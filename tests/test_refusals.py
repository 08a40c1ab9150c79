"""Hypothesis: whatever is given, functions give a right result or a refusal that names it."""

import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from things import HUGE, THINGS, attempt, attempt_to

from dhop import DHOperator, FrameStack, load_matrix, psf, super_resolve
from dhop.registration import estimate_shifts

# What is chosen from anything at all may be doubtful, and says so.
pytestmark = pytest.mark.filterwarnings("ignore::dhop.cautions.Caution")

STAR = psf.gaussian(5, 1.0)
MAKERS = {
    psf.gaussian: {"size": (5, 4), "sigma": (1.0, 2.0), "angle": 30.0},
    psf.box: {"size": 3},
    psf.disk: {"radius": 2.0},
    psf.motion: {"length": 3.0, "angle": 20.0},
    psf.airy: {"size": 5, "radius": 2.0, "obstruction": 0.2},
    psf.moffat: {"size": 5, "fwhm": 2.0, "beta": 3.0},
    psf.widefield: {
        "shape": (3, 5, 4),
        "voxel": (0.2, 0.1),
        "wavelength": 0.5,
        "na": 1.2,
        "index": 1.5,
    },
    psf.confocal: {
        "shape": (3, 5, 4),
        "voxel": (0.2, 0.1),
        "excitation": 0.4,
        "emission": 0.5,
        "na": 1.2,
        "index": 1.5,
        "pinhole": 0.3,
    },
}
HELPERS = {
    psf.normalise: {"psf": STAR},
    psf.rotate: {"psf": STAR, "angle": 20.0, "order": 3},
    psf.resample: {"psf": STAR, "pixel": 1.0, "new_pixel": 2.0, "center": None},
    psf.encircled_energy: {"psf": STAR, "radius": [1.0], "center": None},
    psf.estimate_support: {"psf": STAR, "energy": 0.9},
    psf.from_array: {"array": STAR, "background": 0.0, "center": "peak", "energy": 0.9},
    psf.shift: {"psf": STAR, "shift": (0.5, 0.5), "center": None},
}
# Small numbers, so that nothing takes long, and numbers that overflow whatever is done with them.
SCALARS = (
    st.floats(-30, 30)
    | st.sampled_from([*HUGE, 1e9, 1e300, -1e300, 1e-300, 5e-324, np.finfo(float).max])
    | st.sampled_from(["border", "centroid", np.float32(1.5), np.int8(2), np.longdouble(2)])
)
ANYTHING = THINGS | SCALARS | st.tuples(SCALARS, SCALARS)


def changed(functions):
    """One of the functions, its legal arguments, and another value for one or two of them."""

    def change(function):
        names = st.sampled_from(sorted(functions[function]))
        changes = st.dictionaries(names, ANYTHING, min_size=1, max_size=2)
        return st.tuples(st.just(function), st.just(functions[function]), changes)

    return st.sampled_from(list(functions)).flatmap(change)


def for_long(test):
    """The same test on many more cases, in the long runs."""
    many = settings(settings.get_profile("fuzz"), max_examples=4000)
    return pytest.mark.fuzz(pytest.mark.timeout(3600)(many(test)))


def check_maker(case):
    function, legal, changes = case
    light = {"excitation": ["wavelength"], "emission": ["wavelength"]}
    made = attempt_to(function, legal, changes, light)
    if made is not None:
        assert made.dtype == np.float64
        assert (made >= 0).all()
        assert_allclose(made.sum(), 1, rtol=1e-12)
        assert_allclose(made, np.flip(made), atol=1e-12)
        if "size" in legal:
            size = np.asarray({**legal, **changes}["size"])
            assert list(made.shape) == np.broadcast_to(size, size.shape or 2).tolist()


def check_helper(case):
    function, legal, changes = case
    made = attempt_to(function, legal, changes, {"array": ["psf"], "background": ["psf"]})
    if made is not None:
        results = made if isinstance(made, tuple) else (made,)
        assert all(np.isfinite(np.asarray(result, complex)).all() for result in results)


@given(changed(MAKERS))
@example((psf.gaussian, MAKERS[psf.gaussian], {"sigma": 1e300}))
@example((psf.disk, MAKERS[psf.disk], {"radius": 1e-300}))
@example((psf.moffat, MAKERS[psf.moffat], {"fwhm": 1e300}))
@example((psf.motion, MAKERS[psf.motion], {"angle": 1e-312}))
def test_any_psf_is_made_or_refused(case):
    check_maker(case)


@for_long
@given(changed(MAKERS))
def test_any_psf_for_long(case):
    check_maker(case)


@given(changed(HELPERS))
@example((psf.encircled_energy, HELPERS[psf.encircled_energy], {"radius": np.inf}))
@example((psf.encircled_energy, HELPERS[psf.encircled_energy], {"center": []}))
@example((psf.encircled_energy, HELPERS[psf.encircled_energy], {"center": np.finfo(float).max}))
@example((psf.estimate_support, HELPERS[psf.estimate_support], {"psf": [1.7e308, 1.7e308]}))
@example((psf.rotate, HELPERS[psf.rotate], {"order": -1}))
@example((psf.rotate, HELPERS[psf.rotate], {"psf": np.ones((1, 3), np.longdouble)}))
def test_any_psf_is_prepared_or_refused(case):
    check_helper(case)


@for_long
@given(changed(HELPERS))
def test_any_preparation_for_long(case):
    check_helper(case)


@given(THINGS)
def test_any_path_is_opened_or_refused(path):
    refusals = (TypeError, ValueError, OSError)
    assert attempt(load_matrix, path, refusals=refusals) is None
    assert attempt(psf.load, path, refusals=refusals) is None


FORMATS = ["npz", "mtx", "mtx.gz", "mat"]
PARTS = ["dhop-matrix.json", "indptr.npy", "indices.npy", "data.npy"]
damage = given(
    st.sampled_from([*FORMATS, *PARTS]),
    st.sampled_from(["cut", "changed", "replaced"]),
    st.floats(0, 1, exclude_max=True),
    st.binary(min_size=1, max_size=40),
)


def check_damaged_file(name, how, where, new):
    """What is opened can be multiplied with: its indices are those of columns."""
    A = DHOperator((6, 5), np.arange(6.0).reshape(2, 3), 2)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / ("matrix" if name in PARTS else f"matrix.{name}")
        A.export(target)
        file = target / name if name in PARTS else target
        content = file.read_bytes()
        place = int(where * len(content))
        rest = {"cut": b"", "changed": new + content[place + len(new) :], "replaced": new}[how]
        file.write_bytes((b"" if how == "replaced" else content[:place]) + rest)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of readers, about what they find
            matrix = attempt(load_matrix, target, mmap=False, refusals=(ValueError, OSError))
    if matrix is not None and max(matrix.shape) < 1000:
        assert (matrix @ np.ones(matrix.shape[1])).shape == (matrix.shape[0],)


@pytest.mark.slow
@damage
@example("mtx", "cut", 0.995, b" ")
@example("mtx", "changed", 0.9, b"1.91\x001\x00 1\n0 ")
def test_any_damaged_file_is_opened_or_refused(name, how, where, new):
    check_damaged_file(name, how, where, new)


@for_long
@damage
def test_any_damaged_file_for_long(name, how, where, new):
    check_damaged_file(name, how, where, new)


BLUR = psf.box(3)
FRAMES = np.random.default_rng(0).random((3, 8, 8))
SETTINGS = {
    "frames": FRAMES, "psf": BLUR, "factor": 2, "shifts": [[0, 0], [0.5, 0], [0, 0.5]],
    "weights": [1.0, 2.0, 1.0], "regulariser": "laplacian", "beta": 0.1, "noise": None,
    "solver": "auto", "nonnegative": False, "boundary": "symmetric", "decimation": "mean",
    "dims": None, "x0": None, "maxiter": 3, "rtol": 1e-6, "callback": None, "progress": None,
}  # fmt: skip
ONE = {**SETTINGS, "frames": FRAMES[0], "shifts": None, "weights": None}
CHOSEN = {**ONE, "beta": "discrepancy", "noise": 0.1}
PROBLEMS = st.sampled_from([SETTINGS, ONE, CHOSEN])
# Numbers whose squares are numbers, and of sizes that are quick to be solved.
MILD = THINGS | st.floats(-30, 30) | st.sampled_from(["cg", "lsqr", "projected", "gcv", "identity"])
UNLIKE = {  # what else tells of an argument: a frame may not fit a legal factor
    "frames": ["x0", "psf", "shifts", "No array found"],
    "factor": ["block", "frames of", "x0"],
    "dims": ["block", "frames of", "operator"],
    "psf": ["beta"],
    "decimation": ["frames of"],
    "callback": ["argument", "object"],
    "progress": ["argument", "arg", "convert"],
}


def check_super_resolution(legal, changes):
    """What is found is finite, of the shape that was asked for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # an equation may be singular
        solution = attempt_to(
            super_resolve, legal, changes, UNLIKE, refusals=(TypeError, ValueError, OSError)
        )
    if solution is not None:
        assert np.isfinite(solution.image).all()
        *leading, rows, columns = solution.operator.dims
        line = len(leading) + 1 == solution.image.ndim  # it is an image of one row
        assert solution.image.shape == (*leading, *([] if line else [rows]), columns)


@pytest.mark.slow
@settings(max_examples=100)
@given(PROBLEMS, st.dictionaries(st.sampled_from(sorted(SETTINGS)), MILD, min_size=1, max_size=1))
@example(ONE, {"frames": FRAMES[0] * 1e300})
@example(SETTINGS, {"weights": [1e300] * 3})
@example(CHOSEN, {"noise": 1e300})
@example(CHOSEN, {"psf": np.zeros((3, 3))})
@example(SETTINGS, {"psf": (0, 0)})
@example(ONE, {"psf": (0, 0)})
@example(ONE, {"beta": 1e-300})
@example({**ONE, "beta": "gcv"}, {"frames": np.ones((2, 2))})
def test_any_super_resolution_gives_a_solution_or_a_refusal(legal, changes):
    check_super_resolution(legal, changes)


@for_long
@given(PROBLEMS, st.dictionaries(st.sampled_from(sorted(SETTINGS)), MILD, min_size=1, max_size=2))
def test_any_super_resolution_for_long(legal, changes):
    check_super_resolution(legal, changes)


@pytest.mark.slow
@given(
    st.dictionaries(st.sampled_from(["frames", "weights"]), THINGS, min_size=1)
    | st.fixed_dictionaries({"weights": st.lists(THINGS, min_size=3, max_size=3)})
)
@example({"frames": FRAMES * np.nan})
@example({"frames": FRAMES * 1e300})
@example({"frames": np.ones((2, 0, 0))})
def test_any_frames_are_registered_or_refused(changes):
    shifts = attempt_to(estimate_shifts, {"frames": FRAMES, "weights": None}, changes)
    if shifts is not None:
        assert np.isfinite(shifts).all()
        assert shifts.shape[1] == 2


A = DHOperator((6, 6), np.arange(6.0).reshape(2, 3), 2)
ANY_OPERATORS = THINGS | st.lists(THINGS | st.just(A), max_size=3)


@given(
    st.fixed_dictionaries({"operators": ANY_OPERATORS})
    | st.fixed_dictionaries({"weights": st.lists(THINGS, min_size=2, max_size=2) | THINGS})
)
def test_any_frames_give_a_stack_or_a_refusal(changes):
    stack = attempt_to(FrameStack, {"operators": [A, A]}, changes, {"operators": ["operator"]})
    if stack is not None:
        ones = np.ones(stack.shape[1])
        roots = 1 if stack.weights is None else np.repeat(np.sqrt(stack.weights), A.shape[0])
        expected = np.concatenate([each @ ones for each in stack.operators])
        assert_allclose(stack @ ones, roots * expected, rtol=1e-12)


@given(st.lists(THINGS, min_size=2, max_size=2) | THINGS)
def test_any_frames_are_stacked_or_refused(frames):
    data = attempt_to(FrameStack([A, A]).data, {}, {"frames": frames})
    assert data is None or data.shape == (18,)
