"""What a record says of the machine and the versions that made it."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[1]


def machine(device: str = "cpu") -> dict:
    """The processor, its cores and the operating system; the GPU, if ``device`` is "cuda"."""
    about = {"processor": _processor(), "cores": os.cpu_count(), "system": platform.system()}
    if device == "cuda":
        import torch

        about["gpu"] = torch.cuda.get_device_name()
    return about


def versions(*packages: str) -> dict:
    """Of Python and of installed packages."""
    return {"python": platform.python_version()} | {package: version(package) for package in packages}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()
