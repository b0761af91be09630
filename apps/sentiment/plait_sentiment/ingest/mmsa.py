"""The feature files of MMSA (thuiar/MMSA): CMU-MOSI, CMU-MOSEI or CH-SIMS, aligned or not, in one pickle.

``train``, ``valid`` and ``test`` each hold arrays over N utterances; the keys are those of MMSA 2. What set it is
follows from its labels: CH-SIMS has them in [-1, 1], the others in [-3, 3]. The pickle is read without running it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from plait.errors import InputError
from plait.pairs.layout import Layout, Refuse, Remark, Row
from plait_sentiment.feature_files import PICKLES, open_pickle
from plait_sentiment.ingest.columns import COLUMNS, features, labels, words
from plait_sentiment.ingest.mmsa_part import KEYS, Part
from plait_sentiment.references import Reference

SPLITS = {"train": "train", "valid": "val", "test": "test"}
SCALES = {1.0: "CH-SIMS", 3.0: "CMU-MOSI and CMU-MOSEI"}


def read(root: Path, refuse: Refuse, text: str = "features") -> Iterator[Row]:
    """Yield a row for each utterance of the file; ``text`` is its features, or the words that were said."""
    if text not in ("features", "words"):
        raise InputError(f"'text={text}' is not offered: set text=features, or text=words for an encoder of one's own.")
    path = _file(root)
    wanted = tuple(name for name in KEYS if name != "text" or text == "features")
    tree = open_pickle(path)
    parts = {name: Part.of(tree[name], wanted, f"{path}, '{name}'") for name in SPLITS if name in tree}
    if "train" not in parts:
        raise InputError(f"{path} has no 'train' but {', '.join(map(str, tree)) or 'nothing'}: is it a file of MMSA?")
    _same_channels(parts, path)
    scale = _scale(parts, path)
    refuse(path.name, Remark(f"labels lie in [-{scale:g}, {scale:g}], as those of {SCALES[scale]} do"))
    seen: set[str] = set()
    for split, part in parts.items():
        told: Counter[str] = Counter()
        for place, identity in enumerate(part.ids):
            if identity in seen:
                refuse(identity, "is the id of two utterances: the second is left out")
                continue
            seen.add(identity)
            try:
                yield _row(part, place, path.name, split, scale, told)
            except InputError as error:
                refuse(identity, str(error))
        for cause, number in (+told).items():
            refuse(f"{path.name}, '{split}'", Remark(f"{number:,} utterances {cause}"))


def _row(part: Part, place: int, file: str, split: str, scale: float, told: Counter[str]) -> Row:
    """An utterance as a row; raises `InputError` with the cause where it cannot be taken in."""
    video, mark, clip = part.ids[place].partition("$_$")
    if not (video and mark and clip):
        raise InputError("its id is not VIDEO$_$CLIP, so that nobody knows which utterances are of one video")
    known = {name: float(values[place]) for name, values in part.labels.items()}
    row: Row = {"id": part.ids[place], "group": video, "split": SPLITS[split], "time": None}
    row |= {"transcript": " ".join(part.words[place].split()) or None} | labels(known.pop("sentiment"), scale, **known)
    if "text" not in part.sequences:
        row |= words(part.words[place])
    for name, sequences in part.sequences.items():
        start, stop = part.steps(name, place)
        told[f"have no {name}: all their {KEYS[name]} is zero"] += stop == start
        told[f"have {KEYS[name]} that is not finite: it counts as missing"] += not _finite(sequences[place][start:stop])
        at = str(Reference(file, f"{split}/{KEYS[name]}", place, (start, stop))) if stop > start else None
        row |= features(name, at, sequences.shape[1:])
    return row


def _finite(values: np.ndarray) -> bool:
    return bool(np.isfinite(values).all())


def _file(root: Path) -> Path:
    """The pickle itself, or the only one in the folder."""
    if root.is_file():
        return root
    found = sorted(path for path in root.iterdir() if path.suffix in PICKLES)
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise InputError(f"{root} holds {len(found)} pickles ({names}): give the file of MMSA that is meant.")
    return found[0]


def _same_channels(parts: Mapping[str, Part], path: Path) -> None:
    for name in parts["train"].sequences:
        channels = {split: part.sequences[name].shape[2] for split, part in parts.items()}
        if len(set(channels.values())) > 1:
            raise InputError(f"{path}: '{KEYS[name]}' has other columns in other splits ({channels}): make it again.")


def _scale(parts: Mapping[str, Part], path: Path) -> float:
    """1 or 3, the smaller one that all labels lie within."""
    largest = max(
        float(np.nanmax(np.abs(array), initial=0.0)) for part in parts.values() for array in part.labels.values()
    )
    for scale in sorted(SCALES):
        if largest <= scale + 1e-6:
            return scale
    raise InputError(f"{path} has labels as large as {largest:g}, and sentiment lies in [-1, 1] or [-3, 3].")


LAYOUT = Layout(
    name="mmsa",
    about="a feature file of MMSA (MOSI, MOSEI or CH-SIMS; aligned_50.pkl, unaligned_50.pkl, unaligned_39.pkl)",
    modalities=COLUMNS,
    source="thuiar/MMSA; Zadeh et al., 2016 (MOSI), Zadeh et al., 2018 (MOSEI), Yu et al., 2020 (CH-SIMS)",
    licence="as its owners state: for research",
    read=read,
    options={"text": "features"},
)
