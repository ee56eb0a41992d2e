"""Puts the licences of what a wheel holds of others into it: tools/build_wheels.sh.

    python tools/wheel_licences.py BUILT_WHEEL REPAIRED_WHEEL OUTDIR

Debian's packages keep theirs in /usr/share/doc; the packages are those that own the headers that
libpi0 includes, and the shared libraries that the built wheel asks for.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import distribution
from pathlib import Path

HEADERS = (
    "CLI/CLI.hpp",
    "boost/version.hpp",
    "fmt/format.h",
    "jpeglib.h",
    "msgpack.hpp",
    "nlohmann/json.hpp",
    "openssl/ssl.h",
    "png.h",
    "sentencepiece_processor.h",
    "xxhash.h",
    "zlib.h",
)
# Not inside: auditwheel leaves these to the system.
SYSTEM = re.compile(r"^(libc6|libgcc-s1|libstdc\+\+6)\b")


def run(*command: str | Path) -> str:
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout


def owner(path: str) -> str:
    """The Debian package that a file is of."""
    return run("dpkg", "-S", path).split(":")[0]


def packages(wheel: Path) -> set[str]:
    """Debian's packages of which something is in a wheel."""
    found = {owner(f"/usr/include/{header}") for header in HEADERS}
    libraries: set[str] = set()
    with tempfile.TemporaryDirectory() as folder:
        shutil.unpack_archive(wheel, folder, "zip")
        for file in [*Path(folder).rglob("*.so"), Path(folder, "libpi0/bin/pi0")]:
            libraries |= set(re.findall(r"=> \S*/(\S+)", run("ldd", file)))
    found |= {owner(f"*/{library}") for library in libraries}
    return {package for package in found if not SYSTEM.match(package)}


def leading_comment(header: Path) -> str:
    text = header.read_text()
    return text[: text.index("*/") + 2]


def main(built: Path, repaired: Path, out: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run(sys.executable, "-m", "wheel", "unpack", "--dest", folder, repaired)
        (root,) = Path(folder).iterdir()
        (information,) = root.glob("*.dist-info")
        licences = information / "licenses" / "others"
        licences.mkdir(parents=True)
        for package in packages(built):
            shutil.copy(f"/usr/share/doc/{package}/copyright", licences / package)
        nanobind = distribution("nanobind")
        shutil.copy(
            str(nanobind.locate_file(f"nanobind-{nanobind.version}.dist-info/licenses/LICENSE")),
            licences / "nanobind",
        )
        robin_map = "nanobind/ext/robin_map/include/tsl/robin_map.h"
        (licences / "robin-map").write_text(leading_comment(Path(str(nanobind.locate_file(robin_map)))))
        metadata = information / "METADATA"
        files = "".join(f"License-File: others/{file.name}\n" for file in sorted(licences.iterdir()))
        metadata.write_text(
            metadata.read_text().replace("License-File: LICENSE\n", f"License-File: LICENSE\n{files}")
        )
        run(sys.executable, "-m", "wheel", "pack", "--dest-dir", out, root)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
