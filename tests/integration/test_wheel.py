"""The built wheel in an environment of its own, outside of any checkout: what a person has after ``pip install``."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import urllib.request
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest
from hatchling.build import build_wheel

from metrify_assets.settings import REPOSITORY_DIR
from tests.integration.processes import clean_environment, free_port, kill_all, wait_until

pytestmark = [pytest.mark.daemon, pytest.mark.timeout(1_800)]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an environment with the wheel; its dependencies are those of this environment, its Metrify is not."""
    folder = tmp_path_factory.mktemp("installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(REPOSITORY_DIR)
        wheel = folder / build_wheel(str(folder))
    venv.create(folder / "env", with_pip=False)
    python = folder / "env" / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel]
    subprocess.run(install, check=True)
    # The folder alone: the path file of the editable install in it does not count.
    shared = next(path for path in sys.path if path.endswith("site-packages"))
    packages_of(folder / "env").joinpath("dependencies.pth").write_text(shared + "\n")
    beside = Path(sys.executable).parent
    for name in ("dbt", "dagster", "dg"):
        script = (beside / name).read_text().splitlines()
        (python.parent / name).write_text("\n".join([f"#!{python}", *script[1:]]))
        (python.parent / name).chmod(0o755)
    return folder / "env"


def packages_of(environment: Path) -> Path:
    return next((environment / "lib").glob("python*")) / "site-packages"


def files_of(folder: Path) -> dict[str, str]:
    """Return the digests of the files of a folder, without what Python compiles."""
    paths = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return the folder that a person works in: it holds nothing."""
    folder = tmp_path_factory.mktemp("work")
    yield folder
    kill_all(folder / ".metrify")


def run(environment: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [environment / "bin" / arguments[0], *arguments[1:]]
    return subprocess.run(
        command, cwd=folder, env=clean_environment(), capture_output=True, text=True, check=False, timeout=1_200
    )


@pytest.fixture(scope="module")
def demo(environment: Path, folder: Path) -> dict:
    before = files_of(packages_of(environment) / "metrify_assets")
    done = run(environment, folder, "metrify", "demo", "--points", "4", "--days", "1", "--json")
    assert done.returncode == 0, done.stderr[-3_000:]
    return {**json.loads(done.stdout), "before": before}


def test_the_demo_runs_where_there_is_no_checkout(demo, folder):
    assert demo["checks"]["failed"] == 0
    assert demo["values_delivered"] == demo["values_raw"] + demo["values_quarantined"] > 0
    assert (folder / ".metrify" / "published" / "metrify.duckdb").is_file()


def test_nothing_is_written_where_packages_are(demo, environment):
    assert files_of(packages_of(environment) / "metrify_assets") == demo["before"]


def test_the_wheel_holds_the_dbt_project_as_it_is_in_the_checkout(environment):
    names = ("models", "macros", "seeds", "tests")
    installed = packages_of(environment) / "metrify_assets"
    for name in names:
        assert files_of(installed / "metrify_dbt" / name) == files_of(REPOSITORY_DIR / "metrify_dbt" / name)
    for name in ("dagster.yaml", "workspace.yaml", "metrify_dbt/dbt_project.yml", "metrify_dbt/profiles.yml"):
        assert (installed / name).read_bytes() == (REPOSITORY_DIR / name).read_bytes()


def test_the_ui_serves_the_installed_code_location(environment, folder, demo):
    port = free_port()
    served = {"query": "{ repositoriesOrError { ... on RepositoryConnection { nodes { location { name } } } } }"}
    with open(folder / "dev.log", "wb") as log:
        process = subprocess.Popen(
            [environment / "bin" / "metrify", "dev", "--port", str(port)],
            cwd=folder,
            env={**clean_environment(), "METRIFY_AUTOMATION": "off"},
            stdout=log,
            stderr=log,
        )
    try:

        def locations() -> list | None:
            assert process.poll() is None, (folder / "dev.log").read_text()[-3_000:]
            body = json.dumps(served).encode()
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}/graphql", body, {"Content-Type": "application/json"}
            )
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    return json.load(answer)["data"]["repositoriesOrError"].get("nodes")
            except OSError:
                return None

        wait_until(locations)
        assert [node["location"]["name"] for node in locations()] == ["metrify"]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(120)


def test_a_utility_has_a_project_of_its_own(environment, tmp_path):
    project = tmp_path / "stadtwerk"
    sums: list[float] = []
    made = run(environment, tmp_path, "metrify", "init", "stadtwerk")
    assert made.returncode == 0, made.stderr
    try:
        done = run(environment, project, "metrify", "demo", "--points", "4", "--days", "1", "--json")
        assert done.returncode == 0, done.stderr[-3_000:]
        assert json.loads(done.stdout)["checks"]["failed"] == 0
    finally:
        kill_all(project / ".metrify")
    # The model of its own was built after the one that it reads.
    for model in ("daily_consumption_metrics", "energy_by_channel"):
        query = f"select cast(sum(energy_kwh) as double) as kwh from metrics.{model}"
        asked = run(environment, project, "metrify", "query", query, "--json")
        assert asked.returncode == 0, asked.stderr
        sums.append(json.loads(asked.stdout)[0]["kwh"])
    assert sums[0] == sums[1] > 0
    checked = run(environment, project, "dg", "check", "defs")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    tested = run(environment, project, "python", "-m", "pytest", "-q")
    assert tested.returncode == 0, tested.stdout + tested.stderr
