"""Fails unless the wheel and the source distribution in a folder hold what they should, and nothing else."""

import sys
import tarfile
import zipfile
from pathlib import Path

LEFTOVERS = {"__pycache__", ".venv", "_build", "_pictures", ".pytest_cache"}
SOURCES = (
    *("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "jaxact/py.typed"),
    *("tests/conftest.py", "examples/doctor_visits.py", "benchmarks/README.md", "docs/guides/counts.md"),
)

folder = Path(sys.argv[1])
(wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
with zipfile.ZipFile(wheel) as archive:
    in_wheel = archive.namelist()
with tarfile.open(sdist) as archive:
    in_sdist = [name.partition("/")[2] for name in archive.getnames()]

faults = [f"{name} does not belong into the wheel" for name in in_wheel if not name.startswith(("jaxact/", "jaxact-"))]
faults += [f"{name} is left over" for name in in_wheel + in_sdist if LEFTOVERS & {*name.split("/")}]
faults += [f"{name} is missing from the wheel" for name in ("jaxact/py.typed",) if name not in in_wheel]
faults += [f"{name} is missing from the source distribution" for name in SOURCES if name not in in_sdist]
sys.exit("\n".join(faults) or None)
