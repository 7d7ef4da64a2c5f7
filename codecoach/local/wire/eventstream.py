"""Writes `application/vnd.amazon.eventstream`, the binary framing of AWS's streamed replies.

    total length   4 bytes, big-endian, everything counted
    header length  4 bytes
    prelude CRC32  4 bytes, of the eight before
    headers        name length (1), name, type 7 = string (1), value length (2), value
    payload        JSON
    message CRC32  4 bytes, of everything before

Source: "Event stream encoding" in the Amazon Transcribe and S3 developer guides; botocore's `eventstream.py` reads it.
"""

import json
import struct
from binascii import crc32
from collections.abc import Mapping
from functools import cache

CONTENT_TYPE = "application/vnd.amazon.eventstream"


def event(name: str, payload: Mapping[str, object]) -> bytes:
    """One event; `name` is the member of the operation's output stream (`contentBlockDelta`)."""
    return _message(_headers("event", ":event-type", name), payload)


def exception(name: str, message: str) -> bytes:
    """An error in mid-stream; `name` is the member of the output stream (`throttlingException`)."""
    return _message(_headers("exception", ":exception-type", name), {"message": message})


@cache
def _headers(message_type: str, type_header: str, name: str) -> bytes:
    pairs = ((type_header, name), (":content-type", "application/json"), (":message-type", message_type))
    return b"".join(_header(*pair) for pair in pairs)


def _header(name: str, value: str) -> bytes:
    return struct.pack(">B", len(name)) + name.encode() + struct.pack(">BH", 7, len(value)) + value.encode()


def _message(headers: bytes, payload: Mapping[str, object]) -> bytes:
    body = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
    lengths = struct.pack(">II", 16 + len(headers) + len(body), len(headers))
    head = lengths + struct.pack(">I", crc32(lengths)) + headers + body
    return head + struct.pack(">I", crc32(head))
