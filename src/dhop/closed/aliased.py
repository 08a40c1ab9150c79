"""Normal equations that fall into small systems, one for each class of aliased frequencies."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dhop.closed.bases import Basis, Cosine, Fourier, step
from dhop.geometry import Model
from dhop.parallel import row_blocks, run

Array = NDArray[Any]


class Description(NamedTuple):
    """Of the solution for one `beta`, see `AliasedEquations.describe`."""

    fitted: float
    penalty: float
    trace: float


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
        self._frames = frames
        models = [*(model for model, _ in frames), *penalties]
        self.complex = any(model.dtype.kind == "c" for model in models)
        # A real problem has conjugate solutions at opposite frequencies.
        self._mirrored = not (self.complex or basis.real)
        classes = len(basis.rows)
        self._count = classes // 2 + 1 if self._mirrored else classes
        self._systems = basis.rows.shape[1] * basis.columns.shape[1]
        self.dtype = np.dtype(np.float64 if basis.real and not self.complex else np.complex128)
        self._penalty = sum(np.abs(basis.transfer(model)) ** 2 for model in penalties)
        size = self._systems * (self._systems + 1) // 2
        self._packed = np.zeros((self._count, len(basis.columns), size), self.dtype)
        from dhop.kernels.aliases import add_outer

        for model, weight in frames:
            transfer = basis.transfer(model).astype(self.dtype, copy=False)
            self._by_class(
                lambda start, stop, transfer=transfer, weight=weight: add_outer(
                    transfer, weight, basis.rows, basis.columns, start, stop, self._packed
                )
            )

    def inverse(self, beta: float) -> Callable[[Array], Array]:
        """The function that solves for images, the last two axes of its argument.

        They are real if the problem is.
        """
        from dhop.kernels.aliases import factorise, solve

        basis = self.basis
        factors = np.empty_like(self._packed)
        penalty = beta * self._penalty
        self._by_class(
            lambda start, stop: factorise(
                self._packed, penalty, basis.rows, basis.columns, start, stop, factors
            )
        )

        def solution(images: Array) -> Array:
            spectra = self._spectra(images)
            for spectrum in spectra.reshape(-1, *spectra.shape[-2:]):
                self._by_class(
                    lambda start, stop, spectrum=spectrum: solve(
                        factors, basis.rows, basis.columns, start, stop, spectrum
                    )
                )
                if self._mirrored:
                    self._mirror(spectrum)
            found = basis.synthesise(spectra)
            return found if self.complex else found.real

        return solution

    def describe(self, image: Array, beta: float) -> Description:
        r"""Facts of the solution `x` for one right-hand side `b`.

        Returns
        -------
        fitted : float
            :math:`x^H b`.
        penalty : float
            :math:`x^H P x`.
        trace : float
            Of :math:`(N + \beta P)^{-1} P`.
        """
        from dhop.kernels.aliases import describe

        basis = self.basis
        spectrum = self._spectra(image)
        sums = np.zeros((self._count, 3))
        self._by_class(
            lambda start, stop: describe(
                self._packed, self._penalty, beta, basis.rows, basis.columns,
                start, stop, spectrum, sums,
            )
        )  # fmt: skip
        return Description(*(float(total) for total in self._times @ sums))

    @cached_property
    def _times(self) -> Array:
        """How many rows of classes each one that is stored stands for."""
        if not self._mirrored:
            return np.ones(self._count)
        k = np.arange(self._count)
        return np.where(k == -k % len(self.basis.rows), 1.0, 2.0)

    def _spectra(self, images: Array) -> Array:
        wide = images.astype(np.complex128 if np.iscomplexobj(images) else np.float64)
        spectra = self.basis.analyse(wide)
        return spectra.astype(np.result_type(spectra, self.dtype), copy=False)

    def _mirror(self, spectrum: Array) -> None:
        """Fill in the frequencies whose opposites have been solved for."""
        rows = self.basis.rows[self._count :].ravel()
        columns = np.arange(spectrum.shape[1])
        spectrum[rows] = spectrum[-rows % len(spectrum)][:, -columns % columns.size].conj()

    def _by_class(self, work: Callable[[int, int], None]) -> None:
        systems = self._count * len(self.basis.columns)
        run(work, row_blocks(self._count, 2.0 * systems * self._systems**2))


def aliased_equations(
    frames: Sequence[tuple[Model, float]], penalties: Sequence[Model], *, exact: bool = True
) -> AliasedEquations | None:
    """The equations in the basis that holds for all operators, or in the nearest basis.

    Parameters
    ----------
    frames : sequence of (Model, float)
    penalties : sequence of Model
    exact : bool
        Whether to return None where no basis holds.
    """
    first = frames[0][0]
    shape = first.rows.size, first.columns.size
    factor = step(first.rows), step(first.columns)
    models = [model for model, _ in frames]
    alike = all((step(model.rows), step(model.columns)) == factor for model in models)
    if not alike or shape[0] % factor[0] or shape[1] % factor[1]:
        return None
    for basis in (Fourier(shape, factor), Cosine(shape, factor)):
        if all(basis.holds(model) for model in [*models, *penalties]):
            return AliasedEquations(basis, frames, penalties)
    return None if exact else AliasedEquations(Fourier(shape, factor), frames, penalties)
