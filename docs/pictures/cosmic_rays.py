"""The tutorial's struck exposures, the trust in one of them, by squares and by Huber's loss."""

import matplotlib.pyplot as plt
import numpy as np

from dhop import DHOperator, psf, super_resolve

rng = np.random.default_rng(0)
i, j = np.ogrid[:128, :128]
sky = np.zeros((128, 128))
for y, x in rng.uniform(6, 122, (40, 2)):
    width, flux = rng.uniform(1.0, 4.0), rng.exponential(2)
    sky += flux * np.exp(-((i - y) ** 2 + (j - x) ** 2) / (2 * width**2))
seeing = psf.gaussian(13, 1.8)
shifts = rng.uniform(-0.5, 0.5, (5, 2))
shifts[0] = 0
clean = []
for move in 2 * shifts:
    moved, center = psf.shift(seeing, move)
    A = DHOperator(sky.shape, moved, 2, center=center, decimation="mean")
    clean.append(A.degrade(sky) + 0.01 * rng.standard_normal(A.dimsd))
struck = np.zeros((5, 64, 64), bool)
for exposure in struck:
    for row, column, angle in rng.uniform((0, 0, 0), (64, 64, np.pi), (6, 3)):
        along = np.arange(rng.integers(3, 14))
        rows = (row + along * np.sin(angle)).astype(int)
        columns = (column + along * np.cos(angle)).astype(int)
        inside = (rows < 64) & (columns >= 0) & (columns < 64)
        exposure[rows[inside], columns[inside]] = True
exposures = np.stack(clean) + struck * rng.exponential(3, struck.shape)
squares, huber = (
    super_resolve(exposures, seeing, 2, shifts=shifts, loss=loss) for loss in ("gaussian", "huber")
)

shown = {
    "an exposure": exposures[0],
    "solution.weights": huber.weights[0],
    'loss="gaussian"': squares.image,
    'loss="huber"': huber.image,
}
figure, axes = plt.subplots(1, 4, figsize=(9, 2.5), layout="constrained")
for ax, (title, image) in zip(axes, shown.items(), strict=True):
    top = 1 if title == "solution.weights" else 3
    ax.imshow(image, "gray", vmin=0, vmax=top)
    ax.set(title=title, xticks=[], yticks=[])
