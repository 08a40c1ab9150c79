"""The emitter: loops that are written as vector instructions, each beside its plain loop.

A compiler leaves half of a processor's vector arithmetic unused in loops like ours. So the few
innermost ones are written out as instructions. Every one of them stands beside a plain loop that
computes the same ::

    @called
    def _add(source, target): ...         # the plain loop: what is meant

    @emitted(_add)
    def _add_emitted(emit, source, target): ...    # writes instructions into its caller

The plain loop is what runs where nothing is compiled (``NUMBA_DISABLE_JIT=1``). It is compiled
instead where llvmlite is not as it is known here (`PLAIN`), and tests compare the two.

What the writer is given are the emitter, a `Place` for each array, and integers of LLVM.
"""

import warnings

from llvmlite import binding, ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from dhop.kernels.vectors import BYTES, Emitter, Place


def lanes(numbers):
    """How many flat numbers a vector holds."""
    return BYTES // numbers.itemsize


@overload(lanes)
def _compiled_lanes(numbers):
    count = 8 * BYTES // numbers.dtype.bitwidth
    return lambda numbers: count


def _trial():
    """Write one of each instruction and have LLVM read it, in a few milliseconds."""
    module = ir.Module()
    pointer = ir.FloatType().as_pointer()
    kind = ir.FunctionType(ir.VoidType(), [pointer, pointer])
    builder = ir.IRBuilder(ir.Function(module, kind, "trial").append_basic_block())
    emit = Emitter(builder)
    one, two = (Place(builder, types.float32, each) for each in builder.function.args)
    mask = one.among(emit.integer(3), 0)
    total = one.load(0).plus(one.number(0), two.load(1, mask))

    def body(k, carried):
        one.after(k).fetch()
        return [carried[0] + one.after(emit.least(k, emit.times(k, 2))).load(0)]

    (total,) = emit.loop(emit.integer(2), body, [total])
    two.store(0, one.parted(one.joined([total, -total]))[0] * one.vector(1.0, -1.0), mask)
    two.put_pixels(one.pixels() - 2.0 * one.pixels())
    builder.ret_void()
    binding.parse_assembly(cgutils.normalize_ir_text(str(module))).verify()


def _plain():
    if config.DISABLE_JIT:
        return True
    try:
        _trial()
    except Exception as error:
        warnings.warn(
            f"this llvmlite is not one that dhop knows ({error!r}); products are right but take "
            "several times as long",
            RuntimeWarning,
            stacklevel=2,
        )
        return True
    return False


PLAIN = _plain()  # loops are not written but compiled, or interpreted


def _given(builder, kind, value):
    """An argument as the writer wants it."""
    if isinstance(kind, types.CPointer):
        return Place(builder, kind.dtype, value)
    if isinstance(kind, types.BaseTuple):
        parts = cgutils.unpack_tuple(builder, value)
        return tuple(_given(builder, *each) for each in zip(kind, parts, strict=True))
    return None if isinstance(kind, types.NoneType) else value


def emitted(plain, result=types.void):
    """Have a function write the instructions of the loop `plain`, see above.

    It returns the value that the instructions leave, if there is a `result`.
    """

    def decorate(write):
        @intrinsic
        def written(typingctx, *arguments):
            def generate(context, builder, signature, values):
                value = write(Emitter(builder), *_given(builder, signature.args[0], values[0]))
                return context.get_dummy_value() if value is None else value

            return result(types.StarArgTuple(arguments)), generate

        return plain if PLAIN else written

    return decorate
