"""``dhop deconvolve``: ``dhop superres`` with the factor one."""

from inspect import signature
from typing import Any

from dhop.cli.superres import superres
from dhop.cli.superres_options import Sharpening


def deconvolve(frames: Any, **options: Any) -> None:
    """Sharpen an image, or several of one view, that a known blur has softened.

    The pixels stay as many; otherwise it is superres, with all of its options.
    Photon counts of a microscope take --loss poisson, with --background and
    --gain.

    \b
    Examples:
      dhop deconvolve photo.jpg --psf gaussian:sigma=1.5 \\
        --regulariser huber-tv --out sharp.png
      dhop deconvolve cells.tif --psf psf.tif --loss poisson \\
        --background 100 --out sharp.tif
      dhop deconvolve cells.tif --psf psf.tif --loss poisson \\
        --background 100 --solver richardson-lucy --out sharp.tif
    """
    superres(frames, factor=1, **options)


# The options of superres, but for those of a decimation.
_every = signature(superres).parameters
_own = {name: each for name, each in _every.items() if name not in ("factor", "decimation")}
_own["psf"] = _own["psf"].replace(annotation=Sharpening)
deconvolve.__signature__ = signature(superres).replace(  # type: ignore[attr-defined]
    parameters=list(_own.values())
)
deconvolve.__annotations__ = {name: option.annotation for name, option in _own.items()}
