"""Reads the server name from the first message of a TLS client, strictly: what a server might read differently is refused.

record     22, version (2 bytes), length (2), a piece of the message; as many as it takes
message    1, length (3), version (2), random (32), session (1+), ciphers (2+), compression (1+), extensions (2+)
extension  type (2), length (2), content
Source: RFC 8446 sections 4.1.2 and 5.1, RFC 6066 section 3.
"""

MOST_BYTES = 16 * 1024
_HANDSHAKE, _CLIENT_HELLO, _HOST_NAME = 22, 1, 0
_SERVER_NAME = 0
# Encrypted ClientHello and the older ESNI: the name in the clear is then not the one that is meant.
_HIDDEN_NAME = (0xFE0D, 0xFFCE)
_RECORD_HEAD, _MESSAGE_HEAD, _RECORD_BYTES = 5, 4, 16384
_RECORDS = 16


class NoHello(Exception):
    """This is no TLS, or a hello without exactly one plain server name."""


def server_name(data: bytes) -> str | None:
    """The name a client asks for, as it wrote it; None: more of the message must come first. Raises `NoHello`."""
    message = _message(data)
    if message is None:
        return None
    hello = _Bytes(message)
    hello.take(2 + 32)
    for length_bytes in (1, 2, 1):  # session, ciphers, compression
        hello.vector(length_bytes)
    extensions = hello.vector(2)
    hello.must_be_over()
    names = []
    while extensions.left:
        kind, content = extensions.number(2), extensions.vector(2)
        if kind in _HIDDEN_NAME:
            raise NoHello("the server name is hidden")
        if kind == _SERVER_NAME:
            names.append(_host_name(content))
    if len(names) != 1:
        raise NoHello("not one server name")
    return names[0]


def _message(data: bytes) -> bytes | None:
    """The hello, put together from its records; None while it is not whole."""
    pieces, rest = b"", _Bytes(data)
    for _ in range(_RECORDS):
        wanted = _MESSAGE_HEAD + int.from_bytes(pieces[1:_MESSAGE_HEAD]) if len(pieces) >= _MESSAGE_HEAD else 0
        if pieces[:1] not in (b"", bytes([_CLIENT_HELLO])) or wanted > MOST_BYTES:
            raise NoHello("no client hello, or too long a one")
        if wanted and len(pieces) >= wanted:
            if len(pieces) > wanted:
                raise NoHello("more than a hello")
            return pieces[_MESSAGE_HEAD:]
        if rest.left and rest.peek() != _HANDSHAKE:
            raise NoHello("no TLS handshake")
        if rest.left < _RECORD_HEAD:
            return None
        rest.take(1)
        version, length = rest.number(2), rest.number(2)
        if version >> 8 != 3 or not 0 < length <= _RECORD_BYTES:
            raise NoHello("no TLS record")
        if rest.left < length:
            return None
        pieces += rest.take(length)
    raise NoHello("too many records")


def _host_name(content: "_Bytes") -> str:
    entries = content.vector(2)
    content.must_be_over()
    kind, name = entries.number(1), entries.vector(2)
    entries.must_be_over()
    if kind != _HOST_NAME:
        raise NoHello("an unknown kind of name")
    try:
        return name.take(name.left).decode("ascii")
    except UnicodeDecodeError:
        raise NoHello("a name of odd characters") from None


class _Bytes:
    """Bytes read from front to back; raises `NoHello` where they end too soon."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def peek(self) -> int:
        return self._data[self._at]

    def take(self, count: int) -> bytes:
        if count > self.left:
            raise NoHello("it ends too soon")
        self._at += count
        return self._data[self._at - count : self._at]

    def number(self, count: int) -> int:
        return int.from_bytes(self.take(count))

    def vector(self, length_bytes: int) -> "_Bytes":
        return _Bytes(self.take(self.number(length_bytes)))

    def must_be_over(self) -> None:
        if self.left:
            raise NoHello("more than there should be")
