"""A synthetic world in the files of the IU X-ray layout: drawn films, and reports made of varied sentences.

It has what makes real folders awkward: word-for-word equal normal reports, empty sections, reports that are
empty altogether, one film that is damaged and one that is missing.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from plait_medical.drawn_film import Findings, drawn_film
from plait_medical.ingest.iu_xray import LABELS

_STUDIES = 320
_CHANCES = {
    "cardiomegaly": 0.25,
    "pleural_effusion": 0.25,
    "nodule_mass": 0.22,
    "opacity": 0.22,
    "device": 0.22,
    "scoliosis_kyphosis": 0.2,
    "emphysema_copd": 0.2,
}
_THERE: Mapping[str, tuple[str, ...]] = {
    "cardiomegaly": ("The heart is enlarged.", "Cardiomegaly.", "There is an enlarged cardiac silhouette."),
    "pleural_effusion": ("There is a {side} pleural effusion.", "Fluid blunts the {side} costophrenic angle."),
    "nodule_mass": ("A nodule projects over the {side} lung.", "There is a {side} lung nodule."),
    "opacity": ("Hazy opacity in the {side} lung.", "There is a patchy {side} lung opacity."),
    "device": ("A {side} chest pacemaker is in place.", "There is a {side} sided pacemaker with one lead."),
    "scoliosis_kyphosis": ("Scoliosis, convex to the {side}.", "The spine is curved to the {side}."),
    "emphysema_copd": ("The lungs are hyperinflated.", "Emphysema with flattened diaphragms."),
}
_NOT_THERE: Mapping[str, tuple[str, ...]] = {
    "cardiomegaly": ("Heart size is normal.", "The cardiac silhouette is within normal limits."),
    "pleural_effusion": ("No pleural effusion.", "The costophrenic angles are sharp."),
    "nodule_mass": ("No nodule or mass.", "No suspicious nodules are seen."),
    "opacity": ("No focal opacity.", "There is no focal airspace opacity."),
    "device": ("No lines or tubes.",),
    "scoliosis_kyphosis": ("The spine is straight.", "The bony thorax is intact."),
    "emphysema_copd": ("Lung volumes are normal.",),
}
_NORMAL = (
    ("The heart is normal in size. The lungs are clear.", "Normal chest."),
    ("Heart and mediastinum are normal. No pleural effusion. No focal opacity.", "No acute disease."),
)


def synthetic(root: Path, seed: int) -> None:
    """Write the world into ``root``: about 300 studies, a quarter of them ``val``; the same for the same seed."""
    rng = np.random.default_rng(seed)
    (root / "images").mkdir(parents=True, exist_ok=True)
    (root / "SYNTHETIC").write_text("Drawn films and composed reports; no patient was ever here.\n")
    reports: list[dict[str, object]] = []
    studies: list[dict[str, object]] = []
    images: list[dict[str, object]] = []
    for number in range(1, _STUDIES + 1):
        uid, image = str(number), f"images/{number}.jpg"
        split = "val" if rng.random() < 0.25 else "train"
        findings = _findings(rng)
        drawn_film(findings, rng).convert("RGB").save(root / image, quality=95)
        said, concluded = _report(findings, rng)
        reports.append({"uid": uid, "split": split, "images": [image], "indication": "", "comparison": "None."})
        reports[-1] |= {"findings": said, "impression": concluded}
        studies.append({"uid": uid, "split": split, "primary_image": image, "n_images": 1, **_labels(findings, rng)})
        images.append({"uid": uid, "image": image, "projection": "Frontal", "dicom_view_position": "PA"})
        images[-1] |= {"dicom_photometric": "MONOCHROME2", "dicom_rows": 256, "dicom_columns": 256}
    damaged, missing = root / "images/7.jpg", root / "images/11.jpg"
    damaged.write_bytes(damaged.read_bytes()[:600])
    missing.unlink()
    lines = "".join(json.dumps(report) + "\n" for report in reports)
    (root / "reports.jsonl").write_text(lines, encoding="utf-8")
    _write_csv(root / "studies.csv", studies)
    _write_csv(root / "images.csv", images)


def _findings(rng: np.random.Generator) -> Findings:
    if rng.random() < 0.25:
        return {}
    sides = {"cardiomegaly": "", "emphysema_copd": ""}
    return {
        name: sides.get(name, str(rng.choice(["left", "right"])))
        for name, chance in _CHANCES.items()
        if rng.random() < chance
    }


def _report(findings: Findings, rng: np.random.Generator) -> tuple[str, str]:
    """Compose findings and impression; now and then one of them, or both, are left empty."""
    left_empty = rng.random()
    if left_empty < 0.01:
        return "", ""
    if not findings and rng.random() < 0.7:
        return _NORMAL[int(rng.integers(len(_NORMAL)))]
    there = [str(rng.choice(_THERE[name])).format(side=side) for name, side in findings.items()]
    absent = [str(rng.choice(_NOT_THERE[name])) for name in _CHANCES if name not in findings]
    said = [*there, *rng.permutation(absent)[: int(rng.integers(1, 4))].tolist()]
    concluded = [name.split("_")[0].capitalize() + "." for name in findings] or ["No acute disease."]
    text, impression = " ".join(rng.permutation(said).tolist()), " ".join(concluded)
    if left_empty < 0.08:
        return "", impression
    return text, "" if left_empty < 0.15 else impression


def _labels(findings: Findings, rng: np.random.Generator) -> dict[str, object]:
    """Give back the columns of studies.csv; one study in fifty is not indexed, and its labels are unknown."""
    headings = {"mesh_major": "; ".join(findings) or "normal", "mesh_automatic": ""}
    if rng.random() < 0.02:
        return {"indexed": 0, **dict.fromkeys(LABELS, ""), **headings, "mesh_major": "No Indexing"}
    answers: dict[str, object] = {name: int(name in findings) for name in LABELS}
    answers |= {"normal": int(not findings), "abnormal": int(bool(findings))}
    return {"indexed": 1, **answers, **headings}


def _write_csv(path: Path, rows: Iterable[dict[str, object]]) -> None:
    rows = list(rows)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
