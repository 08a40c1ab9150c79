"""The explicit matrix: values, pattern, formats, index type."""

import numpy as np
import oracle
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

import dhop.matrix.sparse
from dhop import DHOperator

RNG = np.random.default_rng(7)
FORMATS = {
    "csr": sparse.csr_array,
    "csc": sparse.csc_array,
    "bsr": sparse.bsr_array,
    "coo": sparse.coo_array,
}


def stored(matrix):
    """The dense pattern of the stored entries, zeros among them."""
    matrix = matrix.tocsr(copy=True)
    matrix.data[:] = 1
    return matrix.toarray().real.astype(int)


@pytest.mark.parametrize("place", range(9))
@pytest.mark.parametrize("boundary", oracle.BOUNDARIES)
def test_single_taps_that_look_past_the_border(boundary, place):
    """In a mirror the same tap meets pixels of another parity, at another place of their block."""
    taps = np.zeros((1, 9))
    taps[0, place] = 3.0
    options = {"boundary": boundary, "decimation": "sample"}
    A = DHOperator((2, 8), taps, 2, **options)
    expected = oracle.matrix((2, 8), taps, 2, **options)
    for format in FORMATS:
        assert_array_equal(A.to_sparse(format).toarray(), expected, format)


@pytest.mark.parametrize("decimation", oracle.DECIMATIONS)
@pytest.mark.parametrize("boundary", oracle.BOUNDARIES)
@pytest.mark.parametrize("psf", oracle.PSFS)
class TestEveryCase:
    def test_values_and_pattern_are_exact(self, psf, boundary, decimation):
        """An entry for every pixel that a non-zero folded tap touches, and for no other."""
        for args, options in oracle.grid(psf, boundary=boundary, decimation=decimation):
            A = DHOperator(*args, **options)
            matrix = A.to_sparse()
            case = f"{args[0]=}, {args[1].shape=}, {args[2]=}, {A.dtype=}, {options=}"
            pattern = (oracle.terms(*args, **options) > 0).astype(int)
            assert isinstance(matrix, sparse.csr_array)
            assert matrix.dtype == A.dtype, case
            assert matrix.shape == A.shape, case
            assert_array_equal(matrix.toarray(), oracle.matrix(*args, **options), case)
            assert_array_equal(stored(matrix), pattern, case)
            assert matrix.nnz == A.nnz == pattern.sum(), case
            assert matrix.indices.dtype == matrix.indptr.dtype == np.int32
            assert_is_canonical(matrix)

    def test_is_decimation_times_blur(self, psf, boundary, decimation):
        """`(D @ H).nnz == A.nnz` and equal values to one rounding, for non-negative PSFs."""
        cases = oracle.grid(
            psf,
            boundary=boundary,
            decimation=decimation,
            sizes=((6, 8),),
            factors=(1, (2, 3)),
            dtypes=(np.float64,),
        )
        for (dims, taps, factor), options in cases:
            taps = abs(taps) / 7
            A = DHOperator(dims, taps, factor, **options)
            D, H = A.decimation_operator.to_sparse(), A.blur_operator.to_sparse()
            product = sparse.csr_array(D @ H)
            matrix = A.to_sparse()
            assert product.nnz == A.nnz == matrix.nnz
            # every entry is a sum of non-negative terms: relative error within gamma
            terms = oracle.terms(dims, abs(taps), factor, **options).max() * np.prod(factor) * 4
            limit = terms * np.finfo(float).eps * matrix.toarray()
            assert (abs(product.toarray() - matrix.toarray()) <= limit).all()


def assert_is_canonical(matrix):
    """Sorted columns, no duplicates, nothing beyond the last row: checked, not believed."""
    matrix.check_format(full_check=True)
    matrix = type(matrix)((matrix.data, matrix.indices, matrix.indptr), shape=matrix.shape)
    assert matrix.has_sorted_indices
    assert matrix.has_canonical_format
    assert len(matrix.indices) == len(matrix.data) == matrix.indptr[-1]
    assert matrix.indptr[0] == 0


@pytest.mark.parametrize("dtype", oracle.DTYPES)
@pytest.mark.parametrize("name", FORMATS)
class TestFormats:
    def build(self, dtype, dims=(7, 10), axes=(-2, -1)):
        rng = np.random.default_rng(0)
        args = dims, oracle.integer_psf(rng, (3, 4), 1, dtype), (2, 3)
        options = {"boundary": ("symmetric", "wrap"), "phase": (1, 0), "axes": axes}
        return DHOperator(*args, **options), oracle.matrix(*args, **options)

    def test_same_matrix(self, name, dtype):
        A, expected = self.build(dtype)
        matrix = A.to_sparse(name)
        assert type(matrix) is FORMATS[name]
        assert matrix.format == name
        assert matrix.dtype == dtype
        assert_array_equal(matrix.toarray(), expected)

    def test_canonical(self, name, dtype):
        A, _ = self.build(dtype)
        matrix = A.to_sparse(name)
        if name == "coo":
            coordinates = np.stack(matrix.coords)
            order = np.lexsort(coordinates[::-1])
            assert_array_equal(order, np.arange(matrix.nnz))
            assert len(np.unique(coordinates, axis=1).T) == matrix.nnz
        else:
            assert_is_canonical(matrix)
        if name != "bsr":
            assert matrix.nnz == A.nnz

    def test_batch_axes(self, name, dtype):
        A, expected = self.build(dtype, (2, 7, 3, 5), (1, 3))
        assert_array_equal(A.to_sparse(name).toarray(), expected)

    def test_product_is_the_operators(self, name, dtype):
        A, _ = self.build(dtype)
        x = oracle.integers(np.random.default_rng(1), A.shape[1], dtype)
        assert_array_equal(A.to_sparse(name) @ x, A @ x)

    def test_size_is_known_before(self, name, dtype, monkeypatch):
        for limit in (dhop.matrix.sparse.INT32_LIMIT, 10):
            monkeypatch.setattr(dhop.matrix.sparse, "INT32_LIMIT", limit)
            A, _ = self.build(dtype)
            matrix = A.to_sparse(name)
            index = ("row", "col") if name == "coo" else ("indices", "indptr")
            arrays = [matrix.data, *(getattr(matrix, part) for part in index)]
            assert A.sparse_nbytes(name) == sum(array.nbytes for array in arrays)


def test_unknown_format():
    with pytest.raises(ValueError, match="format"):
        DHOperator((4, 4), [[1.0]], 2).to_sparse("dia")


@pytest.mark.parametrize("decimation", oracle.DECIMATIONS)
def test_cancelling_sums(decimation):
    """A folded tap that is zero is not stored; taps that meet and cancel are."""
    psf = np.array([[1.0, -1.0]])
    for boundary in oracle.BOUNDARIES:
        options = {"decimation": decimation, "boundary": boundary, "center": 0}
        A = DHOperator((2, 5), psf, 2, **options)
        matrix = A.to_sparse()
        assert_array_equal(stored(matrix), oracle.terms((2, 5), psf, 2, **options) > 0)
        assert_array_equal(matrix.toarray(), oracle.matrix((2, 5), psf, 2, **options))
        assert matrix.nnz == A.nnz


def strided_matrix(dims, psf, factor):
    """A common construction: the block-summed PSF strided over linear column indices, unflipped.

    Row `j` starts at the pixel half a PSF up and left of block `j`; whatever falls outside the
    image is dropped.
    """
    (n0, n1), stacked = dims, oracle.fold(psf, factor, "sum")
    up, left = (k // 2 for k in psf.shape)
    m0, m1 = n0 // factor, n1 // factor
    t, u = np.indices(stacked.shape).reshape(2, -1)
    j0, j1 = np.indices((m0, m1)).reshape(2, -1, 1)
    first = (j0 * factor - up) * n1 + j1 * factor - left  # linear index of a row's first tap
    columns = first + t * n1 + u
    row, column = j0 * factor - up + t, j1 * factor - left + u
    inside = (row >= 0) & (row < n0) & (column >= 0) & (column < n1)
    rows = np.broadcast_to(np.arange(m0 * m1)[:, None], columns.shape)[inside]
    values = np.broadcast_to(stacked.ravel(), columns.shape)[inside]
    return sparse.csr_array((values, (rows, columns[inside])), shape=(m0 * m1, n0 * n1))


@pytest.mark.parametrize("factor", [1, 2, 4])
@pytest.mark.parametrize("taps", [(1, 1), (3, 3), (5, 3), (9, 7)])
def test_strided_reference_is_the_flipped_psf(taps, factor):
    """A correlation is the same operator with `psf[::-1, ::-1]`."""
    dims = (8, 12)
    psf = 1.0 + np.random.default_rng(2).integers(0, 9, taps)
    expected = strided_matrix(dims, psf, factor)
    expected.sum_duplicates()
    actual = DHOperator(dims, psf[::-1, ::-1], factor).to_sparse()
    assert actual.shape == expected.shape
    assert_array_equal(actual.indptr, expected.indptr)
    assert_array_equal(actual.indices, expected.indices)
    assert_array_equal(actual.data, expected.data)


def test_real_values_are_rounded_once():
    """Where taps meet, the entry is their float64 sum, rounded once."""
    psf = np.random.default_rng(3).standard_normal((7, 9))
    for boundary in oracle.BOUNDARIES:
        exact = DHOperator((3, 4), psf, 2, boundary=boundary).to_sparse()
        single = DHOperator((3, 4), psf, 2, boundary=boundary, dtype=np.float32).to_sparse()
        reference = oracle.matrix((3, 4), psf, 2, boundary=boundary, precision=np.longdouble)
        weight = oracle.matrix((3, 4), abs(psf), 2, boundary=boundary)
        assert single.dtype == np.float32
        # the float64 sum is off by its own roundings; the float32 value by half an ulp of itself
        sums = psf.size * 4 * np.finfo(np.float64).eps * weight
        assert (abs(exact.toarray() - reference) <= sums).all()
        half = np.finfo(np.float32).eps / 2 * abs(reference)
        folded = np.finfo(np.float32).eps / 2 * weight
        assert (abs(single.toarray() - reference) <= half + folded + sums).all()


@pytest.mark.usefixtures("eight_processors")
@pytest.mark.parametrize("workers", [1, 2, 3, 7])
def test_same_bits_over_workers(workers):
    """Blocks of rows are filled on their own: 300 x 300 pixels keep several threads busy."""
    psf = np.random.default_rng(4).standard_normal((9, 8))
    expected = DHOperator((300, 300), psf, 2, boundary="reflect", workers=1).to_sparse()
    actual = DHOperator((300, 300), psf, 2, boundary="reflect", workers=workers).to_sparse()
    assert_is_canonical(actual)
    for name in ("indptr", "indices", "data"):
        assert getattr(actual, name).tobytes() == getattr(expected, name).tobytes()


def test_the_matrix_belongs_to_the_caller():
    A = DHOperator((4, 4), np.ones((3, 3)), 2)
    first = A.to_sparse()
    first.data[:] = 0
    assert_array_equal(A.to_sparse().toarray(), oracle.matrix((4, 4), np.ones((3, 3)), 2))


class TestPart:
    A = DHOperator((7, 9), RNG.integers(-3, 4, (3, 4)), (2, 3), boundary="reflect")

    @pytest.mark.parametrize("name", dhop.matrix.sparse.FORMATS)
    @pytest.mark.parametrize(
        "rows",
        [slice(2, 5), slice(None, None, -2), [3, 0, 3, -1], [], np.arange(9) % 2 == 0, slice(4, 4)],
        ids=str,
    )
    def test_rows(self, name, rows):
        expected = self.A.to_sparse().toarray()[rows]
        found = self.A.to_sparse(name, rows=rows)
        assert found.format == name
        assert_array_equal(found.toarray(), expected)
        if name == "csr":
            assert_is_canonical(found)

    @pytest.mark.parametrize(
        ("rows", "error"),
        [
            ([9], IndexError),
            ([-10], IndexError),
            ([True, False], IndexError),
            ([0.5], TypeError),
            ([[1]], ValueError),
            (["a"], TypeError),
        ],
    )
    def test_wrong_rows(self, rows, error):
        with pytest.raises(error):
            self.A.to_sparse(rows=rows)

    @pytest.mark.parametrize("size", [400, 1000, 2**20])
    def test_row_blocks(self, size):
        blocks = list(self.A.row_blocks(size))
        assert [block.start for block, _ in blocks[1:]] == [block.stop for block, _ in blocks[:-1]]
        assert (blocks[0][0].start, blocks[-1][0].stop) == (0, self.A.shape[0])
        for block, part in blocks:
            assert part.data.nbytes + part.indices.nbytes + part.indptr.nbytes <= size
            assert_is_canonical(part)
            assert_array_equal(part.toarray(), self.A.to_sparse(rows=block).toarray())

    def test_row_that_is_too_long(self):
        with pytest.raises(ValueError, match="max_nbytes must be at least"):
            next(self.A.row_blocks(10))


class TestProgress:
    A = DHOperator((64, 64), np.ones((9, 9)), 2)

    def test_callable(self):
        seen = []
        self.A.to_sparse(progress=lambda done, total: seen.append((done, total)))
        assert seen[-1] == (self.A.nnz, self.A.nnz)
        assert [done for done, _ in seen] == sorted(done for done, _ in seen)

    def test_bar(self, capsys):
        pytest.importorskip("rich")
        self.A.to_sparse(progress=True)
        assert "matrix" in capsys.readouterr().out

    def test_error_in_it(self):
        def stop(done, total):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            self.A.to_sparse(progress=stop)


def test_correctly_rounded():
    """Every value is the exact sum of the taps that meet, rounded once."""
    psf = RNG.standard_normal((9, 11))
    for dtype in (np.float32, np.float64):
        options = {"boundary": "symmetric", "dtype": dtype}
        found = DHOperator((8, 6), psf, 2, **options).to_sparse().toarray()
        exact = oracle.matrix((8, 6), psf, 2, boundary="symmetric", precision=np.longdouble)
        bound = np.spacing(np.abs(found)) / 2
        # The sum itself is formed in float64.
        bound = bound + 40 * np.finfo(np.float64).eps * np.abs(psf).sum()
        assert (np.abs(found - exact) <= bound).all()
