#!/usr/bin/env python3
"""Makes testdata/tokenizer/: texts, and the ids that Hugging Face's `tokenizers` and Google's
`sentencepiece` give for them. Needs both (made with tokenizers 0.22.2, sentencepiece 0.2.3):

    python tools/make_tokenizer_goldens.py

- texts.json: with the vocabulary of testdata/golden/preprocess, as tokenizer.json and as .model. The
  two differ where a text holds the name of a special token, a run of spaces or the sign for a space.
- odd_tokenizer.json, odd_texts.json: a tokenizer.json with what is legal and PaliGemma's does not
  have: merges as strings, a pair that is there twice, pieces that no merge yields, pieces that only
  one of several splits yields, merges of byte pieces, added tokens that are matched after the spaces
  are replaced. It is also where the fuzzer begins (fuzz/corpus/fuzz_tokenizer).
"""

import json
import pathlib
import random

import sentencepiece
import tokenizers

ROOT = pathlib.Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "testdata" / "golden" / "preprocess"
OUT = ROOT / "testdata" / "tokenizer"
WORDS = "pick up the red block and put it in bowl open drawer close press button slide towel stove"
PARTS = [
    *("<bos>", "<s>", "</s>", "<pad>", "<unk>", "<loc0000>", "<seg000>", "<loc", "<0x0A>", "▁", "▁▁"),
    *(" ", "  ", "   ", "\n", "\n\n", "\n\n\n", "\t", "\r\n", "_", "\u00a0", "\u2028", "\ufeff", "\0"),
    *("é", "e\u0301", "東京", "🤖", "👩\u200d🚀", "ﬁ", "İ", "߷", "𝔘", "\U0010ffff", "\ue000"),
]


def random_text(rng: random.Random, letters: str) -> str:
    kind, length = rng.randrange(5), rng.randrange(1, 16)
    if kind == 0:
        return "".join(chr(rng.randrange(32, 127)) for _ in range(length))
    if kind == 1:
        return " ".join(rng.choices(WORDS.split(), k=length))
    if kind == 2:
        return "".join(rng.choices(PARTS + WORDS.split(), k=length))
    if kind == 3:
        planes = ((0, 0x80), (0x80, 0x800), (0x800, 0xD800), (0xE000, 0x10000), (0x10000, 0x110000))
        return "".join(chr(rng.randrange(*rng.choice(planes))) for _ in range(length))
    return "".join(rng.choices(letters, k=3 * length))


def odd_tokenizer() -> dict:
    pieces = ["<pad>", "<eos>", "<bos>", "<unk>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    pieces += list("abcdt\n▁_é")
    merges = ["a b", "b c", "c d", "▁ t", "ab c", "a b", "bc d", "▁t a", "\n \n", "<0xE6> <0x9D>", "t t"]
    pieces += list(dict.fromkeys(merge.replace(" ", "") for merge in merges))
    pieces += ["abcd", "ta", "dd", "<0xE6><0x9D><0xB1>"]  # no merge yields them
    added = [
        # content, normalized, special
        ("<pad>", False, True),
        ("<bos>", False, True),
        ("tt", False, False),  # before the merge of "t t"
        ("a t", True, False),
        ("  ", False, False),
        ("▁▁▁", True, False),
        ("<loc0000>", False, False),
    ]
    ids = {piece: id for id, piece in enumerate(pieces)}
    tokens = []
    for content, normalized, special in added:
        token = {"id": ids.setdefault(content, len(ids)), "content": content}
        token |= {"single_word": False, "lstrip": False, "rstrip": False}
        tokens.append(token | {"normalized": normalized, "special": special})
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": sorted(tokens, key=lambda token: token["id"]),
        "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": None,
        "model": {
            "type": "BPE",
            "unk_token": "<unk>",
            "byte_fallback": True,
            "vocab": {piece: id for id, piece in enumerate(pieces)},
            "merges": merges,
        },
    }


def write(path: pathlib.Path, value: object, indent: int | None = None) -> None:
    separators = (",", ":") if indent is None else None
    path.write_text(json.dumps(value, indent=indent, separators=separators) + "\n")


def main() -> None:
    OUT.mkdir(exist_ok=True)
    rng = random.Random(20261124)
    fast = tokenizers.Tokenizer.from_file(str(GOLDEN / "tokenizer.json"))
    slow = sentencepiece.SentencePieceProcessor(model_file=str(GOLDEN / "tokenizer.model"))
    texts = ["", *PARTS, *(random_text(rng, "  etaonh\n_<>▁") for _ in range(200))]
    write(
        OUT / "texts.json",
        [
            {
                "text": text,
                "json": fast.encode(text, add_special_tokens=False).ids,
                "model": slow.encode(text),
            }
            for text in texts
        ],
    )

    write(OUT / "odd_tokenizer.json", odd_tokenizer())
    odd = tokenizers.Tokenizer.from_file(str(OUT / "odd_tokenizer.json"))
    texts = ["", *PARTS, *(random_text(rng, "  aabbccddtt\n▁_東") for _ in range(100))]
    write(
        OUT / "odd_texts.json",
        [{"text": text, "json": odd.encode(text, add_special_tokens=False).ids} for text in texts],
    )


if __name__ == "__main__":
    main()
