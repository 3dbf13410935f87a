"""The client's WebSocket by the clauses of RFC 6455; however the bytes are split, the same comes out."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.client.websocket import HandshakeRefused, WebSocket, mask

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, CONTINUATION, BINARY, CLOSE, PING, PONG = 1, 0, 2, 8, 9, 10


def counting() -> object:
    numbers = itertools.count(1)
    return lambda size: bytes(next(numbers) % 256 for _ in range(size))


def opening(socket: WebSocket, **changes: str) -> bytes:
    """The server's answer to its handshake."""
    found = re.search(rb"Sec-WebSocket-Key: (\S+)\r\n", bytes(socket.outgoing))
    assert found is not None
    accept = base64.b64encode(hashlib.sha1(found[1] + GUID).digest()).decode()
    fields = {"Upgrade": "WebSocket", "Connection": "keep-alive, upgrade", "Sec-WebSocket-Accept": accept} | changes
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value)
    return f"HTTP/1.1 101 Switching Protocols\r\n{head}\r\n".encode()


def connected(max_message_bytes: int = 1000) -> WebSocket:
    socket = WebSocket("relay.example:7443", counting(), max_message_bytes=max_message_bytes)  # type: ignore[arg-type]
    assert socket.receive(opening(socket)) == []
    assert socket.is_open
    socket.outgoing.clear()
    return socket


def frame(code: int, payload: bytes = b"", *, last: bool = True, first_bits: int = 0, masked: bool = False) -> bytes:
    """A frame of the server."""
    first = (0x80 if last else 0) | first_bits | code
    size = len(payload)
    if size < 126:
        head = bytes([first, size | (0x80 if masked else 0)])
    elif size < 1 << 16:
        head = bytes([first, 126]) + size.to_bytes(2, "big")
    else:
        head = bytes([first, 127]) + size.to_bytes(8, "big")
    return head + payload


def sent(socket: WebSocket) -> list[tuple[int, bytes]]:
    """Frames of the client, unmasked."""
    data, frames = bytes(socket.outgoing), []
    socket.outgoing.clear()
    while data:
        code, size, start = data[0] & 0x0F, data[1] & 0x7F, 2
        assert data[1] & 0x80, "a client masks every frame (5.1)"
        if size > 125:
            width = 2 if size == 126 else 8
            size, start = int.from_bytes(data[2 : 2 + width], "big"), 2 + width
        key, payload = data[start : start + 4], data[start + 4 : start + 4 + size]
        frames.append((code, bytes(byte ^ key[place % 4] for place, byte in enumerate(payload))))
        data = data[start + 4 + size :]
    return frames


def test_the_handshake_says_what_section_4_1_asks_for() -> None:
    socket = WebSocket("relay.example:7443", counting(), max_message_bytes=10)  # type: ignore[arg-type]
    lines = bytes(socket.outgoing).decode().split("\r\n")
    assert lines[0] == "GET / HTTP/1.1"
    assert {"Host: relay.example:7443", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"} <= {
        *lines
    }
    key = base64.b64decode(next(line for line in lines if "Key" in line).partition(": ")[2])
    assert len(key) == 16


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "the server answered 404 Not Found instead of opening a WebSocket"),
        (b"SIP/2.0 200 OK\r\n\r\n", "does not speak HTTP"),
        (b"HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", "not to our handshake"),
        (b"HTTP/1.1 101 OK\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n", "no upgrade"),
        (b"x" * 20_000, "has no end"),
    ],
)
def test_what_is_no_opening_is_refused_with_a_sentence(answer: bytes, why: str) -> None:
    socket = WebSocket("h", counting(), max_message_bytes=10)  # type: ignore[arg-type]
    with pytest.raises(HandshakeRefused, match=why):
        socket.receive(answer)


def test_an_extension_that_was_not_offered_is_refused() -> None:
    socket = WebSocket("h", counting(), max_message_bytes=10)  # type: ignore[arg-type]
    with pytest.raises(HandshakeRefused, match="extension"):
        socket.receive(opening(socket, **{"Sec-WebSocket-Extensions": "permessage-deflate"}))


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536])
def test_messages_of_all_lengths_go_out_masked_and_come_in(size: int) -> None:
    socket = connected(100_000)
    socket.send("ä" * (size // 2) + "x" * (size % 2))
    [(code, payload)] = sent(socket)
    assert (code, len(payload)) == (TEXT, size)
    assert socket.receive(frame(TEXT, payload)) == [payload]


@given(st.binary(max_size=300), st.binary(min_size=4, max_size=4))
def test_masking_is_the_exclusive_or_of_5_3_and_its_own_inverse(payload: bytes, key: bytes) -> None:
    assert mask(payload, key) == bytes(byte ^ key[place % 4] for place, byte in enumerate(payload))
    assert mask(mask(payload, key), key) == payload


STREAM = b"".join(
    [
        frame(TEXT, b"one"),
        frame(TEXT, b"tw", last=False),
        frame(PING, b"in between"),
        frame(CONTINUATION, b"", last=False),
        frame(CONTINUATION, b"o"),
        frame(PONG, b"asked by nobody"),
        frame(BINARY, b"\x00" * 200),
        frame(CLOSE, (1001).to_bytes(2, "big") + b"going away"),
        frame(TEXT, b"too late"),
    ]
)


@given(st.lists(st.integers(1, len(STREAM)), max_size=20))
def test_however_the_bytes_are_split_the_same_comes_out(cuts: list[int]) -> None:
    socket = connected()
    edges = [0, *sorted(set(cuts)), len(STREAM)]
    messages = [message for start, end in itertools.pairwise(edges) for message in socket.receive(STREAM[start:end])]
    assert messages == [b"one", b"two", b"\x00" * 200]
    assert sent(socket) == [(PONG, b"in between"), (CLOSE, (1000).to_bytes(2, "big"))]
    assert socket.closing == "the server closed the socket (code 1001)"


@pytest.mark.parametrize(
    ("data", "code", "why"),
    [
        (frame(TEXT, b"x", first_bits=0x40), 1002, "reserved bit"),
        (frame(TEXT, b"x", masked=True), 1002, "masked"),
        (frame(CONTINUATION, b"x"), 1002, "out of its order"),
        (frame(TEXT, b"x", last=False) + frame(TEXT, b"y"), 1002, "out of its order"),
        (frame(3, b"x"), 1002, "out of its order"),
        (frame(11), 1002, "control frame"),
        (frame(PING, b"x", last=False), 1002, "control frame"),
        (frame(PING, b"x" * 126), 1002, "control frame"),
        (frame(TEXT, b"x" * 1001), 1009, "longer than 1000 bytes"),
        (frame(TEXT, b"x" * 600, last=False) + frame(CONTINUATION, b"x" * 600), 1009, "longer than 1000 bytes"),
    ],
)
def test_what_breaks_the_protocol_ends_it_with_its_code(data: bytes, code: int, why: str) -> None:
    socket = connected()
    assert socket.receive(frame(TEXT, b"before") + data + frame(TEXT, b"after")) == [b"before"]
    assert socket.closing is not None
    assert why in socket.closing
    assert sent(socket) == [(CLOSE, code.to_bytes(2, "big"))]


def test_a_length_beyond_the_limit_ends_it_before_the_bytes_come() -> None:
    socket = connected()
    assert socket.receive(frame(TEXT, b"x" * 70_000)[:10]) == []
    assert socket.closing is not None


def test_after_our_goodbye_nothing_is_sent() -> None:
    socket = connected()
    socket.close()
    socket.send("late")
    socket.close()
    socket.receive(frame(PING, b"?"))
    assert sent(socket) == [(CLOSE, (1000).to_bytes(2, "big"))]


def test_a_close_without_a_code_is_1005() -> None:
    socket = connected()
    socket.receive(frame(CLOSE))
    assert socket.closing == "the server closed the socket (code 1005)"


@given(st.binary(max_size=400))
def test_any_bytes_are_taken(data: bytes) -> None:
    connected().receive(data)
