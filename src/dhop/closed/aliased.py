"""Normal equations that fall into small systems, one for each class of aliased frequencies."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhop.closed.bases import Basis, common_basis
from dhop.geometry import Model
from dhop.parallel import row_blocks, run

Array = NDArray[Any]


class AliasedEquations:
    r"""The matrix :math:`N + \beta P = \sum_i w_i A_i^H A_i + \beta \sum_j S_j^H S_j` in a basis.

    In the basis that diagonalises convolutions each class of frequencies that decimation makes
    alike is a system of its own, of as many unknowns as there are aliases: the product of the
    factors of both axes. This is the closed form of N. Zhao et al., "Fast single image
    super-resolution using a new analytical solution for l2-l2 problems", IEEE Trans. Image Process.
    25 (2016) 3683-3697, https://doi.org/10.1109/TIP.2016.2567075, for any number of frames and in
    the cosine basis too.

    Workspace: for each pixel ``F + 1`` numbers (half of them for a real problem in the Fourier
    basis) with `F` the number of aliases, twice if `inverse` was called.

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
        classes = len(basis.rows)
        self._count = classes // 2 + 1 if self.mirrored else classes
        self._systems = basis.rows.shape[1] * basis.columns.shape[1]
        self.dtype = np.dtype(np.float64 if basis.real and not self.complex else np.complex128)
        self.penalty = sum(np.abs(basis.transfer(model)) ** 2 for model in penalties)
        size = self._systems * (self._systems + 1) // 2
        self._packed = np.zeros((self._count, len(basis.columns), size), self.dtype)
        from dhop.kernels.aliases import add_outer

        for model, weight in frames:
            transfer = basis.transfer(model).astype(self.dtype, copy=False)
            self._by_class(
                lambda tables, *part, transfer=transfer, weight=weight: add_outer(
                    transfer, weight, *tables, *part, self._packed
                )
            )

    def inverse(self, beta: float) -> "AliasedInverse":
        """The inverse for one `beta`."""
        from dhop.kernels.aliases import factorise

        factors = np.empty_like(self._packed)
        penalty = beta * self.penalty
        self._by_class(
            lambda tables, *part: factorise(self._packed, penalty, *tables, *part, factors)
        )
        return AliasedInverse(self, factors)

    def _by_class(self, work: Callable[..., object]) -> None:
        """Call ``work((rows, columns), start, stop)`` for blocks of classes."""
        tables = self.basis.rows, self.basis.columns
        cost = 2.0 * self._count * len(self.basis.columns) * self._systems**2
        run(lambda start, stop: work(tables, start, stop), row_blocks(self._count, cost))


class AliasedInverse:
    r"""The function that solves :math:`(N + \beta P) x = b`; made by `AliasedEquations`."""

    def __init__(self, equations: AliasedEquations, factors: Array) -> None:
        self._equations = equations
        self._factors = factors

    def __call__(self, images: Array) -> Array:
        """Solve for images, the last two axes, which are real if the problem is."""
        from dhop.kernels.aliases import solve

        equations, basis = self._equations, self._equations.basis
        wide = images.astype(np.result_type(images, np.float64), copy=False)
        spectra = basis.analyse(wide)
        spectra = spectra.astype(np.result_type(spectra, equations.dtype), copy=False)
        for spectrum in spectra.reshape(-1, *spectra.shape[-2:]):
            equations._by_class(
                lambda tables, *part, spectrum=spectrum: solve(
                    self._factors, *tables, *part, spectrum
                )
            )
            if equations.mirrored:
                self._mirror(spectrum)
        found = basis.synthesise(spectra)
        return found if equations.complex else found.real

    def trace(self) -> float:
        r"""The trace of :math:`(N + \beta P)^{-1} P`."""
        from dhop.kernels.aliases import trace

        equations = self._equations
        sums = np.zeros(len(self._factors))
        equations._by_class(
            lambda tables, *part: trace(self._factors, equations.penalty, *tables, *part, sums)
        )
        k = np.arange(sums.size)
        alone = (k == -k % len(equations.basis.rows)) | (not equations.mirrored)
        return float(sums @ np.where(alone, 1.0, 2.0))

    def _mirror(self, spectrum: Array) -> None:
        """Fill in the frequencies whose opposites have been solved for."""
        rows = self._equations.basis.rows[len(self._factors) :].ravel()
        columns = np.arange(spectrum.shape[1])
        spectrum[rows] = spectrum[-rows % len(spectrum)][:, -columns % columns.size].conj()


def aliased_equations(
    frames: Sequence[tuple[Model, float]], penalties: Sequence[Model], *, exact: bool = True
) -> AliasedEquations | None:
    """The equations in the basis that serves all operators, if there is one: see `common_basis`."""
    basis = common_basis([model for model, _ in frames], penalties, exact=exact)
    return None if basis is None else AliasedEquations(basis, frames, penalties)
