"""Loading exported matrices; damaged ones are refused before they crash the interpreter."""

import errno
import gzip
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import scipy
from numpy.typing import NDArray
from scipy import sparse as scipy_sparse

from dhop.io.replacement import MANIFEST
from dhop.matrix import matlab, sparse
from dhop.matrix.export import TEXT_BLOCK, VERSION, FileFormat, format_of
from dhop.runtime import memory
from dhop.runtime.arguments import DTYPES

Array = NDArray[Any]

CHUNK = 2**20  # indices that are checked at a time
SPARSE, COMPLEX = 5, 0x800  # class and flag of an array in a .mat file
KINDS = {1: "i1", 5: "i4", 6: "u4", 9: "f8"}  # of elements of a .mat file


def load_matrix(path: str | os.PathLike[str], *, mmap: bool = True, check: bool = False) -> Any:
    """Open a matrix that `DHOperator.export` wrote.

    Parameters
    ----------
    path : path
        A folder, or a file that ends in .npz, .mtx, .mtx.gz or .mat.
    mmap : bool
        For a folder: map its files into memory instead of reading them. The matrix is available at
        once, and only the parts that are used are read.
    check : bool
        Read and check mapped files too; everything else is always checked.

    Returns
    -------
    scipy.sparse.csr_array
        Of double precision from .mtx and .mat.

    Raises
    ------
    FileNotFoundError
        If there is no such file, or no manifest in the folder.
    ValueError
        If the file is broken or holds something else. The indices of a mapped folder are read and
        checked only with `check`; a product with wrong ones may end the interpreter. Numbers that
        were changed are noticed in .npz and .mtx.gz alone.

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
            return _mapped(source, mmap, check)
        matrix = _READERS[format](source)
        if matrix.format in ("csr", "csc", "bsr"):  # SciPy's conversions and products check nothing
            _check_pointer(matrix.indptr)
            matrix.check_format(full_check=True)
        if matrix.format != "csr":
            memory.require(8 * matrix.shape[0], f"the row pointer of {source}")
        return scipy_sparse.csr_array(matrix)
    except (MemoryError, OSError, ImportError):
        raise
    except Exception as error:  # readers of broken files raise anything
        message = f"{source} is broken, or holds no matrix that was exported: {error!r}"
        raise ValueError(message) from error


def _mapped(folder: Path, mmap: bool, check: bool) -> Any:
    """The matrix in a folder; read again if the folder was replaced meanwhile."""
    while True:
        before = folder.stat()
        try:
            matrix = _read_folder(folder, mmap, check)
        except (OSError, ValueError):
            if os.path.samestat(before, folder.stat()):
                raise
        else:
            if os.path.samestat(before, folder.stat()):
                return matrix


def _read_folder(folder: Path, mmap: bool, check: bool) -> Any:
    shape, dtype = _manifest(folder)
    mode: Literal["r"] | None = "r" if mmap else None
    data, indices, pointer = (
        np.load(folder / f"{name}.npy", mmap_mode=mode, allow_pickle=False)
        for name in ("data", "indices", "indptr")
    )
    if data.shape != indices.shape or pointer.shape != (shape[0] + 1,) or pointer[-1] != data.size:
        raise ValueError("the files do not fit together")
    if data.dtype != dtype or indices.dtype != pointer.dtype:
        raise ValueError(f"{data.dtype}, {indices.dtype} and {pointer.dtype} do not fit together")
    if pointer.dtype not in (np.int32, np.int64):
        raise ValueError(f"{pointer.dtype} is no type of indices")
    _check_pointer(pointer)
    matrix = sparse.compressed("csr", shape, data, indices, pointer)
    matrix.check_format(full_check=check or not mmap)
    if check or not mmap:
        _check_order(pointer, indices)
    return matrix


def _manifest(folder: Path) -> tuple[tuple[int, int], np.dtype[Any]]:
    """Shape and dtype of the matrix in a folder."""
    manifest = json.loads((folder / MANIFEST).read_text())
    if (manifest["format"], manifest["version"]) != ("csr", VERSION):
        raise ValueError(f"it is {manifest['format']!r} of version {manifest['version']!r}")
    height, width = manifest["shape"]
    if not all(type(size) is int and size >= 0 for size in (height, width)):
        raise ValueError(f"{manifest['shape']} is no shape")
    if manifest["dtype"] not in [each.name for each in DTYPES]:
        raise ValueError(f"{manifest['dtype']!r} is no dtype of a matrix")
    return (height, width), np.dtype(manifest["dtype"])


def _check_pointer(pointer: Array) -> None:
    """Refuse a descending row pointer, which SciPy does not always check."""
    for start in range(0, pointer.size, CHUNK):
        part = pointer[start : start + CHUNK + 1]
        if (part[1:] < part[:-1]).any():  # differences may overflow
            raise ValueError("the row pointer descends")


def _check_order(pointer: Array, indices: Array) -> None:
    """Refuse indices that do not ascend within a row."""
    for start in range(0, indices.size, CHUNK):
        part = indices[start : start + CHUNK + 1]
        falls = start + 1 + np.flatnonzero(part[1:] <= part[:-1])
        if (pointer[np.searchsorted(pointer, falls)] != falls).any():
            raise ValueError("indices do not ascend")


def _text(path: Path) -> Any:
    """A matrix read by `mmread`, after a check for what crashes it.

    It reads past the end of a file that is cut off within a number, and past a zero byte.
    """
    last = b""
    with gzip.open(path, "rb") if path.suffix.lower() == ".gz" else open(path, "rb") as file:
        while block := file.read(TEXT_BLOCK):
            if b"\0" in block:
                raise ValueError("there is a zero byte in the text")
            last = block[-1:]
    if last != b"\n":
        raise ValueError("the text does not end with a line")
    return scipy.io.mmread(path, spmatrix=False)


def _matlab(path: Path) -> Any:
    """The sparse array A; SciPy's reader would crash on damaged files."""
    file = np.memmap(path, np.uint8, "r")
    if file[124:128].tobytes() == matlab.HEADER[-4:]:
        return matlab.read(path)
    order = {b"IM": "<", b"MI": ">"}[file[126:128].tobytes()]
    ((kind, content),) = _elements(file[128:], order)
    if kind != 14:
        raise ValueError("it is no plain array")
    flags, shape, name, indices, pointer, *values = (
        part.view(order + KINDS[kind]) for kind, part in _elements(content, order)
    )
    if flags[0] & 0xFF != SPARSE or name.tobytes() != b"A":
        raise ValueError("it is no sparse array A")
    if len(values) != (2 if flags[0] & COMPLEX else 1):
        raise ValueError("parts are missing")
    data = values[0] if len(values) == 1 else values[0] + 1j * values[1]
    height, width = shape.tolist()
    arrays = (each.astype(each.dtype.newbyteorder("=")) for each in (data, indices, pointer))
    return scipy_sparse.csc_array(tuple(arrays), shape=(height, width))


def _elements(content: Array, order: str) -> Iterator[tuple[int, Array]]:
    """Kind and bytes of each element of a .mat file, or of an array in it."""
    place = 0
    while place < content.size:
        kind, size = content[place : place + 8].view(order + "u4").tolist()
        begin, length = place + 8, size + -size % 8
        if kind >> 16:  # a small element, stored beside its kind
            kind, size, begin, length = kind & 0xFFFF, kind >> 16, place + 4, 4
        if begin + length > content.size:
            raise ValueError("it is cut off")
        yield kind, content[begin : begin + size]
        place = begin + length


_READERS: dict[FileFormat, Callable[[Path], Any]] = {
    "npz": scipy_sparse.load_npz,
    "mtx": _text,
    "mtx.gz": _text,
    "mat": _matlab,
}
