"""The verb ``map``: a function, or a trained run, over whole scenes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from plait.cli import Subparsers, add_verb
from plait.errors import InputError

if TYPE_CHECKING:
    from plait.pairs.layout import Refuse
    from plait_remote_sensing.scene import Sensor
    from plait_remote_sensing.tiling.function import Origin
    from plait_remote_sensing.tiling.plan import Source
    from plait_remote_sensing.tiling.scenes import Reading, Request
    from plait_remote_sensing.tiling.trained import TrainedRun


@dataclass(frozen=True)
class Command:
    """What the user typed; every attribute is the flag of its name."""

    run: Path | None
    function: str | None
    sar: Path | None
    optical: Path | None
    scenes: Path | None
    stac: str | None
    days: float
    out: Path
    form: Literal["cog", "zarr"]
    restart: bool
    tile: int
    halo: int | None
    overlap: int | None
    sar_unit: str | None
    optical_offset: float | None
    geolocation_limit: float | None
    sar_bands: tuple[str, ...] | None
    optical_bands: tuple[str, ...] | None
    mask: bool
    pairs: Path | None
    label: str | None
    step: int | None
    dtype: Literal["float32", "int8"]
    workers: int | None
    scheduler: str | None


def add_map(verbs: Subparsers) -> None:
    """Add its parser; nothing heavy is imported before it runs."""
    parser = add_verb(verbs, "map", "run a trained run, or any function of a tile, over whole scenes; resumes")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--run", type=Path, help="run folder: a map of embeddings, or of classes with --pairs and --label"
    )
    what.add_argument(
        "--function", metavar="MODULE:CALLABLE", help="takes {modality: (C, H, W)} and masks, gives (C', H, W)"
    )
    scene = parser.add_argument_group("one scene")
    scene.add_argument("--sar", type=Path, help="SAR product: a raster, or a product's folder")
    scene.add_argument("--optical", type=Path, help="optical product; its grid is the map's")
    many = parser.add_argument_group("many scenes").add_mutually_exclusive_group()
    many.add_argument("--scenes", type=Path, metavar="CSV", help="columns sar, optical, name; --out is a folder")
    many.add_argument("--stac", metavar="CATALOG", help="STAC catalogue, paired by place and time; --out is a folder")
    parser.add_argument("--days", type=float, default=3.0, help="with --stac: the most days between two sensors (3)")
    parser.add_argument("--out", type=Path, required=True, help="map to write, with its .json (STAC) and .qml (QGIS)")
    parser.add_argument("--format", choices=("cog", "zarr"), default="cog", dest="form", help="(cog)")
    parser.add_argument("--restart", action="store_true", help="begin anew, whatever has been done")
    tiles = parser.add_argument_group("tiles, in pixels")
    tiles.add_argument("--tile", type=int, default=512, help="side (512)")
    tiles.add_argument("--halo", type=int, help="seen around a tile and thrown away (32; for a run its context)")
    tiles.add_argument("--overlap", type=int, help="over which a tile fades into the next (64; for a run 0)")
    how = parser.add_argument_group("reading")
    how.add_argument("--sar-unit", help="of backscatter, instead of what is found: db, power, amplitude, ...")
    how.add_argument("--optical-offset", type=float, help="added to digital numbers, instead of what is found: 0, 1000")
    how.add_argument(
        "--geolocation-limit",
        type=float,
        metavar="METRES",
        help="a raw SAR product that is farther off is refused (50)",
    )
    how.add_argument("--sar-bands", type=_names, help="that the function sees, such as VV,VH (all, or a run's own)")
    how.add_argument("--optical-bands", type=_names, help="such as B02,B03,B04,B08 (all, or a run's own)")
    how.add_argument(
        "--mask", action="store_true", help="clouds and shadows of the scene classification are not observed"
    )
    model = parser.add_argument_group("with --run")
    model.add_argument("--pairs", type=Path, help="pair table with the labels")
    model.add_argument("--label", help="map its classes by a linear probe on the table's train rows: land_cover, ...")
    model.add_argument("--step", type=int, help="side of a patch, a pixel of the map (that of training)")
    model.add_argument("--dtype", choices=("float32", "int8"), default="float32", help="of embeddings (float32)")
    who = parser.add_argument_group("who computes").add_mutually_exclusive_group()
    who.add_argument("--workers", type=int, help="processes of this machine; 0 is this one (one a processor)")
    who.add_argument("--scheduler", metavar="ADDRESS", help="Dask scheduler, such as tcp://node1:8786")
    parser.set_defaults(run_verb=lambda **given: map_scenes(Command(**given)))


def map_scenes(command: Command) -> int:
    """Run ``plait remote-sensing map``; gives back 1 where a scene, or a part of one, could not be mapped."""
    from plait.pairs.layout import Remark
    from plait.progress import warn
    from plait_remote_sensing.radar.gcps import LIMIT_M
    from plait_remote_sensing.tiling import cluster, make_plan, processes, run_map
    from plait_remote_sensing.tiling.scenes import Reading, map_grid
    from plait_remote_sensing.tiling.telling import in_short, place_in_pixels, reading_line

    if command.run is None and (command.pairs or command.label or command.step):
        raise InputError("--pairs, --label and --step say what a run is asked: give them with --run.")
    bands = {"sar": command.sar_bands, "optical": command.optical_bands}
    seen = {name: given for name, given in bands.items() if given}
    limit = LIMIT_M if command.geolocation_limit is None else command.geolocation_limit
    reading = Reading(command.sar_unit, command.optical_offset, seen, limit)
    failures: dict[str, str] = {}

    def refuse(what: str, cause: str) -> None:
        print(f"{what}: {cause}")
        if not isinstance(cause, Remark):
            failures[what] = cause

    requests = _requests(command, reading, refuse)
    runner = cluster(command.scheduler) if command.scheduler else processes(_workers(command))
    runs: dict[str, TrainedRun] = {}
    for request in requests:
        try:
            sources = request.sources(reading)
            origin, sources = _origin(command, sources, runs)
            for name, source in sources.items():
                warn(reading_line(name, source))
            plan = make_plan(
                sources, map_grid(sources), origin, command.tile, command.halo, command.overlap, command.mask
            )
            summary = run_map(plan, request.out, runner, command.form, command.restart)
        except InputError as error:
            if not (command.scenes or command.stac):
                raise
            failures[request.out.name] = str(error)
            continue
        failures |= {
            f"{request.out.name}, {place_in_pixels(plan, job)}": cause for job, cause in summary.failures.items()
        }
        if not summary.failures:
            print(summary)
            if not summary.observed:
                failures[request.out.name] = "the function has no answer (NaN) for any pixel that was observed"
    if command.scenes or command.stac:
        _write_ledger(command.out, requests, failures)
    for line in in_short(failures):
        print(line)
    if failures:
        anew = "; a mended function begins anew with --restart" if command.function else ""
        print(f"{len(failures)} failed; the same command does what is missing{anew}")
    return 1 if failures else 0


def _requests(command: Command, reading: Reading, refuse: Refuse) -> list[Request]:
    """The maps that are wanted, one or many."""
    from plait_remote_sensing.tiling.scenes import Request, catalogued, listed

    suffix = ".tif" if command.form == "cog" else ".zarr"
    if command.scenes is None and command.stac is None:
        given: dict[Sensor, Path | Source] = {}
        if command.sar is not None:
            given["sar"] = command.sar
        if command.optical is not None:
            given["optical"] = command.optical
        if not given:
            raise InputError("A map needs a scene: give --sar, --optical or both, or many with --scenes or --stac.")
        if command.out.suffix != suffix:
            raise InputError(f"--out {command.out} is no name for a {command.form} map: end it in {suffix}.")
        return [Request(command.out, given)]
    if command.sar or command.optical:
        raise InputError("Give one scene with --sar and --optical, or many with --scenes or --stac.")
    if command.scenes is not None:
        return listed(command.scenes, command.out, suffix)
    return catalogued(command.stac or "", command.days, command.out, suffix, reading, refuse)


def _origin(
    command: Command, sources: Mapping[str, Source], known: dict[str, TrainedRun]
) -> tuple[Origin, Mapping[str, Source]]:
    """Where the function comes from, and the scene with the bands that it sees.

    A run is read once for each combination of modalities that scenes have.
    """
    if command.run is None:
        from plait_remote_sensing.tiling.function import Named

        return Named(command.function or "", str(Path.cwd())), sources
    from plait_remote_sensing.tiling.trained import suited

    key = " ".join(sources)
    if key not in known:
        known[key] = _trained(command, command.run, tuple(sources))
    return known[key], suited(known[key], sources)


def _trained(command: Command, folder: Path, modalities: Sequence[str]) -> TrainedRun:
    from plait.progress import warn
    from plait_remote_sensing.tiling.probe import with_probe
    from plait_remote_sensing.tiling.trained import trained_run

    warn(f"loading {folder}")
    run = trained_run(folder, modalities, command.step, command.dtype, command.pairs)
    if command.label is None:
        return run
    if command.pairs is None:
        raise InputError(f"--label {command.label} is a column of a pair table: name it with --pairs.")
    warn(f"fitting the probe of '{command.label}' on the train rows of {command.pairs}")
    return with_probe(run, command.pairs, command.label)


def _workers(command: Command) -> int:
    """One process a processor; one in all where a run computes on a GPU."""
    if command.workers is not None:
        return command.workers
    from plait.pairs.workers import processors

    if command.run is not None:
        import torch

        return 1 if torch.cuda.is_available() else processors()
    return processors()


def _write_ledger(out: Path, requests: Sequence[Request], failures: Mapping[str, str]) -> None:
    """``maps.json``: of every scene whether its map is complete, and if not, why."""
    rows = [
        {
            "map": request.out.name,
            "complete": request.out.exists() and not _of(request.out.name, failures),
            "failures": _of(request.out.name, failures),
        }
        for request in requests
    ]
    out.mkdir(parents=True, exist_ok=True)
    (out / "maps.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")


def _of(name: str, failures: Mapping[str, str]) -> dict[str, str]:
    return {where: cause for where, cause in failures.items() if where == name or where.startswith(f"{name}, ")}


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
