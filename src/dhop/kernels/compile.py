"""The one compile policy, and a compile cache that can never break a product."""

import warnings

import numba

# Contraction to fused multiply-adds and reordering of sums; NaN, Inf and signed zeros keep their
# meaning, which the other fast-math flags would give away.
_OPTIONS = {"nogil": True, "fastmath": {"contract", "reassoc"}, "error_model": "numpy"}


def inner(function):
    """Compile `function` into its callers."""
    return numba.njit(forceinline=True, **_OPTIONS)(function)


def kernel(function):
    """Compile `function` at its first call, caching machine code on disk where that is possible."""
    dispatcher = numba.njit(**_OPTIONS)(function)
    if numba.config.DISABLE_JIT:
        return dispatcher
    try:
        dispatcher.enable_caching()
    except Exception:  # no writable place for the cache: compile in every process
        return dispatcher
    dispatcher._cache = _ForgivingCache(dispatcher._cache)
    return dispatcher


class _ForgivingCache:
    """A numba function cache whose failures (damaged file, full disk) only cost a compilation."""

    _warned = False

    def __init__(self, cache):
        self._cache = cache

    def __getattr__(self, name):
        return getattr(self._cache, name)

    def load_overload(self, sig, target_context):
        try:
            return self._cache.load_overload(sig, target_context)
        except Exception as error:
            self._give_up("read", error)

    def save_overload(self, sig, data):
        try:
            self._cache.save_overload(sig, data)
        except Exception as error:
            self._give_up("written", error)

    def _give_up(self, what, error):
        if not _ForgivingCache._warned:
            _ForgivingCache._warned = True
            warnings.warn(
                f"the compile cache in {self._cache.cache_path} cannot be {what} ({error!r}); "
                "compiling without it",
                RuntimeWarning,
                stacklevel=2,
            )
