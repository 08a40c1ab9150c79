"""Several operators on one unknown, their outputs under each other."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from scipy.sparse.linalg import LinearOperator

from dhop.closed.terms import Term
from dhop.frames.motions import Motion
from dhop.matrix import merging
from dhop.matrix.sparse import Rows
from dhop.model.boundary import Boundary
from dhop.model.decimation import Decimation
from dhop.operators.base import ArrayOperator, dense
from dhop.operators.checks import checked_roots, linear_operators
from dhop.operators.moved import moved_frames
from dhop.operators.normal import NormalOperator
from dhop.psf.field import Field
from dhop.runtime.arguments import DTYPES, sequence
from dhop.runtime.parallel import row_blocks, run

Array = NDArray[Any]

TOGETHER = 4  # adjoint products that are in memory at a time


class FrameStack(NormalOperator):
    r"""Frames of one scene as one operator: :math:`[\sqrt{w_0} A_0; \sqrt{w_1} A_1; \ldots]`.

    With the weights inside, every solver of least squares solves the weighted problem,

    .. math:: \|B x - \sqrt{w}\, y\|^2 = \sum_i w_i \|A_i x - y_i\|^2,

    for the stack `B` and the data ``B.data([y_0, y_1, ...])``.

    Parameters
    ----------
    operators : iterable of LinearOperator
        With the same number of columns and, where they have them, the same `dims`; PSF, factor,
        phase and boundary may differ. Anything that `scipy.sparse.linalg.aslinearoperator` takes,
        but only a stack of operators of ours has an explicit matrix.
    weights : sequence of (float or array_like), optional
        One for each operator: a number, or an array of the shape of its outputs. Not negative;
        zero masks a pixel, which then takes no part. A good weight is one over the variance of the
        noise.

    Raises
    ------
    ValueError
        If there is no operator, they do not fit, or a weight is negative or not finite.
    TypeError
        If they are no operators, or of another dtype than the four.

    Examples
    --------
    >>> import numpy as np
    >>> from dhop import DHOperator, FrameStack
    >>> A = DHOperator((4, 4), np.ones((3, 3)), 2)
    >>> FrameStack([A, A]).shape
    (8, 16)
    >>> FrameStack([A, A], weights=[1.0, 0.0]).nnz == A.nnz
    True
    """

    def __init__(
        self,
        operators: Iterable[LinearOperator],
        weights: Sequence[ArrayLike] | NDArray[Any] | None = None,
    ) -> None:
        self.operators = linear_operators(operators)
        if not self.operators:
            raise ValueError("a stack needs at least one operator")
        columns = {operator.shape[1] for operator in self.operators}
        if len(columns) > 1:
            raise ValueError(f"operators must have the same number of columns, got {columns}")
        shapes = [each.dims for each in self.operators if hasattr(each, "dims")]
        if len(set(shapes)) > 1:
            raise ValueError(f"operators must have the same dims, got {sorted(set(shapes))}")
        kinds = [np.dtype(operator.dtype) for operator in self.operators]
        numeric = all(kind.kind in "biufc" for kind in kinds)
        dtype = np.result_type(np.float32, *kinds) if numeric else kinds
        if dtype not in DTYPES:
            raise TypeError(f"operators of dtype {dtype} are not supported")
        self._edges = np.cumsum([0, *(operator.shape[0] for operator in self.operators)])
        super().__init__(dtype, shapes[0] if shapes else (columns.pop(),), (int(self._edges[-1]),))
        self._roots = checked_roots(weights, self.operators)
        self.workers = getattr(self.operators[0], "workers", None)

    @classmethod
    def from_motion(
        cls,
        dims: Sequence[int],
        psf: ArrayLike | Field,
        factor: float | Sequence[float],
        motion: Sequence[Motion],
        *,
        shape: Sequence[int] | None = None,
        weights: Sequence[ArrayLike] | None = None,
        center: int | Sequence[int] | None = None,
        decimation: Decimation = "sum",
        boundary: Boundary | Sequence[Boundary] = "constant",
        order: Literal[1, 3] = 3,
        dtype: DTypeLike | None = None,
        workers: int | None = None,
    ) -> "FrameStack":
        """The frames of a camera that has moved in any way.

        Frame `i` is ``A_i = D H W_i``. The scene is warped onto a fine grid of the frame; then the
        grid is blurred and decimated. So the PSF turns with the camera. If a frame is only shifted,
        and the scene is `factor` times its size, the shift becomes part of the PSF.

        Parameters
        ----------
        dims : sequence of int
            Shape of the scene, of which pixel (0, 0) is the first that pixel (0, 0) of frame 0
            covers. Axes before those of the PSF are a batch.
        psf : array_like or Field
            Of one to three axes, those that move. It is on pixels of the fine grid, of which
            `factor`, or the next whole number above it, make one of a frame. The positions of a
            field are such pixels of the camera, not of the scene.
        factor : float or sequence of float
            Pixels of the scene in one of a frame.
        motion : sequence
            For each frame: where its pixels lie in frame 0, in low-resolution pixels. That is a
            3 x 3 matrix that takes ``(row, column, 1)`` there, an array of positions of shape
            ``(2, m0, m1)``, or a callable of two arrays, rows and columns. For volumes a matrix is
            4 x 4 and planes come first; for lines it is 2 x 2 and there are columns only.
        shape : sequence of int, optional
            Of a frame, by default ``dims // factor``.
        weights : sequence of (float or array_like), optional
            As for `FrameStack`. Pixels whose centres do not lie on the scene, or whose positions
            are NaN, have the weight zero.
        center, decimation, boundary, dtype, workers
            As for `DHOperator`.
        order : {3, 1}
            Of the splines.

        Returns
        -------
        FrameStack

        Raises
        ------
        ValueError, TypeError
            If the motions do not fit the frames, or as `DHOperator`.

        Examples
        --------
        >>> import numpy as np
        >>> from dhop import FrameStack, psf
        >>> turn = [[0, 1, 0], [-1, 0, 7], [0, 0, 1]]
        >>> B = FrameStack.from_motion((16, 16), psf.gaussian(5, 1.0), 2, [np.eye(3), turn])
        >>> still, turned = B.split(B @ np.random.default_rng(0).random(256))
        >>> np.allclose(turned.reshape(8, 8), np.rot90(still.reshape(8, 8)))
        True
        """
        frames, seen = moved_frames(
            dims, psf, factor, motion, shape=shape, center=center, decimation=decimation,
            boundary=boundary, order=order, dtype=dtype, workers=workers,
        )  # fmt: skip
        given = [1.0] * len(frames) if weights is None else sequence("weights", weights, "numbers")
        checked_roots(given, frames)
        masks: list[Any] = [
            w
            if on.all()
            else np.broadcast_to(np.reshape(w, A.dimsd if np.ndim(w) else ()) * on, A.dimsd)
            for w, on, A in zip(given, seen, frames, strict=True)
        ]
        return cls(frames, masks)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return FrameStack, (self.operators, self.weights)

    def _description(self) -> str:
        what = f"{len(self.operators)}{'' if self._roots is None else ' weighted'}"
        return f"FrameStack of {what}, the first {self.operators[0]!r}"

    @property
    def weights(self) -> list[Array] | None:
        """Weight of each frame or of its pixels, in double precision, or as given in single."""
        return None if self._roots is None else [root**2 for root in self._roots]

    def scaled(self, root: float) -> "FrameStack":
        """The same stack, its weights times the square of a positive number."""
        if root == 1:
            return self
        stack = FrameStack(self.operators)
        own = [np.ones(())] * len(self.operators) if self._roots is None else self._roots
        stack._roots = [root * each for each in own]
        return stack

    def _facts(self) -> dict[str, str]:
        first = self.operators[0]
        facts = {"frames": f"{len(self.operators)}{'' if self._roots is None else ', weighted'}"}
        ours = isinstance(first, ArrayOperator)
        return facts | (first._facts() if ours else {"the first": repr(first)})

    def _picture(self) -> Array | None:
        first = self.operators[0]
        return first._picture() if isinstance(first, ArrayOperator) else None

    def _known_entries(self) -> int | None:
        total = 0
        for operator in self.operators:
            ours = isinstance(operator, ArrayOperator)
            entries = operator._known_entries() if ours else None
            if entries is None:
                return None
            total += entries
        return total

    def split(self, y: Array) -> list[Array]:
        """The frames that a vector of the stack is made of.

        Parameters
        ----------
        y : ndarray, shape (..., M)

        Returns
        -------
        list of ndarray
            Views, each of as many entries in the last axis as its operator has rows.

        Examples
        --------
        >>> import numpy as np
        >>> from dhop import DHOperator, FrameStack
        >>> stack = FrameStack([DHOperator((4, 4), [[1.0]], factor) for factor in (2, 4)])
        >>> stack.split(np.arange(5))
        [array([0, 1, 2, 3]), array([4])]
        """
        return np.split(y, self._edges[1:-1], axis=-1)

    def data(self, frames: Iterable[ArrayLike]) -> Array:
        r"""The right-hand side :math:`\sqrt{w}\, y` that belongs to the stack.

        Parameters
        ----------
        frames : iterable of array_like
            One for each operator, of as many pixels as it has rows. Where the weight is zero they
            may hold anything, NaN too.

        Returns
        -------
        ndarray, shape (M,)

        Raises
        ------
        ValueError
            If number or sizes of the frames do not fit.

        Examples
        --------
        >>> import numpy as np
        >>> from dhop import DHOperator, FrameStack
        >>> A = DHOperator((1, 2), [[1.0]], 1)
        >>> FrameStack([A, A], [1.0, [4.0, 0.0]]).data([[1.0, 2.0], [3.0, np.nan]])
        array([1., 2., 6., 0.])
        """
        arrays = sequence("frames", frames, "arrays")
        given = [dense(frame, "each of frames").reshape(-1) for frame in arrays]
        sizes = [operator.shape[0] for operator in self.operators]
        if [frame.size for frame in given] != sizes:
            raise ValueError(
                f"expected {len(sizes)} frames of {sizes} pixels, "
                f"got {len(given)} of {[frame.size for frame in given]}"
            )
        y = np.concatenate(given).astype(np.result_type(self.dtype, *given), copy=False)
        if self._roots is not None:
            for frame, root in zip(self.split(y), self._roots, strict=True):
                frame[np.broadcast_to(root == 0, frame.shape)] = 0
                np.multiply(frame, root, out=frame, casting="same_kind")
        return y

    def root(self, number: int, dtype: np.dtype[Any]) -> Any:
        """The square root of a frame's weights in the precision of a dtype."""
        if self._roots is None:
            return 1
        return self._roots[number].astype(dtype.type(0).real.dtype, copy=False)

    def apply(self, x: Array, adjoint: bool, out: Array) -> None:
        # Our kernels may run in parallel; other operators may not be thread-safe.
        ours = all(isinstance(operator, ArrayOperator) for operator in self.operators)
        workers = None if ours else 1
        if adjoint:
            self._backproject(x, out, workers)
        else:
            vectors = x.reshape(-1, self.shape[1]).T
            frames = self.split(out.reshape(-1, self.shape[0]))

            def observe(number: int) -> None:
                product = self.operators[number].matmat(vectors).T
                np.multiply(product, self.root(number, x.dtype), out=frames[number])

            run(observe, [(number,) for number in range(len(frames))], workers)

    def _backproject(self, y: Array, total: Array, workers: int | None) -> None:
        """Sum the adjoint products in the order of the frames, for reproducible rounding."""
        frames = self.split(y.reshape(-1, self.shape[0]))
        blocks = row_blocks(total.size, total.size * 1.0)
        for first in range(0, len(frames), TOGETHER):
            some = range(first, min(first + TOGETHER, len(frames)))
            images: dict[int, Array] = {}

            def backproject(number: int, images: dict[int, Array] = images) -> None:
                frame, operator = frames[number], self.operators[number]
                if self._roots is not None:
                    frame = frame * self.root(number, y.dtype)
                if number == 0 and isinstance(operator, ArrayOperator):
                    operator.multiply(frame, total.shape, True, total)
                else:
                    product = operator.rmatmat(frame.T).T
                    images[number] = np.ascontiguousarray(product).reshape(-1)

            def add(start: int, stop: int, images: dict[int, Array] = images) -> None:
                part = total[start:stop]
                for number in sorted(images):
                    image = images[number][start:stop]
                    if number:
                        part += image
                    else:
                        part[:] = image

            run(backproject, [(number,) for number in some], workers)
            run(add, blocks if images else [])

    def rows(self) -> Rows:
        """The rows of the frames under each other; those of weight zero have no entries."""
        frames = [
            merging.WeightedRows(operator.rows(), self.root(number, self.dtype), self.dtype)
            for number, operator in enumerate(self._ours())
        ]
        return merging.StackedRows(frames, self.dtype)

    def columns(self) -> Rows:
        """The columns of all frames, one frame's entries after the other's."""
        frames = [
            (operator.columns(), np.asarray(self.root(number, self.dtype)))
            for number, operator in enumerate(self._ours())
        ]
        return merging.side_by_side(frames, self.dtype)

    def terms(self, weights: Array | None = None) -> list[Term] | None:
        return self._terms_of_frames(weights, lambda operator, own: operator.terms(own))

    def similar(self, weights: Array | None = None) -> list[Term] | None:
        return self._terms_of_frames(weights, lambda operator, own: operator.similar(own))

    def strengths(self) -> list[float]:
        found: list[float] = []
        for number, operator in enumerate(self.operators):
            terms = operator.similar() if isinstance(operator, ArrayOperator) else None
            if terms is None:
                return super().strengths()
            largest = 1.0 if self._roots is None else float(np.max(self._roots[number])) ** 2
            found += [largest * term.strength for term in terms]
        return found

    def _terms_of_frames(
        self,
        weights: Array | None,
        terms_of: Callable[[ArrayOperator, Array | None], list[Term] | None],
    ) -> list[Term] | None:
        found: list[Term] = []
        given = [None] * len(self.operators) if weights is None else self.split(weights)
        for number, (operator, more) in enumerate(zip(self.operators, given, strict=True)):
            own: Any = None
            if self._roots is not None or more is not None:
                square = 1.0 if self._roots is None else self._roots[number] ** 2
                own = np.broadcast_to(square * (1.0 if more is None else more), operator.shape[0])
            terms = terms_of(operator, own) if isinstance(operator, ArrayOperator) else None
            if terms is None:
                return None
            found += terms
        return found

    def bounds(self) -> tuple[float, float]:
        columns, rows = 0.0, 0.0
        for number, operator in enumerate(self._ours()):
            most = float(np.max(self.root(number, self.dtype)))
            column, row = operator.bounds()
            columns, rows = columns + most * column, max(rows, most * row)
        return columns, rows

    def _ours(self) -> list[ArrayOperator]:
        for operator in self.operators:
            if not isinstance(operator, ArrayOperator):
                raise TypeError(f"this asks for a stack of DHOperators, it holds {operator!r}")
        return list(self.operators)
