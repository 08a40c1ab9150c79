"""Image files written byte by byte, as their standards say."""

import struct
import zlib

import numpy as np

SHORT, LONG, RATIONAL = 3, 4, 5
LETTERS = {SHORT: "H", LONG: "L", RATIONAL: "L"}
KINDS = {"u": 1, "i": 2, "f": 3}  # of samples in a TIFF
GREY, RGB, PALETTE = 1, 2, 3


def packed(rows, bits, order="<"):
    """Rows of numbers of so many bits, each row from a byte of its own."""
    rows = np.asarray(rows)
    if rows.dtype.kind == "f" or bits in (8, 16, 32, 64):
        return rows.astype(rows.dtype.newbyteorder(order)).tobytes()
    lines = []
    for row in rows.reshape(len(rows), -1):
        text = "".join(f"{number:0{bits}b}" for number in row)
        text += "0" * (-len(text) % 8)
        lines.append(bytes(int(text[k : k + 8], 2) for k in range(0, len(text), 8)))
    return b"".join(lines)


def tiff(
    pixels, *, order="<", bits=None, photometric=GREY, extra=None, planar=False, palette=None,
    tags=(),
):  # fmt: skip
    """A TIFF of one strip, or of one for each plane; other tags as (number, kind, values)."""
    pixels = np.asarray(pixels)
    rows, columns, *samples = pixels.shape
    samples = samples[0] if samples else 1
    bits = bits or 8 * pixels.dtype.itemsize
    planes = np.moveaxis(pixels, -1, 0) if planar else [pixels]
    strips = [packed(plane, bits, order) for plane in planes]
    entries = [
        (256, LONG, [columns]), (257, LONG, [rows]), (258, SHORT, [bits] * samples),
        (259, SHORT, [1]), (262, SHORT, [photometric]), (277, SHORT, [samples]),
        (278, LONG, [rows]), (279, LONG, [len(strip) for strip in strips]),
        (284, SHORT, [2 if planar else 1]), (339, SHORT, [KINDS[pixels.dtype.kind]] * samples),
        *tags,
    ]  # fmt: skip
    if extra is not None:
        entries.append((338, SHORT, extra))
    if palette is not None:
        entries.append((320, SHORT, np.ravel(palette).tolist()))
    entries.append((273, LONG, [0] * len(strips)))
    entries.sort()
    data = 8 + 2 + 12 * len(entries) + 4  # where values and strips begin
    directory, more = b"", b""
    first = data + sum(n for n in map(_beside, entries) if n > 4)
    for number, kind, values in entries:
        if number == 273:
            sizes = [len(strip) for strip in strips]
            values = [first + sum(sizes[:k]) for k in range(len(strips))]
        raw = struct.pack(f"{order}{len(values)}{LETTERS[kind]}", *values)
        if len(raw) > 4:
            raw, more = struct.pack(order + "L", data + len(more)), more + raw
        directory += struct.pack(
            order + "HHL", number, kind, len(values) // (1 + (kind == RATIONAL))
        ) + raw.ljust(4, b"\0")
    start = {"<": b"II", ">": b"MM"}[order] + struct.pack(order + "HL", 42, 8)
    count = struct.pack(order + "H", len(entries))
    return start + count + directory + bytes(4) + more + b"".join(strips)


def _beside(entry):
    """Bytes of the values of an entry."""
    return len(entry[2]) * struct.calcsize("<" + LETTERS[entry[1]])


def png(pixels, bits, kind, *, palette=None, transparency=None):
    """A PNG; kinds of colours are 0 grey, 2 RGB, 3 palette, 4 and 6 with transparency."""
    pixels = np.asarray(pixels)
    rows, columns = pixels.shape[:2]
    lines = packed(pixels, bits, ">")
    length = len(lines) // rows
    lines = b"".join(b"\0" + lines[k * length : (k + 1) * length] for k in range(rows))
    header = struct.pack(">LLBBBBB", columns, rows, bits, kind, 0, 0, 0)
    parts = [_chunk(b"IHDR", header)]
    if palette is not None:
        parts.append(_chunk(b"PLTE", np.asarray(palette, np.uint8).tobytes()))
    if transparency is not None:
        parts.append(_chunk(b"tRNS", transparency))
    parts += [_chunk(b"IDAT", zlib.compress(lines)), _chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _chunk(kind, content):
    return (
        struct.pack(">L", len(content))
        + kind
        + content
        + struct.pack(">L", zlib.crc32(kind + content))
    )


def unpacked(content):
    """The numbers of 8 or 16 bits in a PNG of grey or RGB, with any of its five filters."""
    columns, rows, bits, kind = struct.unpack(">LLBB", content[16:26])
    data, place = b"", 8
    while place < len(content):
        end = place + 12 + int.from_bytes(content[place : place + 4])
        if content[place + 4 : place + 8] == b"IDAT":
            data += content[place + 8 : end - 4]
        place = end
    data = zlib.decompress(data)
    step = bits // 8 * {0: 1, 2: 3}[kind]
    length = columns * step
    above, lines = bytes(length), []
    for row in range(rows):
        start = row * (length + 1)
        line = bytearray(data[start + 1 : start + 1 + length])
        for k in range(length):
            left, corner = (line[k - step], above[k - step]) if k >= step else (0, 0)
            over = above[k]
            distances = abs(over - corner), abs(left - corner), abs(left + over - 2 * corner)
            nearest = (left, over, corner)[distances.index(min(distances))]
            line[k] = (line[k] + (0, left, over, (left + over) // 2, nearest)[data[start]]) % 256
        lines.append(bytes(line))
        above = line
    shape = (rows, columns) if kind == 0 else (rows, columns, 3)
    kind = np.dtype(f">u{bits // 8}")
    return np.frombuffer(b"".join(lines), kind).reshape(shape).astype(kind.newbyteorder("="))


def bmp(pixels, bits, *, palette=None, upwards=True):
    """A Windows bitmap, whose rows begin at the bottom unless its height is negative."""
    pixels = np.asarray(pixels)
    rows, columns = pixels.shape[:2]
    shown = pixels[..., ::-1] if pixels.ndim == 3 else pixels  # blue first
    lines = packed(shown, min(bits, 8))
    length = len(lines) // rows
    lines = [lines[k * length : (k + 1) * length] for k in range(rows)]
    data = b"".join(line + bytes(-length % 4) for line in (reversed(lines) if upwards else lines))
    colours = b"".join(bytes([b, g, r, 0]) for r, g, b in ([] if palette is None else palette))
    begin = 14 + 40 + len(colours)
    height = rows if upwards else -rows
    header = struct.pack("<LllHHLLllLL", 40, columns, height, 1, bits, 0, len(data), 0, 0,
                         len(colours) // 4, 0)  # fmt: skip
    return b"BM" + struct.pack("<LHHL", begin + len(data), 0, 0, begin) + header + colours + data


def npy(array, order="<", *, fortran=False):
    """An array as NumPy's format 1.0 has it."""
    array = np.asarray(array)
    kind = array.dtype.newbyteorder(order)
    head = f"{{'descr': {kind.str!r}, 'fortran_order': {fortran}, 'shape': {array.shape}, }}"
    head = head.ljust(117) + "\n"
    content = array.astype(kind).tobytes("F" if fortran else "C")
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + content
