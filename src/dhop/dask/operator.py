"""The operator on chunked arrays."""

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dhop.dask.blocks import Cut, Ends, cut
from dhop.dask.seams import Plan
from dhop.model.field import FieldModel
from dhop.model.geometry import Model
from dhop.model.relations import Index
from dhop.operators.blur_decimate import DHOperator, Integers
from dhop.psf.field import Field
from dhop.runtime.arguments import DTYPES
from dhop.runtime.extras import needed

da = needed("dask.array", "dask", "dhop.dask")
dask = needed("dask", "dask", "dhop.dask")
HighLevelGraph = needed("dask.highlevelgraph", "dask", "dhop.dask").HighLevelGraph
normalize_chunks = needed("dask.array.core", "dask", "dhop.dask").normalize_chunks

LOCAL = "dask.local", "dask.threaded"  # schedulers of this process
SMALL = 2**20  # pixels of a chunk

DaskArray = Any
Chunks = tuple[tuple[int, ...], ...]


class DaskDHOperator:
    """Blur and decimate chunked arrays, larger than memory or spread over machines.

    Each chunk of a result is computed by the kernels of `DHOperator`, on one thread, from the
    pixels that it depends on. Nothing is computed before Dask is asked to.

    The results of the methods ``"direct"`` and ``"separable"`` for images are those of `DHOperator`
    bit for bit, whatever the chunks, as long as they are finite. Those of ``"fft"``, and of lines
    and volumes, agree up to rounding.

    Parameters
    ----------
    dims, psf, factor
        As for `DHOperator`.
    chunks : int, tuple or str
        Chunks of the high-resolution array, in any form that Dask knows. Sizes are changed a little
        to multiples of the factor; regular ones stay regular.
    **settings
        The other arguments of `DHOperator`. ``method="auto"`` is chosen for the whole array.

    Attributes
    ----------
    operator : DHOperator
        The same operator for arrays in memory.
    dims, dimsd : tuple of int
        Shape of the high-resolution and of the low-resolution array.
    chunks, chunksd : tuple of tuple of int
        Chunks of either.
    image_axes : tuple of int
        The axes that are blurred, ascending.
    dtype : dtype

    Raises
    ------
    ValueError, TypeError
        As for `DHOperator`, or if the chunks do not fit the array.

    Examples
    --------
    >>> import numpy as np
    >>> import dask.array as da
    >>> from dhop.dask import DaskDHOperator
    >>> A = DaskDHOperator((1, 12), np.ones((1, 3)), (1, 2), chunks=6)
    >>> A
    <DaskDHOperator (1, 12) -> (1, 6) in 1x2 chunks, direct, float64>
    >>> A.degrade(da.arange(12.0).reshape(1, 12)).compute()
    array([[ 4., 15., 27., 39., 51., 51.]])
    """

    crowd = 1.0  # pixels of a frame in one of `near`

    def __init__(
        self,
        dims: Sequence[int],
        psf: ArrayLike,
        factor: Integers,
        *,
        chunks: Any = "auto",
        **settings: Any,
    ) -> None:
        if isinstance(psf, Field) and settings.get("method", "auto") == "auto":
            # Plans of tiles hold the PSFs of all chunks together, as large as the scene or larger.
            settings["method"] = "direct"
        A = DHOperator(dims, psf, factor, **settings)
        if A.terms() is None and A.tabulated is None:
            raise TypeError("modes work in memory only; blur with dhop.DHOperator, or by a Field")
        self._begin(A, chunks)

    @classmethod
    def of(cls, operator: Any, chunks: Any) -> "DaskDHOperator":
        """That of an operator in memory, a `DHOperator` or the camera of a frame that has moved."""
        made = cls.__new__(cls)
        made._begin(operator, chunks)
        return made

    def _begin(self, operator: Any, chunks: Any) -> None:
        """Tabulate the chunks of an operator in memory."""
        self.operator = operator
        self._field: FieldModel | None = operator.tabulated
        self.dims, self.dimsd = self.operator.dims, self.operator.dimsd
        self.dtype = self.operator.dtype
        self.image_axes = tuple(sorted(self.operator.axes))
        given = checked_chunks(chunks, self.dims, self.dtype)
        self._pixels, self._outputs = self._edges(given)
        self.chunks = self._chunks(given, self._pixels)
        self.chunksd = self._chunks(given, self._outputs)
        self._plans: dict[tuple[np.dtype[Any], bool], tuple[Plan, Any]] = {}

    def __repr__(self) -> str:
        count = "x".join(str(len(sizes)) for sizes in self.chunks)
        what = f"in {count} chunks, {self.operator.products.method(self.dtype)}, {self.dtype}"
        return f"<DaskDHOperator {self.dims} -> {self.dimsd} {what}>"

    @property
    def shape(self) -> tuple[int, int]:
        """``(prod(dimsd), prod(dims))``."""
        return self.operator.shape

    @property
    def near(self) -> DHOperator:
        """The operator that tiles are solved for: this one, which other kinds have to look for."""
        return self.operator

    def degrade(self, image: Any) -> DaskArray:
        """Apply the operator to an array.

        Parameters
        ----------
        image : dask.array.Array or array_like, shape `dims`
            Of any chunks. What can be sliced, as an array of Zarr or of h5py, is read in chunks.

        Returns
        -------
        dask.array.Array, shape `dimsd`
            In `chunksd`, of dtype ``numpy.result_type(A.dtype, image.dtype)``.

        Raises
        ------
        ValueError
            If the shape is wrong.
        TypeError
            If `image` is not an array of numbers.
        """
        return self._product(image, False)

    def backproject(self, image: Any) -> DaskArray:
        """Apply the adjoint to an array.

        Parameters
        ----------
        image : dask.array.Array or array_like, shape `dimsd`

        Returns
        -------
        dask.array.Array, shape `dims`
            In `chunks`.

        Raises
        ------
        ValueError, TypeError
            As for `degrade`.

        Examples
        --------
        >>> import numpy as np
        >>> from dhop.dask import DaskDHOperator
        >>> A = DaskDHOperator((2, 4), np.ones((1, 1)), 2)
        >>> A.backproject(np.array([[1.0, 5.0]])).compute()
        array([[1., 1., 5., 5.],
               [1., 1., 5., 5.]])
        """
        return self._product(image, True)

    def _product(self, image: Any, adjoint: bool) -> DaskArray:
        x, dtype = operand(image, self.chunksd if adjoint else self.chunks, self.dtype)
        # A real operator takes the parts of complex numbers one after the other.
        kind = dtype if self.dtype.kind == "c" else dtype.type(0).real.dtype
        plan, blocks = self._travelling(kind, adjoint)
        chunks = self.chunks if adjoint else self.chunksd
        others = {k: sizes for k, sizes in enumerate(chunks) if k not in self.image_axes}
        x = x.rechunk(others, method="tasks")
        token = dask.base.tokenize(x.name, blocks.key, chunks)
        name = f"dhop-{'backproject' if adjoint else 'degrade'}-{token}"
        places = [len(sizes) for sizes in chunks]
        layout = plan.layout(x.chunks, places, self.image_axes, at_hand(x))
        tasks = layout.tasks(name, x.name, blocks.key)
        graph = HighLevelGraph.from_collections(name, tasks, dependencies=[x, blocks])
        return da.Array(graph, name, chunks, meta=np.empty((0,) * x.ndim, dtype))

    def cut(
        self,
        dtype: np.dtype[Any],
        adjoint: bool,
        ranges: Sequence[Sequence[Ends]] | None = None,
        own: Sequence[Sequence[Ends | None]] | None = None,
    ) -> tuple[list[list[Index]], Cut]:
        """Blocks of the products in one direction, see `dhop.dask.blocks.cut`.

        Parameters
        ----------
        dtype : dtype
            To compute in.
        adjoint : bool
        ranges : sequence of sequences of (int, int), optional
            By default the chunks.
        own : sequence of sequences of ((int, int) or None), optional
        """
        if ranges is None:
            edges = self._pixels if adjoint else self._outputs
            ranges = [list(pairwise(some)) for some in edges]
        products = self.operator.products
        chosen = {dtype: products.method(dtype)}
        return cut(self._model, products.asked, chosen, adjoint, ranges, self._field, own)

    @property
    def _model(self) -> Model:
        return self.operator.model if self._field is None else self._field.model

    def _travelling(self, dtype: np.dtype[Any], adjoint: bool) -> tuple[Plan, Any]:
        """The pieces of blocks, and the blocks as Dask's."""
        if (dtype, adjoint) not in self._plans:
            edges = self._outputs, self._pixels
            plan = Plan(
                self._model.axes[-len(self.image_axes) :], edges[adjoint], edges[not adjoint],
                adjoint, self._field is None,
                lambda ranges, own: self.cut(dtype, adjoint, ranges, own),
            )  # fmt: skip
            self._plans[dtype, adjoint] = plan, dask.delayed(plan.cut, pure=True, traverse=False)
        return self._plans[dtype, adjoint]

    def _edges(self, given: Chunks) -> tuple[list[list[int]], list[list[int]]]:
        """Pixels and outputs where blocks begin and end, along each axis."""
        pixels, outputs = [], []
        for axis in self.image_axes:
            factor = self.operator.factor[self.operator.axes.index(axis)]
            size, sized = self.dims[axis], self.dimsd[axis]
            first, *others = given[axis]
            if set(others[:-1]) <= {first} and others[-1:] <= [first]:  # regular, as Zarr wants it
                inner = np.arange(0, sized, max(round(first / factor), 1))
            else:
                inner = np.unique(np.rint(np.cumsum(given[axis]) / factor).astype(int))
            inner = inner[(inner > 0) & (inner < sized)]
            outputs.append([0, *inner.tolist(), sized])
            pixels.append([0, *(factor * inner).tolist(), size])
        return pixels, outputs

    def _chunks(self, given: Chunks, edges: list[list[int]]) -> Chunks:
        chunks = list(given)
        for axis, some in zip(self.image_axes, edges, strict=True):
            chunks[axis] = tuple(stop - start for start, stop in pairwise(some))
        return tuple(chunks)


def checked_chunks(chunks: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Chunks:
    """Chunks, in any form that Dask knows, of an array."""
    try:
        found: Chunks = normalize_chunks(chunks, shape, dtype=dtype)
    except (ValueError, TypeError, ZeroDivisionError) as error:
        raise ValueError(
            f"chunks={chunks!r} are none of an array of shape {shape}: {error}"
        ) from None
    return found


def operand(image: Any, chunks: Chunks, dtype: np.dtype[Any]) -> tuple[DaskArray, np.dtype[Any]]:
    """The array that an operator of a dtype takes in chunks, and the dtype of the product."""
    x, shape = as_dask(image, chunks), tuple(map(sum, chunks))
    if x.shape != shape:
        raise ValueError(f"expected an array of shape {shape}, got one of shape {x.shape}")
    result = np.result_type(dtype, x.dtype)
    if x.dtype.kind not in "biufc" or result not in DTYPES:
        raise TypeError(f"arrays of dtype {x.dtype} are not supported; cast to float64 first")
    return x, result


def as_dask(image: Any, chunks: Chunks) -> DaskArray:
    """A Dask array as it is, anything else in chunks."""
    if isinstance(image, da.Array):
        return image
    if not hasattr(image, "shape"):
        image = np.asarray(image)
    if image.shape != tuple(map(sum, chunks)):
        raise ValueError(
            f"expected an array of shape {tuple(map(sum, chunks))}, got one of shape {image.shape}"
        )
    return da.from_array(image, chunks=chunks)


def at_hand(x: DaskArray) -> bool:
    """Whether blocks may read all of the chunks of their neighbours.

    They may if threads of one process share these and they are small, so that few bytes wait until
    the last neighbour is done. Copies of edges are for workers, and for memory.
    """
    get = dask.base.get_scheduler(collections=[x])
    here = getattr(get, "__module__", None) in LOCAL
    return here and prod(map(max, x.chunks)) <= SMALL
