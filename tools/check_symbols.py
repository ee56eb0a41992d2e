#!/usr/bin/env python3
"""Holds what the shared library exports: what include/pi0 declares, and no more.

    tools/check_symbols.py LIBRARY

Every class and function of a public header must bear PI0_API; every symbol that LIBRARY defines
for others must be a member, the type information or the virtual table of such a class, or such a
function; and each of these functions must be there.
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
# clang-format puts what a namespace declares at the beginning of a line.
CLASS = re.compile(r"^(?:class|struct) (PI0_API )?(\w+)[^;\n]*\{", re.MULTILINE)
FUNCTION = re.compile(r"^(PI0_API )?[\w:][\w:<>,&* ]*[ *&](\w+)\(", re.MULTILINE)


def declared() -> tuple[set[str], set[str], list[str]]:
    """Names of the classes and functions that are public, and what lacks PI0_API."""
    classes, functions, wrong = set(), set(), []
    for path in sorted((ROOT / "include").rglob("*.h")):
        text = path.read_text()
        for pattern, names in ((CLASS, classes), (FUNCTION, functions)):
            for marked, name in pattern.findall(text):
                names.add(name)
                if not marked:
                    wrong.append(f"{path.relative_to(ROOT)}: {name} lacks PI0_API (pi0/export.h)")
    return classes, functions, wrong


def main() -> int:
    classes, functions, wrong = declared()
    listing = subprocess.run(
        ["nm", "--dynamic", "--defined-only", "--demangle", sys.argv[1]],
        check=True, capture_output=True, text=True,
    ).stdout
    symbols = [line.split(" ", 2)[2] for line in listing.splitlines()]
    any_of, abi = "|".join, r"(?:\[abi:\w+\])?"
    public = re.compile(
        rf"(?:(?:typeinfo|typeinfo name|vtable) for )?pi0::(?:{any_of(classes)})(?:::~?\w+=?{abi}\(.*)?$"
        rf"|pi0::(?:{any_of(functions)}){abi}\("
    )
    wrong += [f"exported, but no public header declares it: {symbol}" for symbol in symbols if not public.match(symbol)]
    for name in sorted(functions):
        if not any(re.match(rf"pi0::{name}\b", symbol) for symbol in symbols):
            wrong.append(f"declared by a public header, but not exported: pi0::{name}()")
    print("\n".join(wrong) if wrong else f"symbols: {len(symbols)}, all public", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
