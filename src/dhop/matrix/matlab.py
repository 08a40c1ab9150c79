"""MATLAB files of version 7.3, which are HDF5 without a limit of size; needs ``dhop[mat]``.

A sparse matrix is a group: `jc`, where each column begins, `ir`, the row of each entry, and `data`,
of double precision; the number of rows is an attribute. Without entries `ir` and `data` are left
out.
"""

from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse as scipy_sparse

from dhop.matrix import sparse
from dhop.runtime import memory
from dhop.runtime.extras import needed

NAME = b"MATLAB 7.3 MAT-file, written by dhop"
HEADER = NAME.ljust(116) + bytes(8) + b"\x00\x02IM"  # no subsystem, version 2, little-endian
BLOCK = 512  # bytes before the HDF5 file, where the header is
CLASS = b"double"
COMPLEX = np.dtype([("real", "f8"), ("imag", "f8")])


def require() -> Any:
    """The package h5py, or an error that says how to install it."""
    return needed("h5py", "mat", "a .mat file of more than 2 GiB")


def nbytes(columns: sparse.Rows, entries: int) -> int:
    """Bytes of the file's arrays."""
    return entries * (8 + kind_of(columns).itemsize) + 8 * (columns.shape[0] + 1)


def kind_of(columns: sparse.Rows) -> np.dtype[Any]:
    return COMPLEX if columns.dtype.kind == "c" else np.dtype("f8")


def write(part: Path, columns: sparse.Rows, entries: int, blocks: Any) -> None:
    """Write the matrix `A` from its columns, a block of them at a time."""
    kind = kind_of(columns)
    h5py = require()
    with h5py.File(part, "w", userblock_size=BLOCK) as file:
        A = file.create_group("A")
        # As MATLAB writes it: readers in C fail at the padded strings of h5py.
        text = h5py.h5t.C_S1.copy()
        text.set_size(len(CLASS))
        space = h5py.h5s.create(h5py.h5s.SCALAR)
        h5py.h5a.create(A.id, b"MATLAB_class", text, space).write(np.array(CLASS), mtype=text)
        A.attrs["MATLAB_sparse"] = np.uint64(columns.shape[1])
        pointer = A.create_dataset("jc", (columns.shape[0] + 1,), "u8")
        pointer[0] = place = 0
        if entries:
            A.create_dataset("ir", (entries,), "u8")
            A.create_dataset("data", (entries,), kind)
        for block, S in blocks():
            pointer[block.start + 1 : block.stop + 1] = place + S.indptr[1:].astype("u8")
            if S.nnz:
                here = slice(place, place + S.nnz)
                A["ir"][here] = S.indices.astype("u8")
                values = S.data.astype("c16" if kind is COMPLEX else "f8")
                A["data"][here] = values.view(kind)
                place += S.nnz
    with open(part, "r+b") as raw:
        raw.write(HEADER)


def read(path: Path) -> Any:
    """The sparse array `A`."""
    with require().File(path, "r") as file:
        A = file["A"]
        height, entries = int(A.attrs["MATLAB_sparse"]), A["ir"].shape[0] if "ir" in A else 0
        width = A["jc"].shape[0] - 1
        memory.require(16 * entries + 8 * width, f"the matrix in {path}")
        index = sparse.index_dtype((height, width), entries)
        pointer = A["jc"][:].astype(index)
        if not entries:
            return scipy_sparse.csc_array((height, width))
        data = A["data"][:]
        if data.dtype.names:
            data = data["real"] + 1j * data["imag"]
        indices = A["ir"][:].astype(index)
    return scipy_sparse.csc_array((data, indices, pointer), shape=(height, width))
