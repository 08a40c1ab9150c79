"""Write real_sky.md: one piece of sky, seen from the ground and from space.

python docs/real_sky.py SKY TELESCOPE

SKY has `Cut_HSC1.fits` (bands grizy, 0.168 arcsec a pixel), `Cut_HST1.fits` (F814W, 0.030 arcsec)
and their PSFs, `PSF_HSC.fits` and `PSF_HST.fits`, as in the tests of scarlet (P. Melchior and
others); TELESCOPE `nrcb5_sip_wcs.hdr` and `nrcb5_output_wcs_psr_0p55.hdr`, as in those of drizzle.
They are not distributed here.
"""

import sys
import warnings
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from astropy.wcs.utils import pixel_to_pixel
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.signal import fftconvolve

from dhop import FrameStack, motion, psf, super_resolve
from dhop.registration import register

BAND = 2  # i, the nearest to F814W
RATIO = 5.6
STEPS = 6  # the whole number of fine pixels in one of a frame
WIDTHS = [0.15, 0.3, 0.45]  # arcsec: full width at half maximum of what both are smoothed with
PIXEL = 0.03
MARGIN = 20  # pixels of the image at the border that are not judged


def correlations(image, truth):
    """With another image, both smoothed alike, for each of the widths."""
    inner = (slice(MARGIN, -MARGIN),) * 2
    found = []
    for width in WIDTHS:
        sigma = width / PIXEL / 2.3548
        pair = (gaussian_filter(each, sigma)[inner].ravel() for each in (image, truth))
        found.append(float(np.corrcoef(*pair)[0, 1]))
    return found


def ground_and_space(folder):
    """A row of correlations for each way to get from the ground to the grid of space."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of dates in the headers
        ground, space = (fits.open(folder / f"Cut_{each}1.fits")[0] for each in ("HSC", "HST"))
        where = WCS(ground.header).celestial, WCS(space.header)
    frame, truth = (np.asarray(each.data, np.float64) for each in (ground, space))
    frame = frame[BAND]
    # Measured PSFs have the pixel in them, so the decimation samples.
    blur = fits.getdata(folder / "PSF_HSC.fits")[BAND].astype(np.float64)
    sharp = fits.getdata(folder / "PSF_HST.fits").astype(np.float64)
    places = motion.from_wcs(*where, frame.shape)
    low = places / RATIO  # frame 0 is one of large pixels on the grid of space
    fine = psf.resample(blur, RATIO, 1.0)
    finest = psf.resample(blur, STEPS, 1.0)
    options = {"decimation": "sample", "boundary": "symmetric"}
    A = FrameStack.from_motion(
        truth.shape, finest / finest.sum(), RATIO, [low], shape=frame.shape, **options
    )
    seen = (A @ truth.ravel()).reshape(frame.shape)
    move = register([seen, frame]).shifts[1]

    def judged(moved, **prior):
        found = super_resolve(
            frame[None], fine / fine.sum(), RATIO, motion=[moved], dims=truth.shape, **prior,
            **options,
        )  # fmt: skip
        return correlations(fftconvolve(found.image, sharp / sharp.sum(), mode="same"), truth)

    rows, nearer = [], low - _by(move)
    for name, moved in [("the coordinates", low), ("and the shift that is left", nearer)]:
        rows.append([f"super_resolve, {name}", *judged(moved)])
        rows.append([f"cubic spline, {name}", *correlations(_spline(frame, moved, truth), truth)])
    for prior in ("tv", "huber-tv", "starlet"):
        rows.append(
            [f'the shift, `regulariser="{prior}"`', *judged(nearer, regulariser=prior, rtol=1e-4)]
        )
    return rows, move


def _by(move):
    return np.reshape(move, (2, 1, 1))


def _spline(frame, places, truth):
    """The frame between its pixels, at those of the other image; places are nearly affine."""
    grid = np.indices(frame.shape).reshape(2, -1)
    known = np.vstack([places.reshape(2, -1) * RATIO, np.ones(grid.shape[1])])
    back = np.linalg.lstsq(known.T, grid.T)[0]
    fine = np.vstack([np.indices(truth.shape).reshape(2, -1), np.ones(truth.size)])
    found = (back.T @ fine).reshape(2, *truth.shape)
    return map_coordinates(frame, found, order=3, mode="mirror")


def distortion(folder):
    """How far `from_wcs` is from astropy's own functions, and how exact the adjoint is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        given, other = (
            WCS(fits.Header.fromtextfile(folder / name))
            for name in ("nrcb5_sip_wcs.hdr", "nrcb5_output_wcs_psr_0p55.hdr")
        )
    shape = 2048, 2048
    places = motion.from_wcs(given, other, shape)
    rows, columns = (each.ravel() for each in np.indices(shape))
    x, y = pixel_to_pixel(given, other, columns, rows)
    off = float(np.abs(places.reshape(2, -1) - [y, x]).max())
    part = places[:, 900:1000, 900:1000]
    part = part - part.min(axis=(1, 2), keepdims=True)
    dims = tuple(int(np.ceil(each.max())) + 1 for each in part)
    A = FrameStack.from_motion(dims, psf.gaussian(5, 1.0), 1.0, [part], shape=(100, 100))
    rng = np.random.default_rng(0)
    u, v = rng.standard_normal(A.shape[1]), rng.standard_normal(A.shape[0])
    one, two = (A @ u) @ v, u @ (A.H @ v)
    return off, abs(one - two) / (np.linalg.norm(A @ u) * np.linalg.norm(v))


def main(sky, telescope):
    rows, move = ground_and_space(sky)
    off, dot = distortion(telescope)
    lines = [["", *(f"{each} arcsec" for each in WIDTHS)], ["---"] * (len(WIDTHS) + 1)]
    lines += [[name, *(f"{each:.3f}" for each in found)] for name, *found in rows]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    text = TEXT.format(table=table, down=move[0] * 0.168, right=move[1] * 0.168, off=off, dot=dot)
    (Path(__file__).parent / "real_sky.md").write_text(text)
    print(text)


TEXT = """# A real sky

The same piece of sky from the ground (Hyper Suprime-Cam, band i, 0.168 arcsec a pixel) and from
space (Hubble, F814W, 0.030 arcsec), cut out for the tests of scarlet. `super_resolve` gets the one
frame from the ground, its PSF, `factor=5.6`, and where its pixels lie on the grid of the image from
space (`dhop.motion.from_wcs`).

How near does that come to what Hubble saw? The table has the correlation of the two images; 1 is
the same image. The result is first blurred by Hubble's PSF, and then both are smoothed a little, by
a Gaussian of the full width at half maximum in the head of the column. For comparison the frame
itself is enlarged by a cubic spline. The last rows have [other priors](howto/losses.md) than the
default.

{table}

*The shift that is left*: the coordinates of the two do not quite agree. The frame lies {down:+.3f}
arcsec further down and {right:+.3f} arcsec further right than they say.
`dhop.registration.register` found that, from the frame and what the camera would see of Hubble's
image.

On a detector of the James Webb telescope whose distortion is a polynomial (NRCB5, SIP, 2048 x 2048
pixels), `from_wcs` differs from astropy's `pixel_to_pixel`, which goes by celestial coordinates, by
at most {off:.1g} pixels, and the operator over that map keeps `<A x, y> = <x, A^H y>` to {dot:.0e}
of the norms.

Written by `docs/real_sky.py`; `python docs/real_sky.py SKY TELESCOPE` repeats it on folders with
these files.
"""

if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
