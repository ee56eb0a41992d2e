"""TTNN's real runtime, of the PyPI wheel, on its mock device: everything but the kernels.

The wheel's Python side imports torch, pandas and more; its bindings, `ttnn._ttnn`, need nothing.
So `ttnn` becomes an empty package here, and the bindings are imported from it.

    python3.10 tools/ttnn_mock/runtime.py FOLDER

makes FOLDER the TT_METAL_RUNTIME_ROOT of that Python's wheel, for programs that link its libraries.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import shlex
import sys
import tempfile
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TTNN_VERSION = "0.71.2"
WHAT_IT_NEEDS = f"Python 3.10 or 3.12 with ttnn=={TTNN_VERSION} (pip install --no-deps)"
HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Card:
    """What a caller of a real card gets: with fast dispatch, so less than the mock's own grid."""

    name: str
    grid: tuple[int, int]
    l1_base: int  # where what the allocator gives out begins; circular buffers grow from here
    l1_bytes: int  # per core, for tensors and circular buffers together

    @property
    def l1_banks(self) -> int:
        return self.grid[0] * self.grid[1]


# compute_with_storage_grid_range of tt_metal/core_descriptors (nebula_x1, 2xharvested), and what
# the allocator of the mock says; Runtime compares.
CARDS = {
    "n150": Card("n150", (8, 8), 103744, 1395392),
    "p150": Card("p150", (11, 10), 111104, 1461760),
}


class TtnnMissing(Exception):
    """This Python has no such wheel."""


class Runtime:
    """The open mock device, TTNN's operations by name ("ttnn.linear"), and its enumerations."""

    def __init__(self, card: Card) -> None:
        package = find_package()
        self.card = card
        # Held until the process ends: the runtime reads kernels' sources and writes logs there.
        self._root = tempfile.TemporaryDirectory(prefix="ttnn_mock_")
        lay_out_root(Path(self._root.name), package)
        _set_environment(Path(self._root.name), card)
        self.ttnn = _import_bindings(package)
        self.tensor = self.ttnn.tensor
        self.operations = _operations(self.ttnn)
        self.device = self.ttnn.device.open_device(device_id=0, l1_small_size=0)
        self._check_card()

    def close(self) -> None:
        self.ttnn.device.close_device(self.device)

    @property
    def l1_banks(self) -> int:
        """Of the mock, which may have more than the card."""
        return self._l1().num_banks

    def l1_bytes_per_bank(self) -> int:
        """Of tensors that TTNN's allocator holds now."""
        return self._l1().total_bytes_allocated_per_bank

    def _l1(self) -> Any:
        return self.ttnn.device.GetMemoryView(self.device, self.tensor.BufferType.L1)

    def _check_card(self) -> None:
        grid = self.device.compute_with_storage_grid_size()
        base = self.ttnn.device.GetAllocatorBaseAddress(self.device, self.tensor.BufferType.L1)
        found = (base, self._l1().total_bytes_per_bank)
        if (
            found != (self.card.l1_base, self.card.l1_bytes)
            or grid.x < self.card.grid[0]
            or grid.y < self.card.grid[1]
        ):
            raise RuntimeError(
                f"the mock of {self.card.name} has a grid of {grid.x}x{grid.y} and L1 from "
                f"{found[0]}, {found[1]} bytes a core; this tool knows {self.card}"
            )


def find_package() -> Path:
    try:
        version = importlib.metadata.version("ttnn")
    except importlib.metadata.PackageNotFoundError:
        raise TtnnMissing(f"{sys.executable} has no ttnn") from None
    if version != TTNN_VERSION:
        raise TtnnMissing(f"{sys.executable} has ttnn {version}")
    spec = importlib.util.find_spec("ttnn")
    assert spec is not None and spec.submodule_search_locations
    package = Path(spec.submodule_search_locations[0])
    if not list(package.glob(f"_ttnn.cpython-3{sys.version_info.minor}-*.so")):
        raise TtnnMissing(f"{sys.executable} cannot load the wheel that it has")
    return package


def lay_out_root(root: Path, package: Path) -> None:
    """Links to all of the wheel, and a compiler that can only tell its version: none is needed.

    `root` is there, and empty.
    """
    for entry in package.iterdir():
        if entry.name != "runtime":
            (root / entry.name).symlink_to(entry)
    compiler = root / "runtime/sfpi/compiler/bin/riscv-tt-elf-g++"
    compiler.parent.mkdir(parents=True)
    for entry in (package / "runtime").iterdir():
        (root / "runtime" / entry.name).symlink_to(entry)
    compiler.write_text(
        "#!/bin/sh\necho 'riscv-tt-elf-g++ (tenstorrent/sfpi:7.49.0[610]) 15.1.0'\n"
    )
    compiler.chmod(0o755)


def _set_environment(root: Path, card: Card) -> None:
    os.environ["TT_METAL_SLOW_DISPATCH_MODE"] = "1"
    os.environ["TT_METAL_MOCK_CLUSTER_DESC_PATH"] = str(HERE / f"mock_{card.name}.yaml")
    os.environ["TT_METAL_RUNTIME_ROOT"] = str(root)
    os.environ["TT_METAL_CACHE"] = str(root / "cache")
    os.environ["TT_METAL_LOGS_PATH"] = str(root)
    os.environ.setdefault("TT_LOGGER_LEVEL", "off")  # its sentences come as exceptions too


def _import_bindings(package: Path) -> Any:
    stub = types.ModuleType("ttnn")
    stub.__path__ = [str(package)]
    sys.modules["ttnn"] = stub
    return importlib.import_module("ttnn._ttnn")


def _operations(ttnn: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    modules, seen = [ttnn], set()
    while modules:
        module = modules.pop()
        for name in dir(module):
            value = getattr(module, name)
            if isinstance(value, types.ModuleType):
                if value not in seen:
                    seen.add(value)
                    modules.append(value)
            elif hasattr(value, "__ttnn_operation__"):
                full_name = value.python_fully_qualified_name
                if isinstance(full_name, str):  # a class gives a property
                    found[full_name] = value
    return found


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    root = Path(sys.argv[1]).absolute()
    try:
        package = find_package()
        root.mkdir(parents=True, exist_ok=True)
        if any(root.iterdir()):
            raise FileExistsError(f"{root} is not empty")
        lay_out_root(root, package)
    except TtnnMissing as missing:
        print(f"runtime: needs {WHAT_IT_NEEDS}; {missing}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"runtime: {error}", file=sys.stderr)
        return 1
    print(f"export TT_METAL_RUNTIME_ROOT={shlex.quote(str(root))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
