"""Facts of operators of any size, from operators that are as large as tables of axes should be.

The number of entries is a straight line in the length of each axis, once that is longer than the
PSF: a few short operators tell it of the longest.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

from dhop import DHOperator
from dhop.cli import prediction
from dhop.matrix import sparse

LONG = {1: 2**20, 2: 2**14, 3: 2**9}  # pixels of an axis, by their number
REACHES = 8  # of the PSF and the factor, which axes are longer than in any case


@dataclass(frozen=True)
class Scaled:
    """An operator that need not be made.

    Attributes
    ----------
    dims, dimsd : tuple of int
    near : DHOperator
        One of the same kind, of axes that are not longer than need be; itself if they are short.
    more : tuple of int
        Outputs on each axis that `near` does not have.
    make : callable
        Makes those of other `dims`.
    """

    dims: tuple[int, ...]
    dimsd: tuple[int, ...]
    near: DHOperator
    more: tuple[int, ...]
    make: Callable[[Sequence[int]], DHOperator]

    @classmethod
    def of(cls, dims: Sequence[int], make: Callable[[Sequence[int]], DHOperator]) -> "Scaled":
        """That of some dims, of which `make` would make it."""
        long = LONG[len(dims)]
        first = make([min(each, long) for each in dims])
        reach = zip(dims, first.psf.shape, first.factor, strict=True)
        more = tuple(
            max(0, (size - max(long, REACHES * (taps + step))) // step)
            for size, taps, step in reach
        )
        left = [size - step * k for size, step, k in zip(dims, first.factor, more, strict=True)]
        near = first if tuple(left) == first.dims else make(left)
        dimsd = tuple(size + k for size, k in zip(near.dimsd, more, strict=True))
        return cls(tuple(dims), dimsd, near, more, make)

    @property
    def shape(self) -> tuple[int, int]:
        return prod(self.dimsd), prod(self.dims)

    @property
    def seconds(self) -> dict[str, float]:
        """Of a product by each method, on one core: the same for each pixel as of the near one."""
        times = prod(self.dims) / prod(self.near.dims)
        return {name: times * each for name, each in prediction.seconds(self.near).items()}

    @property
    def nnz(self) -> int:
        """Number of entries of the explicit matrix."""
        return self._total(DHOperator.rows)

    def nbytes(self, format: sparse.Format) -> int:
        """Bytes of its arrays."""
        lines = DHOperator.blocks if format == "bsr" else DHOperator.rows
        rows: Any = lines(self.near)
        rows.shape = self.shape
        return sparse.nbytes(rows, format, self._total(lines), self.shape[format == "csc"])

    def _total(self, lines: Callable[[DHOperator], sparse.Rows]) -> int:
        found = 0
        for corner in product(*[(0, 1) if more else (0,) for more in self.more]):
            longer = zip(self.near.dims, self.near.factor, corner, strict=True)
            A = self.make([size + step * end for size, step, end in longer])
            ends = zip(self.more, corner, strict=True)
            found += prod(k if end else 1 - k for k, end in ends) * lines(A).total()
        return found
