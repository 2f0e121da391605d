"""The start request travels to the master it becomes."""

from __future__ import annotations

import os
import socket

import msgspec
import pytest

from tamago.cluster.launch import Launch, read_launch, write_launch


def test_a_request_arrives_as_it_was_written_and_its_descriptor_survives_exec() -> None:
    launch = Launch(directory="/x", flags={"workers": "2", "bind": [":80"], "sticky": True}, began=1.5)
    fd = write_launch(launch)
    assert os.get_inheritable(fd)
    assert read_launch(fd) == launch
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(fd)


def test_the_socket_to_the_launcher_is_not_inherited_any_further() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.set_inheritable(True)
        read_launch(write_launch(Launch(directory="/x", flags={}, report_fd=theirs.fileno())))
        assert not theirs.get_inheritable()


def test_a_request_of_another_version_is_refused() -> None:
    fd = os.memfd_create("x")
    os.write(fd, b'{"directory":"/","flags":{},"unknown":1}')
    os.lseek(fd, 0, os.SEEK_SET)
    with pytest.raises(msgspec.ValidationError):
        read_launch(fd)
