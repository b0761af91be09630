"""The text encoder: a vocabulary that travels with the weights, and padding that says nothing."""

from __future__ import annotations

import copy
import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

from plait.encoders import wordpiece
from plait.encoders.text import Text
from plait.errors import InputError

TEXTS = [
    "The heart is enlarged. No pleural effusion.",
    "No focal consolidation, effusion or pneumothorax.",
    "Small left pleural effusion; the heart is normal.",
    "Stable cardiomegaly without oedema.",
]


def text_encoder(seed: int = 0) -> Text:
    torch.manual_seed(seed)
    encoder = Text(layers=2, width=32, heads=4, vocabulary=160, max_tokens=16)
    encoder.fit(TEXTS)
    return encoder.eval()


def test_a_text_is_lower_cased_and_framed() -> None:
    encoder = text_encoder()
    value = encoder.collate(["Heart", "heart effusion"])
    assert encoder.tokenizer is not None
    pieces = [encoder.tokenizer.id_to_token(int(number)) for number in value.values[1]]
    assert pieces == ["[CLS]", "heart", "effusion", "[SEP]"]
    assert value.values[0].tolist() == [*value.values[1, :2].tolist(), value.values[1, 3].item(), 0]
    assert value.values.dtype == torch.int64
    assert value.mask.tolist() == [[True, True, True, False], [True] * 4]


def test_an_empty_text_is_its_frame_alone() -> None:
    encoder = text_encoder()
    value = encoder.collate([""])
    assert value.values.shape == (1, 2)
    assert torch.isfinite(encoder(value).pooled).all()


def test_a_long_text_is_cut_but_keeps_its_end_mark() -> None:
    encoder = text_encoder()
    value = encoder.collate(["heart " * 100])
    assert value.values.shape == (1, 16)
    assert value.values[0, -1] == encoder.collate([""]).values[0, -1]
    encoder(value)


def test_letters_never_seen_in_training_become_one_unknown_piece() -> None:
    encoder = text_encoder()
    assert encoder.collate(["日"]).values[0, 1] == 1


def test_padding_says_nothing() -> None:
    encoder = text_encoder()
    short, long = "No effusion.", "Small left pleural effusion; the heart is normal."
    alone, together = encoder(encoder.collate([short])), encoder(encoder.collate([short, long]))
    length = alone.tokens.shape[1]
    torch.testing.assert_close(alone.tokens[0], together.tokens[0, :length], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(alone.pooled[0], together.pooled[0], atol=1e-5, rtol=1e-5)


def test_pooled_is_the_mean_of_the_real_tokens() -> None:
    encoder = text_encoder()
    features = encoder(encoder.collate(TEXTS))
    for tokens, mask, pooled in zip(features.tokens, features.mask, features.pooled, strict=True):
        torch.testing.assert_close(pooled, tokens[mask].mean(dim=0))


def test_word_order_matters() -> None:
    encoder = text_encoder()
    one, other = encoder(encoder.collate(["no effusion heart enlarged", "no enlarged heart effusion"])).pooled
    assert not torch.allclose(one, other, atol=1e-4)


def test_training_has_no_randomness() -> None:
    encoder = text_encoder().train()
    value = encoder.collate(TEXTS)
    assert torch.equal(encoder(value).pooled, encoder(value).pooled)


def test_weights_and_tokenizer_travel_in_one_safetensors_file(tmp_path: Path) -> None:
    encoder = text_encoder()
    save_file(encoder.state_dict(), tmp_path / "model.safetensors")
    other = Text(layers=2, width=32, heads=4, vocabulary=160, max_tokens=16).eval()
    other.load_state_dict(load_file(tmp_path / "model.safetensors"))
    value = other.collate(TEXTS)
    assert torch.equal(value.values, encoder.collate(TEXTS).values)
    assert torch.equal(other(value).pooled, encoder(value).pooled)


def test_an_encoder_without_vocabulary_can_be_saved_and_copied_too() -> None:
    encoder = Text(layers=1, width=8, heads=2, vocabulary=160)
    twin = copy.deepcopy(encoder)
    twin.load_state_dict(encoder.state_dict())
    assert twin.tokenizer is None
    encoder.fit(TEXTS)
    assert torch.equal(copy.deepcopy(encoder).collate(TEXTS).values, encoder.collate(TEXTS).values)


def test_the_tokenizer_is_the_same_in_every_process_and_from_any_order_of_the_texts() -> None:
    # The library's own trainer seeds its hash maps anew in every process.
    program = (
        "import hashlib, runpy, sys; train = runpy.run_path(sys.argv[1])['train_wordpiece'];"
        "print(hashlib.sha256(train(sys.stdin.read().splitlines(), 160, 16).to_str().encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program, wordpiece.__file__],
            input="\n".join(texts),
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for texts in (TEXTS, TEXTS, TEXTS[::-1])
    }
    tokenizer = text_encoder().tokenizer
    assert tokenizer is not None
    assert digests == {hashlib.sha256(tokenizer.to_str().encode()).hexdigest()}


def test_a_local_folder_gives_network_and_tokenizer(tmp_path: Path) -> None:
    first = text_encoder()
    assert first.tokenizer is not None
    first.network.save_pretrained(tmp_path)
    first.tokenizer.save(str(tmp_path / "tokenizer.json"))
    second = Text(folder=str(tmp_path), max_tokens=12).eval()
    second.fit(["entirely other words"])
    assert second.width == 32
    value = second.collate(TEXTS[:1])
    assert torch.equal(value.values, first.collate(TEXTS[:1]).values[:, :12])
    torch.testing.assert_close(second(value).pooled, first(value).pooled)
    with pytest.raises(InputError, match="set max_tokens to 16 or less"):
        Text(folder=str(tmp_path), max_tokens=17)
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(InputError, match=r"lacks tokenizer\.json"):
        Text(folder=str(tmp_path))


def test_autocast_stays_near_full_precision() -> None:
    encoder = text_encoder()
    value = encoder.collate(TEXTS)
    with torch.autocast("cpu", torch.bfloat16):
        rough = encoder(value).pooled
    assert rough.dtype == torch.float32
    assert F.cosine_similarity(encoder(value).pooled, rough).min() > 0.99


def test_misuse_is_said_in_one_sentence() -> None:
    with pytest.raises(InputError, match="no vocabulary yet"):
        Text(layers=1, width=8, heads=2).collate(["heart"])
    with pytest.raises(InputError, match="set the vocabulary to"):
        Text(layers=1, width=8, heads=2, vocabulary=30).fit(TEXTS)
    with pytest.raises(InputError, match="not a multiple of its 3 heads"):
        Text(width=8, heads=3)
    with pytest.raises(InputError, match="something else than texts"):
        text_encoder()(torch.zeros(1, 3))


def test_sentences() -> None:
    encoder = Text(layers=1, width=8, heads=2, vocabulary=80)
    texts = ["no cat. a dog ran. ", "a dog", "the end...!", ". a cat"]
    encoder.fit(texts)
    value = encoder.collate(texts)
    assert encoder.tokenizer is not None
    found = [
        [(encoder.tokenizer.id_to_token(int(i)), int(k)) for i, k in zip(ids[mask], kinds[mask], strict=True)]
        for ids, mask, kinds in zip(value.values, value.mask, encoder.sentences(value), strict=True)
    ]
    by_sentence = [[int(k) for _, k in row] for row in found]
    assert all(row[0] == row[-1] == -1 for row in by_sentence)  # [CLS] and [SEP]
    assert [sorted({k for k in row if k >= 0}) for row in by_sentence] == [[0, 1], [0], [0], [0, 1]]
    full_stops = [k for token, k in found[0] if token == "."]
    assert full_stops == [0, 1]
