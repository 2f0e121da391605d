"""A command line that talks to a master, also to one that does not answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tamago.cluster.control_client import ControlClient, MasterGoneError, MasterSilentError
from tamago.cluster.control_protocol import ControlError, Reply, encode_reply
from tamago.cluster.rundir import RunDir, this_process
from tamago.errors import TamagoError

Play = Callable[[socket.socket], None]


@contextmanager
def master(base: Path, play: Play | None) -> Iterator[None]:
    """Accept one client and play the script with it; None listens and never accepts, as a stopped master does."""
    with RunDir(base, "shop", create=True) as rundir, socket.socket(socket.AF_UNIX) as listener:
        rundir.lock(this_process(title="shop", directory="/"))
        listener.bind(rundir.control_address)
        listener.listen()
        if play is None:
            yield
            return

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                play(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            thread.join()


def say(*replies: Reply) -> Play:
    return lambda connection: connection.sendall(b"".join(encode_reply(reply) for reply in replies))


def test_events_are_handed_on_and_the_result_is_returned(tmp_path: Path) -> None:
    accepted, progress = Reply(id=1, event="accepted"), Reply(id=1, event="progress", text="x")
    seen: list[Reply] = []
    script = say(accepted, progress, Reply(id=1, event="done", result={"a": 1}))
    with master(tmp_path, script), ControlClient(tmp_path, "shop") as client:
        assert client.call("status", on_event=seen.append) == {"a": 1}
    assert seen == [accepted, progress]


def test_an_error_is_raised_with_the_words_of_the_master(tmp_path: Path) -> None:
    script = say(Reply(id=1, event="error", problem="p", hint="h", detail="d", exit_code=3))
    with master(tmp_path, script), ControlClient(tmp_path, "shop") as client, pytest.raises(ControlError) as caught:
        client.call("reload")
    assert (caught.value.problem, caught.value.hint, caught.value.detail, caught.value.code) == ("p", "h", "d", 3)


def test_a_stopped_master_is_silent_and_its_client_says_so_in_time(tmp_path: Path) -> None:
    with (
        master(tmp_path, None),
        ControlClient(tmp_path, "shop", patience=0.05) as client,
        pytest.raises(MasterSilentError, match=r"0\.05 s"),
    ):
        client.call("status")


def test_a_queue_full_of_other_clients_is_waited_for_and_no_sign_of_death(tmp_path: Path) -> None:
    with master(tmp_path, None), ExitStack() as clients, RunDir(tmp_path, "shop", create=False) as rundir:
        with suppress(BlockingIOError):
            while True:
                sock = clients.enter_context(socket.socket(socket.AF_UNIX))
                sock.setblocking(False)
                sock.connect(rundir.control_address)
        with pytest.raises(MasterSilentError, match=r"0\.05 s"):
            ControlClient(tmp_path, "shop", patience=0.05)


def test_a_deadline_holds_even_where_the_master_gives_signs_of_life(tmp_path: Path) -> None:
    stop = threading.Event()

    def chatter(connection: socket.socket) -> None:
        while not stop.wait(0.005):
            connection.sendall(encode_reply(Reply(id=1, event="alive")))

    with master(tmp_path, chatter), ControlClient(tmp_path, "shop") as client:
        with pytest.raises(MasterSilentError):
            client.call("status", timeout=0.05)
        stop.set()


def test_a_master_that_leaves_without_an_answer_is_gone(tmp_path: Path) -> None:
    script = say(Reply(id=1, event="accepted"))
    with master(tmp_path, script), ControlClient(tmp_path, "shop") as client, pytest.raises(MasterGoneError):
        client.call("stop")


def test_a_master_that_speaks_nonsense_is_an_error(tmp_path: Path) -> None:
    def nonsense(connection: socket.socket) -> None:
        connection.sendall(b"hello\n")

    with master(tmp_path, nonsense), ControlClient(tmp_path, "shop") as client, pytest.raises(TamagoError, match="does not know"):
        client.call("stop")


def test_no_socket_or_nobody_behind_it_is_a_master_that_is_gone(tmp_path: Path) -> None:
    with RunDir(tmp_path, "shop", create=True) as rundir:
        with pytest.raises(MasterGoneError):
            ControlClient(tmp_path, "shop")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(rundir.control_address)
        with pytest.raises(MasterGoneError):
            ControlClient(tmp_path, "shop")


def test_a_full_queue_of_a_stopped_master_does_not_hang_its_client(tmp_path: Path) -> None:
    with RunDir(tmp_path, "shop", create=True) as rundir, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(rundir.control_address)
        listener.listen(0)
        with socket.socket(socket.AF_UNIX) as first:
            first.connect(rundir.control_address)
            second = socket.socket(socket.AF_UNIX)
            second.setblocking(False)
            second.connect_ex(rundir.control_address)
            with second, pytest.raises((MasterSilentError, MasterGoneError)):
                ControlClient(tmp_path, "shop", patience=0.05)
