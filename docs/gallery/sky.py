"""Four dithered exposures of a deep field."""

import matplotlib.pyplot as plt
import numpy as np
from skimage import data

from dhop import DHOperator, psf, super_resolve

field = data.hubble_deep_field()[300:492, 400:592].mean(axis=2) / 255
beam = psf.moffat(25, fwhm=4.0, beta=3.0)
rng = np.random.default_rng(0)
shifts = [(0, 0), (0, 0.5), (0.5, 0), (0.5, 0.5)]
frames = []
for move in 2 * np.array(shifts):
    moved, center = psf.shift(beam, move)
    A = DHOperator(field.shape, moved, 2, center=center, decimation="mean", boundary="symmetric")
    frames.append(A.degrade(field))
frames = np.stack(frames) + 0.005 * rng.standard_normal((4, 96, 96))

solution = super_resolve(frames, beam, 2, shifts=shifts, regulariser="starlet")

figure, axes = plt.subplots(1, 3, figsize=(9, 3.4), layout="constrained")
shown = (frames[0], "one exposure"), (solution.image, "dhop"), (field, "truth")
for ax, (image, title) in zip(axes, shown, strict=True):
    ax.imshow(np.arcsinh(20 * image.clip(0)), "gray", vmin=0.5, vmax=3.5)
    ax.set(title=title, xticks=[], yticks=[])
