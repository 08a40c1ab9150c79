"""What notebooks and `help` show, and operators say of themselves."""

import base64
import inspect
import io
import pickle
import re
import sys
import time
import types

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import dhop
from dhop import DHOperator, DiagonalOperator, FrameStack, WarpOperator, psf, super_resolve
from dhop.runtime import notebook
from dhop.runtime.progress import reporting

A = DHOperator((1, 6), np.ones((1, 3)), (1, 2))
COMPLEX = DHOperator((1, 6), 1j * np.ones((1, 3)), (1, 2))
FIELD = psf.Field([[psf.box(3), psf.gaussian(3, 1.0)]], ([4], [0, 9]))
NODES = {
    "blur": (A, f"<3x6 DHOperator {A.dims} -> (1, 3), psf (1, 3)"),
    "adjoint": (A.H, f"<6x3 adjoint of {A!r}>"),
    "transpose": (COMPLEX.T, f"<6x3 transpose of {COMPLEX!r}>"),
    "multiple": (2 * A, f"<3x6 2 times {A!r}>"),
    "sum": (A + 2 * A, f"<3x6 sum of {A!r} and {2 * A!r}>"),
    "product": (A @ A.H, f"<3x3 product of {A!r} and {A.H!r}>"),
    "gram": (A.gram(), f"<6x6 Gram operator of {A!r}>"),
    "weighted gram": (A.gram(np.ones(3)), f"<6x6 weighted Gram operator of {A!r}>"),
    "diagonal": (
        DiagonalOperator([[1.0, 2.0]]),
        "<2x2 DiagonalOperator (1, 2) -> (1, 2), float64>",
    ),
    "stack": (FrameStack([A, A]), f"<6x6 FrameStack of 2, the first {A!r}>"),
    "weighted": (FrameStack([A], [2.0]), f"<3x6 FrameStack of 1 weighted, the first {A!r}>"),
    "warp": (
        WarpOperator((8, 8), (8, 8), np.eye(3)),
        "<64x64 WarpOperator (8, 8) -> (8, 8), matrix",
    ),
    "field": (
        DHOperator((8, 8), FIELD, 2),
        "<16x64 FieldOperator (8, 8) -> (4, 4), <Field of 1 x 2",
    ),
    "line": (DHOperator((9,), np.ones(3), 2), "<4x9 DHOperator (9,) -> (4,), psf (3,)"),
    "volume": (DHOperator((4, 4, 4), np.ones((3, 1, 1)), 2), "<8x64 DHOperator (4, 4, 4)"),
}


def picture(html):
    """The pixels of the picture of a card, by a reader of others."""
    pillow = pytest.importorskip("PIL.Image")
    content = base64.b64decode(re.search("base64,([^']*)'", html)[1])
    return np.asarray(pillow.open(io.BytesIO(content)))


@pytest.mark.parametrize("node", NODES)
def test_operators_say_what_they_are(node):
    operator, expected = NODES[node]
    assert repr(operator).startswith(expected)
    html = operator._repr_html_()
    assert html.count("<table>") == html.count("</table>") == 1
    assert "Field of" not in html or "&lt;Field of" in html
    assert ("<img" in html) == (node not in ("sum", "product", "gram", "weighted gram", "warp"))
    assert repr(pickle.loads(pickle.dumps(operator))) == repr(operator)


def test_cards_tell_what_the_matrix_would_cost():
    html = A._repr_html_()
    assert f"{A.to_sparse().nnz} entries" in html
    assert f"CSR takes {A.sparse_nbytes()} bytes" in html
    assert f"{2 * A.to_sparse().nnz} entries" in FrameStack([A, A.H.H])._repr_html_()
    assert "not counted" in (A @ A.H)._repr_html_()


@pytest.mark.parametrize("node", NODES)
def test_a_card_takes_no_product_and_no_matrix(node, monkeypatch):
    operator, _ = NODES[node]

    def fail(*args, **options):
        raise AssertionError

    for kind in type(operator).__mro__:
        for name in ("apply", "to_sparse", "multiply"):
            if name in vars(kind):
                monkeypatch.setattr(kind, name, fail)
    operator._repr_html_()


def test_cards_of_large_operators_are_quick():
    large = DHOperator((20_000, 20_000), psf.gaussian(99, 12.0), 2)
    FrameStack([large] * 9)._repr_html_()
    begin = time.process_time()
    html = FrameStack([large] * 9)._repr_html_()
    assert time.process_time() - begin < 1
    assert len(html) < 20_000


def test_pictures_are_pngs_of_what_is_there():
    grey = np.arange(35, dtype=np.uint8).reshape(5, 7)
    pillow = pytest.importorskip("PIL.Image")
    assert_array_equal(np.asarray(pillow.open(io.BytesIO(notebook.png(grey)))), grey)
    seen = picture(DHOperator((9, 9), psf.gaussian(9, 2.0), 2)._repr_html_())
    assert seen.shape == (9, 9)
    assert seen.argmax() == 40
    assert seen.min() == 0
    assert picture(FIELD._repr_html_()).shape == (3, 6)
    modes = psf.Modes([psf.box(3), psf.gaussian(3, 1.0)], np.ones((2, 8, 8)))
    assert picture(modes._repr_html_()).shape == (3, 6)


@pytest.mark.parametrize(
    "values",
    [
        np.zeros((4, 4)), np.full((3, 3), np.nan), np.array([[np.nan, 1, np.inf, 2]]),
        np.array([[1e308, -1e308]]), np.ones((300, 2), np.complex64), np.zeros((0, 3)),
        np.array([[True, False]]), np.full((2, 2), 1e-320),
    ],
)  # fmt: skip
def test_cards_of_any_values(values):
    notebook.card("x", {}, values)


def test_solutions_have_cards():
    frames = np.zeros((3, 8, 8))
    frames[:, 2, 5] = 1
    solution = super_resolve(frames, psf.gaussian(5, 1.0), 2, beta=0.01)
    html = solution._repr_html_()
    assert "3 of 8 x 8" in html
    for note in solution.notes:
        assert note.split("'")[0] in html
    seen = picture(html)
    assert seen.shape == (16, 16)
    assert abs(np.subtract(np.unravel_index(seen.argmax(), seen.shape), (4.5, 10.5))).max() < 2
    line = super_resolve(np.eye(16)[3], np.ones(3), 2, beta=0.01)
    assert picture(line._repr_html_()).shape[1] == 32
    colours = super_resolve(frames, psf.gaussian(5, 1.0), 2, channel_axis=0, beta=0.01)
    assert picture(colours._repr_html_()).shape == (16, 16)


def test_what_others_wrote_is_escaped():
    html = notebook.card("<b>", {"<script>": "a & <i>'\""})
    assert "<script>" not in html
    assert "<i>" not in html
    assert "&lt;script&gt;" in html


@pytest.mark.parametrize("node", NODES)
def test_to_array(node):
    operator, _ = NODES[node]
    N = operator.shape[1]
    expected = np.stack([operator @ unit for unit in np.eye(N)], axis=1)
    assert_array_equal(operator.toarray().shape, operator.shape)
    np.testing.assert_allclose(operator.toarray(), expected, atol=1e-12)


def test_large_arrays_are_refused_in_words():
    large = DHOperator((800, 800), psf.gaussian(5, 1.0), 2)
    with pytest.raises(
        MemoryError, match=r"takes 819,200,000,000 bytes, more than max_nbytes=1,07"
    ):
        large.toarray()
    with pytest.raises(MemoryError, match="`to_sparse` stores no zeros"):
        large.toarray(max_nbytes=10**12)
    with pytest.raises(ValueError, match="max_nbytes must be positive"):
        large.toarray(max_nbytes=0)


class Shell:
    """Notebook enough: remembers what is displayed."""

    kernel = None

    def __init__(self):
        self.seen = []

    def display(self, html, display_id):
        self.seen.append(html)
        return types.SimpleNamespace(update=self.seen.append)


def test_bars_in_notebooks(monkeypatch):
    shell = Shell()
    display = types.SimpleNamespace(HTML=str, display=shell.display)
    python = types.SimpleNamespace(get_ipython=lambda: shell, display=display)
    monkeypatch.setitem(sys.modules, "IPython", python)
    monkeypatch.setitem(sys.modules, "rich.progress", None)  # not needed there
    monkeypatch.setattr(notebook, "OFTEN", 0)
    with reporting(True, 3, "a < b") as advance:
        for _ in range(2):
            advance(1)
    assert len(shell.seen) == 4
    assert all(each.startswith("a &lt; b <progress") for each in shell.seen)
    assert "value='1' max='3'" in shell.seen[1]
    assert "value='2' max='2'" in shell.seen[-1]
    super_resolve(np.eye(16), psf.gaussian(5, 1.0), 2, beta=0.01, progress=True)
    monkeypatch.setattr(python, "get_ipython", lambda: object())  # a terminal
    assert notebook.shell() is None
    monkeypatch.delitem(sys.modules, "IPython")
    assert notebook.shell() is None


def test_bars_are_not_drawn_all_the_time():
    shell, now = Shell(), [0.0]
    display = types.SimpleNamespace(HTML=str, display=shell.display)
    bar = notebook.Bar(display, "x", clock=lambda: now[0])
    for done in range(1000):
        now[0] += 0.001
        bar(done, 1000)
    assert 9 <= len(shell.seen) <= 12


PUBLIC = [getattr(dhop, name) for name in dhop.__all__ if callable(getattr(dhop, name))]


@pytest.mark.parametrize("thing", PUBLIC + [getattr(psf, name) for name in psf.__all__])
def test_signatures_fit_a_screen(thing):
    """And name all parameters of what is called."""
    signature = str(inspect.signature(thing))
    assert len(signature) < 800
    assert "numpy._typing" not in signature
    assert "*args" not in signature
    for name, method in inspect.getmembers(thing, inspect.isfunction):
        if not name.startswith("_") and method.__module__.startswith("dhop"):
            assert "numpy._typing" not in str(inspect.signature(method)), name


def test_signatures_are_those_of_the_code():
    plain = inspect.signature(super_resolve)
    code = super_resolve.__code__
    assert list(plain.parameters) == list(
        code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    )
    assert plain.parameters["rtol"].default == super_resolve.__kwdefaults__["rtol"]
    assert next(iter(inspect.signature(DHOperator).parameters)) == "dims"
