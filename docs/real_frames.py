"""Write real_frames.md: bursts of real cameras, whose truth nobody knows.

python docs/real_frames.py FOLDER

FOLDER has the bursts `eia.npy`, `text.npy` and `disk.npy` of the MDSP data set (P. Milanfar,
University of California, Santa Cruz), frames along the first axis; they are not distributed here.
What can be judged without a truth: values far outside the range of the frames, whether two halves
of a burst give the same image, and whether each half predicts the frames of the other.
"""

import sys
import warnings
from itertools import product
from pathlib import Path

import numpy as np

from dhop import DHOperator, cautions, psf, super_resolve

BURSTS = ["eia", "text", "disk"]
FACTORS = {2: 1.0, 3: 1.5}  # and the width of a PSF that is guessed too wide
WIDTHS = [0.0, 0.4, 0.6, 0.8, 1.0, 1.3]  # of the sweep, per factor of two
BETAS = np.logspace(-4, 1, 11)
SANE = (-0.35, 1.35)
MARGIN = 8  # frame pixels at the border that are not judged


def gaussian(sigma):
    return psf.gaussian(2 * int(np.ceil(4 * sigma)) + 1, sigma) if sigma else np.ones((1, 1))


def predict(image, blur, factor, shift):
    """The frame that an image would give."""
    moved, center = psf.shift(blur, factor * shift)
    A = DHOperator(
        image.shape, moved, factor, center=center, decimation="mean", boundary="symmetric"
    )
    return A.degrade(image)


def halves(frames, shifts, blur, factor, beta):
    """Images of the even and of the odd frames."""
    return [
        super_resolve(frames[k::2], blur, factor, shifts=shifts[k::2], beta=beta, rtol=1e-4).image
        for k in (0, 1)
    ]


def errors(images, frames, shifts, blur, factor):
    """Root mean square with which each half predicts the other half's frames."""
    inner = (slice(MARGIN, -MARGIN),) * 2
    squares = [
        np.mean((predict(image, blur, factor, shift) - frame)[inner] ** 2)
        for k, image in enumerate(images)
        for frame, shift in zip(frames[1 - k :: 2], shifts[1 - k :: 2], strict=True)
    ]
    return float(np.sqrt(np.mean(squares)))


def agreement(images, factor):
    inner = (slice(MARGIN * factor, -MARGIN * factor),) * 2
    return float(np.corrcoef(*(image[inner].ravel() for image in images))[0, 1])


def sweep(frames, shifts, factor):
    """The least error of prediction of all widths and betas with an image that is sane."""
    best = np.inf
    for width, beta in product(WIDTHS, BETAS):
        blur = gaussian(width * factor / 2)
        images = halves(frames, shifts, blur, factor, beta)
        if SANE[0] < min(x.min() for x in images) and max(x.max() for x in images) < SANE[1]:
            best = min(best, errors(images, frames, shifts, blur, factor))
    return best


def main(folder):
    rows, wide = [], []
    for name, (factor, width) in product(BURSTS, FACTORS.items()):
        frames = np.load(folder / f"{name}.npy") / 255
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", cautions.Caution)
            found = super_resolve(frames, "estimate", factor, shifts="estimate")
        images = halves(frames, found.shifts, found.psf, factor, found.beta / 2)
        error = errors(images, frames, found.shifts, found.psf, factor)
        ratio = error / sweep(frames, found.shifts, factor)
        agree = agreement(images, factor)
        rows.append(
            [name, factor, "x".join(map(str, found.psf.shape)), f"{found.beta:.2g}",
             f"{found.image.min():.2f} to {found.image.max():.2f}", f"{agree:.3f}",
             f"{ratio:.3f}", ", ".join({w.category.__name__ for w in caught}) or "none"]
        )  # fmt: skip
        print(*rows[-1])
        if name == "eia":
            k = np.arange(16)
            truth = -np.stack([k // 4, k % 4], axis=1) / 4
            print("shifts off by at most", np.abs(found.shifts - truth).max())
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", cautions.Caution)
            blur = psf.gaussian(4 * round(2 * width) + 1, width)
            guessed = super_resolve(frames, blur, factor, shifts="estimate")
        wide.append(
            [name, factor, width, f"{guessed.beta:.2g}",
             f"{guessed.image.min():.2f} to {guessed.image.max():.2f}",
             ", ".join(sorted({w.category.__name__ for w in caught})) or "none"]
        )  # fmt: skip
        print(*wide[-1])
    text = TEXT.format(
        estimated=markdown(HEADER, rows), wide=markdown(HEADER_WIDE, wide),
        low=SANE[0], high=SANE[1],
    )  # fmt: skip
    (Path(__file__).parent / "real_frames.md").write_text(text)


def markdown(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


HEADER = ["burst", "factor", "psf", "beta", "image from ... to", "halves correlate", "prediction",
          "warnings"]  # fmt: skip
HEADER_WIDE = ["burst", "factor", "sigma given", "beta", "image from ... to", "warnings"]

TEXT = """# Real frames

Frames of real cameras, whose truth nobody knows: `eia`, a resolution chart on a stage that moved by
quarters of a pixel (16 frames of 90 x 90); `text` and `disk`, filmed by hand (30 and 26 frames of
57 x 49). They are of the MDSP data set of P. Milanfar and not distributed with dhop. Values of the
frames are in [0, 1].

Written by `docs/real_frames.py`; `python docs/real_frames.py FOLDER` repeats it on a folder with
the frames.

Everything is chosen from the frames, `super_resolve(frames, "estimate", factor,
shifts="estimate")`:

{estimated}

Nobody knows how the images should look. But they can be compared with themselves:

- *halves correlate*: one image is made of the even frames and one of the odd ones, with half the
  `beta` each. This is their correlation; 1 is the same image;
- *prediction*: each of these two images predicts the frames of the other half. This is the error of
  that (root mean square), over the least error of all Gaussians and values of `beta` that were
  tried and whose images stay between {low} and {high}. So 1 is as good as choosing by hand.

With a PSF that was guessed too wide, and all else chosen:

{wide}
"""

if __name__ == "__main__":
    main(Path(sys.argv[1]))
