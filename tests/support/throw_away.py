"""A virtual environment for the length of a test: pip installs into it, and the developer's own stays as it is."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

COMMANDS = ("metricface", "pip", "pytest")


class ThrowAway:
    """A virtual environment that sees all that is installed here, whose `pip` reaches no package index.

    Args:
        folder: a new one.
    """

    def __init__(self, folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        self._bin = folder / "bin"
        paths = {"base": str(folder), "platbase": str(folder)}
        here = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
        # addsitedir, unlike a bare path, reads the .pth files there, by which MetricFace itself may be installed.
        lines = "".join(f"import site; site.addsitedir({path!r})\n" for path in here)
        Path(sysconfig.get_path("purelib", "venv", paths), "here.pth").write_text(lines)
        for command in COMMANDS:
            script = self._bin / command
            script.write_text(f'#!/bin/sh\nexec "{self._bin}/python" -m {command} "$@"\n')
            script.chmod(0o755)

    def run(self, line: str, folder: Path, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run a line of shell in a folder; stdout and stderr come together."""
        environment = {
            **os.environ,
            "PATH": f"{self._bin}{os.pathsep}{os.environ['PATH']}",
            "PIP_NO_INDEX": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "HF_HUB_OFFLINE": "1",
            "NO_ALBUMENTATIONS_UPDATE": "1",
        }
        return subprocess.run(
            ["sh", "-c", line],
            cwd=folder,
            env=environment,
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
