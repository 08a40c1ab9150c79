"""Emission lines that a spectrograph does not separate."""

import matplotlib.pyplot as plt
import numpy as np

from dhop import DHOperator, psf, super_resolve

pixel = np.arange(240)
lines = [(60, 1.0), (66, 0.7), (120, 0.5), (128, 1.0), (134, 0.4), (190, 0.8)]
truth = 0.1 + sum(height * np.exp(-((pixel - place) ** 2) / 2) for place, height in lines)
line = psf.gaussian((25,), 2.5)
A = DHOperator(truth.shape, line, 2, decimation="mean", boundary="edge")
spectrum = A.degrade(truth) + 0.002 * np.random.default_rng(0).standard_normal(120)

solution = super_resolve(spectrum, line, 2, boundary="edge", nonnegative=True)

figure, ax = plt.subplots(figsize=(9, 3), layout="constrained")
ax.plot(pixel, truth, color="0.7", lw=3, label="truth")
ax.plot(2 * np.arange(120) + 0.5, spectrum, "k.", ms=4, label="measured")
ax.plot(pixel, solution.image, color="tab:red", lw=1, label="dhop")
ax.set(xlabel="pixel of the result", ylabel="brightness")
ax.legend()
