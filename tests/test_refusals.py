"""Hypothesis: whatever is given, functions give a right result or a refusal that names it."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from things import HUGE, THINGS, attempt_to

from dhop import psf

STAR = psf.gaussian(5, 1.0)
MAKERS = {
    psf.gaussian: {"size": (5, 4), "sigma": (1.0, 2.0), "angle": 30.0},
    psf.box: {"size": 3},
    psf.disk: {"radius": 2.0},
    psf.motion: {"length": 3.0, "angle": 20.0},
    psf.airy: {"size": 5, "radius": 2.0, "obstruction": 0.2},
    psf.moffat: {"size": 5, "fwhm": 2.0, "beta": 3.0},
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
    made = attempt_to(function, legal, changes)
    if made is not None:
        assert made.dtype == np.float64
        assert (made >= 0).all()
        assert_allclose(made.sum(), 1, rtol=1e-12)
        assert_allclose(made, made[::-1, ::-1], atol=1e-12)
        if "size" in legal:
            assert list(made.shape) == np.broadcast_to({**legal, **changes}["size"], 2).tolist()


def check_helper(case):
    function, legal, changes = case
    made = attempt_to(function, legal, changes, {"array": ["psf"]})
    if made is not None:
        results = made if isinstance(made, tuple) else (made,)
        assert all(np.isfinite(np.asarray(result, complex)).all() for result in results)


@given(changed(MAKERS))
@example((psf.gaussian, MAKERS[psf.gaussian], {"sigma": 1e300}))
@example((psf.disk, MAKERS[psf.disk], {"radius": 1e-300}))
@example((psf.moffat, MAKERS[psf.moffat], {"fwhm": 1e300}))
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
@example((psf.rotate, HELPERS[psf.rotate], {"order": -1}))
@example((psf.rotate, HELPERS[psf.rotate], {"psf": np.ones((1, 3), np.longdouble)}))
def test_any_psf_is_prepared_or_refused(case):
    check_helper(case)


@for_long
@given(changed(HELPERS))
def test_any_preparation_for_long(case):
    check_helper(case)
