"""Tasks of graphs, in the form that schedulers run: older ones they translate first."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from dhop.runtime.extras import needed

spec = needed("dask.task_spec", "dask", "dhop.dask")

Key: TypeAlias = Any  # a name and numbers, or a name


@dataclass(frozen=True)
class Call:
    """A function of some arguments and a list of sources, as one of single values.

    Attributes
    ----------
    function : callable
    count : int
        Of its arguments before the sources.
    order : tuple of int
        Where the sources of the list are among the values that follow these.
    """

    function: Callable[..., Any]
    count: int
    order: tuple[int, ...]

    def __call__(self, *values: Any) -> Any:
        args, sources = values[: self.count], values[self.count :]
        return self.function(*args, [sources[k] for k in self.order])


def task(key: Key, function: Callable[..., Any], *args: Any, sources: Sequence[Key]) -> Any:
    """What computes ``function(*args, sources)``, of the values of other tasks.

    A source may be there several times, for tasks with few dependencies are quicker.
    """
    number = {source: k for k, source in enumerate(dict.fromkeys(sources))}
    call = Call(function, len(args), tuple(number[source] for source in sources))
    return spec.Task(key, call, *args, *map(spec.TaskRef, number))


def of_one(key: Key, function: Callable[[Any], Any], source: Key) -> Any:
    """What computes a function of the value of one other task."""
    return spec.Task(key, function, spec.TaskRef(source))


def value(key: Key) -> Any:
    """The value of another task, as an argument."""
    return spec.TaskRef(key)
