"""The slow dense reference: blur, then decimate, straight from the definitions.

`matrix` takes the arguments of `DHOperator` and returns the dense matrix of `D H`. It knows nothing
of folded PSFs, index tables or sparse structure, and it is exact for integer-valued PSFs.
"""

import itertools

import numpy as np

BOUNDARIES = ("constant", "wrap", "symmetric", "reflect", "edge")
DECIMATIONS = ("sum", "mean", "sample")
FACTORS = (1, (1, 2), (2, 3), (3, 1))  # both axes meet each, and hardly ever the same
SIZES = ((1, 1), (1, 5), (3, 2), (7, 5), (6, 8))
DTYPES = (np.float32, np.float64, np.complex64, np.complex128)


def pair(value, count=2):
    """One value per axis."""
    return tuple(np.broadcast_to(value, count).tolist())


def extended(size, start, stop, boundary):
    """Source pixels of the positions `start .. stop - 1`, by `numpy.pad`; -1 is outside."""
    before, after = max(0, -start), max(0, stop - size)
    fill = {"constant_values": -1} if boundary == "constant" else {}
    padded = np.pad(np.arange(size), (before, after), mode=boundary, **fill)
    return padded[start + before : stop + before]


def shifts(size, taps, center, boundary):
    """`S[k]` is the matrix of `x -> ext(x)[i + center - k]`."""
    start = center - (taps - 1)
    source = extended(size, start, size + center, boundary)
    i, k = np.arange(size), np.arange(taps)[:, None]
    return (source[i + center - k - start][..., None] == np.arange(size)).astype(float)


def decimator(size, factor, phase, decimation):
    """The matrix of the block sum, or of every `factor`-th pixel."""
    width = 1 if decimation == "sample" else factor
    rows = []
    for first in range(phase, size - width + 1, factor):
        row = np.zeros(size)
        row[first : first + width] = 1
        rows.append(row)
    return np.array(rows).reshape(-1, size)


def matrix(
    dims,
    psf,
    factor,
    *,
    decimation="sum",
    boundary="constant",
    center=None,
    phase=0,
    axes=None,
    precision=np.float64,
):
    """Dense `D H`; the last division (of "mean") happens in `precision`."""
    psf = np.asarray(psf)
    n = psf.ndim
    factor, phase, boundary = pair(factor, n), pair(phase, n), pair(boundary, n)
    center = pair(center, n) if center is not None else tuple((k - 1) // 2 for k in psf.shape)
    axes = range(-n, 0) if axes is None else axes
    axes = tuple(axis % len(dims) for axis in axes)
    tensor = psf
    for i, axis in enumerate(axes):
        H = shifts(dims[axis], psf.shape[i], center[i], boundary[i])
        D = decimator(dims[axis], factor[i], phase[i], decimation)
        tensor = np.tensordot(tensor, D @ H, (0, 0))  # ends in an output and a pixel of this axis
    tensor = tensor.transpose([*range(0, 2 * n, 2), *range(1, 2 * n, 2)])
    if decimation == "mean":
        tensor = divide(tensor * np.ones((), precision), np.prod(factor))
    # One identity for every batch axis; einsum labels: axis -> output, axis + ndim -> input.
    ndim = len(dims)
    terms = [tensor, [*axes, *(axis + ndim for axis in axes)]]
    for axis in set(range(ndim)) - set(axes):
        terms += [np.eye(dims[axis]), [axis, axis + ndim]]
    full = np.einsum(*terms, list(range(2 * ndim)))
    return full.reshape(-1, int(np.prod(dims)))


def fold(psf, factor, decimation):
    """The PSF with the block sum folded in (not divided): `convolve(psf, ones(factor))`."""
    psf = np.asarray(psf)
    f0, f1 = (1, 1) if decimation == "sample" else pair(factor)
    folded = np.zeros((psf.shape[0] + f0 - 1, psf.shape[1] + f1 - 1), psf.dtype)
    for i, j in itertools.product(range(f0), range(f1)):
        folded[i : i + psf.shape[0], j : j + psf.shape[1]] += psf
    return folded


def terms(
    dims, psf, factor, *, decimation="sum", boundary="constant", center=None, phase=0, axes=(-2, -1)
):
    """How many non-zero folded taps meet on each entry of the matrix (0: the entry is not stored).

    A folded tap `t` of output `j` reads `ext(x)[phase + factor j + c - t]`: a sampled blur by the
    folded PSF, of which the block sum has the first outputs (a partial block is not observed).
    """
    psf = np.asarray(psf)
    factor, phase = pair(factor), pair(phase)
    center = pair(center) if center is not None else tuple((k - 1) // 2 for k in psf.shape)
    if decimation != "sample":
        center = tuple(c + f - 1 for c, f in zip(center, factor, strict=True))
    options = {"boundary": boundary, "phase": phase, "axes": axes, "center": center}
    counts = matrix(
        dims, fold(psf, factor, decimation) != 0, factor, decimation="sample", **options
    )
    shape = {name: list(dims) for name in ("sample", decimation)}
    for name, lengths in shape.items():
        for i, axis in enumerate(axes):
            lengths[axis] = len(decimator(dims[axis], factor[i], phase[i], name))
    observed = tuple(slice(length) for length in shape[decimation])
    counts = counts.reshape(*shape["sample"], -1)[observed]
    return counts.reshape(-1, counts.shape[-1]).astype(int)


def continued(
    images, psf, factor, *, decimation="sum", boundary="constant", center=None, phase=0,
    axes=(-2, -1),
):  # fmt: skip
    """The part of `ext(x)` that the outputs read, zeros outside a constant boundary."""
    factor, phase, boundary = pair(factor), pair(phase), pair(boundary)
    center = pair(center) if center is not None else tuple((k - 1) // 2 for k in psf.shape)
    for i, axis in enumerate(axes):
        rows = decimator(images.shape[axis], factor[i], phase[i], decimation)
        blurred = np.flatnonzero(rows.any(axis=0)) + center[i]
        start = blurred[0] - psf.shape[i] + 1
        source = extended(images.shape[axis], start, blurred[-1] + 1, boundary[i])
        images = np.moveaxis(images, axis, 0)[source]
        images[source < 0] = 0
        images = np.moveaxis(images, 0, axis)
    return images


def degrade(image, psf, factor, *, decimation="sum", boundary="constant", center=None, phase=0):
    """`D H x` of one 2-D image, by padding and shifting the image itself."""
    f0, f1 = pair(factor)
    p0, p1 = pair(phase)
    c0, c1 = pair(center) if center is not None else tuple((k - 1) // 2 for k in psf.shape)
    reach = [(max(0, k - 1 - c), max(0, c)) for k, c in zip(psf.shape, (c0, c1), strict=True)]
    padded = image
    for axis, name in enumerate(pair(boundary)):
        widths = [(0, 0), (0, 0)]
        widths[axis] = reach[axis]
        padded = np.pad(padded, widths, mode=name)
    n0, n1 = image.shape
    blurred = np.zeros(image.shape, np.result_type(image, psf))
    for (k, q), value in np.ndenumerate(psf):
        i, j = reach[0][0] + c0 - k, reach[1][0] + c1 - q
        blurred += value * padded[i : i + n0, j : j + n1]
    if decimation == "sample":
        return blurred[p0::f0, p1::f1]
    m0, m1 = (n0 - p0) // f0, (n1 - p1) // f1
    blocks = blurred[p0 : p0 + m0 * f0, p1 : p1 + m1 * f1].reshape(m0, f0, m1, f1)
    total = blocks.sum(axis=(1, 3))
    return divide(total, np.prod(pair(factor))) if decimation == "mean" else total


def backproject(
    image, dims, psf, factor, *, decimation="sum", boundary="constant", center=None, phase=0
):
    """`H.T D.T y` of one 2-D image, by the transposes of the shifts of each axis."""
    factor, phase, boundary = pair(factor), pair(phase), pair(boundary)
    center = pair(center) if center is not None else tuple((k - 1) // 2 for k in psf.shape)
    H0, H1 = (shifts(dims[i], psf.shape[i], center[i], boundary[i]) for i in (0, 1))
    D0, D1 = (decimator(dims[i], factor[i], phase[i], decimation) for i in (0, 1))
    spread = D0.T @ image @ D1
    total = sum(H0[k].T @ spread @ np.tensordot(psf[k].conj(), H1, 1) for k in range(len(psf)))
    return divide(total, np.prod(pair(factor))) if decimation == "mean" else total


def divide(total, block):
    """Over the block size, the real and the imaginary part each rounded once."""
    if np.iscomplexobj(total):
        return total.real / block + 1j * (total.imag / block)
    return total / block


def integers(rng, shape, dtype=np.float64, bound=4):
    """Random integers in `-bound .. bound`; Gaussian integers for a complex dtype."""
    values = rng.integers(-bound, bound + 1, shape).astype(dtype)
    if np.issubdtype(dtype, np.complexfloating):
        values = values + np.asarray(1j, dtype) * rng.integers(-bound, bound + 1, shape)
    return values.astype(dtype)


def integer_psf(rng, shape, factor=1, dtype=np.float64):
    """A random integer PSF without symmetry; a multiple of the block size, so means are exact."""
    psf = integers(rng, shape, dtype)
    psf.flat[0], psf.flat[-1] = 1, -3  # the corners are taps, and differ
    return psf * np.prod(pair(factor)).astype(psf.real.dtype)


def sparse_psf(rng, shape, factor=1, dtype=np.float64):
    """An integer PSF of which most taps are exactly zero, the corners among them."""
    psf = integer_psf(rng, shape, factor, dtype) * (rng.random(shape) < 0.3)
    psf[0, 0] = psf[-1, -1] = 0
    psf[psf.shape[0] // 2, 0] = 2 * np.prod(pair(factor))
    return psf.astype(dtype)


def oversized_psf(rng, dims, factor=1, dtype=np.float64):
    """An integer PSF of 2 N + 3 taps an axis: borders fold more than once."""
    return integer_psf(rng, tuple(2 * n + 3 for n in dims), factor, dtype)


# name -> (maker of the PSF from rng, dims, factor, dtype; options of the operator)
PSFS = {
    "pixel": (lambda rng, dims, *rest: integer_psf(rng, (1, 1), *rest), {}),
    "odd": (lambda rng, dims, *rest: integer_psf(rng, (3, 5), *rest), {}),
    "even": (lambda rng, dims, *rest: integer_psf(rng, (2, 4), *rest), {}),
    "off-centre": (lambda rng, dims, *rest: integer_psf(rng, (4, 3), *rest), {"center": (0, 2)}),
    "far": (lambda rng, dims, *rest: integer_psf(rng, (3, 2), *rest), {"center": (-3, 6)}),
    "sparse": (lambda rng, dims, *rest: sparse_psf(rng, (5, 4), *rest), {}),
    "oversized": (oversized_psf, {}),
}


def phases(factor):
    """Every phase of a factor."""
    return itertools.product(*(range(f) for f in pair(factor)))


def observed(dims, factor, phase, decimation):
    """Whether every axis keeps at least one output."""
    sizes = zip(dims, pair(factor), pair(phase), strict=True)
    return all(len(decimator(n, f, p, decimation)) for n, f, p in sizes)


def grid(psf, *, boundary, decimation, sizes=SIZES, factors=FACTORS, dtypes=DTYPES):
    """Arguments of `DHOperator` over every size and factor: `(dims, psf, factor), options`.

    The dtypes take turns, so that each meets every kind of case. So do the phases: of two that
    follow each other one has its turn, by turns for sizes, PSFs, boundaries and decimations.
    """
    make, options = PSFS[psf]
    rng = np.random.default_rng([len(psf), len(boundary), len(decimation)])
    turn = itertools.cycle(dtypes)
    first = list(PSFS).index(psf) + BOUNDARIES.index(boundary) + DECIMATIONS.index(decimation)
    for number, (dims, factor) in enumerate(itertools.product(sizes, factors)):
        start = (first + number // len(factors)) % 2 if max(pair(factor)) > 1 else 0
        for phase in itertools.islice(phases(factor), start, None, 2):
            if observed(dims, factor, phase, decimation):
                scale = factor if decimation == "mean" else 1
                taps = make(rng, dims, scale, next(turn))
                case = {"boundary": boundary, "decimation": decimation, "phase": phase}
                yield (dims, taps, factor), {**case, **options}
