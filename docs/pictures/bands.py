"""The band of the how-to, alone and with finer bands as guides."""

import matplotlib.pyplot as plt
import numpy as np
from skimage import data

from dhop import DHOperator, guided_regulariser, psf, super_resolve

scene = data.astronaut()[0:128, 100:228] / 255
blur = psf.gaussian(7, 1.0)
A = DHOperator(scene.shape[:2], blur, 2, decimation="mean", boundary="symmetric")
noise = np.random.default_rng(0)
band = A.degrade(scene[..., 0]) + noise.normal(0, 0.005, A.dimsd)
guides = [scene[..., k] + noise.normal(0, 0.005, scene.shape[:2]) for k in (1, 2)]
pictures = {
    "band": band,
    "guide (green)": guides[0],
    "alone": super_resolve(band, blur, 2, noise=0.005).image,
    "guided": super_resolve(band, blur, 2, regulariser=guided_regulariser(guides), beta=0.1).image,
}

figure, axes = plt.subplots(1, 4, figsize=(10, 2.9), layout="constrained")
for ax, (title, picture) in zip(axes, pictures.items(), strict=True):
    ax.imshow(picture, "gray", vmin=0, vmax=1)
    ax.set(title=title, xticks=[], yticks=[])
