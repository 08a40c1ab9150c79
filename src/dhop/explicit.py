"""What every operator with an explicit matrix offers of it."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from numpy.typing import ArrayLike

from dhop import arguments, export, sparse
from dhop.linear import ArrayOperator
from dhop.progress import Progress


class ExplicitOperator(ArrayOperator):
    """An `ArrayOperator` whose matrix can be written out, from the layouts of its lines."""

    _only_rows: ClassVar[bool] = False  # there is no layout of its columns

    @property
    def workers(self) -> int | None:
        """Most threads to use, None for all processors."""
        return None

    def _layout(self, format: sparse.Format) -> sparse.Layout:
        raise NotImplementedError

    @property
    def nnz(self) -> int:
        """Number of entries that the explicit matrix stores."""
        return self._layout("csr").total()

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
        layout = self._layout(arguments.choice("format", format, sparse.FORMATS))
        return sparse.nbytes(layout, format, layout.total())

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
            never twice at a time. True shows a bar on the terminal (needs rich).

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
            If there is no room for it; `sparse_nbytes` tells before.

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
        if format == "csc" and (chosen is not None or self._only_rows):
            layout = self._layout("csr")
            return sparse.build(layout, "csr", chosen, self.workers, progress).tocsc()
        return sparse.build(self._layout(format), format, chosen, self.workers, progress)

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
        return sparse.row_blocks(self._layout("csr"), size, self.workers)

    def export(
        self,
        path: str | os.PathLike[str],
        *,
        format: export.FileFormat | None = None,
        overwrite: bool = False,
        progress: Progress = None,
    ) -> Path:
        """Write the explicit matrix to disk, in less than 512 MB of memory whatever its size.

        The target appears when it is complete; until then, and if writing fails, there is what was
        there before, or nothing.

        Parameters
        ----------
        path : path
            Its ending tells the format.
        format : {"npz", "npy", "mtx", "mtx.gz", "mat"}, optional
            ``"npz"`` for `scipy.sparse.load_npz`; ``"npy"``, a folder that `dhop.load_matrix` maps
            into memory; Matrix Market, as text, for `scipy.io.mmread` and nearly everything else;
            MATLAB, of double precision and at most 2 GiB, built in memory.
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
            self._layout("csr"), path, format,
            overwrite=overwrite, progress=progress, workers=self.workers,
        )  # fmt: skip
