"""What a recipe leaves open is settled by the table: what each modality holds, the label's scale, who is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from plait.errors import InputError
from plait.objectives import OBJECTIVES
from plait.pairs.table import PairTable
from plait.progress import warn
from plait.recipes import ModelSection, Recipe, Spec


def settle(recipe: Recipe, table: PairTable) -> Recipe:
    """The recipe for the training rows of one table.

    * An `Utterance` encoder without ``holds`` or ``channels`` gets those of the columns ``holds_<modality>`` and
      ``channels_<modality>``; what a recipe says itself stays.
    * A regression target's ``low`` and ``high`` become -scale and scale of the column ``scale``: the range of a label
      is a fact of the data.
    * A modality that no row has is left out wherever it is named, and an objective that cannot do with what is left is
      left out too, and that is told.

    Raises:
        InputError: where rows differ in what a modality holds or in their scale, or where there is no modality at all.
    """
    table = table.where_split("train") if "train" in table.splits else table  # rows held out shape nothing
    there = [name for name in recipe.model.encoders if name in table.modalities and bool(table.present(name).any())]
    if not there:
        wanted = ", ".join(recipe.model.encoders)
        raise InputError(f"{table.where} has no row with any of {wanted}, which recipe '{recipe.name}' is made of.")
    section = recipe.model
    model = replace(
        section,
        encoders={name: _encoder(section.encoders[name], name, table) for name in there},
        targets={column: _target(spec, section, there, table) for column, spec in section.targets.items()},
        frozen=[name for name in section.frozen if name in there],
    )
    objectives = [left for spec in recipe.objectives if (left := _objective(spec, section, there)) is not None]
    if not objectives:
        raise InputError(f"Recipe '{recipe.name}' has no objective left for {', '.join(there)}: choose another.")
    gone = section.encoders.keys() - set(there)
    rates = {name: rate for name, rate in recipe.optimisation.encoder_learning_rates.items() if name not in gone}
    optimisation = replace(recipe.optimisation, encoder_learning_rates=rates)
    return replace(recipe, model=model, objectives=objectives, optimisation=optimisation)


def _encoder(spec: Spec, name: str, table: PairTable) -> Spec:
    if spec["kind"] != "utterance":
        return spec
    known = {key: _only(table, f"{key}_{name}") for key in ("holds", "channels") if f"{key}_{name}" in table.columns}
    return spec | {key: value for key, value in known.items() if spec.get(key) is None}


def _target(spec: Spec, section: ModelSection, there: Sequence[str], table: PairTable) -> Spec:
    spec = spec | {"of": _left(spec["of"], section.encoders, there)}
    scale = _only(table, "scale") if "scale" in table.columns else None
    if spec["kind"] == "regression" and scale is not None:
        scale = float(scale)
        spec |= {"low": -scale, "high": scale}
    return spec


def _objective(spec: Spec, section: ModelSection, there: Sequence[str]) -> Spec | None:
    """The objective of the modalities that are there; ``None`` where it cannot do with them."""
    if not isinstance(spec.get("of"), list) or spec["of"] == (of := _left(spec["of"], section.encoders, there)):
        return spec
    whole = {key: value for key, value in spec.items() if key not in ("kind", "weight")}
    kind = OBJECTIVES[spec["kind"]]
    kind(**whole)  # what is wrong with it as it stands is the user's to mend
    why = "nothing of it is left"
    try:
        if of:
            kind(**whole | {"of": of})  # which says by itself how few it cannot do with
            return spec | {"of": of}
    except InputError as error:
        why = str(error)
    warn(f"the objective {spec['kind']} of {spec['of']} is left out, as no row has all of these: {why}")
    return None


def _left(of: Sequence[str | list[str]], modalities: Mapping[str, Any], there: Sequence[str]) -> list[str | list[str]]:
    """Names, and lists of names, without the modalities that are not there; ``fused`` is none."""
    left = [
        [name for name in item if name not in modalities or name in there] if isinstance(item, list) else item
        for item in of
    ]
    return [item for item in left if item and (isinstance(item, list) or item not in modalities or item in there)]


def _only(table: PairTable, column: str) -> Any:
    """The one value that all rows of a column share, ``None`` where none has any (words have no channels).

    Raises:
        InputError: where they do not share one.
    """
    values = cast(list[Any], table.data[column].drop_null().unique().to_pylist())
    if len(values) > 1:
        raise InputError(f"{table.where}, column '{column}': {values} where all rows share one value.")
    return values[0] if values else None
