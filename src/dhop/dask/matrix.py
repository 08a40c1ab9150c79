"""The explicit matrix by blocks of rows, each on whichever worker is free."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from dhop.dask.operator import DaskDHOperator, dask
from dhop.io.replacement import replacing, require_replaceable
from dhop.matrix import export, sparse
from dhop.operators.blur_decimate import DHOperator

Delayed = Any


def to_dask_blocks(operator: DaskDHOperator, max_nbytes: int = 2**26) -> list[Delayed]:
    """The explicit matrix as blocks of rows that Dask computes.

    Parameters
    ----------
    operator : DaskDHOperator
    max_nbytes : int
        Most bytes of the arrays of a block.

    Returns
    -------
    list of dask.delayed.Delayed
        Each gives a csr_array of all columns, the rows ascending and without gaps.

    Raises
    ------
    ValueError
        If a single row takes more than `max_nbytes`.

    Examples
    --------
    >>> import dask
    >>> import numpy as np
    >>> from scipy import sparse
    >>> from dhop.dask import DaskDHOperator, to_dask_blocks
    >>> A = DaskDHOperator((8, 8), np.ones((3, 3)), 2)
    >>> blocks = dask.compute(*to_dask_blocks(A, max_nbytes=1024))
    >>> [block.shape for block in blocks]
    [(5, 64), (4, 64), (4, 64), (3, 64)]
    >>> (sparse.vstack(blocks) != A.operator.to_sparse()).nnz
    0
    """
    alone = _on_one_thread(operator)
    blocks = sparse.blocks_of_rows(operator.operator.rows(), max_nbytes)
    return [dask.delayed(_rows)(alone, block) for block, _ in blocks]


def export_matrix(
    operator: DaskDHOperator,
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    max_nbytes: int = 2**26,
) -> Path:
    """Write the explicit matrix to a folder that all workers reach, each its blocks of rows.

    Where each row lies is known before it is computed, so that all write into the same files. They
    are those of ``DHOperator.export``, byte for byte; the folder appears when they are complete.

    Parameters
    ----------
    operator : DaskDHOperator
    path : path
        Of the folder, for `dhop.load_matrix`.
    overwrite : bool
        Whether to replace what is there, if it is a file or a folder that an export has written.
    max_nbytes : int
        Most bytes of the arrays of a block.

    Returns
    -------
    Path

    Raises
    ------
    FileExistsError
        If there is something at `path`, unless `overwrite`, or anything that is not replaced.
    OSError
        If the disk has no room or cannot be written to.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> from pathlib import Path
    >>> from dhop import load_matrix
    >>> from dhop.dask import DaskDHOperator, export_matrix
    >>> A = DaskDHOperator((4, 4), np.ones((3, 3)), 2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     S = load_matrix(export_matrix(A, Path(folder) / "matrix"), mmap=False)
    >>> (S != A.operator.to_sparse()).nnz
    0
    """
    target = Path(path).absolute()
    require_replaceable(target, overwrite, folders=True)
    rows = operator.operator.rows()
    entries = rows.total()
    export.require_room(target, sparse.nbytes(rows, "csr", entries, rows.shape[0]))
    with replacing(target, overwrite, folders=True) as folder:
        export.begin_folder(folder, rows, entries)
        index = sparse.index_dtype(rows.shape, entries)
        for name, dtype in (("data", rows.dtype), ("indices", index)):
            file = folder / f"{name}.npy"
            os.truncate(file, file.stat().st_size + entries * dtype.itemsize)
        alone = _on_one_thread(operator)
        dask.compute(
            *(
                dask.delayed(_write_rows)(alone, block, folder)
                for block, _ in sparse.blocks_of_rows(rows, max_nbytes)
            )
        )
    return target


def _on_one_thread(operator: DaskDHOperator) -> Delayed:
    plain = operator.operator
    settings = plain.settings() | {"workers": 1}
    return dask.delayed(
        DHOperator(plain.dims, plain.psf, plain.factor, **settings), pure=True, traverse=False
    )


def _rows(operator: DHOperator, rows: slice) -> Any:
    return operator.to_sparse(rows=rows)


def _write_rows(operator: DHOperator, rows: slice, folder: Path) -> None:
    block = _rows(operator, rows)
    start = np.load(folder / "indptr.npy", mmap_mode="r")[rows.start]
    for name, values in (("data", block.data), ("indices", block.indices)):
        array = np.load(folder / f"{name}.npy", mmap_mode="r")
        # Not into the map: the system kills who writes there when the disk is full.
        with open(folder / f"{name}.npy", "r+b") as file:
            file.seek(array.offset + int(start) * array.itemsize)
            file.write(np.ascontiguousarray(values, array.dtype).data)
            file.flush()
            os.fsync(file.fileno())
