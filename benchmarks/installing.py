"""Installs the peers next to the benchmarks: Python servers, Egg, Redis and wrk. Touches nothing outside this directory."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.paths import DEBIAN, EGG, HERE, PYTHON, ROOT, VENV

PYTHON_PEERS = (
    "fastapi", "pydantic", "sqlalchemy", "httpx", "gunicorn>=27", "uvicorn", "uvicorn-worker", "granian", "uvloop", "httptools",
    "redis", "hiredis", "msgspec", "flask", "django", "websockets", "sanic", "blacksheep",
)  # fmt: skip
EGG_VERSION = "^3"
DEBIAN_PEERS = ("redis-server", "wrk")


def python_peers() -> None:
    """One environment for tamago and its peers, so that all use the same interpreter and libraries."""
    if not PYTHON.exists():
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
    subprocess.run(
        [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PYTHON_PEERS, "--editable", ROOT], check=True
    )


def egg() -> None:
    EGG.mkdir(exist_ok=True)
    shutil.copytree(HERE / "egg", EGG, dirs_exist_ok=True)
    if not (EGG / "node_modules" / "egg-scripts").exists():
        packages = [f"{name}@{EGG_VERSION}" for name in ("egg", "egg-scripts")]
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--prefix", EGG, *packages], check=True)


def debian_peers() -> None:
    """Download Debian's packages and unpack them here: nothing is installed and no service starts."""
    missing = [name for name in DEBIAN_PEERS if not (DEBIAN / "usr" / "bin" / name).exists() and not shutil.which(name)]
    if not missing:
        return
    if not shutil.which("apt-get"):
        print(f"not Debian: install {' and '.join(missing)} yourself")
        return
    archives = DEBIAN / "archives"
    (archives / "partial").mkdir(parents=True, exist_ok=True)
    download = ["apt-get", "install", "--download-only", "--yes", "--no-install-recommends", "-o", f"Dir::Cache::archives={archives}"]
    subprocess.run([*download, *missing], check=True)
    for package in sorted(Path(archives).glob("*.deb")):
        subprocess.run(["dpkg", "-x", package, DEBIAN], check=True)


def run(_arguments: argparse.Namespace) -> None:
    python_peers()
    egg()
    debian_peers()
