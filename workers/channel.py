"""Messages over a socket, length first. The driver's end never blocks; a worker's end does, since it has one master."""

from __future__ import annotations

import pickle
import socket
import struct
from typing import Any

_LENGTH = struct.Struct("<Q")
_CHUNK = 1 << 20


def encode(message: Any) -> bytes:
    """A message as it travels."""
    body = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(body)) + body


def receive(sock: socket.socket) -> Any:
    """The next message; waits for it.

    Raises:
        EOFError: The other end is gone.
    """
    (length,) = _LENGTH.unpack(_exactly(sock, _LENGTH.size))
    return pickle.loads(_exactly(sock, length))


class Channel:
    """The driver's end: reads and writes what the socket takes now, and keeps the rest.

    A worker in the middle of a long trial does not read, and one that was stopped in the middle of a message does not
    go on writing; neither may hold up the driver.
    """

    def __init__(self, sock: socket.socket) -> None:
        """Take over a connected socket."""
        sock.setblocking(False)
        self._sock = sock
        self._inbox = bytearray()
        self._outbox = bytearray()
        self.ended = False  #: the other end is gone

    def fileno(self) -> int:
        """The file descriptor, for a selector."""
        return self._sock.fileno()

    @property
    def wants_to_write(self) -> bool:
        """Something is left to send."""
        return bool(self._outbox) and not self.ended

    def send(self, message: Any) -> None:
        """Queue a message and send what can be sent."""
        self._outbox += encode(message)
        self.push()

    def push(self) -> None:
        """Send what can be sent now."""
        try:
            while self._outbox:
                del self._outbox[: self._sock.send(self._outbox)]
        except BlockingIOError:
            return
        except OSError:
            self.ended = True

    def pull(self) -> list[Any]:
        """The messages that have arrived whole."""
        try:
            while True:
                piece = self._sock.recv(_CHUNK)
                if not piece:
                    self.ended = True
                    break
                self._inbox += piece
        except BlockingIOError:
            pass
        except OSError:
            self.ended = True
        messages = []
        start = 0
        while len(self._inbox) - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._inbox, start)
            end = start + _LENGTH.size + length
            if len(self._inbox) < end:
                break
            messages.append(pickle.loads(memoryview(self._inbox)[start + _LENGTH.size : end]))
            start = end
        del self._inbox[:start]
        return messages

    def close(self) -> None:
        """Close the socket; closing twice is harmless."""
        self._sock.close()


def _exactly(sock: socket.socket, size: int) -> bytes:
    """The next `size` bytes."""
    pieces = []
    while size:
        piece = sock.recv(min(size, _CHUNK))
        if not piece:
            raise EOFError
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)
