"""Frames of the event stream are what botocore's own reader reads."""

import json

import pytest
from botocore.eventstream import ChecksumMismatch, EventStreamBuffer

from codecoach.local.wire import eventstream


def read(content: bytes):
    buffer = EventStreamBuffer()
    buffer.add_data(content)
    return [(message.headers, json.loads(message.payload)) for message in buffer]


def test_an_event_is_read_back():
    ((headers, payload),) = read(eventstream.event("contentBlockDelta", {"text": "你好 🎉"}))
    assert headers == {
        ":event-type": "contentBlockDelta",
        ":content-type": "application/json",
        ":message-type": "event",
    }
    assert payload == {"text": "你好 🎉"}


def test_an_exception_is_read_back():
    ((headers, payload),) = read(eventstream.exception("throttlingException", "slow down"))
    assert headers[":exception-type"] == "throttlingException"
    assert headers[":message-type"] == "exception"
    assert payload == {"message": "slow down"}


def test_frames_follow_one_another():
    events = [eventstream.event("e", {"n": n, "text": "x" * n}) for n in range(300)]
    assert [payload["n"] for _, payload in read(b"".join(events))] == list(range(300))


@pytest.mark.parametrize("at", [0, 5, 20, -20, -1])
def test_a_damaged_frame_is_noticed(at):
    frame = bytearray(eventstream.event("e", {"text": "hello, this is a frame"}))
    frame[at] ^= 1
    with pytest.raises(ChecksumMismatch):
        read(bytes(frame))
