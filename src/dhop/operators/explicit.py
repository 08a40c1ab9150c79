"""The explicit matrix of an operator: built, exported, summed, measured."""

import os
from collections.abc import Iterator
from math import inf
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dhop.matrix import export, facts, sparse
from dhop.matrix.sparse import Rows
from dhop.operators.base import ArrayOperator
from dhop.runtime import arguments, memory
from dhop.runtime.progress import Progress

Array = NDArray[Any]


class ExplicitOperator(ArrayOperator):
    """An `ArrayOperator` with an explicit matrix, made from `rows` and `columns`."""

    def blocks(self) -> Rows:
        """The rows in blocks of one row by some columns, or a ValueError."""
        raise ValueError('its rows have no common blocks: take "csr", "csc" or "coo"')

    @property
    def nnz(self) -> int:
        """Number of entries that the explicit matrix stores."""
        return self.rows().total()

    def sparse_nbytes(self, format: sparse.Format = "csr") -> int:
        """Bytes that the arrays of the explicit matrix take, without building it.

        Parameters
        ----------
        format : {"csr", "csc", "bsr", "coo"}

        Returns
        -------
        int

        Examples
        --------
        >>> import numpy as np
        >>> from dhop import DHOperator
        >>> A = DHOperator((800, 800), np.ones((99, 99)), 2, dtype=np.float32)
        >>> A.nnz, A.sparse_nbytes()
        (1501562500, 12013140004)
        """
        format = arguments.choice("format", format, sparse.FORMATS)
        rows = self.blocks() if format == "bsr" else self.rows()
        lines = self.shape[1 if format == "csc" else 0]
        return sparse.nbytes(rows, format, rows.total(), lines)

    def to_sparse(
        self,
        format: sparse.Format = "csr",
        *,
        rows: slice | ArrayLike | None = None,
        progress: Progress = None,
    ) -> Any:
        """The explicit matrix, filled straight into its layout from the folded PSF.

        Taps that meet on one pixel are added in float64 and rounded once; taps that are zero are
        not stored. Entries are sorted and indices are 32-bit where they suffice.

        Parameters
        ----------
        format : {"csr", "csc", "bsr", "coo"}
            The blocks of ``"bsr"`` are one row by `factor` columns (by the part of it that divides
            the width of the image).
        rows : slice, or array_like of int or bool, optional
            Rows of the matrix, all by default. A part in ``"csc"`` is converted from ``"csr"``.
        progress : callable or True, optional
            Called as ``progress(done, total)``, in entries, now and then and from any thread but
            never twice at a time. True shows a bar on the terminal (needs rich) or in a notebook.

        Returns
        -------
        scipy.sparse array, shape (M, N), or of as many rows as were chosen

        Raises
        ------
        ValueError
            For another `format`.
        IndexError
            For rows that are not there.
        MemoryError
            If it does not fit into memory; `sparse_nbytes` gives its size beforehand.

        Examples
        --------
        >>> import numpy as np
        >>> from dhop import DHOperator
        >>> A = DHOperator((1, 4), [[1.0, 2.0, 1.0]], (1, 2))
        >>> A.to_sparse("csc").toarray()
        array([[3., 3., 1., 0.],
               [0., 1., 3., 3.]])
        >>> A.to_sparse(rows=[1]).toarray()
        array([[0., 1., 3., 3.]])
        """
        format = arguments.choice("format", format, sparse.FORMATS)
        chosen = arguments.rows(rows, self.shape[0])
        workers = self.workers
        if format != "csc":
            given = self.blocks() if format == "bsr" else self.rows()
            return sparse.build(given, format, chosen, workers, progress)
        if rows is None:
            return sparse.build(self.columns(), "csc", range(self.shape[1]), workers, progress)
        return sparse.build(self.rows(), "csr", chosen, workers, progress).tocsc()

    def toarray(self, max_nbytes: int = 2**30) -> Array:
        """The matrix as a dense array, to look at small ones.

        Parameters
        ----------
        max_nbytes : int
            Most bytes of the array.

        Returns
        -------
        ndarray, shape (M, N)

        Raises
        ------
        MemoryError
            If it takes more, or more than there is; `to_sparse` stores no zeros.

        Examples
        --------
        >>> import numpy as np
        >>> from dhop import DHOperator
        >>> DHOperator((1, 4), [[1.0, 1.0]], (1, 2)).H.toarray()
        array([[2., 0.],
               [1., 1.],
               [0., 2.],
               [0., 1.]])
        """
        size = self.shape[0] * self.shape[1] * self.dtype.itemsize
        advice = "; `to_sparse` stores no zeros"
        if size > arguments.positive("max_nbytes", max_nbytes):
            raise MemoryError(
                f"the array takes {size:,} bytes, more than max_nbytes={max_nbytes:,}{advice}"
            )
        memory.require(size, "the array", advice)
        found: Array = self.to_sparse().toarray()
        return found

    def row_blocks(self, max_nbytes: int = 2**28) -> Iterator[tuple[slice, Any]]:
        """The explicit matrix a few rows at a time.

        Every block is computed when it is asked for. A block can be built alone, in any order and
        from any thread, by ``to_sparse(rows=block)``.

        Parameters
        ----------
        max_nbytes : int
            Most bytes of the arrays of a block.

        Yields
        ------
        block : slice
            Rows of the matrix, the blocks ascending and without gaps.
        part : csr_array
            Of shape ``(block.stop - block.start, N)``.

        Raises
        ------
        ValueError
            If a single row takes more than `max_nbytes`.

        Examples
        --------
        >>> import numpy as np
        >>> from dhop import DHOperator
        >>> A = DHOperator((8, 8), np.ones((3, 3)), 2)
        >>> for block, part in A.row_blocks(max_nbytes=1024):
        ...     print(block, part.shape)
        slice(0, 5, None) (5, 64)
        slice(5, 9, None) (4, 64)
        slice(9, 13, None) (4, 64)
        slice(13, 16, None) (3, 64)
        """
        size = arguments.integer("max_nbytes", max_nbytes)
        return sparse.row_blocks(self.rows(), size, self.workers)

    def export(
        self,
        path: str | os.PathLike[str],
        *,
        format: export.FileFormat | None = None,
        overwrite: bool = False,
        progress: Progress = None,
    ) -> Path:
        """Write the explicit matrix to disk, in less than 512 MB of memory whatever its size.

        The target appears when it is complete; until then, and if writing fails, what was there
        before stays.

        Parameters
        ----------
        path : path
            Its ending gives the format.
        format : {"npz", "npy", "mtx", "mtx.gz", "mat"}, optional
            ``"npz"`` for `scipy.sparse.load_npz`; ``"npy"``, a folder that `dhop.load_matrix` maps
            into memory; Matrix Market, as text, for `scipy.io.mmread` and nearly everything else;
            MATLAB, of double precision: up to 2 GiB built in memory, larger ones as version 7.3,
            which is HDF5 (needs ``dhop[mat]``).
        overwrite : bool
            Whether to replace what is there: a file, or a folder that an export has written and
            that holds nothing else. Any other folder, a symbolic link and what is no file are
            never replaced.
        progress : callable or True, optional
            As in `to_sparse`.

        Returns
        -------
        Path

        Raises
        ------
        FileExistsError
            If there is something at `path`, before any work, or afterwards if it came meanwhile;
            unless `overwrite`, and it is what that replaces.
        ValueError
            If the format is not known or the matrix does not fit into it.
        OSError
            If the disk has no room or cannot be written to.

        Examples
        --------
        >>> import numpy as np, scipy.sparse, tempfile
        >>> from pathlib import Path
        >>> from dhop import DHOperator
        >>> A = DHOperator((4, 4), np.ones((3, 3)), 2)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     S = scipy.sparse.load_npz(A.export(Path(folder) / "matrix.npz"))
        >>> S.shape
        (4, 16)
        """
        if format is not None:
            format = arguments.choice("format", format, export.FILE_FORMATS)
        return export.export(
            self.rows(), path, format, columns=self.columns,
            overwrite=overwrite, progress=progress, workers=self.workers,
        )  # fmt: skip

    def gram_diagonal(self) -> Array:
        """The diagonal of ``A^H A``: the squared norm of each column of the matrix.

        Returns
        -------
        ndarray, shape (N,), real, of the operator's precision

        Examples
        --------
        >>> import numpy as np
        >>> from dhop import DHOperator
        >>> DHOperator((1, 4), [[1.0, 2.0, 1.0]], (1, 2)).gram_diagonal()
        array([ 9., 10., 10.,  9.])
        """
        return self._column_squares().astype(self.dtype.type(0).real.dtype)

    def row_sums(self) -> Array:
        """The sum of each row of the matrix, ``A @ ones(N)``: the response to a flat scene.

        Returns
        -------
        ndarray, shape (M,), of the operator's dtype

        Examples
        --------
        >>> import numpy as np
        >>> from dhop import DHOperator
        >>> DHOperator((1, 4), np.ones((1, 3)), (1, 2)).row_sums()
        array([5., 5.])
        """
        return self.matvec(np.ones(self.shape[1], self.dtype))

    def column_sums(self) -> Array:
        """The sum of each column of the matrix, ``A.T @ ones(M)``: the coverage of each pixel.

        Returns
        -------
        ndarray, shape (N,), of the operator's dtype

        Examples
        --------
        >>> import numpy as np
        >>> from dhop import DHOperator
        >>> DHOperator((1, 4), np.ones((1, 3)), (1, 2)).column_sums()
        array([2., 3., 3., 2.])
        """
        return self.T.matvec(np.ones(self.shape[0], self.dtype))

    def norm(self, ord: Literal[1, 2, "fro"] | float = 2) -> float:
        """A norm of the matrix, as `numpy.linalg.norm` would give it.

        Parameters
        ----------
        ord : {2, 1, inf, "fro"}
            The largest singular value (by Lanczos iteration, to a relative 1e-8 or the dtype's
            precision), the largest absolute column sum, the largest absolute row sum, or the root
            of the sum of squares.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            For another `ord`.

        Examples
        --------
        >>> import numpy as np
        >>> from dhop import DHOperator
        >>> A = DHOperator((4, 4), np.ones((1, 1)), 2)
        >>> A.norm(np.inf), A.norm(1), A.norm("fro")
        (4.0, 1.0, 4.0)
        """
        if np.ndim(ord) or ord not in (1, 2, inf, "fro"):
            raise ValueError(f"ord must be 2, 1, inf or 'fro', got {ord!r}")
        if ord == 2:
            return facts.spectral_norm(self, self.bounds()[0])
        return self._entry_norm(ord)

    def _column_squares(self) -> Array:
        """The sum of squared absolute values in each column, as float64."""
        squares = np.zeros(self.shape[1])
        for _, part in self.row_blocks():
            squares += np.bincount(part.indices, facts.squared(part.data), squares.size)
        return squares

    def _entry_norm(self, ord: float | str) -> float:
        """The 1-norm, the infinity norm or the Frobenius norm."""
        if ord == "fro":
            return float(np.sqrt(self._column_squares().sum()))
        columns = np.zeros(self.shape[1])
        row = 0.0
        for _, part in self.row_blocks():
            sizes = np.abs(part.data).astype(np.float64)
            columns += np.bincount(part.indices, sizes, columns.size)
            lines = np.repeat(np.arange(part.shape[0]), np.diff(part.indptr))
            row = max(row, float(np.bincount(lines, sizes).max(initial=0)))
        return float(columns.max()) if ord == 1 else row
