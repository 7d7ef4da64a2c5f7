"""The events of one ConverseStream call, read in frames.

    service      t  t t   t t  t    t   t t          tokens as they come
    handed on    t────────ttt───────ttt──────tt      the first at once, then what has come since, at most 20 times a second

Nobody sees more than that, and to be woken for each token costs more than all that is done with it. Where many replies are
read at once, frames are a little longer: each update takes half a millisecond of the one interpreter that all of them share,
and one that is short of time is late by far more than a frame.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from socket import socket
from typing import TYPE_CHECKING, Any

from botocore.eventstream import EventStreamBuffer, EventStreamMessage

from codecoach.errors import StreamBroken

if TYPE_CHECKING:
    from mypy_boto3_bedrock_runtime import BedrockRuntimeClient

FRAME_S = 0.045
CROWDED_FRAME_S = 0.05
# From so many replies on.
CROWD = 10

Event = dict[str, Any]


class Reading:
    """Stands for the runtime client in one call: its `converse_stream` answers with itself as the stream of events.

    One thread reads; any may close. The names with an underscore are botocore's, urllib3's and http.client's own: no
    public way leads to the connection of a reply. With versions that know them no more, replies still come: token by token,
    and one that is closed ends with its next token. The tests of frames and of closing fail then.
    """

    def __init__(self, client: "BedrockRuntimeClient") -> None:
        self._client = client
        self._closed = threading.Event()
        self._stream: Any = None

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the client has
        return getattr(self._client, name)

    def converse_stream(self, **parameters: Any) -> Event:  # noqa: ANN401 - as the client's
        """Call the service. Raises what the client raises, and `StreamBroken` once closed."""
        response = self._client.converse_stream(**parameters)
        self._stream = response["stream"]
        if self._closed.is_set():
            self._stream.close()
            raise StreamBroken()
        if not all(hasattr(self._stream, name) for name in ("_raw_stream", "_parse_event")):
            return {**response, "stream": self._events()}
        return {**response, "stream": self}

    def _events(self) -> Iterator[Event]:
        """The events by botocore's public way."""
        with closing(self._stream) as events:
            for event in events:
                if self._closed.is_set():
                    return
                yield event

    def __iter__(self) -> Iterator[Event]:
        buffer = EventStreamBuffer()
        _reading.add(self)
        try:
            for data in self._frames():
                buffer.add_data(data)
                told = False
                for event in _merged(self._parse(message) for message in buffer):
                    yield event
                    told = told or "contentBlockDelta" in event
                if told and not self._closed.is_set():
                    # Not a wait for `close`: that takes several times as long to set up, and a frame is soon over.
                    time.sleep(CROWDED_FRAME_S if len(_reading) >= CROWD else FRAME_S)
        finally:
            _reading.discard(self)
            self._stream.close()

    def close(self) -> None:
        """Stop reading: who waits for the service wakes up and hangs up, and the service stops generating."""
        self._closed.set()
        if self._stream is not None:
            hang_up(self._stream)

    def _frames(self) -> Iterator[bytes]:
        """What has come, whenever nothing more is there. All of it comes before the error that breaks it off."""
        frame: list[bytes] = []
        failed: Exception | None = None
        chunks = self._stream._raw_stream.stream()
        while not self._closed.is_set():
            try:
                frame.append(next(chunks))
            except StopIteration:
                break
            except Exception as error:
                failed = error
                break
            if not self._more_is_there():
                yield b"".join(frame)
                frame = []
        if frame:
            yield b"".join(frame)
        if failed:
            raise failed

    def _more_is_there(self) -> bool:
        """True if something can be read without waiting."""
        try:
            received = self._stream._raw_stream._fp.fp
            connection: socket = received.raw._sock
        except AttributeError:  # all of the reply has been read: there is no connection any more
            return False
        timeout_s = connection.gettimeout()
        connection.settimeout(0)
        try:
            return bool(received.peek(1))
        except OSError:  # TLS says so, a bare connection says nothing
            return False
        finally:
            connection.settimeout(timeout_s)

    def _parse(self, message: EventStreamMessage) -> Event:
        headers: dict[str, Any] = message.headers  # type: ignore[assignment]  # the stubs say int
        if headers.get(":event-type") == "contentBlockDelta":
            body: Event = json.loads(message.payload)
            # Text is the same as botocore's parser would make it, which takes longer.
            if body["delta"].keys() == {"text"}:
                return {"contentBlockDelta": body}
        parsed: Event = self._stream._parse_event(message)
        return parsed


def hang_up(stream: Any) -> None:  # noqa: ANN401 - botocore's EventStream
    """End a stream that another thread reads, which wakes up; the service stops generating."""
    # Closing would not wake the thread that reads.
    # RuntimeError, ValueError: the stream has ended. OSError: the service has hung up before. AttributeError: see `Reading`.
    with suppress(OSError, RuntimeError, ValueError, AttributeError):
        stream._raw_stream.shutdown()


# What this process is reading.
_reading: set[Reading] = set()


def _merged(events: Iterator[Event]) -> Iterator[Event]:
    """The events, with texts of one block that follow one another made one. All of them come before an error."""
    held: list[Event] = []
    try:
        for event in events:
            if held and _block_of_text(held[0]) == _block_of_text(event) is not None:
                held.append(event)
                continue
            yield from _one(held)
            held = [event]
    except Exception:
        yield from _one(held)
        raise
    yield from _one(held)


def _one(held: list[Event]) -> Iterator[Event]:
    if len(held) > 1:
        text = "".join(event["contentBlockDelta"]["delta"]["text"] for event in held)
        held[0]["contentBlockDelta"]["delta"]["text"] = text
    yield from held[:1]


def _block_of_text(event: Event) -> int | None:
    """The index of the block that the event adds text to, or None."""
    body = event.get("contentBlockDelta")
    return body["contentBlockIndex"] if body and "text" in body["delta"] else None
