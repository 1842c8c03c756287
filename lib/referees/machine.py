"""The same as `lib.machine`."""

from lib.machine import ROOT, machine, versions

__all__ = ["ROOT", "machine", "versions"]
