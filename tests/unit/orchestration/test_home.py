"""The port of the UI, and what is said where it cannot be had."""

from __future__ import annotations

import socket
import threading

import pytest

from metrify_assets.errors import MetrifyError
from metrify_assets.orchestration import home


def test_a_port_that_another_program_keeps_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    monkeypatch.setattr(home, "PORT_SECONDS", 0.3)
    with socket.create_server((home.HOST, 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(MetrifyError, match=rf"port {port} cannot be used \(.+\): name another with --port"):
            home._require_port(port)
    assert capsys.readouterr().err == f"metrify: waiting for port {port}: another program has it\n"


def test_a_port_that_is_given_back_soon_is_waited_for():
    other = socket.create_server((home.HOST, 0))
    port = other.getsockname()[1]
    giving_back = threading.Timer(0.5, other.close)
    giving_back.start()
    home._require_port(port)
    giving_back.join()
