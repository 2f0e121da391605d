"""The example that embeds a cluster runs, does what its page says, and leaves nothing behind."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.process import proc
from tests.process.site import Site

EXAMPLE = Path(__file__).parents[2] / "examples" / "embedding"


def test_the_embedding_example_prints_what_its_readme_says(site: Site) -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLE / "main.py")], env=site.environment(), capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout in (EXAMPLE / "README.md").read_text(), done.stdout
    assert not proc.holders_of(site.root, site.marker)
    assert not site.sockets()


def test_a_start_that_fails_raises_and_leaves_nothing(site: Site) -> None:
    site.write("broken.py", "raise RuntimeError('not today')\n")
    site.write(
        "program.py",
        "import asyncio\n"
        "from tamago import Cluster\n"
        "from tamago.cluster.settings import Settings\n"
        "from tamago.errors import TamagoError\n"
        "async def main():\n"
        "    try:\n"
        "        await Cluster(Settings(app='broken:app', title='embedded', workers=1, port=0)).start()\n"
        "    except TamagoError as error:\n"
        "        print(error.problem)\n"
        "        print(error.detail)\n"
        "asyncio.run(main())\n",
    )
    done = subprocess.run(
        [sys.executable, "program.py"], cwd=site.app, env=site.environment(), capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"cannot be imported: RuntimeError: not today", done.stdout), done.stdout
    assert done.stdout.count("Traceback") == 1
    assert not proc.holders_of(site.root, site.marker)
    assert not site.sockets()
