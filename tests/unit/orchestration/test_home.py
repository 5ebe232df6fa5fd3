"""The port of the UI, and what is said where it cannot be had."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time

import pytest

from metrify_assets.errors import MetrifyError
from metrify_assets.orchestration import home
from metrify_assets.settings import Settings


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


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("order", "end"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_an_order_to_end_that_comes_while_an_object_is_deleted_is_not_lost(tmp_path, order, end):
    class Deleted:
        def __del__(self) -> None:
            os.kill(os.getpid(), order)
            time.sleep(0)

    keeper = home.DaemonKeeper(Settings(root=tmp_path), {}, instance=None)
    with keeper:
        Deleted()
        with pytest.raises(end):
            keeper.ensure()


def test_dagsters_processes_find_the_files_of_relative_settings_and_the_modules_beside_the_workspace(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("metrify_assets.warehouse.dbt.ensure_manifest", lambda settings: None)
    monkeypatch.setenv("PYTHONPATH", "/before")
    settings = Settings(root="root", rules_file="rules.yaml", workspace_file="workspace.yaml")
    environment = home.prepare_home(settings)
    assert environment["METRIFY_RULES_FILE"] == f"{tmp_path}/rules.yaml"
    assert environment["METRIFY_WORKSPACE_FILE"] == f"{tmp_path}/workspace.yaml"
    assert environment["PYTHONPATH"] == f"{tmp_path}/root:{tmp_path}:/before"
    assert home.prepare_home(Settings(root="root"))["PYTHONPATH"] == "/before"
