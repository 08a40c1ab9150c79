"""One array in every memory layout that a caller may hand over."""

import tempfile

import numpy as np


def reverse(x):
    return x[::-1].copy()[::-1]


def step(x):
    wide = np.zeros((2 * len(x), *x.shape[1:]), x.dtype)
    wide[::2] = x
    return wide[::2]


def column(x):
    table = np.zeros((*x.shape, 3), x.dtype)
    table[..., 1] = x
    return table[..., 1]


def readonly(x):
    x = x.copy()
    x.flags.writeable = False
    return x


def big_endian(x):
    return x.astype(x.dtype.newbyteorder(">"))


def mapped(x):
    """From a file, read-only."""
    with tempfile.TemporaryFile() as file:
        file.write(x.tobytes())
        file.flush()
        return np.memmap(file, x.dtype, "r", shape=x.shape) if x.size else x  # nothing to map


def unaligned(x):
    return np.frombuffer(b"\0" + x.tobytes(), x.dtype, offset=1).reshape(x.shape)


LAYOUTS = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "reversed": reverse,
    "stepped": step,
    "column": column,
    "readonly": readonly,
    "big-endian": big_endian,
    "unaligned": unaligned,
    "memmap": mapped,
}
