"""Matrices larger than memory: streamed to disk, block by block, and opened from there."""

import errno
import gzip
import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from typing import IO, Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray
from scipy import io as scipy_io
from scipy import sparse as scipy_sparse

from dhop import sparse
from dhop.io.replacement import MANIFEST, replacing, require_replaceable
from dhop.progress import Progress, reporting

FileFormat: TypeAlias = Literal["npz", "npy", "mtx", "mtx.gz", "mat"]
FILE_FORMATS: tuple[FileFormat, ...] = get_args(FileFormat)

BLOCK = 2**26  # bytes of the matrix in memory at a time, of which there are two
TEXT_BLOCK = 2**23  # the same where it becomes text, which is longer
LARGEST_MAT = 2**31 - 1  # bytes

Block: TypeAlias = tuple[slice, Any]  # rows, and the csr_array of them


def export(
    layout: sparse.Layout,
    path: str | os.PathLike[str],
    format: FileFormat | None,
    *,
    overwrite: bool,
    progress: Progress,
    workers: int | None,
) -> Path:
    """Write the matrix of a layout of rows; see `DHOperator.export`."""
    target = Path(path)
    format = format or format_of(target)
    require_replaceable(target, overwrite, folders=True)
    counts, entries = layout.counts(), layout.total()
    if format == "mat" and 2 * sparse.nbytes(layout, "csc", entries) > LARGEST_MAT:
        raise ValueError("a .mat file holds at most 2 GiB; export to .npz, .mtx or a folder")
    if format in ("npz", "npy"):
        require_room(target, sparse.nbytes(layout, "csr", entries))
    passes = 2 if format == "npz" else 1
    with (
        reporting(progress, passes * entries, "export") as advance,
        replacing(target, overwrite, folders=True) as part,
    ):

        def blocks(size: int = BLOCK) -> Iterator[Block]:
            for block in _ahead(sparse.row_blocks(layout, size, workers)):
                yield block
                advance(block[1].nnz)

        _WRITERS[format](part, layout, counts, blocks)
    return target


def format_of(path: Path) -> FileFormat:
    """The format that a name ends in; ``"npy"``, a folder, if it has no ending."""
    name = path.name.lower()
    for format in FILE_FORMATS:
        if format != "npy" and name.endswith(f".{format}"):
            return format
    if not path.suffix:
        return "npy"
    raise ValueError(
        f"the format of {path.name!r} is not known: end it in .npz, .mtx, .mtx.gz or .mat, or in "
        "nothing for a folder, or give format="
    )


def load_matrix(path: str | os.PathLike[str], *, mmap: bool = True) -> Any:
    """Open a matrix that `DHOperator.export` wrote.

    Parameters
    ----------
    path : path
        A folder, or a file that ends in .npz, .mtx, .mtx.gz or .mat.
    mmap : bool
        For a folder: map its files into memory instead of reading them. The matrix is there at once
        and is read from the disk as far as it is used.

    Returns
    -------
    scipy.sparse.csr_array
        Of double precision from .mtx and .mat.

    Raises
    ------
    FileNotFoundError
        If there is no such file, or no manifest in the folder.
    ValueError
        If the file is broken or holds something else. What is mapped is not read, and so not
        checked; on a broken .mat file SciPy's reader may crash.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> from pathlib import Path
    >>> from dhop import DHOperator, load_matrix
    >>> A = DHOperator((4, 4), np.ones((3, 3)), 2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     S = load_matrix(A.export(Path(folder) / "matrix"), mmap=False)
    >>> (S != A.to_sparse()).nnz
    0
    """
    source = Path(path)
    if not source.exists():
        raise FileNotFoundError(errno.ENOENT, "no such matrix", str(source))
    format = "npy" if source.is_dir() else format_of(source)
    try:
        if format == "npy":
            return _mapped(source, mmap)
        matrix = _READERS[format](source)
        if matrix.format in ("csr", "csc"):  # whose conversions and products check nothing
            _check(matrix, True)
        return scipy_sparse.csr_array(matrix)
    except (MemoryError, OSError):
        raise
    except Exception as error:  # readers of broken files raise anything
        message = f"{source} is broken, or holds no matrix that was exported: {error!r}"
        raise ValueError(message) from error


def _mapped(folder: Path, mmap: bool) -> Any:
    """The matrix in a folder, of files that belong together though it is replaced meanwhile."""
    while True:
        before = folder.stat()
        try:
            matrix = _whole(folder, mmap)
        except (OSError, ValueError):
            if os.path.samestat(before, folder.stat()):
                raise
        else:
            if os.path.samestat(before, folder.stat()):
                return matrix


def _whole(folder: Path, mmap: bool) -> Any:
    shape = tuple(json.loads((folder / MANIFEST).read_text())["shape"])
    mode: Literal["r"] | None = "r" if mmap else None
    data, indices, pointer = (
        np.load(folder / f"{name}.npy", mmap_mode=mode, allow_pickle=False)
        for name in ("data", "indices", "indptr")
    )
    if data.shape != indices.shape or pointer.shape != (shape[0] + 1,) or pointer[-1] != data.size:
        raise ValueError("the files do not fit together")
    matrix = sparse.compressed("csr", shape, data, indices, pointer)
    _check(matrix, not mmap)
    return matrix


def _check(matrix: Any, indices: bool) -> None:
    """SciPy's check, which looks at neither array if the row pointer ends in zero."""
    if (np.diff(matrix.indptr) < 0).any():
        raise ValueError("the row pointer descends")
    matrix.check_format(full_check=indices)


def _text(path: Path) -> Any:
    """What `mmread` reads, after a look for what ends the interpreter in it.

    It runs past the end of a file that is cut off within a number, and past a zero byte.
    """
    last = b""
    with gzip.open(path, "rb") if path.suffix.lower() == ".gz" else open(path, "rb") as file:
        while block := file.read(TEXT_BLOCK):
            if b"\0" in block:
                raise ValueError("there is a zero byte in the text")
            last = block[-1:]
    if last != b"\n":
        raise ValueError("the text does not end with a line")
    return scipy_io.mmread(path, spmatrix=False)


_READERS: dict[FileFormat, Callable[[Path], Any]] = {
    "npz": scipy_sparse.load_npz,
    "mtx": _text,
    "mtx.gz": _text,
    "mat": lambda path: scipy_io.loadmat(path, spmatrix=False)["A"],
}


def _npz(part: Path, layout: sparse.Layout, counts: Any, blocks: Any) -> None:
    """As `scipy.sparse.save_npz`, uncompressed; the matrix is computed once for either array."""
    index = sparse.index_dtype(layout.shape, int(counts.sum()))
    with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:

        def member(name: str, dtype: Any, shape: tuple[int, ...], chunks: Any) -> None:
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                _write_array(file, dtype, shape, chunks)

        for name, value in {
            "indptr": _pointer(counts, index),
            "format": np.array(b"csr"),
            "shape": np.array(layout.shape),
            "_is_array": np.array(True),
        }.items():
            member(name, value.dtype, value.shape, [value])
        size = (int(counts.sum()),)
        member("indices", index, size, (S.indices.astype(index, copy=False) for _, S in blocks()))
        member("data", layout.dtype, size, (S.data for _, S in blocks()))


def _npy(part: Path, layout: sparse.Layout, counts: Any, blocks: Any) -> None:
    begin_folder(part, layout, counts)
    with open(part / "indices.npy", "ab") as indices, open(part / "data.npy", "ab") as data:
        index = sparse.index_dtype(layout.shape, int(counts.sum()))
        for _, S in blocks():
            indices.write(S.indices.astype(index, copy=False).data)
            data.write(S.data.data)
        _flush(indices)
        _flush(data)


def begin_folder(folder: Path, layout: sparse.Layout, counts: Any) -> None:
    """Make the folder that `load_matrix` maps: the row pointer, and the other arrays' headers."""
    index = sparse.index_dtype(layout.shape, int(counts.sum()))
    size = (int(counts.sum()),)
    pointer = _pointer(counts, index)
    folder.mkdir()
    for name, dtype, shape, chunks in (
        ("indptr", index, pointer.shape, [pointer]),
        ("indices", index, size, []),
        ("data", layout.dtype, size, []),
    ):
        with open(folder / f"{name}.npy", "wb") as file:
            _write_array(file, dtype, shape, chunks)
            _flush(file)
    manifest = {"format": "csr", "shape": layout.shape, "dtype": layout.dtype.name, "version": 1}
    with open(folder / MANIFEST, "w") as text:
        json.dump(manifest, text)
        _flush(text)


def _mtx(part: Path, layout: sparse.Layout, counts: Any, blocks: Any) -> None:
    with open(part, "wb") as file:
        _write_text(file, layout, counts, blocks)


def _mtx_gz(part: Path, layout: sparse.Layout, counts: Any, blocks: Any) -> None:
    with gzip.open(part, "wb", compresslevel=1) as file:
        _write_text(file, layout, counts, blocks)


def _write_text(file: Any, layout: sparse.Layout, counts: Any, blocks: Any) -> None:
    """Matrix Market: one heading, and below it what scipy writes below its own for each block."""
    field = "complex" if layout.dtype.kind == "c" else "real"
    rows, columns = layout.shape
    file.write(f"%%MatrixMarket matrix coordinate {field} general\n".encode())
    file.write(f"{rows} {columns} {counts.sum()}\n".encode())
    for block, S in blocks(TEXT_BLOCK):
        if S.nnz:
            part = S.tocoo()
            moved = part.coords[0].astype(np.int64) + block.start, part.coords[1]
            text = io.BytesIO()
            whole = scipy_sparse.coo_array((part.data, moved), shape=layout.shape)
            scipy_io.mmwrite(text, whole, symmetry="general")
            text.seek(0)
            while text.readline().startswith(b"%"):
                pass
            file.write(text.getbuffer()[text.tell() :])


def _mat(part: Path, layout: sparse.Layout, counts: Any, blocks: Any) -> None:
    """MATLAB's sparse matrices are of double precision, by columns."""
    whole = scipy_sparse.vstack([S for _, S in blocks()], format="csc")
    kind = np.result_type(layout.dtype, np.float64)
    with open(part, "wb") as file:
        scipy_io.savemat(file, {"A": whole.astype(kind)})


_WRITERS: dict[FileFormat, Callable[[Path, sparse.Layout, Any, Any], None]] = {
    "npz": _npz,
    "npy": _npy,
    "mtx": _mtx,
    "mtx.gz": _mtx_gz,
    "mat": _mat,
}


def _pointer(counts: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    return np.append(0, np.cumsum(counts)).astype(dtype)


def _write_array(file: Any, dtype: Any, shape: tuple[int, ...], chunks: Any) -> None:
    """A .npy file of one array, from its parts."""
    header = {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    npy.write_array_header_2_0(file, header)
    for chunk in chunks:
        file.write(np.ascontiguousarray(chunk).data)


def _flush(file: IO[Any]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _ahead(blocks: Iterator[Block]) -> Iterator[Block]:
    """The same, each computed while the one before it is written."""
    context = copy_context()  # with the limit of the caller's `workers` block

    def compute() -> Block | None:
        return next(blocks, None)

    with ThreadPoolExecutor(1, thread_name_prefix="dhop-export") as thread:
        following = thread.submit(context.run, compute)
        while (block := following.result()) is not None:
            following = thread.submit(context.run, compute)
            yield block


def require_room(target: Path, size: int) -> None:
    free = shutil.disk_usage(target.parent).free
    if size > free:
        message = f"the matrix takes {size} bytes, the disk has {free} free"
        raise OSError(errno.ENOSPC, message, str(target))
