"""``--cache DIR``: films are decoded once, and nothing else changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from plait.errors import InputError
from plait.pairs.ingest import ingest
from plait.pairs.table import PairTable
from plait.recipes import build_loader, read_recipe
from plait.training.pretrain import Hardware, pretrain
from plait_medical.cli import app
from plait_medical.load import Loader

SMALL = ["optimisation.batch_size=8", "optimisation.warmup_steps=1", "data.image_size=32"]


@pytest.fixture(scope="module")
def table(world: Path, tmp_path_factory: pytest.TempPathFactory) -> PairTable:
    pairs = tmp_path_factory.mktemp("pairs") / "pairs.parquet"
    ingest("medical", app.layouts["iu-xray"], world, pairs, app.loader(), examine=app.examine)
    whole = PairTable.read(pairs)
    return whole.take(np.flatnonzero(whole.splits == "train")[:16])


def test_a_run_with_a_cache_is_the_run_without_and_its_size_is_said_beforehand(
    table: PairTable, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, folder = read_recipe("convirt", app, SMALL), tmp_path / "cache"
    pretrain(recipe, app, table, tmp_path / "plain", max_steps=2)
    said = ""
    for name in ("first", "second"):
        pretrain(recipe, app, table, tmp_path / name, max_steps=2, hardware=Hardware(cache=folder))
        said += capsys.readouterr().err
    assert said.count(f"{folder} will hold up to 0.0 MB of") == 1
    assert len({(tmp_path / name / "model.safetensors").read_bytes() for name in ("plain", "first", "second")}) == 1
    assert (tmp_path / "plain" / "recipe.yaml").read_bytes() == (tmp_path / "first" / "recipe.yaml").read_bytes()
    held = sum(path.stat().st_size for path in folder.iterdir())
    assert 0 < held <= Loader(**recipe.data, cache=str(folder)).cache_bytes(table)


def test_the_second_time_no_film_is_opened(table: PairTable, tmp_path: Path) -> None:
    loader = build_loader(app, {"image_size": 32}, table, tmp_path / "cache")
    row = table.row(0)
    first = loader(row, table.root, ("image",))["image"]
    again = loader(row, tmp_path / "nowhere", ("image",))["image"]
    assert (first == again).all()


def test_where_the_films_lie_is_no_part_of_a_recipe() -> None:
    with pytest.raises(InputError, match="there is no key 'cache'"):
        read_recipe("convirt", app, ["data.cache=somewhere"])


def test_a_folder_that_cannot_be_made_stops_the_command(table: PairTable, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot hold a cache"):
        build_loader(app, {}, table, tmp_path / "file" / "cache")
