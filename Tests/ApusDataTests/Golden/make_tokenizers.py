"""Writes tokenizers.json: what Hugging Face's tokenizers learn from a small text and make of others.

Needs Python with the package tokenizers: python3 make_tokenizers.py
"""
import json
import random
from pathlib import Path

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

here = Path(__file__).parent
rng = random.Random(5)

words = (
    "the of and to in a is that it was he she they we've don't I'll you're we'd I'm it's river "
    "water stone light evening morning letter letters lettering paper window windows winter wind "
    "über Straße naïve café déjà 東京 大阪 東京都 привет мир 🙂 👍🏽 e\u0301 12 123 2024 3.14 x_1 a-b (so) "
    "... !? \"quoted\" 'single' don\u2019t"
).split(" ")
spaces = [" "] * 20 + ["  ", "\n", "\n\n", "\t", " \n "]
text = "".join(w + rng.choice(spaces) for w in rng.choices(words, k=3000))
held = [
    "", " ", "the", " the", "Letters in the Windows!  \n\n  we've  ", "東京 привет 👍🏽👍 e\u0301\u0301",
    "don't 'single' it's 123abc x_1 \u00a0non-breaking\u2003space", "aaaaaaa\r\n\tb", "über-naïve café's",
]


def pairs(tokenizer):
    vocabulary = tokenizer.get_vocab()
    return [
        [vocabulary[part] for part in (m if isinstance(m, list) else m.split(" "))]
        for m in json.loads(tokenizer.to_str())["model"]["merges"]
    ]


bpe = Tokenizer(models.BPE())
bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
bpe.train_from_iterator(
    [text],
    trainers.BpeTrainer(
        vocab_size=258 + 200, min_frequency=2, special_tokens=["[PAD]", "[UNK]"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False,
    ),
)

word = Tokenizer(models.WordLevel(unk_token="[UNK]"))
word.normalizer = normalizers.Lowercase()
word.pre_tokenizer = pre_tokenizers.Whitespace()
word.train_from_iterator(
    [text],
    trainers.WordLevelTrainer(
        vocab_size=40, min_frequency=2, special_tokens=["[PAD]", "[UNK]"], show_progress=False
    ),
)

result = {
    "text": text,
    "held": held,
    "merges": pairs(bpe),
    "bytePairs": [bpe.encode(t).ids for t in [text] + held],
    "words": [w for w, _ in sorted(word.get_vocab().items(), key=lambda i: i[1])][2:],
    "wordTokens": [word.encode(t).ids for t in [text] + held],
}
(here / "tokenizers.json").write_text(json.dumps(result))
