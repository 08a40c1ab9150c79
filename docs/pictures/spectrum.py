"""A part of the tutorial's spectrum."""

import matplotlib.pyplot as plt
import numpy as np

from dhop import DHOperator, psf, super_resolve

rng, pixel = np.random.default_rng(0), np.arange(1200)
truth = np.ones(1200)
for place, width, depth in rng.uniform((20, 1, 0.1), (1180, 2, 0.6), (60, 3)):
    truth -= depth * np.exp(-((pixel - place) ** 2) / (2 * width**2))
truth = truth.clip(0.05)
line = psf.gaussian((15,), 2.0)
spectrum = DHOperator(truth.shape, line, 2, boundary="edge").degrade(truth)
spectrum += 0.01 * rng.standard_normal(600)
solution = super_resolve(spectrum, line, 2, decimation="sum", boundary="edge")

figure, ax = plt.subplots(figsize=(9, 3), layout="constrained")
ax.plot(pixel, truth, color="0.7", lw=3, label="truth")
ax.plot(2 * np.arange(600) + 0.5, spectrum / 2, "k.", ms=4, label="measured, for each pixel")
ax.plot(pixel, solution.image, color="tab:red", lw=1, label="dhop")
ax.set(xlim=(500, 800), xlabel="pixel of the result", ylabel="brightness")
ax.legend()
