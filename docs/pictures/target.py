"""The stars of the how-to: the estimate, at the PSF that is wanted, and the response there."""

import matplotlib.pyplot as plt
import numpy as np

from dhop import DHOperator, psf, super_resolve

blurs = [psf.gaussian(9, width) for width in (0.9, 1.0, 1.1, 1.2)]
shifts = [[0, 0], [0, 0.5], [0.5, 0], [0.5, 0.5]]
rng = np.random.default_rng(0)
scene = np.zeros((64, 64))
scene[rng.integers(6, 58, 20), rng.integers(6, 58, 20)] = rng.uniform(5, 50, 20)
frames = []
for blur, shift in zip(blurs, shifts, strict=True):
    moved, center = psf.shift(blur, 2 * np.array(shift))
    A = DHOperator(scene.shape, moved, 2, center=center, decimation="mean")
    frames.append(A.degrade(scene) + 0.01 * rng.standard_normal((32, 32)))
wanted = psf.gaussian(13, 1.5)
solution = super_resolve(frames, blurs, 2, shifts=shifts, beta=1e-5, target=wanted)

figure, axes = plt.subplots(1, 4, figsize=(11, 2.9), layout="constrained")
pictures = {"a frame": frames[0], "estimate": solution.estimate, "at the target": solution.image}
for ax, (title, picture) in zip(axes, pictures.items(), strict=False):
    ax.imshow(np.arcsinh(picture.clip(0)), "gray")
    ax.set(title=title, xticks=[], yticks=[])
row = solution.response((30, 31))[30, 25:38]
axes[3].plot(np.arange(-6, 7), wanted[6], "C0", label="target")
axes[3].plot(np.arange(-6, 7), row, "C1--", label="response")
axes[3].set(title="a source", xlabel="pixels")
axes[3].legend(frameon=False)
