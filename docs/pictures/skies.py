"""A galaxy and stars, as three priors show them."""

import matplotlib.pyplot as plt
import numpy as np

from dhop import DHOperator, psf, super_resolve

rng = np.random.default_rng(0)
i, j = np.indices((128, 128))
down, right = i - 70, (j - 58) / 0.7
radius = np.hypot(down, right)
arms = 1 + 0.5 * np.cos(2 * np.arctan2(right, down) - 3 * np.log(radius / 10 + 0.3))
sky = 0.3 * arms * np.exp(-radius / 10)
for y, x in rng.uniform(6, 122, (30, 2)):
    flux = min(0.3 * (1 + rng.pareto(1.2)), 30)
    sky += flux * np.exp(-((i - y) ** 2 + (j - x) ** 2))
beam = psf.moffat(25, fwhm=4.0, beta=3.0)
A = DHOperator(sky.shape, beam, 2, decimation="mean", boundary="symmetric")
frame = A.degrade(sky) + 0.005 * rng.standard_normal(A.dimsd)

figure, axes = plt.subplots(1, 5, figsize=(12, 2.8), layout="constrained")
shown = {"an exposure": frame}
for prior in ("laplacian", "huber-tv", "starlet"):
    shown[prior] = super_resolve(frame, beam, 2, regulariser=prior).image
shown["truth"] = sky
for ax, (title, image) in zip(axes, shown.items(), strict=True):
    ax.imshow(np.arcsinh(20 * image.clip(0)), "gray", vmin=0, vmax=4)
    ax.set(title=title, xticks=[], yticks=[])
