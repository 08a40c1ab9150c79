"""The report of a burst of six, of which one is noisier and one has dead pixels."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from skimage import data

from dhop import DHOperator, psf, super_resolve

scene = data.camera()[100:196, 180:276] / 255
blur = psf.gaussian(9, 1.2)
rng = np.random.default_rng(0)
shifts = rng.uniform(-0.5, 0.5, (6, 2))
shifts[0] = 0
options = {"decimation": "mean", "boundary": "symmetric"}
frames = []
for move in 2 * shifts:
    moved, center = psf.shift(blur, move)
    frames.append(DHOperator(scene.shape, moved, 2, center=center, **options).degrade(scene))
noise = np.array([1, 1, 1, 1, 1, 2])[:, None, None] * 0.01
frames = np.stack(frames) + noise * rng.standard_normal((6, 48, 48))
frames[2, 10:14, 20:25] = np.nan
weights = np.isfinite(frames) * np.array([1, 1, 1, 1, 1, 0.25])[:, None, None]
report = super_resolve(frames, blur, 2, shifts="estimate", weights=weights).plot()

# Pyplot does not know the figure of a report, so it is shown as a picture. Smaller, its letters are
# legible on a page.
report.set_size_inches(0.8 * report.get_size_inches())
report.set_dpi(110)
canvas = FigureCanvasAgg(report)
canvas.draw()
figure = plt.figure(figsize=report.get_size_inches(), dpi=110)
figure.figimage(np.asarray(canvas.buffer_rgba()))
