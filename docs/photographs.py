"""Write photographs.md: super-resolution of bursts of known photographs, as a table.

python docs/photographs.py

Sixteen frames of each of five photographs of scikit-image are made from a larger part of it, so
that the borders are real ones; every method is judged by its peak signal-to-noise ratio inside.
"""

from itertools import product
from pathlib import Path

import numpy as np
from scipy import ndimage
from skimage import color, data, img_as_float
from skimage.restoration import denoise_nl_means
from skimage.transform import resize

from dhop import DHOperator, psf, super_resolve

NAMES = ["camera", "astronaut", "coffee", "moon", "chelsea"]
CASES = [*product([2, 4], [1.0, 2.0], [0.01]), (2, 1.0, 0.003)]  # factor, sigma, noise
FRAMES = 16
SIZE = 240  # of the result
MARGIN = 24  # of the scene around it
INSIDE = (slice(16, -16),) * 2  # where images are compared
SWEEP = np.logspace(-4, 0, 13)
TOLERANCE = {"rtol": 1e-4}


def photograph(name):
    """The middle of a photograph, in shades of grey from 0 to 1."""
    image = getattr(data, name)()
    image = color.rgb2gray(image) if image.ndim == 3 else img_as_float(image)
    first = [(n - SIZE) // 2 - MARGIN for n in image.shape]
    return image[tuple(slice(f, f + SIZE + 2 * MARGIN) for f in first)]


def burst(scene, blur, factor, noise, rng):
    """Frames of the middle of a scene, shifted at random, and their shifts."""
    shifts = rng.uniform(-0.5, 0.5, (FRAMES, 2))
    shifts[0] = 0
    cut = slice(MARGIN // factor, (MARGIN + SIZE) // factor)
    frames = []
    for move in shifts * factor:
        moved, center = psf.shift(blur, move)
        A = DHOperator(scene.shape, moved, factor, center=center, decimation="mean")
        frames.append(A.degrade(scene)[cut, cut])
    return np.stack(frames) + noise * rng.standard_normal((FRAMES, *frames[0].shape)), shifts


def bicubic(frame, shape):
    return resize(frame, shape, order=3, mode="symmetric", anti_aliasing=False)


def shift_and_add(frames, shifts, factor, shape):
    """The mean of all frames, each enlarged by bicubic interpolation and moved back."""
    moved = [
        ndimage.shift(bicubic(frame, shape), -move * factor, order=3, mode="nearest")
        for frame, move in zip(frames, shifts, strict=True)
    ]
    return np.mean(moved, axis=0)


# how-to: begin
def non_local_means(image, level):
    return denoise_nl_means(
        image, patch_size=5, patch_distance=7, h=1.1 * level, sigma=level, fast_mode=True
    )


# how-to: end


def psnr(image, truth):
    return -10 * np.log10(np.mean((image - truth)[INSIDE] ** 2))


def qualities(name, factor, sigma, noise):
    """Decibels of each method."""
    rng = np.random.default_rng(NAMES.index(name))
    blur = psf.gaussian(2 * round(4 * sigma) + 1, sigma)
    scene = photograph(name)
    truth = scene[MARGIN:-MARGIN, MARGIN:-MARGIN]
    frames, shifts = burst(scene, blur, factor, noise, rng)
    known = {"shifts": shifts, **TOLERANCE}
    sweep = [super_resolve(frames, blur, factor, beta=beta, **known).image for beta in SWEEP]
    automatic = super_resolve(frames, blur, factor, **known)
    registered = super_resolve(frames, blur, factor, shifts="estimate", **TOLERANCE)
    plugged = super_resolve(frames, blur, factor, denoiser=non_local_means, noise=noise, **known)
    return {
        "bicubic": psnr(bicubic(frames[0], truth.shape), truth),
        "shift and add": psnr(shift_and_add(frames, shifts, factor, truth.shape), truth),
        "best beta": max(psnr(image, truth) for image in sweep),
        "automatic beta": psnr(automatic.image, truth),
        "shifts estimated": psnr(registered.image, truth),
        "plug and play": psnr(plugged.image, truth),
        "error of shifts": np.abs(registered.shifts - shifts).max(),
    }


def main():
    columns = ["bicubic", "shift and add", "best beta", "automatic beta", "shifts estimated",
               "plug and play"]  # fmt: skip
    lines, means, worst, errors = [], [], [], []
    for factor, sigma, noise in CASES:
        rows = []
        for name in NAMES:
            row = qualities(name, factor, sigma, noise)
            rows.append([row[column] for column in columns])
            worst.append(row["automatic beta"] - row["best beta"])
            errors.append(row["error of shifts"])
            print(name, factor, sigma, noise, *(f"{value:.2f}" for value in row.values()))
            lines.append([name, factor, sigma, f"{noise:.1%}", *(f"{v:.2f}" for v in rows[-1])])
        mean = np.mean(rows, axis=0)
        gains = mean - mean[0]
        means.append([factor, sigma, f"{noise:.1%}", *(f"{v:+.2f}" for v in gains[1:])])
    table = [
        ["factor", "sigma", "noise", *columns[1:]],
        ["photograph", "factor", "sigma", "noise", *columns],
    ]
    text = TEXT.format(
        frames=FRAMES, size=SIZE, worst=min(worst), error=max(errors),
        means=markdown(table[0], means), each=markdown(table[1], lines),
    )  # fmt: skip
    (Path(__file__).parent / "photographs.md").write_text(text)


def markdown(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


TEXT = """# How much detail comes back

{frames} frames of each of five photographs (the middle {size} x {size} pixels of scikit-image's
`camera`, `astronaut`, `coffee`, `moon` and `chelsea`, in shades of grey), shifted at random by up
to half a low-resolution pixel, blurred by a Gaussian of `sigma` high-resolution pixels, averaged
over blocks of `factor` by `factor` pixels, with noise in percent of full scale. The frames are cut
from a larger scene, so that what lies outside is unknown, as it is in life; images are compared
inside, 16 pixels off the border.

Written by `docs/photographs.py`; `python docs/photographs.py` repeats it.

- *bicubic*: one frame, enlarged;
- *shift and add*: all frames enlarged by bicubic interpolation, moved back and averaged;
- *best beta*: `super_resolve` with the Laplacian and the best `beta` of a sweep, which needs the
  truth;
- *automatic beta*: the same with `beta="auto"`, which does not; at worst {worst:+.2f} dB from the
  best;
- *shifts estimated*: the same with `shifts="estimate"` too; the largest error of any shift was
  {error:.3f} low-resolution pixels;
- *plug and play*: from there with a denoiser, see [how to](howto/plug_and_play.md).

Gain over bicubic in decibels, mean of the five photographs:

{means}

Peak signal-to-noise ratio in decibels:

{each}
"""


if __name__ == "__main__":
    main()
