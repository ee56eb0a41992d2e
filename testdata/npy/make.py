"""Writes the .npy files of this folder, by NumPy itself (2.5.5 was used): python make.py"""

import pathlib

import numpy as np

FOLDER = pathlib.Path(__file__).parent


def save(name, array, version=None):
    with open(FOLDER / f"{name}.npy", "wb") as file:
        np.lib.format.write_array(file, array, version=version)


save("f4_2x3", np.array([[1.5, -2.25, 0.1], [3e38, -1e-45, np.nan]], "<f4"))
save("f4_big_endian", np.array([[1.5, -2.25, 0.1], [3e38, -1e-45, np.inf]], ">f4"))
save("f4_fortran_2x3x4", np.asfortranarray(np.arange(24, dtype="<f4").reshape(2, 3, 4)))
halves = [0.0, -0.0, 1.0, -1.5, 65504.0, 2**-24, 2**-14, 0.333251953125, np.inf, -np.inf, np.nan]
save("f2", np.array(halves, "<f2"))
save("f2_big_endian", np.array([1.0, -1.5, 2**-24], ">f2"))
save("f8", np.array([0.1, -1e300, 2.5], "<f8"))
save("f8_big_endian", np.array([0.1, 2.5], ">f8"))
save("scalar", np.array(2.5, "<f4"))
save("empty_0x3", np.zeros((0, 3), "<f4"))
save("version_2", np.array([1, 2], "<f4"), (2, 0))
save("version_3", np.array([1, 2], "<f4"), (3, 0))
for size in (1, 2, 4, 8):
    signed = np.iinfo(f"i{size}")
    save(f"i{size}", np.array([signed.min, -1, 0, 7, signed.max], f"<i{size}"))
    save(f"u{size}", np.array([0, 7, np.iinfo(f"u{size}").max], f"<u{size}"))
save("i4_big_endian", np.array([-2, 1, 256], ">i4"))
save("b1", np.array([True, False, True]))
save("structured", np.zeros(2, [("x", "<f4"), ("y", "<f4")]))
save("complex", np.zeros(2, "<c8"))
