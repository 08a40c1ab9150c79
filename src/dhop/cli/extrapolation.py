"""Sizes and times of operators of any size, without tabulating their long axes.

Once an axis is longer than the PSF, the number of matrix entries is linear in its length. So a few
small operators determine it for the large one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

from dhop import DHOperator
from dhop.cli import prediction
from dhop.matrix import sparse

LONG = {1: 2**20, 2: 2**14, 3: 2**9}  # pixels of an axis, by the number of axes
REACHES = 8  # times PSF and factor: axes are at least that long


@dataclass(frozen=True)
class Extrapolated:
    """An operator known by a smaller one.

    Attributes
    ----------
    dims, dimsd : tuple of int
    small : DHOperator
        Of the same kind, with axes of limited length.
    missing : tuple of int
        Outputs on each axis that `small` lacks.
    make : callable
        Makes the operator of other `dims`.
    """

    dims: tuple[int, ...]
    dimsd: tuple[int, ...]
    small: DHOperator
    missing: tuple[int, ...]
    make: Callable[[Sequence[int]], DHOperator]

    @classmethod
    def of(cls, dims: Sequence[int], make: Callable[[Sequence[int]], DHOperator]) -> "Extrapolated":
        """The operator that ``make(dims)`` would make."""
        long = LONG.get(len(dims), min(LONG.values()))
        first = make([min(each, long) for each in dims])
        if first.psf.ndim != len(dims):
            raise ValueError(
                f"--size must be one number for each axis of the psf, of {first.psf.ndim} axes, "
                f"got {len(dims)}"
            )
        reach = zip(dims, first.psf.shape, first.factor, strict=True)
        missing = tuple(
            max(0, (size - max(long, REACHES * (taps + step))) // step)
            for size, taps, step in reach
        )
        left = [size - step * k for size, step, k in zip(dims, first.factor, missing, strict=True)]
        small = first if tuple(left) == first.dims else make(left)
        dimsd = tuple(size + k for size, k in zip(small.dimsd, missing, strict=True))
        return cls(tuple(dims), dimsd, small, missing, make)

    @property
    def shape(self) -> tuple[int, int]:
        return prod(self.dimsd), prod(self.dims)

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds of a product by each method on one core, in proportion to the pixels."""
        times = prod(self.dims) / prod(self.small.dims)
        return {name: times * each for name, each in prediction.seconds(self.small).items()}

    @property
    def nnz(self) -> int:
        """Number of entries of the explicit matrix."""
        return self._total(DHOperator.rows)

    def nbytes(self, format: sparse.Format) -> int:
        """Bytes of the arrays of the explicit matrix."""
        lines = DHOperator.blocks if format == "bsr" else DHOperator.rows
        rows: Any = lines(self.small)
        rows.shape = self.shape
        return sparse.nbytes(rows, format, self._total(lines), self.shape[format == "csc"])

    def _total(self, lines: Callable[[DHOperator], sparse.Rows]) -> int:
        """Number of entries, from `small` and operators that are one output longer."""
        found = 0
        for corner in product(*[(0, 1) if missing else (0,) for missing in self.missing]):
            longer = zip(self.small.dims, self.small.factor, corner, strict=True)
            A = self.make([size + step * end for size, step, end in longer])
            ends = zip(self.missing, corner, strict=True)
            found += prod(k if end else 1 - k for k, end in ends) * lines(A).total()
        return found
