"""The matrix by blocks on Dask against that of one piece."""

from unittest import mock

import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from dhop import DHOperator, load_matrix, psf

pytest.importorskip("dask.array")
dask = pytest.importorskip("dask")

from dhop.dask import DaskDHOperator, export_matrix, to_dask_blocks  # noqa: E402


@pytest.fixture
def operator():
    return DaskDHOperator((40, 30), psf.gaussian(7, 1.2), 2, boundary="wrap", dtype="f4", phase=1)


def test_blocks_make_the_matrix(operator):
    blocks = dask.compute(*to_dask_blocks(operator, max_nbytes=20_000))
    assert len(blocks) > 5
    whole, expected = sparse.vstack(blocks, format="csr"), operator.operator.to_sparse()
    for name in ("data", "indices", "indptr"):
        assert_array_equal(getattr(whole, name), getattr(expected, name))


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", ["sync", "threads", "processes"])
def test_files_are_those_of_export(operator, tmp_path, scheduler):
    operator.operator.export(tmp_path / "one")
    with dask.config.set(scheduler=scheduler):
        assert export_matrix(operator, tmp_path / "many", max_nbytes=20_000).name == "many"
    names = sorted(file.name for file in (tmp_path / "one").iterdir())
    assert names == sorted(file.name for file in (tmp_path / "many").iterdir())
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "many" / name).read_bytes()
    assert (load_matrix(tmp_path / "many") != operator.operator.to_sparse()).nnz == 0


def test_what_is_there_stays_unless_it_may_be_replaced(operator, tmp_path):
    path = DHOperator((4, 4), psf.box(3), 2).export(tmp_path / "matrix")
    with pytest.raises(FileExistsError, match="overwrite"):
        export_matrix(operator, path)
    export_matrix(operator, path, overwrite=True)
    assert load_matrix(path).shape == operator.shape
    (path / "thesis.tex").write_text("Chapter 1")
    with (
        mock.patch("dhop.matrix.export.begin_folder", side_effect=AssertionError("works on it")),
        pytest.raises(FileExistsError, match=r"holds 'thesis\.tex'"),
    ):
        export_matrix(operator, path, overwrite=True)
    assert load_matrix(path).shape == operator.shape
    assert (path / "thesis.tex").read_text() == "Chapter 1"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_nothing(operator, tmp_path):
    with pytest.raises(ValueError, match="max_nbytes"):
        export_matrix(operator, tmp_path / "matrix", max_nbytes=10)
    assert list(tmp_path.iterdir()) == []


def test_a_block_is_computed_without_the_others(operator):
    block = to_dask_blocks(operator, max_nbytes=20_000)[3].compute()
    assert_array_equal(block.toarray(), operator.operator.to_sparse().toarray()[_place(operator)])


def _place(operator):
    rows = [rows for rows, _ in operator.operator.row_blocks(20_000)]
    return rows[3]
