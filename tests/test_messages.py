"""Errors read as help: what was given, what was expected, what to do."""

import re

import numpy as np
import pytest
from scipy import sparse

from dhop import DHOperator

PSF = np.ones((3, 3))
A = DHOperator((6, 8), PSF, 2)


def refusal(call):
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    return str(caught.value)


class TestBoundary:
    @pytest.mark.parametrize(
        ("given", "meant"),
        [
            ("reflct", "reflect"),
            ("symetric", "symmetric"),
            ("Wrap", "wrap"),
            ("edges", "edge"),
            # scipy.ndimage's names
            ("nearest", "edge"),
            ("mirror", "reflect"),
            ("BORDER_REFLECT", "symmetric"),
            ("BORDER_REFLECT_101", "reflect"),
            ("grid-wrap", "wrap"),
            ("grid-mirror", "symmetric"),
            ("grid-constant", "constant"),
            # and others'
            ("zeros", "constant"),
            ("periodic", "wrap"),
            ("replicate", "edge"),
        ],
    )
    def test_names_the_one_that_was_meant(self, given, meant):
        for boundary in (given, ("wrap", given)):
            message = refusal(
                lambda boundary=boundary: DHOperator((6, 8), PSF, 2, boundary=boundary)
            )
            assert repr(given) in message
            assert message.endswith(f"did you mean {meant!r}?")

    def test_tells_the_two_reflects_apart(self):
        message = refusal(lambda: DHOperator((6, 8), PSF, 2, boundary="mirror"))
        assert "scipy.ndimage's 'reflect' is 'symmetric' here, its 'mirror' is 'reflect'" in message

    def test_the_two_reflects_are_what_is_said(self):
        ndimage = pytest.importorskip("scipy.ndimage")
        rng = np.random.default_rng(0)
        image, psf = rng.integers(-4, 5, (7, 9)), rng.integers(-4, 5, (3, 5))
        for theirs, ours in [("reflect", "symmetric"), ("mirror", "reflect"), ("nearest", "edge")]:
            H = DHOperator(image.shape, psf, 1, boundary=ours)
            np.testing.assert_array_equal(
                H.degrade(image), ndimage.convolve(image, psf, mode=theirs)
            )

    def test_does_not_guess_at_random(self):
        assert "mean" not in refusal(lambda: DHOperator((6, 8), PSF, 2, boundary="xyz"))


@pytest.mark.parametrize(
    ("options", "texts"),
    [
        ({"method": "FFT"}, ["'FFT'", "did you mean 'fft'?"]),
        ({"decimation": "average"}, ["'average'", "did you mean 'mean'?"]),
        ({"dims": 48}, ["dims", "sequence", "48"]),
        ({"dims": np.ones((6, 8))}, ["dims", "give its shape"]),
        ({"dims": (8,)}, ["1 dimensions", "shape of the whole array"]),
        ({"psf": np.ones((1, 1, 1, 1))}, ["1, 2 or 3 dimensions", "got 4"]),
        ({"psf": "gaussian"}, ["psf", "numbers", "str"]),
        ({"psf": None}, ["psf", "numbers", "NoneType"]),
        ({"psf": [[1, 2], [3]]}, ["psf", "unequal lengths"]),
        ({"psf": sparse.eye_array(3)}, ["psf.toarray()"]),
        ({"factor": 2.5}, ["factor", "integer", "2.5"]),
        ({"factor": 9}, ["axis 0", "6 pixels", "block of 9"]),
        ({"phase": 2}, ["phase", "[0, 2)", "got 2"]),
        ({"workers": 0}, ["workers", "positive", "0"]),
        ({"dtype": "half a word"}, ["float32, float64, complex64, complex128", "half a word"]),
        ({"dtype": "f4", "psf": 1j * PSF}, ["complex psf", "float32"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_arguments(options, texts):
    arguments = {"dims": (6, 8), "psf": PSF, "factor": 2, **options}
    message = refusal(lambda: DHOperator(**arguments))
    assert [text for text in texts if text not in message] == [], message


@pytest.mark.parametrize(
    ("call", "texts"),
    [
        (lambda: A @ sparse.eye_array(48), ["`A.to_sparse() @ X`"]),
        (lambda: A.H @ sparse.eye_array(12), ["`A.to_sparse().conj().T @ X`"]),
        (lambda: A @ np.ones((6, 8)), ["48", "(6, 8)", "use `degrade`"]),
        (lambda: A.H @ np.ones((3, 4)), ["12", "(3, 4)", "use `degrade`"]),
        (lambda: A.rmatmat(np.ones((3, 4))), ["12", "(3, 4)", "use `backproject`"]),
        (lambda: A @ np.ones((2, 48)), ["48", "(2, 48)", "transpose"]),
        (lambda: A.degrade(np.ones(48)), ["(6, 8)", "(48,)", "`A @ x`"]),
        (lambda: A.backproject(np.ones(12)), ["(3, 4)", "(12,)", "`A.H @ x`"]),
        (lambda: A @ None, ["numbers", "NoneType"]),
        (lambda: A @ np.ones(48, object), ["numbers", "dtype object"]),
        (lambda: A @ [[1, 2], [3]], ["unequal lengths"]),
        (lambda: A @ np.ones(48, np.longdouble), ["cast to float64"]),
        (lambda: A @ np.ones(48, np.clongdouble), ["cast to complex128"]),
        (lambda: A @ np.ma.masked_less(np.arange(48.0), 3), ["masked", "`.filled(value)`"]),
        (lambda: A.degrade(np.ones((6, 8)), np.ones((3, 4), "f4")), ["float64", "f4"]),
        (lambda: A.degrade(np.ones((6, 8)), [1.0]), ["ndarray", "list"]),
        (lambda: A.degrade(np.ones((6, 8)), np.ones((4, 4))), ["(4, 4)", "(3, 4)"]),
        (lambda: A.to_sparse("CSR"), ["'CSR'", "did you mean 'csr'?"]),
        (lambda: A.to_sparse(rows=3), ["rows", "slice"]),
        (lambda: A.norm("nuc"), ["'fro'", "'nuc'"]),
        (lambda: A.export("matrix.txt"), ["matrix.txt", ".npz"]),
        (lambda: next(A.row_blocks(10)), ["at least", "got 10"]),
        (lambda: A.gram(np.ones(5)), ["weights", "(3, 4)", "(5,)"]),
    ],
)
def test_operands(call, texts):
    message = refusal(call)
    assert [text for text in texts if text not in message] == [], message


def test_no_message_prints_an_array():
    for operand in (np.ones((2, 50, 3)), np.ones((4, 4, 4)), np.ones((50, 50))):
        for product in (A.dot, A.matmat, A.rmatmat, A.matvec, A.degrade):
            message = refusal(lambda product=product, operand=operand: product(operand))
            assert not re.search(r"1\., 1\.", message)
