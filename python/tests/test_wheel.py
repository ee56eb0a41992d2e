"""A wheel, as tools/build_wheels.sh makes it: what is in it, and what a user has who installs it.

WHEEL is the wheel's path, WHEEL_PYTHON the interpreter that it is tried with.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

if "WHEEL" not in os.environ:
    pytest.skip("no WHEEL: tools/build_wheels.sh builds one and runs this", allow_module_level=True)
elffile = pytest.importorskip("elftools.elf.elffile", reason="pip install pyelftools")

WHEEL = Path(os.environ["WHEEL"]).resolve()
ROOT = Path(__file__).parents[2]
POLICY = ROOT / "examples/policy"
LIMIT = 15_000_000  # bytes
# Of PEP 600's list, which every Linux has: glibc, the compiler's run time and zlib.
SYSTEM = re.compile(r"^(lib(c|m|dl|pthread|rt)\.so\.\d|ld-linux.*|libstdc\+\+\.so\.6|libgcc_s\.so\.1|libz\.so\.1)$")
BUNDLED = {"libcrypto", "libfmt", "libjpeg", "libpng16", "libsentencepiece", "libssl", "libxxhash"}
# To the word of what is inside, whatever the distribution calls its packages.
LICENCES = "boost cli11 fmt jpeg msgpack nanobind nlohmann png robin-map sentencepiece ssl xxhash zlib".split()


@pytest.fixture(scope="module")
def names() -> list[str]:
    with zipfile.ZipFile(WHEEL) as wheel:
        return wheel.namelist()


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    with zipfile.ZipFile(WHEEL) as wheel:
        wheel.extractall(folder)
    return folder


def files(folder: Path) -> set[str]:
    """All below a folder, but not what Python has compiled."""
    return {
        str(file.relative_to(folder)) for file in folder.rglob("*") if "__pycache__" not in file.parts
    }


class Installed:
    """A fresh venv with the wheel and what it requires."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        python = os.environ.get("WHEEL_PYTHON", sys.executable)
        subprocess.run([python, "-m", "venv", folder], check=True)
        self.folder = folder
        self.before = files(folder)
        self.run("python", "-m", "pip", "install", "-q", str(WHEEL), check=True)

    def run(self, program: str, *arguments: str, check: bool = False) -> subprocess.CompletedProcess[str]:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        return subprocess.run(
            [self.bin / program, *arguments],
            check=check,
            text=True,
            capture_output=True,
            cwd=self.folder,
            env=environment,
        )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    yield Installed(tmp_path_factory.mktemp("venv") / "venv")


def test_holds_the_package_the_command_the_libraries_and_nothing_else(names: list[str]) -> None:
    package = {name for name in names if name.startswith("libpi0/")}
    sources = ROOT / "python/libpi0"
    ours = {
        f"libpi0/{file.relative_to(sources)}"
        for file in sources.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    binaries = package - ours
    assert ours <= package
    assert len(binaries) == 2 and "libpi0/bin/pi0" in binaries
    assert any(re.fullmatch(r"libpi0/_core\.\S+\.so", name) for name in binaries)

    libraries = {name for name in names if name.startswith("libpi0.libs/")}
    assert {re.sub(r"libpi0.libs/(\w+)-.*", r"\1", name) for name in libraries} == BUNDLED

    rest = set(names) - package - libraries
    assert all(re.match(r"libpi0-[\d.]+\.dist-info/", name) for name in rest), rest


def test_is_small_and_its_tag_old(names: list[str]) -> None:
    assert WHEEL.stat().st_size < LIMIT
    tag = re.search(r"-(cp310-cp310|cp311-cp311|cp312-abi3)-manylinux_2_(\d+)_\w+\.whl$", WHEEL.name)
    assert tag, WHEEL.name
    assert int(tag[2]) <= 35  # Ubuntu 22.04's


def test_asks_for_nothing_but_the_system_and_itself(unpacked: Path) -> None:
    own = {file.name for file in (unpacked / "libpi0.libs").iterdir()}
    binaries = [*unpacked.rglob("*.so*"), unpacked / "libpi0/bin/pi0"]
    assert len(binaries) == len(BUNDLED) + 2
    for binary in binaries:
        with binary.open("rb") as stream:
            elf = elffile.ELFFile(stream)
            needed = {tag.needed for tag in elf.get_section_by_name(".dynamic").iter_tags("DT_NEEDED")}
            assert not elf.get_section_by_name(".symtab"), f"{binary.name} is not stripped"
        foreign = {name for name in needed - own if not SYSTEM.match(name)}
        assert not foreign, f"{binary.name} asks for {foreign}"


def test_has_the_licences_of_all_that_is_inside(unpacked: Path) -> None:
    (information,) = unpacked.glob("*.dist-info")
    licences = {file.name: file.stat().st_size for file in (information / "licenses").rglob("*") if file.is_file()}
    assert "LICENSE" in licences
    for word in [*LICENCES, *(library.removeprefix("lib") for library in BUNDLED - {"libcrypto"})]:
        found = [name for name in licences if word in name]
        assert found, f"no licence of {word}"
        assert all(licences[name] > 500 for name in found), found
    declared = re.findall(r"^License-File: (.*)$", (information / "METADATA").read_text(), re.M)
    assert {Path(name).name for name in declared} == set(licences)


def test_needs_numpy_and_no_other_package(installed: Installed) -> None:
    listed = installed.run("python", "-m", "pip", "list", "--format=freeze", check=True).stdout
    there = {line.split("==")[0] for line in listed.split()} - {"pip", "setuptools"}
    assert there == {"libpi0", "numpy"}


def test_help_tells_of_infer(installed: Installed) -> None:
    script = "import libpi0; help(libpi0)"
    text = installed.run("python", "-c", script, check=True).stdout
    assert re.search(r"class Policy\(.*?\binfer\([\s|]*self,[\s|]*observation", text, re.S)


def test_infers_as_pytorch_did(installed: Installed) -> None:
    result = installed.run("python", str(ROOT / "tools/try_wheel.py"), str(POLICY))
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("start", [("pi0",), ("python", "-m", "libpi0")], ids=" ".join)
def test_is_the_command(installed: Installed, start: tuple[str, ...]) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return installed.run(*start, *arguments)

    version = installed.run("python", "-c", "import libpi0; print(libpi0.__version__)", check=True).stdout
    assert version.strip() in run("--version").stdout
    assert run("serve", "--help").returncode == 0
    recorded = str(POLICY / "recorded.safetensors")
    verified = run("verify", str(POLICY), recorded, "--device", "reference")
    assert verified.returncode == 0 and "the same as PyTorch" in verified.stdout
    # A verdict's status, and an error's, with its sentence on stderr alone.
    assert run("verify", str(POLICY), recorded, "--device", "reference", "--tolerance", "1e-12").returncode == 1
    error = run("info", "/nowhere")
    assert (error.returncode, error.stdout) == (2, "")
    assert error.stderr.startswith("pi0: /nowhere")


@pytest.mark.parametrize("start", [("pi0",), ("python", "-m", "libpi0")], ids=" ".join)
def test_a_closed_pipe_ends_it(installed: Installed, start: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [installed.bin / start[0], *start[1:], "--help"]
    assert subprocess.run(command, stdout=writer).returncode == -signal.SIGPIPE
    os.close(writer)


@pytest.mark.parametrize("start", [("pi0",), ("python", "-m", "libpi0")], ids=" ".join)
def test_serves_until_it_is_told_to_stop(installed: Installed, start: tuple[str, ...]) -> None:
    command = [installed.bin / start[0], *start[1:]]
    with subprocess.Popen(
        [*command, "serve", POLICY, "--host", "127.0.0.1", "--port", "0", "--device", "reference"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert any("127.0.0.1" in line for line in process.stdout)
            assert os.readlink(f"/proc/{process.pid}/exe").endswith("libpi0/bin/pi0")
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()


def test_uninstalls_whole(tmp_path: Path) -> None:
    there = Installed(tmp_path / "venv")
    there.run("python", "-c", "import libpi0", check=True)  # compiles
    there.run("python", "-m", "pip", "uninstall", "-q", "-y", "libpi0", "numpy", check=True)
    assert files(there.folder) == there.before
