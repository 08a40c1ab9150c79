"""The table in reliability.md: how far the adjoint of each construction is from the transpose.

python docs/explanation/adjoints.py
"""

import warnings

import numpy as np
from scipy import ndimage, signal

from dhop import DHOperator

DIMS, FACTOR = (16, 14), 2

# numpy.pad's names for the boundaries, and what others call them
NDIMAGE = {"constant": "constant", "symmetric": "reflect", "reflect": "mirror", "edge": "nearest",
           "wrap": "wrap"}  # fmt: skip
SIGNAL = {"constant": "fill", "symmetric": "symm", "wrap": "wrap"}


def psfs():
    """Whole numbers, so that products are exact wherever no transform is taken."""
    rng = np.random.default_rng(0)
    hill = np.array([1.0, 4, 6, 4, 1])
    return {
        "symmetric, odd": np.outer(hill, hill),
        "asymmetric, odd": rng.integers(1, 10, (5, 5)).astype(float),
        "even": rng.integers(1, 10, (4, 6)).astype(float),
    }


def enlarged(image):
    """Zeros between the samples: the transpose of taking every `FACTOR`-th."""
    zeros = np.zeros(DIMS)
    zeros[::FACTOR, ::FACTOR] = image
    return zeros


def dhop(psf, boundary):
    A = DHOperator(DIMS, psf, FACTOR, decimation="sample", boundary=boundary)
    return A.degrade, A.backproject


def pylops_convolve(psf, boundary):
    """`Restriction` of `Convolve2D`, zeros outside."""
    import pylops

    if boundary != "constant":
        return None
    offset = [(size - 1) // 2 for size in psf.shape]
    blur = pylops.signalprocessing.Convolve2D(DIMS, psf, offset=offset)
    numbers = np.arange(np.prod(DIMS)).reshape(DIMS)[::FACTOR, ::FACTOR]
    A = pylops.Restriction(np.prod(DIMS), numbers.ravel()) @ blur
    return (
        lambda x: A.matvec(x.ravel()).reshape(numbers.shape),
        lambda y: A.rmatvec(y.ravel()).reshape(DIMS),
    )


def flipped(convolve):
    """The usual adjoint: zeros between the samples, then the same blur with the flipped PSF."""
    return lambda psf: (
        lambda x: convolve(x, psf)[::FACTOR, ::FACTOR],
        lambda y: convolve(enlarged(y), psf[::-1, ::-1]),
    )


def ndimage_convolve(psf, boundary):
    return flipped(lambda x, k: ndimage.convolve(x, k, mode=NDIMAGE[boundary]))(psf)


def ndimage_correlate(psf, boundary):
    """As the adjoint of `convolve`: it turns the PSF and its origin."""
    mode = NDIMAGE[boundary]
    return (
        lambda x: ndimage.convolve(x, psf, mode=mode)[::FACTOR, ::FACTOR],
        lambda y: ndimage.correlate(enlarged(y), psf, mode=mode),
    )


def signal_convolve(psf, boundary):
    if boundary not in SIGNAL:
        return None
    name = SIGNAL[boundary]
    return flipped(lambda x, k: signal.convolve2d(x, k, mode="same", boundary=name))(psf)


def signal_fftconvolve(psf, boundary):
    if boundary != "constant":
        return None
    return flipped(lambda x, k: signal.fftconvolve(x, k, mode="same"))(psf)


CONSTRUCTIONS = {
    "`dhop.DHOperator`": dhop,
    "PyLops, `Restriction @ Convolve2D`": pylops_convolve,
    "`ndimage.convolve`, `convolve` of the flipped PSF": ndimage_convolve,
    "`ndimage.convolve`, `correlate`": ndimage_correlate,
    "`signal.convolve2d` (same), of the flipped PSF": signal_convolve,
    "`signal.fftconvolve` (same), of the flipped PSF": signal_fftconvolve,
}


def matrix(function, shape):
    """Column by column."""
    identity = np.eye(np.prod(shape))
    return np.stack([function(e.reshape(shape)).ravel() for e in identity], axis=1)


def error(forward, adjoint):
    """``|B - A^T| / |A|`` in the Frobenius norm, every entry of both matrices compared."""
    A = matrix(forward, DIMS)
    B = matrix(adjoint, forward(np.zeros(DIMS)).shape)
    return np.linalg.norm(B - A.T) / np.linalg.norm(A)


def shown(size):
    if size == 0:
        return "exact"
    return "rounding" if size < 1e-12 else f"{100 * size:.1f} %"


def table():
    """Lines of Markdown."""
    yield f"| blur, and its adjoint | boundary | {' | '.join(psfs())} |"
    yield f"|---|---|{'---|' * len(psfs())}"
    for name, construct in CONSTRUCTIONS.items():
        for boundary in NDIMAGE:
            if construct(np.ones((3, 3)), boundary):
                sizes = (shown(error(*construct(psf, boundary))) for psf in psfs().values())
                yield f"| {name} | {boundary} | {' | '.join(sizes)} |"


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        print("\n".join(table()))
