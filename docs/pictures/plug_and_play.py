"""The burst of the how-to: a frame, the usual image, that with a denoiser, and the truth."""

import matplotlib.pyplot as plt
import numpy as np
from skimage import data
from skimage.restoration import denoise_nl_means

from dhop import DHOperator, psf, super_resolve

scene = data.camera()[100:196, 180:276] / 255
blur = psf.gaussian(9, 1.0)
rng = np.random.default_rng(0)
shifts = rng.uniform(-0.5, 0.5, (16, 2))
options = {"decimation": "mean", "boundary": "symmetric"}
frames = []
for move in 2 * shifts:
    moved, center = psf.shift(blur, move)
    frames.append(DHOperator(scene.shape, moved, 2, center=center, **options).degrade(scene))
frames = np.stack(frames) + 0.01 * rng.standard_normal((16, 48, 48))


def non_local_means(image, level):
    return denoise_nl_means(image, patch_size=5, patch_distance=7, h=1.1 * level, sigma=level)


shown = {
    "a frame": frames[0],
    "without a denoiser": super_resolve(frames, blur, 2, shifts=shifts).image,
    "with one": super_resolve(frames, blur, 2, shifts=shifts, denoiser=non_local_means).image,
    "truth": scene,
}
figure, axes = plt.subplots(1, 4, figsize=(10, 2.8), layout="constrained")
for ax, (title, image) in zip(axes, shown.items(), strict=True):
    ax.imshow(image, "gray", vmin=0, vmax=1)
    ax.set(title=title, xticks=[], yticks=[])
