"""The sensor of the how-to: what it sees, the usual interpolation, and the solve."""

import matplotlib.pyplot as plt
import numpy as np
from scipy import ndimage
from skimage import data

from dhop import psf, raw, super_resolve

scene = data.astronaut()[60:188, 160:288] / 255
blur = psf.gaussian(5, 0.7)
light = ndimage.convolve(scene, blur[..., None])
light += np.random.default_rng(0).normal(0, 0.005, scene.shape)
letters = np.tile([["R", "G"], ["G", "B"]], (64, 64))
mosaic = sum(np.where(letters == colour, light[..., k], 0) for k, colour in enumerate("RGB"))
solved, usual = np.empty(scene.shape), np.empty(scene.shape)
for k, (colour, each) in enumerate(raw.planes(mosaic, "RGGB").items()):
    solved[..., k] = super_resolve(
        each.frames, blur, 2, shifts=each.shifts, decimation="sample", noise=0.005
    ).image
    seen = letters == colour
    kernel = np.outer([1, 2, 1], [1, 2, 1]) / 4
    sums = (ndimage.convolve(each * 1.0, kernel, mode="mirror") for each in (mosaic * seen, seen))
    usual[..., k] = np.divide(*sums)
part = slice(30, 78), slice(34, 82)
pictures = {
    "one colour at each pixel": mosaic[..., None] * (letters[..., None] == list("RGB")),
    "interpolated": usual,
    "solved": solved,
    "scene": scene,
}

figure, axes = plt.subplots(1, 4, figsize=(10, 2.9), layout="constrained")
for ax, (title, picture) in zip(axes, pictures.items(), strict=True):
    ax.imshow(picture[part].clip(0, 1))
    ax.set(title=title, xticks=[], yticks=[])
