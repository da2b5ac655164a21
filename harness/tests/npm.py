"""Packages of npm that tests look at: installed into a folder of their own, and nothing of them run."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

__all__ = ["install"]

INSTALLING_SECONDS = 300


def install(package: str, folder: Path) -> Path:
    """The folder with the package in it; skips the test, with the reason, where npm cannot install it."""
    (folder / "package.json").write_text('{"private": true}')
    # In the folder, not with --prefix: that would hide the machine's own settings of npm. Without scripts: nothing is built.
    options = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    try:
        done = subprocess.run(
            ["npm", "install", *options, package], cwd=folder, capture_output=True, text=True, timeout=INSTALLING_SECONDS
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm did not install {package} within {INSTALLING_SECONDS} s")
    if done.returncode:
        pytest.skip(f"npm could not install {package}: {done.stderr.strip().splitlines()[-1:]}")
    return folder
