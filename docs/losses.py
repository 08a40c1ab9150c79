"""Measure losses and priors on photographs, and write the tables of howto/losses.md.

python docs/losses.py
"""

import warnings
from pathlib import Path

import numpy as np
from photographs import markdown
from skimage import color, data, img_as_float

from dhop import DHOperator, psf, super_resolve

BURSTS = ["camera", "astronaut", "coffee"]
SINGLES = [*BURSTS, "moon", "chelsea", "rocket", "coins", "text"]
MARGIN = 16  # of the scene around what the frames show
BLUR = psf.gaussian(9, 1.0)
NOISE = 0.01
PRIORS = "laplacian", "tv", "huber-tv", "starlet"
BEAM = psf.moffat(25, fwhm=4.0, beta=3.0)
DIM = 0.005  # noise of skies
HIDDEN = (3, 6, 9)  # frames with something in the way
PAGE = Path(__file__).parent / "howto" / "losses.md"


def photograph(name, size=128):
    """The middle of a photograph, in shades of grey from 0 to 1."""
    image = getattr(data, name)()
    image = color.rgb2gray(image) if image.ndim == 3 else img_as_float(image)
    first = [(n - size) // 2 - MARGIN for n in image.shape]
    return image[tuple(slice(f, f + size + 2 * MARGIN) for f in first)]


def stars(size=160):
    """A spiral galaxy, faint light and forty stars, few of them bright."""
    rng = np.random.default_rng(0)
    i, j = np.indices((size, size))
    down, right = i - 0.55 * size, (j - 0.45 * size) / 0.7
    radius = np.hypot(down, right)
    arms = 1 + 0.5 * np.cos(2 * np.arctan2(right, down) - 3 * np.log(radius / 12 + 0.3))
    scene = 0.3 * arms * np.exp(-radius / 12)
    scene += 0.02 * np.exp(-((i - 0.3 * size) ** 2 + (j - 0.7 * size) ** 2) / 800)
    for y, x in rng.uniform(6, size - 6, (40, 2)):
        flux = min(0.3 * (1 + rng.pareto(1.2)), 30)
        scene += flux * np.exp(-((i - y) ** 2 + (j - x) ** 2))
    return scene


def burst(scene, count, factor=2, blur=BLUR):
    """Frames of the middle of a scene without noise, shifted at random, and their shifts."""
    shifts = np.random.default_rng(3).uniform(-0.5, 0.5, (count, 2))
    shifts[0] = 0
    cut = slice(MARGIN // factor, -MARGIN // factor)
    frames = []
    for move in shifts * factor:
        moved, center = psf.shift(blur, move)
        A = DHOperator(scene.shape, moved, factor, center=center, decimation="mean")
        frames.append(A.degrade(scene)[cut, cut])
    return np.stack(frames), shifts


def psnr(image, scene):
    truth = scene[MARGIN:-MARGIN, MARGIN:-MARGIN]
    return -10 * np.log10(np.mean((image - truth)[8:-8, 8:-8] ** 2) / scene.max() ** 2)


def outliers():
    """Decibels of twelve frames, clean, struck and covered."""
    for name in BURSTS:
        scene = photograph(name, 192)
        clean, shifts = burst(scene, 12)
        rng = np.random.default_rng(0)
        clean += NOISE * rng.standard_normal(clean.shape)
        struck = np.where(rng.random(clean.shape) < 0.01, 1.0, clean)
        covered, side = clean.copy(), round(clean.shape[1] * np.sqrt(0.2))
        for i in HIDDEN:
            at = slice(10 + 3 * i, 10 + 3 * i + side)
            covered[i, at, at] = 0.8 * rng.random() + 0.1 * rng.random((side, side))
        left = [0.0 if i in HIDDEN else 1.0 for i in range(12)]

        def quality(frames, scene=scene, shifts=shifts, **options):
            image = super_resolve(frames, BLUR, 2, shifts=shifts, rtol=1e-4, **options).image
            return psnr(image, scene)

        yield [
            name, quality(clean), quality(clean, loss="huber"),
            quality(struck), quality(struck, loss="huber"), quality(struck, loss="l1"),
            quality(covered, weights=left), quality(covered), quality(covered, loss="huber"),
        ]  # fmt: skip


def priors(count):
    """Decibels of so many frames with each prior."""
    for name in SINGLES:
        scene = photograph(name)
        frames, shifts = burst(scene, count)
        frames += NOISE * np.random.default_rng(0).standard_normal(frames.shape)
        yield [name] + [
            psnr(super_resolve(frames, BLUR, 2, shifts=shifts, rtol=1e-4, regulariser=each).image,
                 scene)
            for each in PRIORS
        ]  # fmt: skip


def skies():
    """Decibels of the stars and of Hubble's deep field with each prior."""
    deep = data.hubble_deep_field()[300:460, 400:560].mean(axis=2) / 255
    for name, scene in ("simulated stars and a galaxy", stars()), ("Hubble's deep field", deep):
        for count in (4, 1):
            frames, shifts = burst(scene, count, blur=BEAM)
            frames += DIM * np.random.default_rng(0).standard_normal(frames.shape)
            yield [f"{name}, {count} frame{'s' * (count > 1)}"] + [
                psnr(super_resolve(frames, BEAM, 2, shifts=shifts, rtol=1e-4,
                                   regulariser=each).image, scene)
                for each in PRIORS
            ]  # fmt: skip


def photons():
    """Decibels of four frames of cells that count photons, for two brightnesses."""
    image = data.cell()[100:260, 100:260] / 255
    image = (image - image.min()) / np.ptp(image)
    for peak in (20, 300):
        scene = peak * image
        clean, shifts = burst(scene, 4)
        counts = np.random.default_rng(0).poisson(clean.clip(0) + 5.0).astype(float)
        known = {"shifts": shifts, "rtol": 1e-4}
        likely = {"loss": "poisson", "background": 5.0, **known}
        yield [f"{peak} photons"] + [
            psnr(super_resolve(*args, **options).image, scene)
            for args, options in [
                ((counts - 5, BLUR, 2), known),
                ((counts, BLUR, 2), likely),
                ((counts, BLUR, 2), {**likely, "regulariser": "huber-tv"}),
                ((counts, BLUR, 2), {**likely, "solver": "richardson-lucy"}),
            ]
        ]


def table(header, rows, mean=True):
    rows = list(rows)
    if mean:
        rows.append(["mean", *np.mean([row[1:] for row in rows], axis=0)])
    return markdown(header, [[row[0], *(f"{value:.2f}" for value in row[1:])] for row in rows])


def main():
    warnings.simplefilter("ignore")
    parts = {
        "outliers": table(
            ["", "clean", "clean, huber", "struck", "struck, huber", "struck, l1",
             "covered left out", "covered", "covered, huber"],
            outliers(),
        ),
        "four": table(["4 frames", *PRIORS], priors(4)),
        "one": table(["1 frame", *PRIORS], priors(1)),
        "skies": table(["", *PRIORS], skies(), False),
        "photons": table(
            ["", "squares", "poisson", "poisson, huber-tv", "Richardson-Lucy"], photons(), False
        ),
    }  # fmt: skip
    text = PAGE.read_text()
    for name, lines in parts.items():
        begin, end = f"<!-- {name}: begin -->\n", f"\n<!-- {name}: end -->"
        head, rest = text.split(begin)
        text = head + begin + lines + end + rest.split(end)[1]
    PAGE.write_text(text)


if __name__ == "__main__":
    main()
