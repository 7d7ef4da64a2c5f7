"""A browser without the browser: speaks Streamlit's websocket protocol, counts bytes and notes when text arrives.

Source: streamlit/proto/*.proto and streamlit/web/server/starlette/starlette_websocket.py of the pinned version.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect


class CountedConnection(ClientConnection):
    """A connection that counts what comes over the wire, compressed as it is."""

    bytes_in = 0

    def data_received(self, data: bytes) -> None:
        self.bytes_in += len(data)
        super().data_received(data)


@dataclass
class Client:
    """One signed-in browser tab."""

    url: str
    cookie: str
    page: str
    chat_input_id: str = ""
    on_text: Callable[[str, float], None] | None = None
    # As `on_text`, with where on the page the text stands.
    on_text_at: Callable[[str, float, tuple[int, ...]], None] | None = None
    # The ids of the widgets that have a key of ours, by it; and what the browser holds of them.
    widget_ids: dict[str, str] = field(default_factory=dict)
    chosen: dict[str, list[str]] = field(default_factory=dict)
    _connection: CountedConnection | None = field(default=None, repr=False)
    _finished: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    _reader: asyncio.Task[None] | None = field(default=None, repr=False)

    async def open(self) -> None:
        """Connect and load the page; returns when its script run has finished."""
        connection = await connect(
            self.url.replace("http", "ws", 1) + "/_stcore/stream",
            additional_headers={"Cookie": self.cookie},
            subprotocols=["streamlit"],  # type: ignore[list-item]
            origin=self.url,  # type: ignore[arg-type]
            max_size=None,
            create_connection=CountedConnection,
        )
        assert isinstance(connection, CountedConnection)
        self._connection = connection
        self._reader = asyncio.create_task(self._read())
        await self.rerun()

    @property
    def bytes_in(self) -> int:
        """Bytes received over the wire."""
        return self._connection.bytes_in if self._connection else 0

    async def rerun(self) -> float:
        """Ask for a script run; returns the seconds until it had finished."""
        message = self._rerun_message()
        return await self._send_and_wait(message)

    async def submit_chat(self, text: str) -> None:
        """Type `text` into the page's chat input and send it; does not wait for the run to finish."""
        message = self._rerun_message()
        state = message.rerun_script.widget_states.widgets.add()
        state.id = self.chat_input_id
        state.chat_input_value.data = text
        self._finished.clear()
        assert self._connection
        await self._connection.send(message.SerializeToString())

    async def choose(self, key: str, label: str) -> float:
        """Choose an option of a segmented control by its label; returns the seconds until the script run had finished."""
        self.chosen[key] = [label]
        return await self.rerun()

    async def press(self, key: str) -> None:
        """Press a button; does not wait for the run to finish."""
        message = self._rerun_message()
        state = message.rerun_script.widget_states.widgets.add()
        state.id, state.trigger_value = self.widget_ids[key], True
        self._finished.clear()
        assert self._connection
        await self._connection.send(message.SerializeToString())

    async def finished(self) -> None:
        await self._finished.wait()

    async def close(self) -> None:
        if self._connection:
            await self._connection.close()
        if self._reader:
            await asyncio.gather(self._reader, return_exceptions=True)

    def _rerun_message(self) -> BackMsg:
        message = BackMsg()
        message.rerun_script.query_string = ""
        # A browser names the page once and then sends the hash it was told; the name works each time.
        message.rerun_script.page_name = self.page
        for key, labels in self.chosen.items():
            state = message.rerun_script.widget_states.widgets.add()
            state.id = self.widget_ids[key]
            state.string_array_value.data.extend(labels)
        return message

    async def _send_and_wait(self, message: BackMsg) -> float:
        assert self._connection
        self._finished.clear()
        began = time.monotonic()
        await self._connection.send(message.SerializeToString())
        await self._finished.wait()
        return time.monotonic() - began

    async def _read(self) -> None:
        assert self._connection
        async for data in self._connection:
            assert isinstance(data, bytes)
            now = time.monotonic()
            message = ForwardMsg.FromString(data)
            kind = message.WhichOneof("type")
            if kind == "delta":
                self._element(message.delta.new_element, now, tuple(message.metadata.delta_path))
            elif kind == "script_finished" and message.script_finished in (
                ForwardMsg.FINISHED_SUCCESSFULLY,
                ForwardMsg.FINISHED_WITH_COMPILE_ERROR,
            ):
                self._finished.set()

    def _element(self, element: Element, now: float, path: tuple[int, ...]) -> None:
        kind = element.WhichOneof("type")
        if kind == "chat_input":
            self.chat_input_id = element.chat_input.id
        elif kind == "markdown":
            self._text(element.markdown.body, now, path)
        elif kind == "code":
            self._text(element.code.code_text, now, path)
        elif kind in ("button", "button_group"):
            widget_id = getattr(element, kind).id
            self.widget_ids[widget_id.split("-", 2)[-1]] = widget_id

    def _text(self, text: str, now: float, path: tuple[int, ...]) -> None:
        if self.on_text:
            self.on_text(text, now)
        if self.on_text_at:
            self.on_text_at(text, now, path)


async def gather(count: int, make: Callable[[int], Awaitable[Client]]) -> list[Client]:
    """`count` clients, opened a few at a time so that the opening itself is no stampede."""
    gate = asyncio.Semaphore(5)

    async def one(index: int) -> Client:
        async with gate:
            return await make(index)

    return list(await asyncio.gather(*(one(index) for index in range(count))))
