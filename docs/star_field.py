"""Recover stars that were seen with a PSF that varies: with the field of PSFs, or the central one.

python docs/star_field.py PIFF_FILE    # prints the table of docs/explanation/field.md, in minutes
python docs/star_field.py PIFF_FILE --figure star_field.png

Stars are drawn one by one, each with the PSF that Piff's model has at its very place, so that no
operator makes what it recovers. The field that recovers them has one node for sixteen of those.
"""

import argparse

import numpy as np
from matplotlib.figure import Figure

from dhop import plots, psf, super_resolve

SHAPE = 768, 1792  # a strip along one side of the CCD
STARS, MARGIN = 600, 16
NOISE = 2.0  # standard deviation of the sky, in units of which stars have 500 to 50 000
REACH = 4  # pixels around a star whose sum is its flux


def sky(rng, field):
    """An image of stars, and where and how bright they are."""
    places = [rng.integers(MARGIN, n - MARGIN, STARS) for n in SHAPE]
    fluxes = 10 ** rng.uniform(2.7, 4.7, STARS)
    image = rng.normal(0, NOISE, SHAPE)
    scene = np.zeros(SHAPE)
    reach = field.shape[0] // 2
    wide = np.pad(image, reach)
    for row, column, flux in zip(*places, fluxes, strict=True):
        scene[row, column] += flux
        wide[row : row + 2 * reach + 1, column : column + 2 * reach + 1] += flux * field.at(
            row, column
        )
    return wide[reach:-reach, reach:-reach], scene, places


def thinned(field):
    """Every fourth node along each axis, and the last."""
    kept = [np.unique(np.append(np.arange(0, n, 4), n - 1)) for n in field.grid]
    nodes = [each[k] for each, k in zip(field.positions, kept, strict=True)]
    return psf.Field(field.stamps[np.ix_(*kept)], nodes)


def around(image):
    """The sum of the pixels around each."""
    total = np.pad(image, REACH).cumsum(axis=0).cumsum(axis=1)
    total = np.pad(total, ((1, 0), (1, 0)))
    side = 2 * REACH + 1
    return total[side:, side:] - total[:-side, side:] - total[side:, :-side] + total[:-side, :-side]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("--figure")
    given = parser.parse_args()
    exact = psf.Field.from_file(given.file)
    rng = np.random.default_rng(0)
    image, scene, places = sky(rng, exact)
    middle = exact.at(*(nodes.mean() for nodes in exact.positions))
    blurs = {"central PSF": middle, "field": thinned(exact)}
    true = around(scene)[places[0], places[1]]
    found, rows = {}, []
    for name, blur in blurs.items():
        solution = super_resolve(
            image, blur, 1, decimation="sample", boundary="constant", nonnegative=True,
            regulariser="identity", beta=1e-6, maxiter=300, rtol=1e-4,
        )  # fmt: skip
        found[name] = solution.image
        flux = around(solution.image)[places[0], places[1]]
        errors = np.abs(flux / true - 1)[true > 3000]
        left = solution.residual_norm / np.sqrt(image.size)
        rows.append((name, np.median(errors), np.sqrt(np.mean(errors**2)), left / NOISE))
    print("| recovered with | median error of fluxes | rms | residual / noise |")
    print("| --- | --- | --- | --- |")
    for name, *numbers in rows:
        print(f"| {name} | {numbers[0]:.1e} | {numbers[1]:.1e} | {numbers[2]:.2f} |")
    if given.figure:
        show(given.figure, blurs["field"], {"seen": image, "stars": scene} | found)


def show(path, field, images):
    figure = Figure(figsize=(15, 4), layout="constrained")
    axes = figure.subplots(1, 5)
    plots.widths(field, ax=axes[0])
    for ax, (title, image) in zip(axes[1:], images.items(), strict=True):
        ax.imshow(image[:120, :120], vmin=-5, vmax=200, cmap="gray")
        ax.set(title=title, xticks=[], yticks=[])
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    main()
