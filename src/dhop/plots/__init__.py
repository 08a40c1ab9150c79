"""Pictures of point spread functions and operators; needs the extra ``dhop[plot]``.

Every function draws on the Axes that it is given, or on those of a new pyplot figure, and returns
them.
"""

from dhop.runtime.extras import needed

needed("matplotlib", "plot", "dhop.plots")

from dhop.plots.comparison import comparison  # noqa: E402
from dhop.plots.fields import field, widths  # noqa: E402
from dhop.plots.matrix import row, spy  # noqa: E402
from dhop.plots.psfs import psf  # noqa: E402
from dhop.plots.spectra import frequency_response, singular_values  # noqa: E402
from dhop.plots.volumes import volume  # noqa: E402
from dhop.runtime.signatures import shorten  # noqa: E402

__all__ = [
    "comparison",
    "field",
    "frequency_response",
    "psf",
    "row",
    "singular_values",
    "spy",
    "volume",
    "widths",
]

for name in __all__:
    shorten(globals()[name])
