"""The frequency response of an operator, and its singular values."""

import numpy as np
from matplotlib.axes import Axes

from dhop.model.decimation import fold
from dhop.operators.blur_decimate import DHOperator
from dhop.operators.spectrum import singular_values as values_of
from dhop.plots.axes import new_axes, require_blur
from dhop.runtime.arguments import integer


def frequency_response(A: DHOperator, *, axis: int | None = None, ax: Axes | None = None) -> Axes:
    r"""Gain of the operator along one axis, and the frequencies that its decimation aliases.

    The gain of blur and decimation at the frequency :math:`\nu` is the absolute value of the
    transfer function of the folded PSF,

    .. math::

        |T(\nu)| = \left|\sum_t \mathrm{folded}_t \, e^{-2 \pi i \nu t}\right|,

    the frequency along other axes being zero. A decimation by `factor` shows every frequency
    above :math:`1 / (2 \, \mathrm{factor})` as one below, its alias; these are drawn as dashed
    lines, at the frequency where they appear.

    Parameters
    ----------
    A : DHOperator
    axis : int
        Which of the axes that are blurred and decimated, by default the last.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ValueError, TypeError
        For another `axis`.

    Examples
    --------
    >>> from dhop import DHOperator, plots, psf
    >>> ax = plots.frequency_response(DHOperator((400, 400), psf.gaussian(9, 1.0), 3))
    """
    require_blur(A, "a frequency response")
    if not isinstance(A.psf, np.ndarray):
        raise TypeError("a PSF that varies has a response at each place: take that of psf.at(...)")
    ndim = A.psf.ndim
    axis = ndim - 1 if axis is None else integer("axis", axis)
    if axis not in range(ndim):
        choices = " or ".join(map(str, range(ndim)))
        raise ValueError(f"axis must be {choices}, got {axis}")
    others = tuple(k for k in range(ndim) if k != axis)
    line = fold(A.psf, A.factor, A.decimation).sum(axis=others)
    factor = A.factor[axis]
    nyquist = 0.5 / factor
    ax = ax or new_axes()[0]
    for band in range(factor):
        low, high = band * nyquist, (band + 1) * nyquist
        true = np.linspace(low, high, 200)
        gain = np.abs(np.exp(-2j * np.pi * np.outer(true, np.arange(line.size))) @ line)
        ax.plot(true, gain, color="tab:blue", label="gain" if band == 0 else None)
        if band:
            seen = true - low if band % 2 == 0 else high - true
            shade = 0.9 / np.sqrt(band)
            ax.plot(seen, gain, "--", color="tab:red", alpha=shade, label=f"alias {band}")
    if factor > 1:
        ax.axvspan(nyquist, 0.5, color="0.93", zorder=0)
        ax.axvline(nyquist, color="0.5", lw=1, label="finest of the decimated image")
    ax.set(
        title=f"frequency response, axis {axis}",
        xlabel="frequency (cycles per high-resolution pixel)",
        ylabel="gain",
        xlim=(0, 0.5),
    )
    ax.set_ylim(bottom=0)
    ax.legend()
    return ax


def singular_values(A: DHOperator, *, ax: Axes | None = None) -> Axes:
    """The singular values of the operator, from the largest to the smallest.

    Their decay shows how much of the scene is lost in noise: with a relative noise `e`, components
    with singular values below `e` times the largest need a prior.

    Parameters
    ----------
    A : DHOperator
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If the operator is too large for it, see `dhop.operators.spectrum.singular_values`.

    Examples
    --------
    >>> from dhop import DHOperator, plots, psf
    >>> ax = plots.singular_values(DHOperator((400, 400), psf.gaussian(9, 1.0), 2))
    """
    values = values_of(A)
    shown = values[values > values[0] * np.finfo(A.dtype).eps]
    ax = ax or new_axes()[0]
    ax.semilogy(np.arange(1, shown.size + 1), shown)
    ax.set(
        title=f"singular values, {A.shape[0]} x {A.shape[1]}",
        xlabel="number",
        ylabel="singular value",
        xlim=(0, values.size),
    )
    ax.grid(alpha=0.3)
    hidden = values.size - shown.size
    if hidden:
        ax.axvspan(shown.size, values.size, color="0.93", zorder=0)
        ax.annotate(
            f"{hidden} below rounding", (0.98, 0.95), xycoords="axes fraction", ha="right", va="top"
        )
    return ax
