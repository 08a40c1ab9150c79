"""What a caller may hand over by mistake, and how a function may answer."""

import numpy as np
import pytest
from hypothesis import strategies as st

CLEAR = (TypeError, ValueError, MemoryError, NotImplementedError)

HUGE = [2**31, 2**62, 2**63, 2**70, -(2**31), -(2**63), -(2**70)]
NUMBERS = st.sampled_from([0, 1, 2, 3, -1, 1.5, 2.0, np.nan, np.inf, 1j, True, None, "2", b"2"])
ARRAYS = st.sampled_from(
    [
        np.ones((3, 3)),
        np.ones((2, 3), np.float16),
        np.ones((2, 3), np.uint8),
        np.ones((1, 3), np.longdouble),
        np.ones((1, 3), object),
        np.ones((0, 3)),
        np.ones(0),
        np.ones(36),
        np.ones((36, 2)),
        np.ones((2, 2, 2)),
        np.ones((2, 2), complex),
        np.zeros((3, 3)),
        np.array(2.0),
        np.array("text"),
        np.array([["a"]]),
        np.full((2, 2), np.nan),
        np.zeros(3, "M8[s]"),
        np.zeros((2, 2), [("a", float)]),
        np.ma.masked_less(np.arange(6.0).reshape(2, 3), 3),
    ]
)
THINGS = (
    NUMBERS
    | ARRAYS
    | st.lists(NUMBERS, max_size=3)
    | st.tuples(NUMBERS, NUMBERS)
    | st.sampled_from(
        [{}, {1: 2}, set(), object(), len, int, float, "float32", "wrap", "sample", [[1, 2], [3]]]
    )
)


def attempt(function, *args, refusals=CLEAR, **kwargs):
    """The result, or None after a clear refusal of our own."""
    try:
        return function(*args, **kwargs)
    except refusals as error:
        refusal = f"{type(error).__module__} {error}"
    if "numba" in refusal:
        pytest.fail(refusal)
    return None


def attempt_to(function, legal, changes, names=None, refusals=CLEAR):
    """The same, the refusal naming one of the arguments that were changed.

    `names` are what other words a refusal may use for an argument.
    """
    try:
        return function(**{**legal, **changes})
    except MemoryError:
        return None
    except refusals as error:
        words = [word for name in changes for word in (name, *(names or {}).get(name, ()))]
        if not any(word in str(error) for word in words):
            pytest.fail(f"{type(error).__name__} tells of none of {words}: {error}")
        return None
