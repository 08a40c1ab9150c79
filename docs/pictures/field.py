"""Stars through the how-to's field."""

import matplotlib.pyplot as plt
import numpy as np

from dhop import DHOperator, psf

sigmas, places = np.linspace(0.8, 1.6, 5), np.linspace(0, 127, 5)
stamps = [[psf.gaussian(11, (a + b) / 2) for b in sigmas] for a in sigmas]
stars = np.zeros((128, 128))
stars[9::18, 9::18] = 1
seen = DHOperator((128, 128), psf.Field(stamps, (places, places)), 1).degrade(stars)

figure, ax = plt.subplots(figsize=(4.2, 4), layout="constrained")
ax.imshow(seen**0.5, "magma")
ax.set(title="stars of one brightness", xticks=[], yticks=[])
