"""Tables that pandas pickled are read without pandas' code, and a hostile one runs nothing."""

from __future__ import annotations

import gzip
import os
import pickle
import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from plait.errors import InputError
from plait.pairs.inert_pickle import Made
from plait_driving.sensors.formats.data_frame import read_columns
from plait_driving.sensors.labels import read_point_labels


def frame() -> pd.DataFrame:
    """A table of several types; its names are objects, as before pandas 3."""
    rng = np.random.default_rng(0)
    found = pd.DataFrame(rng.normal(size=(5, 4)) * 1e5, columns=pd.Index(["x", "y", "z", "t"], dtype=object))
    found["i"] = rng.integers(0, 256, 5)
    found["label"] = pd.Series(["car", "bus", "car", "road", "road"], dtype=object)
    found["d"] = np.array([0, 1, 0, 1, 1], dtype=np.int8)
    found["f"] = rng.normal(size=5).astype(np.float32)
    return found


LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "as it grew": lambda table: table,
    "consolidated": lambda table: table.copy(),
    "column by column": lambda table: pd.concat([table[[name]] for name in table], axis=1).set_axis(
        table.columns, axis=1
    ),
    "interleaved": lambda table: table[["i", "x", "d", "y", "label", "t", "f", "z"]],
    "backwards": lambda table: table.iloc[::-1],
    "some rows": lambda table: table[table["i"] > 100],
    "empty": lambda table: table.iloc[:0],
    "one type": lambda table: table[["x", "y", "z"]],
    "rows in a row": lambda table: pd.DataFrame(
        np.ascontiguousarray(table[["x", "y", "z"]].to_numpy()), columns=table.columns[:3], copy=False
    ),
    "own index": lambda table: table.set_index(pd.Index([7, 3, 1, 0, 2])),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_columns_are_what_pandas_reads(layout: str, protocol: int, tmp_path: Path) -> None:
    table = LAYOUTS[layout](frame())
    (tmp_path / "00.pkl.gz").write_bytes(gzip.compress(pickle.dumps(table, protocol)))
    columns = read_columns(tmp_path / "00.pkl.gz")
    assert set(columns) == set(table) - {"label"}
    for name, values in columns.items():
        np.testing.assert_array_equal(values, table[name].to_numpy())
        assert values.dtype == table[name].dtype


PICKLER: Any = vars(pickle)["_Pickler"]
SYSTEM: Any = vars(os)["system"]


class _Named(PICKLER):
    """Writes names that need not exist, as a pandas of 2019 has them."""

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        if isinstance(obj, Made):
            self._name(obj.name)
            self.save(obj.arguments)
            self.write(
                pickle.REDUCE if obj.name.endswith(("_reconstruct", "_new_Index", "slice", "dtype")) else pickle.NEWOBJ
            )
            if obj.state is not None:
                self.save(obj.state)
                self.write(pickle.BUILD)
        elif isinstance(obj, type):
            self._name(f"numpy.{obj.__name__}" if obj is np.ndarray else f"pandas.core.indexes.base.{obj.__name__}")
        else:
            super().save(obj, save_persistent_id)

    def _name(self, name: str) -> None:
        module, _, name = name.rpartition(".")
        self.save(module)
        self.save(name)
        self.write(pickle.STACK_GLOBAL)


def old_array(values: np.ndarray, code: str) -> Made:
    kind = Made("numpy.dtype", (code, 0, 1), (3, "|" if code == "O8" else "<", None, None, None, -1, -1, 0))
    raw = values.tolist() if code == "O8" else values.tobytes()
    return Made("numpy.core.multiarray._reconstruct", (np.ndarray, (0,), b"b"), (1, values.shape, kind, False, raw))


def test_the_form_of_pandas_0_25_is_read(tmp_path: Path) -> None:
    xyz, classes = np.arange(6.0).reshape(2, 3), np.array([[7, 8, 9]])
    names = Made(
        "pandas.core.indexes.base._new_Index",
        (pd.Index, {"data": old_array(np.array(["x", "class", "y"]), "O8"), "name": None}),
    )
    rows = Made("pandas.core.indexes.base._new_Index", (pd.Index, {"name": None}))
    blocks = [
        {"values": old_array(xyz, "f8"), "mgr_locs": Made("builtins.slice", (0, 4, 2))},
        {"values": old_array(classes, "i8"), "mgr_locs": old_array(np.array([1]), "i8")},
    ]
    state = ([names, rows], [], [], {"0.14.1": {"axes": [names, rows], "blocks": blocks}})
    table = Made(
        "pandas.core.frame.DataFrame", (),
        {"_data": Made("pandas.core.internals.managers.BlockManager", (), state), "_typ": "dataframe"},
    )  # fmt: skip
    with gzip.open(tmp_path / "00.pkl.gz", "wb") as file:
        _Named(file, 4).dump(table)
    columns = read_columns(tmp_path / "00.pkl.gz")
    assert {name: values.tolist() for name, values in columns.items()} == {
        "x": [0, 1, 2],
        "y": [3, 4, 5],
        "class": [7, 8, 9],
    }


class _Calls:
    """Pickles as a call of a function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def test_a_call_inside_a_table_is_refused_and_not_made(tmp_path: Path) -> None:
    table = frame()
    table.attrs["note"] = _Calls(SYSTEM, f"touch {tmp_path / 'touched'}")
    (tmp_path / "00.pkl.gz").write_bytes(gzip.compress(pickle.dumps(table)))
    with pytest.raises(ValueError, match=r"its pickle names posix\.system"):
        read_columns(tmp_path / "00.pkl.gz")
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (pickle.dumps({"x": [1.0]}), "holds dict where pandas"),
        (pickle.dumps(frame()["x"].to_numpy()), "holds numpy.*_reconstruct|_frombuffer where pandas"),
    ],
)
def test_what_is_no_table_is_said(data: bytes, cause: str, tmp_path: Path) -> None:
    (tmp_path / "00.pkl.gz").write_bytes(gzip.compress(data))
    with pytest.raises(ValueError, match=cause):
        read_columns(tmp_path / "00.pkl.gz")


def test_labels_without_their_column_are_said(tmp_path: Path) -> None:
    (tmp_path / "00.pkl.gz").write_bytes(gzip.compress(pickle.dumps(frame())))
    with pytest.raises(InputError, match="it has no column 'class' but"):
        read_point_labels(tmp_path / "00.pkl.gz", len(frame()))


def test_wherever_a_table_is_cut_it_is_refused(tmp_path: Path) -> None:
    data = pickle.dumps(frame(), 4)
    for length in range(0, len(data), 23):
        (tmp_path / "00.pkl.gz").write_bytes(gzip.compress(data[:length], 1))
        with pytest.raises(ValueError, match=r"\w"):
            read_columns(tmp_path / "00.pkl.gz")


def test_sizes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plait_driving.sensors.formats.data_frame.LIMIT", 10_000)
    (tmp_path / "00.pkl.gz").write_bytes(gzip.compress(bytes(20_000)))
    with pytest.raises(ValueError, match="unpacks to more than 10,000 bytes"):
        read_columns(tmp_path / "00.pkl.gz")


def test_the_shape_of_an_array_must_fit_its_bytes(tmp_path: Path) -> None:
    data = pickle.dumps(frame(), 4)
    (at,) = [at or 0 for _, value, at in pickletools.genops(data) if value == "f4"]
    (tmp_path / "00.pkl.gz").write_bytes(gzip.compress(data[: at + 2] + b"f8" + data[at + 4 :]))
    with pytest.raises(ValueError, match=r"reshape|multiple of element size"):
        read_columns(tmp_path / "00.pkl.gz")
