"""The unit of backscatter: metadata first, values where they leave one answer, and a refusal anywhere else."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from plait.errors import InputError
from plait_remote_sensing.backscatter import UNITS
from plait_remote_sensing.products.sar_unit import decide_unit, polarisation_of, require_plausible
from plait_remote_sensing.raster import grid_of, read_window

PAIR = ("VV", "VH")


def power(seed: int, means: tuple[float, ...], spread: float = 3.0, looks: float = 4.4) -> np.ndarray:
    """(C, 4000) power of a scene of land of these mean dB, with gamma speckle."""
    rng = np.random.default_rng(seed)
    level = rng.normal(0, spread, 4000) + np.asarray(means)[:, None]
    return (10 ** (level / 10) * rng.gamma(looks, 1 / looks, level.shape)).astype(np.float32)


LAND = power(0, (-11.0, -18.0))
STORED = {
    "db": 10 * np.log10(LAND),
    "power": LAND,
    "amplitude": np.sqrt(LAND),
    "scaled": np.clip((10 * np.log10(LAND) + 25) / 30, 0, 1),
    "grey": np.clip((10 * np.log10(LAND) + 25) / 20 * 255, 0, 255).round(),
    "dn": (10 ** ((10 * np.log10(LAND) + 83) / 20)).round(),
}


def decided(values: np.ndarray, names: tuple[str | None, ...] = PAIR, **tags: str) -> str:
    return decide_unit(values, tags, names, "a.tif").unit


@pytest.mark.parametrize(
    ("unit", "tags"),
    [
        ("db", {"UNITS": "dB"}),
        ("db", {"description": "VV power in decibels"}),
        ("power", {"UNITS": "gamma0_rtc power"}),
        ("power", {"unit": "intensity (linear)"}),
        ("amplitude", {"units": "Amplitude"}),
        ("scaled", {"SAR_UNIT": "scaled"}),
        ("grey", {"UNITS": "grey"}),
        ("dn", {"UNITS": "DN"}),
    ],
)
def test_metadata_decide(unit: str, tags: dict[str, str]) -> None:
    assert decided(STORED[unit], (None, None), **tags) == unit


def test_a_bands_own_name_may_say_it() -> None:
    assert decided(STORED["db"], ("Sigma0_VV_db", "Sigma0_VH_db")) == "db"


def test_tags_about_other_things_say_nothing() -> None:
    with pytest.raises(InputError):
        decided(STORED["dn"], PAIR, SOFTWARE="amplitude tool 1.0", AREA_OR_POINT="Area")


@pytest.mark.parametrize("unit", ["db", "power", "amplitude", "grey"])
def test_values_decide_where_they_leave_one_answer(unit: str) -> None:
    assert decided(STORED[unit]) == unit


@pytest.mark.parametrize(
    ("stored", "names", "seen"),
    [
        (STORED["scaled"], PAIR, r"scaled to \[0, 1\]"),
        (STORED["dn"], PAIR, "digital numbers of unknown scale"),
        ((np.sqrt(LAND) * 500).round(), PAIR, "digital numbers of unknown scale"),
        ((10 * np.log10(LAND) * 100).round(), PAIR, "digital numbers of unknown scale"),
        (LAND[:1], ("VV",), "power and amplitude"),
        (np.sqrt(LAND[:1]), (None,), "amplitude"),
        (np.log(LAND), PAIR, "no unit"),
        ((LAND - LAND.mean()) / LAND.std(), PAIR, "no unit"),
        (LAND * 1e6, PAIR, "no unit"),
        (np.full((1, 50), -12.5), ("VV",), "no unit"),
    ],
    ids=["scaled", "dn", "raw GRD", "dB x 100", "VV power", "amplitude alone", "ln", "z", "x 1e6", "constant"],
)
def test_what_values_cannot_tell_is_refused_with_the_mend(
    stored: np.ndarray, names: tuple[str | None, ...], seen: str
) -> None:
    with pytest.raises(InputError, match=rf"a\.tif: no metadata.*{seen}.*sar_unit=power.*UNITS=power"):
        decided(stored, names)


@pytest.mark.parametrize(
    ("said", "stored"),
    [("dB", "power"), ("power", "db"), ("amplitude", "db"), ("scaled", "db"), ("scaled", "dn"), ("grey", "dn")],
)
def test_metadata_that_the_values_contradict_are_refused(said: str, stored: str) -> None:
    with pytest.raises(InputError, match=rf"metadata say UNITS '{said}', but its values are least"):
        decided(STORED[stored], UNITS=said)


@pytest.mark.parametrize("names", [PAIR, (None, None), ("VV",), ("VH",), (None,)])
@pytest.mark.parametrize(
    "stored",
    [
        power(0, (-2.0, -8.5)),  # of a dense city, as amplitude that of land
        2 * STORED["db"],
        STORED["db"] / 2,
        power(0, (-22.0, -28.0)) / power(0, (-22.0, -28.0)).max(),
        np.clip((10 * np.log10(power(0, (-28.0, -30.0))) + 25) / 30, 0, 1),
    ],
    ids=["power of a city", "20 log10 of power", "10 log10 of amplitude", "power over its greatest", "calm, scaled"],
)
def test_what_looks_like_another_unit_is_never_taken_for_it(stored: np.ndarray, names: tuple[str | None, ...]) -> None:
    given = stored[1:] if names == ("VH",) else stored[: len(names)]
    try:
        found = decided(given / given.max() if stored.max() == 1 else given, names)
    except InputError:
        return
    assert (found, stored.max() > 1) == ("power", True), "the city"


def test_decibels_of_one_band_may_be_something_else_and_of_two_are_told() -> None:
    with pytest.raises(InputError, match="they fit db and 20 log10 of power"):
        decided(STORED["db"][:1], ("VV",))
    assert decided(STORED["db"]) == decided(STORED["db"][::-1], ("VH", "VV")) == "db"


@pytest.mark.parametrize("fill", [-9999.0, -32768.0, -999.0, -3.4028235e38])
def test_a_number_that_fills_gaps_plays_no_part(fill: float) -> None:
    holes = STORED["db"].copy()
    holes[:, :3000] = fill
    assert decided(holes) == decided(holes, UNITS="dB") == "db"


@pytest.mark.parametrize(
    ("unit", "stored"), [("amplitude", np.sqrt(LAND) * 10_000), ("power", LAND * 1e6), ("db", -STORED["db"] + 30)]
)
def test_numbers_that_nobody_calibrated_are_of_no_unit_whoever_says_it(unit: str, stored: np.ndarray) -> None:
    with pytest.raises(InputError, match=rf"in {unit}, half of its pixels would be above \d+ dB.*not calibrated"):
        require_plausible(unit, stored, "a.tif")
    with pytest.raises(InputError):
        decided(stored, UNITS=unit)


def test_metadata_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(InputError, match=r"contradicts itself.*UNITS 'dB' and description 'linear power'"):
        decided(STORED["db"], UNITS="dB", description="linear power")


def test_gaps_and_zeros_play_no_part() -> None:
    holes = STORED["db"].copy()
    holes[:, ::2], holes[:, 1::8] = 0.0, np.nan
    assert decided(holes) == "db"
    with pytest.raises(InputError, match="without any observed pixel"):
        decided(np.zeros((2, 10), np.float32))


@settings(max_examples=80, deadline=None)
@given(
    st.integers(0, 10_000),
    st.floats(-22, -5),
    st.floats(5, 12),
    st.floats(1, 5),
    st.floats(1, 30),
    st.sampled_from(["db", "power", "amplitude", "scaled", "dn", "raw"]),
    st.sampled_from([PAIR, (None, None), ("VV",), ("VH",), (None,)]),
)
def test_no_random_scene_is_ever_taken_for_another_unit(
    seed: int, level: float, ratio: float, spread: float, looks: float, unit: str, names: tuple[str | None, ...]
) -> None:
    """Water at the noise floor (VH -34 dB), deserts, cities, smooth and speckled: right or refused, never wrong."""
    both = power(seed, (level, level - ratio), spread, looks)
    linear = both[1:] if names == ("VH",) else both[: len(names)]
    decibels = 10 * np.log10(linear)
    stored = {
        "db": decibels,
        "power": linear,
        "amplitude": np.sqrt(linear),
        "scaled": np.clip((decibels + 25) / 30, 0, 1),
        "dn": (10 ** ((decibels + 83) / 20)).round(),
        "raw": (np.sqrt(linear) * 500).round(),
    }[unit]
    # What scaling clipped to nothing but zeros is no image.
    assume(unit != "scaled" or np.median(stored, axis=1).max() > 0.1)
    with suppress(InputError):
        assert decided(stored, names) == unit


@pytest.mark.parametrize(
    ("name", "polarisation"),
    [
        ("VV", "VV"),
        ("Sigma0_VH_db", "VH"),
        ("S1A_IW_20221204T161641_DVR_RTC30_G_gpuned_1AE1_HH", "HH"),
        ("iw-vv.rtc", "VV"),
        ("s1_vv_t1", "VV"),
        ("bands", None),
        ("savvy", None),
        ("", None),
    ],
)
def test_a_polarisation_is_found_in_a_name(name: str, polarisation: str | None) -> None:
    assert polarisation_of(name) == polarisation


@pytest.mark.real
class TestRealSets:
    def all_of(self, path: Path) -> np.ndarray:
        grid = grid_of(path)
        values = read_window(path, grid.extent, grid)
        return values.reshape(len(values), -1)

    @pytest.mark.parametrize(
        ("pattern", "names"),
        [
            ("terramesh_lulc/S1RTC/*.tif", (None, None)),
            ("sen1floods11_sample/*S1Hand.tif", PAIR),
            ("sen12mscr_sample/s1/*.tif", (None, None)),
        ],
    )
    def test_decibels_are_told_by_their_values(
        self, shared_data: Path, pattern: str, names: tuple[str | None, ...]
    ) -> None:
        paths = sorted((shared_data / "remote_sensing").glob(pattern))
        assert paths
        for path in paths:
            assert decided(self.all_of(path), names) == "db"

    def test_oscd_is_refused_for_its_limits_are_nowhere_in_the_file(self, shared_data: Path) -> None:
        paths = sorted((shared_data / "remote_sensing").glob("oscd_s1s2_change/*/s1_vv_t?.tif"))
        assert len(paths) == 12
        for path in paths:
            with pytest.raises(InputError, match=r"scaled to \[0, 1\]"):
                decided(self.all_of(path), ("VV",))
            assert decided(self.all_of(path), ("VV",), UNITS="scaled") == "scaled"

    def test_ombria_is_grey_by_its_type_and_never_anything_else_by_its_values(self, shared_data: Path) -> None:
        paths = sorted((shared_data / "remote_sensing").glob("ombria_flood/S1/*/*.png"))
        assert len(paths) == 126
        for path in paths[::6]:
            assert decided(self.all_of(path), (None,), dtype="uint8") == "grey"
            with suppress(InputError):
                assert decided(self.all_of(path), (None,)) == "grey"

    def test_worldcereal_is_refused_without_its_tag(self, shared_data: Path) -> None:
        columns = [f"SAR-{band}-ts{month}-20m" for band in PAIR for month in range(12)]
        table = pq.read_table(
            shared_data / "remote_sensing/worldcereal_points/worldcereal_points.parquet", columns=columns
        )
        numbers = np.stack([table[name].to_numpy() for name in columns]).reshape(2, -1).astype(np.float32)
        numbers[numbers == 65_535] = np.nan
        with pytest.raises(InputError, match="digital numbers of unknown scale"):
            decided(numbers)
        assert decided(numbers, UNITS="dn") == "dn"


def test_every_unit_of_the_reader_can_be_told_by_a_tag() -> None:
    assert {decided(STORED[unit], UNITS=unit) for unit in UNITS} == set(UNITS)
