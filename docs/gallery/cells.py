"""Photons of a stained tissue, counted through a blur."""

import matplotlib.pyplot as plt
import numpy as np
from skimage import data

from dhop import DHOperator, psf, super_resolve

tissue = 1 - data.immunohistochemistry()[100:260, 200:360].mean(axis=2) / 255
photons = 200 * tissue
blur = psf.airy(25, radius=4.0)
background = 10.0
A = DHOperator(photons.shape, blur, 1, boundary="symmetric")
counts = np.random.default_rng(0).poisson(A.degrade(photons) + background).astype(float)

options = {"loss": "poisson", "background": background}
sharp = super_resolve(counts, blur, 1, **options, regulariser="huber-tv")

figure, axes = plt.subplots(1, 3, figsize=(9, 3.4), layout="constrained")
shown = (counts - background, "counts"), (sharp.image, "dhop"), (photons, "truth")
for ax, (image, title) in zip(axes, shown, strict=True):
    ax.imshow(image, "magma", vmin=0, vmax=photons.max())
    ax.set(title=title, xticks=[], yticks=[])
