"""The metadata of nuScenes v1.0-trainval, 2.6 million readings: streamed, beside reading whole files as usual.

The tables are synthesised with the sizes of the real ones (850 scenes, 34,149 keyframes, 12 sensors, 2.6 million
records each of sample_data and ego_pose; 1.5 GB together) into a temporary folder, which takes some minutes. They are
read in a process each: by `plait_driving.ingest.nuscenes`, and by ``json.load`` of whole files, with which the devkit
begins; that takes 5 GB of memory. Both have to find as many readings of keyframes.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

from measure import Cell, alone, emit, options, peak_megabytes, report

READINGS, SAMPLES, SCENES = 2_600_000, 34_149, 850
LIDAR = "LIDAR_TOP"
CAMERAS = ("CAM_FRONT", "CAM_FRONT_LEFT", "CAM_FRONT_RIGHT", "CAM_BACK", "CAM_BACK_LEFT", "CAM_BACK_RIGHT")
RADARS = ("RADAR_FRONT", "RADAR_FRONT_LEFT", "RADAR_FRONT_RIGHT", "RADAR_BACK_LEFT", "RADAR_BACK_RIGHT")
KINDS = {LIDAR: "lidar"} | dict.fromkeys(CAMERAS, "camera") | dict.fromkeys(RADARS, "radar")


def main() -> None:
    chosen = options(__doc__, sizes=(READINGS,))
    lines: list[dict[str, Cell]] = []
    for size in chosen.sizes:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write(folder, size)
            megabytes = sum(path.stat().st_size for path in folder.iterdir()) / 2**20
            found: set[int] = set()
            for what, run in (("plait", streamed), ("json.load", loaded)):
                seconds, peak, number = alone(measured, run, folder)
                found.add(number)
                lines.append(
                    emit({"what": what, "readings": size, "files MB": megabytes, "kept": number, "s": seconds,
                          "MB/s": megabytes / seconds, "peak MB": peak})
                )  # fmt: skip
            assert len(found) == 1, found
    report(lines)


def measured(run: Any, folder: Path) -> tuple[float, float | None, int]:
    """Seconds, the most memory held above the libraries, and how many readings of keyframes were found."""
    from plait_driving.ingest.nuscenes import tables

    assert tables
    found: list[int] = []
    start = time.perf_counter()
    peak = peak_megabytes(lambda: found.append(run(folder)))
    return time.perf_counter() - start, peak, found[0]


def streamed(folder: Path) -> int:
    from plait_driving.ingest.nuscenes.tables import tables_of

    refused: list[str] = []
    tables = tables_of(folder, lambda what, _: refused.append(what))
    assert not refused, refused[:3]
    return sum(len(places) for _, places in tables.keyframes())


def loaded(folder: Path) -> int:
    """What is wanted of the files once they are held whole, and nothing more."""
    sensors, mounts, data, poses = (
        json.loads((folder / f"{name}.json").read_text())
        for name in ("sensor", "calibrated_sensor", "sample_data", "ego_pose")
    )
    wanted = {record["token"] for record in sensors if record["modality"] != "radar"}
    wanted = {record["token"] for record in mounts if record["sensor_token"] in wanted}
    known = {record["token"] for record in poses}
    return sum(
        record["is_key_frame"] and record["calibrated_sensor_token"] in wanted and record["ego_pose_token"] in known
        for record in data
    )


# The tables.


def write(folder: Path, readings: int) -> None:
    """Tables with as many readings, and keyframes in proportion."""
    samples = max(SAMPLES * readings // READINGS, 2)
    scenes = max(SCENES * readings // READINGS, 1)
    table = partial(write_table, folder)
    table("sensor", ({"token": token(name), "channel": name, "modality": kind} for name, kind in KINDS.items()))
    table("scene", ({"token": token("scene", at), "name": f"scene-{at:04d}"} for at in range(scenes)))
    table("sample", (sample(at, samples, scenes) for at in range(samples)))
    table("calibrated_sensor", (mount(scene, name) for scene in range(scenes) for name in KINDS))
    table("sample_data", (reading(at, readings, samples, scenes) for at in range(readings)))
    table("ego_pose", (pose(at) for at in range(readings)))


def write_table(folder: Path, name: str, records: Iterator[dict[str, Any]]) -> None:
    with (folder / f"{name}.json").open("w") as file:
        for number, record in enumerate(records):
            file.write(("[\n" if number == 0 else ",\n") + json.dumps(record, indent=0))
        file.write("\n]")


def token(*of: object) -> str:
    return blake2b(repr(of).encode(), digest_size=16).hexdigest()


def sample(at: int, samples: int, scenes: int) -> dict[str, Any]:
    scene = at * scenes // samples
    first = at == 0 or (at - 1) * scenes // samples != scene
    before = "" if first else token("sample", at - 1)
    return {"token": token("sample", at), "timestamp": stamp(at), "prev": before, "scene_token": token("scene", scene)}


def mount(scene: int, channel: str) -> dict[str, Any]:
    matrix = [[1266.4, 0.0, 816.2], [0.0, 1266.4, 491.5], [0.0, 0.0, 1.0]] if channel in CAMERAS else []
    place = {"translation": [1.7, 0.0159, 1.5], "rotation": [0.4998, -0.5030, 0.4997, -0.4974]}
    return {"token": token(scene, channel), "sensor_token": token(channel), "camera_intrinsic": matrix, **place}


def reading(at: int, readings: int, samples: int, scenes: int) -> dict[str, Any]:
    """Readings come sensor by sensor within a sample; the first round of a sample is its keyframe."""
    number = at * samples // readings
    within = at - -(-number * readings // samples)
    channel = list(KINDS)[within % len(KINDS)]
    scene = number * scenes // samples
    file = f"samples/{channel}/n015-2018-07-24-11-22-45+0800__{channel}__{stamp(number) + within}.jpg"
    return {
        "token": token("data", at), "sample_token": token("sample", number), "ego_pose_token": token("data", at),
        "calibrated_sensor_token": token(scene, channel), "timestamp": stamp(number) + within, "fileformat": "jpg",
        "is_key_frame": within < len(KINDS), "height": 900, "width": 1600, "filename": file, "prev": "", "next": "",
    }  # fmt: skip


def pose(at: int) -> dict[str, Any]:
    turn, place = [0.5721, -0.0016, 0.0117, -0.8201], [411.3039 + at / 1e3, 1180.8904, 0.0]
    return {"token": token("data", at), "timestamp": at, "rotation": turn, "translation": place}


def stamp(sample: int) -> int:
    return 1_532_402_927_647_951 + 500_000 * sample


if __name__ == "__main__":
    main()
