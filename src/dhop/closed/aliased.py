"""Normal equations that are block-diagonal, with a block for each class of aliases."""

from collections.abc import Callable, Sequence
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.closed.bases import Basis, Response, common_basis
from dhop.closed.inverse import Inverse
from dhop.closed.variances import Pairs, diagonal_of, pairs_of
from dhop.model.geometry import Model
from dhop.runtime import workspace
from dhop.runtime.parallel import row_blocks, run

Array = NDArray[Any]

MIRRORED = 2**18  # numbers of a spectrum that are copied at a time
MOST = 256  # aliases of different frames: larger systems take a kilobyte a pixel, and far longer
LINE = 1.0  # nanoseconds a pixel and column tap, to compute a transfer function


class AliasedEquations:
    r"""The matrix :math:`N + \beta P = \sum_i w_i A_i^H A_i + \beta \sum_j S_j^H S_j` in a basis.

    In the basis that diagonalises convolutions each class of aliases is a system of its own, of as
    many unknowns as there are aliases: the product of the factors of both axes. This is the closed
    form of N. Zhao et al., "Fast single image super-resolution using a new analytical solution for
    l2-l2 problems", IEEE Trans. Image Process. 25 (2016) 3683-3697,
    https://doi.org/10.1109/TIP.2016.2567075, for any number of frames and in the cosine basis too.

    Workspace: one frame, or several equal ones, give a matrix of rank one and a diagonal, which
    takes the spectrum of one image at a time, in double precision. The systems of different frames
    are kept: ``4 (F + 1)`` bytes for each pixel with `F` the number of aliases, twice as much if
    the basis or the problem is complex, half of that if only the basis is; and as much again for
    their factors, unless `inverse` is told that it is called once.

    Parameters
    ----------
    basis : Basis
    frames : sequence of (Model, float)
        The `A_i` and their weights.
    penalties : sequence of Model
        The `S_j`, of factor one.
    """

    def __init__(
        self, basis: Basis, frames: Sequence[tuple[Model, float]], penalties: Sequence[Model]
    ) -> None:
        self.basis = basis
        models = [*(model for model, _ in frames), *penalties]
        self.complex = any(model.dtype.kind == "c" for model in models)
        # A real problem has conjugate solutions at opposite frequencies.
        self.mirrored = not (self.complex or basis.real)
        self.leading = basis.classes[0]
        self._inner = len(basis.rows) // self.leading
        solved = self.leading // 2 + 1 if self.mirrored else self.leading
        self.count = solved * self._inner
        self.dtype = np.dtype(np.float64 if basis.real and not self.complex else np.complex128)
        # By the rounded taps of the products: a small beta would amplify any difference.
        self.frames = [(basis.response(model.rounded), weight) for model, weight in merged(frames)]
        self._penalties = [basis.response(model) for model in penalties]
        self._taps = sum(model.columns.taps for model in models)

    def inverse(self, beta: float, *, once: bool = False) -> "AliasedInverse":
        """The inverse for one `beta`; `once` if there will be no other."""
        if len(self.frames) == 1:
            return OneFrameInverse(self, beta)
        return FactorisedInverse(self, beta, once)

    def transfer(self, response: Response, start: int, stop: int) -> Array:
        """The lines of a transfer function that belong to a band of classes."""
        lines = response.lines(self.basis.rows[start:stop].ravel())
        return lines.astype(self.dtype, copy=False)

    def penalty(self, start: int, stop: int) -> Array:
        """The lines of `P`, which is a diagonal, that belong to a band of classes."""
        rows = self.basis.rows[start:stop].ravel()
        squares = (np.abs(response.lines(rows)) ** 2 for response in self._penalties)
        return np.asarray(sum(squares, np.zeros((rows.size, self.basis.columns.size))))

    @property
    def times(self) -> Array:
        """The number of classes that each of those that are solved stands for."""
        k = np.arange(self.count) // self._inner
        alone = (k == -k % self.leading) | (not self.mirrored)
        return np.where(alone, 1.0, 2.0)

    def by_bands(self, work: Callable[[int, int], object], *, whole: bool = False) -> None:
        """Call ``work(start, stop)`` for bands of classes that are solved for, or the `whole`."""
        count = len(self.basis.rows) if whole else self.count
        systems = self.basis.rows.shape[1] * self.basis.columns.shape[1]
        each = self._taps * LINE + systems * (1 if len(self.frames) == 1 else 2)
        run(work, row_blocks(count, each * systems * count * len(self.basis.columns)))

    @cached_property
    def packed(self) -> Array:
        """The lower triangle of the `N` of each class, row by row."""
        return self.formed()

    def formed(self) -> Array:
        """`packed` in an array of its own."""
        from dhop.kernels.aliased_systems import add_outer

        columns = self.basis.columns
        systems = self.basis.rows.shape[1] * columns.shape[1]
        size = systems * (systems + 1) // 2
        packed = np.zeros((self.count, len(columns), size), self.dtype)

        def form(start: int, stop: int) -> None:
            for response, weight in self.frames:
                transfer = self.transfer(response, start, stop)
                add_outer(transfer, weight, columns, packed[start:stop])

        self.by_bands(form)
        return packed


class AliasedInverse(Inverse):
    r"""The function that solves :math:`(N + \beta P) x = b`; made by `AliasedEquations`."""

    def __init__(self, equations: AliasedEquations, beta: float) -> None:
        self.equations = equations
        self.beta = beta
        if equations.complex:
            self.dtype = np.dtype(np.complex128)

    def solve(self, spectrum: Array) -> None:
        """Solve for one spectrum, in place."""
        self.equations.by_bands(lambda start, stop: self._solve(spectrum, start, stop))
        if self.equations.mirrored:
            self._mirror(spectrum)

    def trace(self) -> float:
        r"""The trace of :math:`(N + \beta P)^{-1} P`."""
        equations = self.equations
        sums = np.zeros(equations.count)
        equations.by_bands(lambda start, stop: self._trace(sums[start:stop], start, stop))
        return float(sums @ equations.times)

    def diagonal(self, noise: bool = False) -> Array:
        equations, basis = self.equations, self.equations.basis
        columns = pairs_of(basis)[1]
        f0 = basis.rows.shape[1]
        lines = np.zeros((equations.count, f0, f0, columns.size), equations.dtype)

        def work(start: int, stop: int) -> None:
            self._add_inverse(noise, columns, lines[start:stop], start, stop)

        equations.by_bands(work)
        return diagonal_of(basis, lines, equations.times)

    def _penalty(self) -> Array:
        r"""All of :math:`\beta P`."""
        rows = self.equations.basis.rows
        lines = self.beta * self.equations.penalty(0, len(rows))
        penalty = np.empty_like(lines)
        penalty[rows.ravel()] = lines
        return penalty

    def _solve_all(self, spectrum: Array, penalty: Array | None) -> None:
        r"""As `solve`; with :math:`\beta P` by :math:`K^{-1} - K^{-1} \beta P K^{-1}`."""
        self.solve(spectrum)
        if penalty is not None:
            more = penalty * spectrum
            self.solve(more)
            spectrum -= more

    def _solved(self, image: Array, number: int) -> Array:
        return self._filtered(image, None)

    def _noise_product(self, image: Array) -> Array:
        return self._filtered(image, self._penalty())

    def _filtered(self, image: Array, penalty: Array | None) -> Array:
        equations = self.equations
        spectrum = equations.basis.analyse(_wide(image, self.dtype))
        spectrum = spectrum.astype(np.result_type(spectrum, equations.dtype), copy=False)
        self._solve_all(spectrum, penalty)
        found = equations.basis.synthesise(spectrum)
        return found if equations.complex else found.real

    def _mirror(self, spectrum: Array) -> None:
        """Fill in the conjugates of the solutions at opposite frequencies."""
        basis = self.equations.basis
        rows = basis.rows[self.equations.count :].ravel()
        opposite, columns = basis.opposite(rows), np.arange(spectrum.shape[1])
        some = max(1, MIRRORED // columns.size)
        for start in range(0, rows.size, some):
            part = slice(start, start + some)
            spectrum[rows[part]] = spectrum[opposite[part]][:, -columns % columns.size].conj()

    def _solve(self, spectrum: Array, start: int, stop: int) -> None:
        raise NotImplementedError

    def _trace(self, sums: Array, start: int, stop: int) -> None:
        raise NotImplementedError

    def _add_inverse(
        self, noise: bool, columns: Pairs, lines: Array, start: int, stop: int
    ) -> None:
        raise NotImplementedError


class FactorisedInverse(AliasedInverse):
    """By the Cholesky factors of each class."""

    def __init__(self, equations: AliasedEquations, beta: float, once: bool) -> None:
        super().__init__(equations, beta)
        from dhop.kernels.aliased_systems import factorise

        packed = equations.formed() if once else equations.packed
        self._factors = packed if once else np.empty_like(packed)
        columns = equations.basis.columns

        def work(start: int, stop: int) -> None:
            penalty = beta * equations.penalty(start, stop)
            factorise(packed[start:stop], penalty, columns, self._factors[start:stop])

        equations.by_bands(work)

    def _solve(self, spectrum: Array, start: int, stop: int) -> None:
        from dhop.kernels.aliased_systems import solve

        basis = self.equations.basis
        solve(self._factors[start:stop], basis.rows[start:stop], basis.columns, spectrum)

    def _trace(self, sums: Array, start: int, stop: int) -> None:
        from dhop.kernels.aliased_systems import trace

        equations = self.equations
        penalty = equations.penalty(start, stop)
        trace(self._factors[start:stop], penalty, equations.basis.columns, sums)

    def _add_inverse(
        self, noise: bool, columns: Pairs, lines: Array, start: int, stop: int
    ) -> None:
        from dhop.kernels.aliased_inverses import add_inverse

        equations = self.equations
        penalty = self.beta * equations.penalty(start, stop)
        tables = equations.basis.columns, noise, columns.places, columns.scales
        add_inverse(self._factors[start:stop], penalty, *tables, lines)


class OneFrameInverse(AliasedInverse):
    """For one frame: a matrix of rank one and a diagonal for each class, formed when needed."""

    def _solve(self, spectrum: Array, start: int, stop: int) -> None:
        from dhop.kernels.aliased_systems import solve_one

        basis = self.equations.basis
        tables = basis.rows[start:stop], basis.columns
        solve_one(*self._system(start, stop), *tables, spectrum)

    def _trace(self, sums: Array, start: int, stop: int) -> None:
        from dhop.kernels.aliased_systems import trace_one

        trace_one(*self._system(start, stop), self.equations.basis.columns, sums)
        sums /= self.beta

    def _add_inverse(
        self, noise: bool, columns: Pairs, lines: Array, start: int, stop: int
    ) -> None:
        from dhop.kernels.aliased_inverses import add_inverse_one

        tables = self.equations.basis.columns, noise, columns.places, columns.scales
        add_inverse_one(*self._system(start, stop), *tables, lines)

    def _system(self, start: int, stop: int) -> tuple[Array, float, Array]:
        equations = self.equations
        ((response, weight),) = equations.frames
        penalty = self.beta * equations.penalty(start, stop)
        return equations.transfer(response, start, stop), weight, penalty


def aliased_equations(
    frames: Sequence[tuple[Model, float]], penalties: Sequence[Model], *, exact: bool = True
) -> AliasedEquations | None:
    """The equations in the common basis of all operators, if there is one: see `common_basis`.

    None, too, for different frames with more aliases than `MOST`.
    """
    aliases = prod(axis.factor for axis in frames[0][0].axes)
    if aliases > MOST and len(merged(frames)) > 1:
        return None
    basis = common_basis([model for model, _ in frames], penalties, exact=exact)
    return None if basis is None else AliasedEquations(basis, frames, penalties)


def _wide(image: Array, dtype: np.dtype[Any]) -> Array:
    """A copy in double precision."""
    wide = workspace.empty(image.shape, np.result_type(image, dtype))
    wide[:] = image
    return wide


def merged(frames: Sequence[tuple[Model, Any]]) -> list[tuple[Model, Any]]:
    """Frames with equal operators as one, of the sum of their weights."""
    found: dict[Any, tuple[Model, Any]] = {}
    for model, weight in frames:
        taps = model.weights.dtype, model.weights.shape, model.weights.tobytes()
        key = model.axes, *taps
        found[key] = model, weight + (found[key][1] if key in found else 0.0)
    return list(found.values())
