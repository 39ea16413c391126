"""The envelope of what is stored: magic bytes, format version, compressed JSON."""

from __future__ import annotations

import json
import zlib
from typing import Any, NamedTuple

from queryscope.errors import TraceFormatError

MAGIC = b"\x8eQSC"
"""First bytes of everything packed. 0x8e starts no text in ASCII or UTF-8."""
HEADER_BYTES = len(MAGIC) + 3
"""Magic, one byte for what it is, two for the version, the higher one first."""
MAX_UNPACKED_BYTES = 256 * 1024 * 1024
"""Size up to which packed bytes are expanded; the same limit holds for what is packed."""
MIN_WINDOW_BITS = 9
"""The smallest window that zlib compresses with."""
MEMORY_LEVEL_BITS = 6
"""zlib's memory level n has room for 2**(n + 6) symbols before it has to end a block."""


class Envelope(NamedTuple):
    """What kind of thing is packed.

    Attributes:
        letter: The byte that tells it from other kinds.
        name: How an error text calls it.
        version: The newest format of it that this version of queryscope reads and writes.
    """

    letter: bytes
    name: str
    version: int


def pack(envelope: Envelope, document: object) -> bytes:
    """Return a document of plain JSON values as bytes.

    Raises:
        TraceFormatError: It holds something else, or is larger than ``MAX_UNPACKED_BYTES``.
    """
    try:
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise TraceFormatError(f"This {envelope.name} cannot be packed: {error}.") from error
    # Unescaped, and with surrogatepass: two lone surrogates side by side come back as two,
    # where JSON's \u escapes would join them into one character.
    plain = text.encode("utf-8", "surrogatepass")
    if len(plain) > MAX_UNPACKED_BYTES:
        raise TraceFormatError(
            f"This {envelope.name} takes {len(plain) // 2**20} MiB before compression, more than "
            f"the {MAX_UNPACKED_BYTES // 2**20} MiB that are read back. Lower max_queries or "
            "max_statement_chars."
        )
    header = MAGIC + envelope.letter + envelope.version.to_bytes(2, "big")
    return header + _deflated(plain)


def _deflated(plain: bytes) -> bytes:
    """Compress, in a window and with tables no larger than the text fills.

    Those of ``zlib.compress`` take 256 KiB, got and given back each time: more than half of the
    time that 400 bytes take, and nearly all of the time that 50 do.
    """
    bits = len(plain).bit_length()
    window = min(max(bits + 1, MIN_WINDOW_BITS), zlib.MAX_WBITS)
    level = min(max(bits - MEMORY_LEVEL_BITS, 1), zlib.DEF_MEM_LEVEL)
    deflater = zlib.compressobj(9, zlib.DEFLATED, window, level)
    return deflater.compress(plain) + deflater.flush()


def unpack(envelope: Envelope, data: bytes) -> tuple[int, Any]:
    """Return the format version and the document of packed bytes.

    Raises:
        TraceFormatError: The bytes are something else, cut, damaged, of a newer format, or
            expand beyond ``MAX_UNPACKED_BYTES``.
    """
    name, start = envelope.name, data[: len(MAGIC) + 1]
    wanted = MAGIC + envelope.letter
    if data and start != wanted[: len(start)]:
        raise TraceFormatError(
            f"These {len(data)} bytes are no {name}: they begin with {bytes(start)!r} instead of "
            f"{wanted!r}. Give what queryscope itself has stored."
        )
    if len(data) < HEADER_BYTES:
        raise _cut(name, data)
    version = int.from_bytes(data[len(wanted) : HEADER_BYTES], "big")
    if version > envelope.version:
        raise TraceFormatError(
            f"This {name} has format {version}, written by a newer queryscope; this one reads up "
            f"to format {envelope.version}. Update queryscope, here or wherever you read it."
        )
    if version == 0:
        raise damaged(name, "format 0 was never written")
    inflater = zlib.decompressobj()
    try:
        plain = inflater.decompress(data[HEADER_BYTES:], MAX_UNPACKED_BYTES + 1)
    except zlib.error as error:
        raise damaged(name, str(error)) from error
    if len(plain) > MAX_UNPACKED_BYTES:
        raise TraceFormatError(
            f"These {len(data)} bytes expand to more than {MAX_UNPACKED_BYTES // 2**20} MiB, which "
            f"no {name} of ours does. They were not read further; delete them."
        )
    if not inflater.eof:
        raise _cut(name, data)
    if inflater.unused_data:
        raise damaged(name, f"{len(inflater.unused_data)} bytes follow its end")
    try:
        return version, json.loads(plain.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError) as error:
        raise damaged(name, str(error)) from error


def damaged(name: str, why: object) -> TraceFormatError:
    """Return the error for bytes that are ours but do not hold together."""
    return TraceFormatError(
        f"This {name} is damaged: {why}. It cannot be repaired; delete it and record again."
    )


def _cut(name: str, data: bytes) -> TraceFormatError:
    return TraceFormatError(
        f"This {name} is cut short: it ends after {len(data)} bytes. It cannot be repaired; "
        "copy it again, or delete it and record again."
    )
