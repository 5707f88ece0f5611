"""`ifmmin run` relies on DVC's internals: it works with the oldest supported DVC and the required one."""

import os
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest
import trivial
import yaml

from pipeline.conftest import Project, configured, environment_of

pytestmark = pytest.mark.slow

OLDEST = "3.63.0"  # needs pathspec < 1


@pytest.fixture(scope="module", params=["required", OLDEST])
def python(request, tmp_path_factory):
    """A Python with that DVC; the oldest is in a virtual environment that shares the other packages."""
    if request.param == "required":
        return sys.executable
    folder = tmp_path_factory.mktemp("dvc")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = str(folder / "bin" / "python")
    done = subprocess.run(
        [python, "-m", "pip", "install", "-q", f"dvc=={OLDEST}", "pathspec<1"], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"DVC {OLDEST} cannot be installed: {done.stderr.strip().splitlines()[-1]}")
    site_packages = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    Path(site_packages, "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def test_run_and_dvc_repro_agree_after_a_kill_a_restore_and_a_failure(python, tmp_path):
    project = configured(Project(trivial.make(tmp_path / "project")))
    dvc, run = [python, "-m", "dvc"], [python, "-m", "ifmmin", "run", "-j", "2", "--cold"]
    project.commit("new")

    driver = subprocess.Popen(
        run,
        cwd=project.folder,
        stderr=subprocess.DEVNULL,
        env={**environment_of(project), "DVC_NO_ANALYTICS": "true"},
    )
    while not (project.folder / "models").exists():
        assert driver.poll() is None
        time.sleep(0.02)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    project.run(*run)

    assert len(yaml.safe_load(project.read("dvc.lock"))["stages"]) == 17
    assert "up to date" in project.run(*dvc, "status").stdout
    assert "Running" not in project.run(*dvc, "repro").stdout
    before = project.read("dvc.lock")

    params = (project.folder / "params.yaml").read_text()
    (project.folder / "params.yaml").write_text(params.replace("lambda2: 100", "lambda2: 10"))
    with_10 = project.run(*run).stderr
    (project.folder / "params.yaml").write_text(params)
    with_100 = project.run(*run).stderr

    assert "13 ran" in with_10
    assert "13 restored" in with_100
    assert project.read("dvc.lock") == before

    (project.folder / "raw").write_text("other")
    pipeline = project.read("dvc.yaml").replace("echo frames > features", "exit 3")
    (project.folder / "dvc.yaml").write_text(pipeline)
    failed = project.run(*run, check=False)
    assert failed.returncode == 1
    assert "1 of 17 stages failed: ingest." in failed.stderr
