"""The only name server of a sandbox: AWS's endpoints are where the gate listens, other names do not exist.

header    id, flags, number of questions, answers, authorities, additionals (2 bytes each)
question  labels, each behind its length, up to an empty one; type (2), class (2)
Source: RFC 1035 section 4.1.
"""

import socket
import struct

from codecoach.runner.aws_gate.names import is_endpoint

_HEAD = struct.Struct("!6H")
_ANSWER = struct.Struct("!3HIH")
_QUERY_FLAGS = 0xF800  # QR and the operation code: 0 in an ordinary query
_RESPONSE, _RECURSION = 0x8080, 0x0100  # QR with "recursion available", and "recursion desired", which is given back
_NO_SUCH_NAME = 3
_A, _IN = 1, 1
_THE_NAME_ASKED_FOR = 0xC00C
_TTL_S = 60


def answer(query: bytes) -> bytes | None:
    """The answer to a query; None for what is none."""
    if len(query) < _HEAD.size:
        return None
    number, flags, questions, *_ = _HEAD.unpack_from(query)
    if flags & _QUERY_FLAGS or questions != 1:
        return None
    found = _name(query)
    if found is None or len(query) < found[1] + 4:
        return None
    name, end = found
    asked = struct.unpack_from("!2H", query, end)
    question, known = query[_HEAD.size : end + 4], is_endpoint(name)
    records = b""
    if known and asked == (_A, _IN):
        records = _ANSWER.pack(_THE_NAME_ASKED_FOR, _A, _IN, _TTL_S, 4) + socket.inet_aton("127.0.0.1")
    kind = _RESPONSE | (flags & _RECURSION) | (0 if known else _NO_SUCH_NAME)
    return _HEAD.pack(number, kind, 1, 1 if records else 0, 0, 0) + question + records


def _name(query: bytes) -> tuple[str, int] | None:
    """The name asked for and where it ends; None where it is malformed."""
    labels, at = [], _HEAD.size
    while at < len(query) and (length := query[at]):
        if length > 63 or at + 1 + length > len(query):
            return None
        labels.append(query[at + 1 : at + 1 + length].decode("latin-1"))
        at += 1 + length
    # A dot inside a label is not the dot between two.
    if at >= len(query) or any("." in label for label in labels):
        return None
    return ".".join(labels), at + 1
