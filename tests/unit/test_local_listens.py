"""Which process listens at a port, as the kernel tells it."""

import os
import socket
import subprocess
import sys

from headrace_local.processes import listens

_HOLDS_NOTHING = [sys.executable, "-c", "input()"]


def test_only_who_holds_the_listening_socket_listens() -> None:
    with (
        socket.socket() as taken,
        subprocess.Popen(_HOLDS_NOTHING, stdin=subprocess.PIPE) as other,
    ):
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        assert not listens(os.getpid(), port)  # bound, but nobody can connect yet
        taken.listen()
        assert listens(os.getpid(), port)
        assert not listens(other.pid, port)
        other.communicate(b"\n")
    assert not listens(os.getpid(), port)
    assert not listens(other.pid, port)


def test_who_is_connected_to_a_port_does_not_listen_there() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with socket.create_connection(taken.getsockname()) as here:
            assert not listens(os.getpid(), here.getsockname()[1])
