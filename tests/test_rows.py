"""Any rows of a matrix, in memory and time for these rows, however many there are."""

import numpy as np
import oracle
import pytest
from child import COMPILED, run
from numpy.testing import assert_array_equal

import dhop.matrix.sparse
from dhop import DHOperator, FrameStack

RNG = np.random.default_rng(11)
INTEGERS = [np.dtype(kind) for kind in ("u1", "i1", "u2", ">i2", "u4", "i8", "u8")]


@pytest.fixture
def small(monkeypatch):
    """Every table is long, every stretch and block of rows short."""
    monkeypatch.setattr(dhop.matrix.sparse, "LONG", 0)
    monkeypatch.setattr(dhop.matrix.sparse, "CHUNK", 3)
    monkeypatch.setattr(dhop.matrix.sparse, "MOST_ROWS", 4)


def some_rows(count):
    """A few in any order, more than once."""
    return RNG.integers(-count, count, min(2 * count, 40))


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("boundary", oracle.BOUNDARIES)
@pytest.mark.parametrize("psf", oracle.PSFS)
class TestEveryCase:
    def cases(self, psf, boundary):
        for decimation in ("sum", "sample"):
            given = {"boundary": boundary, "decimation": decimation, "dtypes": (np.float64,)}
            cases = oracle.grid(psf, **given, sizes=((1, 5), (7, 5)), factors=(1, (2, 3)))
            for args, options in cases:
                yield DHOperator(*args, **options), oracle.matrix(*args, **options)

    def test_chosen_and_blocks(self, psf, boundary):
        for A, expected in self.cases(psf, boundary):
            chosen = some_rows(A.shape[0])
            found = A.to_sparse(rows=chosen)
            found.check_format(full_check=True)
            assert_array_equal(found.toarray(), expected[chosen], repr(A))
            for name in ("csr", "csc"):
                assert_array_equal(A.to_sparse(name).toarray(), expected, repr(A))
            blocks = list(A.row_blocks())
            assert max(block.stop - block.start for block, _ in blocks) <= 4
            assert_array_equal(np.vstack([each.toarray() for _, each in blocks]), expected)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("axes", [(0, 1), (1, 3), (3, 0), (2, 3)])
def test_batch_axes(axes):
    psf = oracle.integer_psf(RNG, (2, 3))
    options = {"axes": axes, "boundary": ("wrap", "reflect")}
    A, expected = (
        make((5, 4, 3, 6), psf, (2, 1), **options) for make in (DHOperator, oracle.matrix)
    )
    chosen = some_rows(A.shape[0])
    assert_array_equal(A.to_sparse(rows=chosen).toarray(), expected[chosen])
    assert_array_equal(A.to_sparse().toarray(), expected)
    assert A.nnz == np.count_nonzero(oracle.terms((5, 4, 3, 6), psf, (2, 1), **options))


class TestStack:
    PSFS = oracle.integer_psf(RNG, (3, 2)), oracle.integer_psf(RNG, (2, 5))
    A, B = (DHOperator((7, 6), psf, 2, boundary="edge") for psf in PSFS)
    DENSE = tuple(oracle.matrix((7, 6), psf, 2, boundary="edge") for psf in PSFS)
    MASK = np.array([4.0, 0, 1, 0, 0, 9, 1, 1, 0])

    @pytest.mark.parametrize("weights", [None, [4.0, 0.0], [0.0, 0.0], [1.0, MASK], [MASK, 0.0]])
    @pytest.mark.parametrize("nested", [False, True])
    def test_any_rows(self, weights, nested, small):
        stack = FrameStack([FrameStack([self.A]), self.B] if nested else [self.A, self.B], weights)
        roots = [np.sqrt(np.broadcast_to(w, 9)) for w in ([1, 1] if weights is None else weights)]
        expected = np.vstack([r[:, None] * M for r, M in zip(roots, self.DENSE, strict=True)])
        chosen = some_rows(18)
        assert_array_equal(stack.to_sparse().toarray(), expected)
        assert_array_equal(stack.to_sparse(rows=chosen).toarray(), expected[chosen])
        assert_array_equal(stack.to_sparse("csc", rows=chosen).toarray(), expected[chosen])
        assert stack.nnz == stack.to_sparse().nnz
        assert stack.to_sparse(rows=slice(17, 3, -4)).shape == (4, 42)
        parts = [part.toarray() for _, part in stack.row_blocks()]
        assert_array_equal(np.vstack(parts), expected)


class TestNumbers:
    A = DHOperator((40, 30), oracle.integer_psf(RNG, (3, 3)), 2)  # 300 rows

    @pytest.mark.parametrize("kind", INTEGERS, ids=str)
    def test_any_integers(self, kind):
        chosen = np.array([5, 0, 100, 5], kind)
        expected = self.A.to_sparse().toarray()
        assert_array_equal(self.A.to_sparse(rows=chosen).toarray(), expected[chosen])
        assert_array_equal(self.A.gram().to_sparse(rows=chosen).shape, (4, 1200))
        if kind.kind == "i":
            assert_array_equal(self.A.to_sparse(rows=-chosen).toarray(), expected[-chosen])

    @pytest.mark.parametrize(
        "wrong",
        [
            np.uint16(300),
            np.int16(-301),
            np.uint64(2**63),
            np.uint64(2**64 - 1),
            np.iinfo("i8").min,
        ],
    )
    def test_out_of_range(self, wrong):
        with pytest.raises(IndexError, match=str(wrong)):
            self.A.to_sparse(rows=np.array([wrong]))

    def test_too_large(self):
        with pytest.raises((IndexError, TypeError)):
            self.A.to_sparse(rows=[2**70])


LARGE = """
    import resource
    import numpy as np
    from dhop import DHOperator, FrameStack, psf

    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    BLUR = psf.gaussian(5, 1.0)
    A = DHOperator((80, 80), BLUR, 2, dtype="f4")
    FrameStack([A, A]).to_sparse(rows=[0])
"""


@COMPILED
class TestLarge:
    """A process of its own, since its peak of memory is of all that it did."""

    resource = pytest.importorskip("resource")

    def test_three_rows(self):
        """Of 900 million, or of four times as many: the right ones, in 50 MB."""
        run(
            LARGE
            + """
    A = DHOperator((60000, 60000), BLUR, 2, dtype="f4")
    stack, before = FrameStack([A] * 4), peak()
    M = 30000
    folded = np.zeros((6, 6))
    for i in range(2):
        for j in range(2):
            folded[i:i + 5, j:j + 5] += BLUR[::-1, ::-1]
    for B, first in ((A, 0), (stack, 0), (stack, 2 * M * M)):
        S = B.to_sparse(rows=[first, first + 7 * M + 9, first + M * M - 1])
        for k, (i, j) in enumerate([(0, 0), (7, 9), (M - 1, M - 1)]):
            rows, columns = (np.arange(2 * at - 2, 2 * at + 4) for at in (i, j))
            up, left = (np.flatnonzero((at >= 0) & (at < 2 * M)) for at in (rows, columns))
            place = rows[up][:, None] * 2 * M + columns[left]
            part = slice(S.indptr[k], S.indptr[k + 1])
            assert (S.indices[part] == place.ravel()).all()
            assert (S.data[part] == folded[np.ix_(up, left)].ravel().astype("f4")).all()
    for B in (A, stack):
        rows, part = next(B.row_blocks(2**20))
        assert rows.start == 0 and part.nnz > 2**14
        try:
            B.to_sparse()
        except MemoryError as error:
            assert "row_blocks" in str(error)
        else:
            raise AssertionError("there was room")
    assert B.nnz == 4 * A.nnz == 4 * (6 * 30000 - 4) ** 2
    assert peak() - before < 50, peak() - before
    """
        )

    def test_an_export_that_no_disk_holds(self, tmp_path):
        run(
            LARGE
            + f"""
    before = peak()
    A = DHOperator((80000, 80000), psf.gaussian(25, 3.0), 2, dtype="f4")
    for name in ("a.npz", "a", "a.mtx"):
        try:
            A.export({str(tmp_path)!r} + "/" + name)
        except OSError as error:
            assert "free" in str(error)
        else:
            raise AssertionError("written")
    assert peak() - before < 100, peak() - before
    """
        )
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.slow
    @pytest.mark.parametrize("name", ["a.npz", "a"])
    def test_an_export_of_many_short_rows(self, tmp_path, name):
        """Four million of one entry each, 20 bytes a row, in 4 bytes a row."""
        run(
            LARGE
            + f"""
    import dhop.matrix.export
    from dhop import load_matrix

    dhop.matrix.export.BLOCK = 2**20
    A.export({str(tmp_path)!r} + "/" + {name!r})
    before = peak()
    A = DHOperator((4000, 4000), [[1.0]], 2, dtype="f4", decimation="sample")
    path = A.export({str(tmp_path)!r} + "/" + {name!r}, overwrite=True)
    assert peak() - before < 16, peak() - before
    matrix = load_matrix(path)
    place = np.arange(2000) * 2
    assert (matrix.indptr == np.arange(A.shape[0] + 1)).all()
    assert (matrix.indices == (place[:, None] * 4000 + place).ravel()).all()
    assert (matrix.data == 1).all()
    """
        )
