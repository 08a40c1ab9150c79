"""Point spread functions that depend on the position in the scene."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dhop.model.shifting import shift_all
from dhop.psf import grids
from dhop.psf.arrays import resample
from dhop.psf.stamps import ascending, checked_stamps
from dhop.psf.stars import read_stars
from dhop.runtime.arguments import each, real
from dhop.runtime.notebook import card

Array = NDArray[Any]

AXES = "planes", "rows", "columns"
COUNTS = {1: "one sequence", 2: "two sequences", 3: "three sequences"}


class Field:
    """PSFs on a grid: between its nodes they are interpolated, beyond it the nearest holds.

    The PSF is that of the source: a star at a place is blurred with the PSF of that place, and
    keeps its flux if all PSFs have the sum one.

    Parameters
    ----------
    stamps : array_like, shape (G0, G1, K0, K1)
        The PSF of each node, in pixels of the scene. Of lines (G0, K0), and of volumes
        (G0, G1, G2, K0, K1, K2), planes first. Copied.
    positions : sequence of array_like, one for each axis
        Rows, of shape (G0,), and columns, (G1,), of the nodes, in pixels of the scene, ascending
        and not necessarily even. They may lie outside the scene.

    Attributes
    ----------
    stamps, positions : ndarray, and tuple of ndarray
        Read-only.
    ndim : int
        Axes of a PSF, 1 to 3.
    shape : tuple of int
        Of a PSF.

    Raises
    ------
    ValueError, TypeError
        If shapes do not fit, numbers are not finite, or positions do not ascend.

    Examples
    --------
    A PSF that becomes wider from left to right:

    >>> import numpy as np
    >>> from dhop import DHOperator, psf
    >>> stamps = [[psf.gaussian(7, sigma) for sigma in (0.5, 1.5)]]
    >>> field = psf.Field(stamps, ([0], [0, 63]))
    >>> field
    <Field of 1 x 2 psfs of (7, 7)>
    >>> A = DHOperator((64, 64), field, 2, boundary="wrap")
    >>> bool(np.allclose(A.column_sums(), 1))  # every source keeps its flux
    True

    A volume whose PSF becomes wider with depth:

    >>> planes = [psf.gaussian((5, 7, 7), sigma) for sigma in (0.5, 1.0, 1.5)]
    >>> psf.Field(np.reshape(planes, (3, 1, 1, 5, 7, 7)), ([0, 10, 30], [0], [0]))
    <Field of 3 x 1 x 1 psfs of (5, 7, 7)>
    """

    def __init__(self, stamps: ArrayLike, positions: Sequence[ArrayLike]) -> None:
        shapes = "(G0, G1, K0, K1), of lines (G0, K0), or of volumes (G0, G1, G2, K0, K1, K2)"
        self.stamps = checked_stamps(stamps, shapes, (2, 4, 6))
        self.ndim = self.stamps.ndim // 2
        names = AXES[-self.ndim :]
        try:
            places = list(positions)
        except TypeError:
            places = []
        if len(places) != self.ndim:
            raise ValueError(
                f"positions must be {COUNTS[self.ndim]}: of {', and of '.join(names)}; or stamps "
                f"must have the shape {shapes}, got {self.stamps.shape}"
            )
        self.positions = tuple(
            ascending(name, place, count)
            for name, place, count in zip(names, places, self.grid, strict=True)
        )

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Field, (self.stamps, self.positions)

    def __repr__(self) -> str:
        return f"<Field of {' x '.join(map(str, self.grid))} psfs of {self.shape}>"

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike[str],
        factor: int = 1,
        *,
        jacobian: Callable[[float, float], ArrayLike] | None = None,
    ) -> "Field":
        """Read the PSFs of a detector: STDPSFs of HST, a grid of STPSF (WebbPSF), PSFEx or Piff.

        They include the area of a pixel of the detector, so use them with
        ``decimation="sample"``.

        Parameters
        ----------
        path : path
            FITS file (needs ``dhop[fits]``): a cube whose header has ``NXPSFS`` and ``IPSFX01``, or
            ``DET_YX0`` and ``OVERSAMP``; a table with ``PSF_MASK``, which are polynomials; a
            PixelGrid of Piff with a BasisPolynomial, on one detector.
        factor : int
            Pixels of the scene in a pixel of the detector, along each axis.
        jacobian : callable, optional
            Of a model of Piff, ``((du/dx, du/dy), (dv/dx, dv/dy))`` in arcseconds for each pixel at
            a column and a row of the detector, counted from 0. By default what is fitted to the
            places of the file's stars, in which pixels change slowly over the detector.

        Returns
        -------
        Field
            Of PSFs of sum one, in pixels of the scene; the first of each `factor` of these is in
            the middle of a pixel of the detector.

        Raises
        ------
        OSError
            If the file is missing or damaged.
        ValueError
            If it holds none of these, or `jacobian` gives no such matrix.

        Examples
        --------
        >>> import numpy as np, tempfile
        >>> from pathlib import Path
        >>> from astropy.io import fits
        >>> from dhop import psf
        >>> cards = {"NXPSFS": 2, "NYPSFS": 1, "IPSFX01": 1, "IPSFX02": 101, "JPSFY01": 51}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "STDPSF.fits"
        ...     fits.PrimaryHDU(np.ones((2, 17, 17)), fits.Header(cards)).writeto(path)
        ...     field = psf.Field.from_file(path, factor=2)
        >>> field, [each.tolist() for each in field.positions]
        (<Field of 1 x 2 psfs of (9, 9)>, [[100.0], [0.0, 200.0]])
        """
        return cls(*grids.read(path, factor, jacobian)).normalised()

    @classmethod
    def from_grid(
        cls, data: ArrayLike, places: ArrayLike, oversampling: int, factor: int = 1
    ) -> "Field":
        """A field of oversampled stamps that contain the pixel, as `from_file` reads them.

        Of a `GriddedPSFModel` of photutils:
        ``from_grid(model.data, model.grid_xypos, model.oversampling[0])``.

        Parameters
        ----------
        data : array_like, shape (N, ny, nx)
            The middle of each is the star.
        places : array_like, shape (N, 2)
            Column and row of each, in that order, in pixels of the detector counted from 0.
        oversampling : int
            Samples of `data` in a pixel of the detector.
        factor : int
            As for `from_file`. Where it does not divide `oversampling`, stamps are interpolated by
            cubic splines.

        Returns
        -------
        Field

        Raises
        ------
        ValueError
            If the places are not those of a grid, each once.

        Examples
        --------
        >>> import numpy as np
        >>> from dhop import psf
        >>> psf.Field.from_grid(np.ones((2, 9, 9)), [(0, 5), (100, 5)], 4)
        <Field of 1 x 2 psfs of (3, 3)>
        """
        return cls(*grids.arranged(data, places, oversampling, factor)).normalised()

    @classmethod
    def from_stars(
        cls,
        image: ArrayLike,
        positions: ArrayLike,
        *,
        grid: int | Sequence[int] = 3,
        size: int = 25,
        factor: int = 1,
    ) -> "Field":
        """The PSFs that the stars of an image show, by photutils' `EPSFBuilder`.

        The image is divided into tiles, and the middle of each is a node, with the effective PSF of
        the stars in it. As those that `from_file` reads, it contains the pixel.

        Parameters
        ----------
        image : array_like, shape (m0, m1)
            Pixels that are NaN are left out. The median of the outermost pixels of each star's
            stamp is taken for its background.
        positions : array_like, shape (N, 2)
            Row and column of stars that stand alone and are not saturated, to a pixel or better.
            Those whose stamps reach beyond the image, or that have no pixels, are left out.
        grid : int or (int, int)
            Tiles along each axis. Some ten stars in each show a PSF well.
        size : int
            Side of a stamp, odd.
        factor : int
            Pixels of the scene in a pixel of the image, along each axis.

        Returns
        -------
        Field

        Raises
        ------
        ValueError
            If there is a tile without a star, or with none that can be seen.
        ModuleNotFoundError
            Without photutils (``dhop[stars]``).

        Examples
        --------
        .. code-block:: python

            found = photutils.detection.DAOStarFinder(threshold, fwhm)(image)
            positions = np.column_stack([found["ycentroid"], found["xcentroid"]])
            field = psf.Field.from_stars(image, positions, grid=4, factor=2)
        """
        return cls(*read_stars(image, positions, grid, size, factor)).normalised()

    @property
    def grid(self) -> tuple[int, ...]:
        """Nodes along each axis."""
        return self.stamps.shape[: self.ndim]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a PSF."""
        return self.stamps.shape[self.ndim :]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the stamps."""
        return self.stamps.dtype

    def _repr_html_(self) -> str:
        facts = {
            name: f"{nodes[0]:g} to {nodes[-1]:g}"
            for name, nodes in zip(AXES[-self.ndim :], self.positions, strict=True)
        }
        return card(repr(self)[1:-1], facts | {"dtype": str(self.dtype)}, self.mosaic)

    @property
    def mosaic(self) -> Array:
        """The PSFs side by side, each where it is on the grid, as one image.

        Lines are rows of it; of volumes these are the middle planes, nodes of one depth together.
        """
        if self.ndim == 1:
            return self.stamps
        stamps = self.stamps if self.ndim == 2 else self.stamps[:, :, :, self.shape[0] // 2]
        G1, K0, K1 = stamps.shape[-3:]
        return stamps.reshape(-1, G1, K0, K1).swapaxes(1, 2).reshape(-1, G1 * K1)

    @property
    def mean(self) -> Array:
        """The mean of the PSFs at the nodes."""
        nodes = tuple(range(self.ndim))
        return np.asarray(self.stamps.mean(axis=nodes, dtype=np.result_type(self.dtype, float)))

    def normalised(self) -> "Field":
        """The field of PSFs of sum one.

        Raises
        ------
        ValueError
            If the sum of a PSF is zero.
        """
        sums = self.stamps.sum(
            axis=tuple(range(self.ndim, 2 * self.ndim)), keepdims=True,
            dtype=np.result_type(self.dtype, float),
        )  # fmt: skip
        if (sums == 0).any():
            raise ValueError("the sum of a psf of the field is zero, it cannot be made one")
        return Field(self.stamps / sums, self.positions)

    def scaled(self, factor: float) -> "Field":
        """The field of PSFs that are `factor` times as bright."""
        return Field(self.stamps * real("factor", factor), self.positions)

    def resampled(
        self, old: Sequence[float], new: Sequence[float], *, decimated: bool = True
    ) -> "Field":
        """The field in pixels of another size.

        Parameters
        ----------
        old, new : sequence of float
            Pixels of the scene in one of a frame, before and after.
        decimated : bool
            Pixels begin together with those of the frame, as for sums and means. Otherwise the
            middles of the first do, as for samples.
        """
        sizes = [[1 / each for each in pixels] for pixels in (old, new)]
        center = [(size - 1) // 2 for size in self.shape]
        flat = self.stamps.reshape(-1, *self.shape)
        stamps = np.array([resample(one, sizes[0], sizes[1], center=center) for one in flat])
        middle = 0.5 if decimated else 0.0
        places = [
            (nodes + middle) * after / before - middle
            for nodes, before, after in zip(self.positions, old, new, strict=True)
        ]
        return Field(stamps.reshape(*self.grid, *stamps.shape[1:]), places)

    def moved(self, distance: Sequence[float]) -> tuple["Field", tuple[int, ...]]:
        """The field of a camera in which the scene appears further down and to the right.

        Parameters
        ----------
        distance : sequence of float
            Pixels of the scene along each axis.

        Returns
        -------
        field : Field
            Its PSFs are moved as by `dhop.psf.shift`; its nodes stay where they are in the camera,
            and so move in the scene.
        center : tuple of int
            The origin of the PSFs, to be given to `DHOperator`.
        """
        distance = each("distance", distance, self.ndim, real)
        origin = [(size - 1) // 2 for size in self.shape]
        stamps, center = shift_all(self.stamps, distance, origin)
        places = [nodes - d for nodes, d in zip(self.positions, distance, strict=True)]
        return Field(stamps, places), center

    def at(self, *place: float) -> Array:
        """The PSF at one position of the scene.

        Parameters
        ----------
        *place : float
            Row and column; of lines the column, of volumes plane, row and column.

        Returns
        -------
        ndarray, shape (K0, K1)

        Examples
        --------
        >>> from dhop import psf
        >>> field = psf.Field([[[[2.0]], [[4.0]]]], ([0], [10, 20]))
        >>> float(field.at(5, 12.5)[0, 0]), float(field.at(5, 99)[0, 0])
        (2.5, 4.0)
        """
        if len(place) != self.ndim:
            raise TypeError(f"a place of this field is {self.ndim} numbers, got {len(place)}")
        mixed = self.stamps
        for coordinate, nodes in zip(place, self.positions, strict=True):
            where = real("a position", coordinate)
            mixed = sum(
                part * mixed[node]
                for node, part in enumerate(_hats(where, nodes))
                if part
            )  # fmt: skip
        return np.asarray(mixed)


def _hats(place: float, nodes: NDArray[np.float64]) -> Array:
    """The weight of each node at a position, by linear interpolation."""
    return np.array([np.interp(place, nodes, hat) for hat in np.eye(nodes.size)])
