"""Export of matrices larger than memory, block by block."""

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
import scipy
from numpy.lib import format as npy
from numpy.typing import NDArray
from scipy import sparse as scipy_sparse

from dhop.io.replacement import MANIFEST, replacing, require_replaceable
from dhop.matrix import matlab, sparse
from dhop.runtime.progress import Progress, reporting

FileFormat: TypeAlias = Literal["npz", "npy", "mtx", "mtx.gz", "mat"]
FILE_FORMATS: tuple[FileFormat, ...] = get_args(FileFormat)

BLOCK = 2**26  # bytes of a block; two are in memory at a time
TEXT_BLOCK = 2**23  # of a block that becomes text, which is longer
LARGEST_MAT = 2**31 - 1  # bytes of a .mat file that is not HDF5
VERSION = 1  # of the folder
LEAST_TEXT = len("1 1 1\n")  # bytes of an entry

Block: TypeAlias = tuple[slice, Any]  # rows, and the csr_array of them


def export(
    rows: sparse.Rows,
    path: str | os.PathLike[str],
    format: FileFormat | None,
    *,
    columns: Callable[[], sparse.Rows],
    overwrite: bool,
    progress: Progress,
    workers: int | None,
) -> Path:
    """Write the matrix of some rows, or `columns`; see `DHOperator.export`."""
    target = Path(path)
    format = format or format_of(target)
    require_replaceable(target, overwrite, folders=True)
    entries = rows.total()
    write = _WRITERS[format]
    if format == "mat" and 2 * sparse.nbytes(rows, "csc", entries, rows.shape[1]) > LARGEST_MAT:
        matlab.require()
        rows, write = columns(), matlab.write
        require_room(target, matlab.nbytes(rows, entries))
    if format == "mtx":
        require_room(target, entries * LEAST_TEXT)
    elif format in ("npz", "npy"):
        require_room(target, sparse.nbytes(rows, "csr", entries, rows.shape[0]))
    passes = 2 if format == "npz" else 1
    with (
        reporting(progress, passes * entries, "export") as advance,
        replacing(target, overwrite, folders=True) as part,
    ):

        def blocks(size: int = BLOCK) -> Iterator[Block]:
            for block in _ahead(sparse.row_blocks(rows, size, workers)):
                yield block
                advance(block[1].nnz)

        write(part, rows, entries, blocks)
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


def _npz(part: Path, rows: sparse.Rows, entries: int, blocks: Any) -> None:
    """As `scipy.sparse.save_npz`, uncompressed; the matrix is computed once for each array."""
    index = sparse.index_dtype(rows.shape, entries)
    with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:

        def member(name: str, dtype: Any, shape: tuple[int, ...], chunks: Any) -> None:
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                _write_array(file, dtype, shape, chunks)

        member("indptr", index, (rows.shape[0] + 1,), _pointer(rows, index))
        for name, value in {
            "format": np.array(b"csr"),
            "shape": np.array(rows.shape),
            "_is_array": np.array(True),
        }.items():
            member(name, value.dtype, value.shape, [value])
        size = (entries,)
        member("indices", index, size, (S.indices.astype(index, copy=False) for _, S in blocks()))
        member("data", rows.dtype, size, (S.data for _, S in blocks()))


def _npy(part: Path, rows: sparse.Rows, entries: int, blocks: Any) -> None:
    begin_folder(part, rows, entries)
    with open(part / "indices.npy", "ab") as indices, open(part / "data.npy", "ab") as data:
        index = sparse.index_dtype(rows.shape, entries)
        for _, S in blocks():
            indices.write(S.indices.astype(index, copy=False).data)
            data.write(S.data.data)
        _flush(indices)
        _flush(data)


def begin_folder(folder: Path, rows: sparse.Rows, entries: int) -> None:
    """Make the folder that `load_matrix` maps: the row pointer, and the other arrays' headers."""
    index = sparse.index_dtype(rows.shape, entries)
    folder.mkdir()
    for name, dtype, shape, chunks in (
        ("indptr", index, (rows.shape[0] + 1,), _pointer(rows, index)),
        ("indices", index, (entries,), ()),
        ("data", rows.dtype, (entries,), ()),
    ):
        with open(folder / f"{name}.npy", "wb") as file:
            _write_array(file, dtype, shape, chunks)
            _flush(file)
    manifest = {"format": "csr", "shape": rows.shape, "dtype": rows.dtype.name, "version": VERSION}
    with open(folder / MANIFEST, "w") as text:
        json.dump(manifest, text)
        _flush(text)


def _mtx(part: Path, rows: sparse.Rows, entries: int, blocks: Any) -> None:
    with open(part, "wb") as file:
        _write_text(file, rows, entries, blocks)


def _mtx_gz(part: Path, rows: sparse.Rows, entries: int, blocks: Any) -> None:
    with gzip.open(part, "wb", compresslevel=1) as file:
        _write_text(file, rows, entries, blocks)


def _write_text(file: Any, rows: sparse.Rows, entries: int, blocks: Any) -> None:
    """Matrix Market: one header, then the lines that scipy writes for each block."""
    field = "complex" if rows.dtype.kind == "c" else "real"
    height, width = rows.shape
    file.write(f"%%MatrixMarket matrix coordinate {field} general\n".encode())
    file.write(f"{height} {width} {entries}\n".encode())
    for block, S in blocks(TEXT_BLOCK):
        if S.nnz:
            part = S.tocoo()
            moved = part.coords[0].astype(np.int64) + block.start, part.coords[1]
            text = io.BytesIO()
            whole = scipy_sparse.coo_array((part.data, moved), shape=rows.shape)
            scipy.io.mmwrite(text, whole, symmetry="general")
            text.seek(0)
            while text.readline().startswith(b"%"):
                pass
            file.write(text.getbuffer()[text.tell() :])


def _mat(part: Path, rows: sparse.Rows, entries: int, blocks: Any) -> None:
    """MATLAB's sparse matrices have double precision and are stored by columns."""
    whole = scipy_sparse.vstack([S for _, S in blocks()], format="csc")
    kind = np.result_type(rows.dtype, np.float64)
    with open(part, "wb") as file:
        scipy.io.savemat(file, {"A": whole.astype(kind)})


_WRITERS: dict[FileFormat, Callable[[Path, sparse.Rows, int, Any], None]] = {
    "npz": _npz,
    "npy": _npy,
    "mtx": _mtx,
    "mtx.gz": _mtx_gz,
    "mat": _mat,
}


def _pointer(rows: sparse.Rows, dtype: np.dtype[Any]) -> Iterator[NDArray[Any]]:
    """The row pointer, a part at a time."""
    yield np.zeros(1, dtype)
    for part in sparse.pointer_parts(rows, range(rows.shape[0])):
        yield part.astype(dtype)


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
    """The blocks, each computed while the previous one is written."""
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
        message = f"the matrix takes {size:,} bytes, the disk has {free:,} free"
        raise OSError(errno.ENOSPC, message, str(target))
