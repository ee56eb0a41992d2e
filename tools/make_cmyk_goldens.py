"""Makes testdata/cmyk: JPEGs of four inks in the three forms that there are, and PIL's pixels.

    python tools/make_cmyk_goldens.py        # Pillow, NumPy and safetensors

PIL writes one form. The other two are the same bytes with another Adobe marker, or none: what the
marker says is how the four components are to be read, so each is a whole picture of its own.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import save_file

OUT = Path(__file__).resolve().parent.parent / "testdata" / "cmyk"
ADOBE = b"\xff\xee\x00\x0eAdobe"  # then a version, two flags of 16 bits, and the transform


def main() -> None:
    generator = np.random.default_rng(4)
    patches = generator.integers(0, 256, (3, 4, 4), dtype=np.uint8)
    picture = Image.fromarray(patches, "CMYK").resize((21, 13), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=95)
    cmyk = file.getvalue()
    at = cmyk.index(ADOBE)
    transform = at + len(ADOBE) + 6
    assert cmyk[transform] == 0
    ycck = cmyk[:transform] + b"\x02" + cmyk[transform + 1 :]
    unmarked = cmyk[:at] + cmyk[transform + 1 :]
    OUT.mkdir(exist_ok=True)
    pixels = {}
    for name, data in (("cmyk", cmyk), ("ycck", ycck), ("unmarked", unmarked)):
        (OUT / f"{name}.jpg").write_bytes(data)
        with Image.open(OUT / f"{name}.jpg") as image:
            assert image.mode == "CMYK"
            pixels[name] = np.asarray(image.convert("RGB"))
    assert (pixels["cmyk"] != pixels["ycck"]).any()
    save_file(pixels, OUT / "pixels.safetensors")


if __name__ == "__main__":
    main()
