"""Arrays inside MATLAB and HDF5 files, by the names that pair tables give them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from rasterio.transform import Affine
from scipy.io import loadmat, savemat

from plait.errors import InputError
from plait_remote_sensing.raster import Grid, Reference, Window, band_names_of, grid_of, has_gcps, read_window, tags_of
from plait_remote_sensing.raster.matlab import read_variable, variables

SCENE = np.arange(6 * 5 * 3, dtype=np.float64).reshape(6, 5, 3)
PATCHES = np.arange(4 * 6 * 5 * 3, dtype=np.int16).reshape(4, 6, 5, 3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    savemat(tmp_path / "five.mat", {"hsi": SCENE, "label": SCENE[..., 0], "name": "Berlin"}, do_compression=True)
    savemat(tmp_path / "plain.mat", {"hsi": SCENE, "name": "Berlin"})
    # MATLAB 7.3: HDF5 behind a block of 512 bytes, the axes reversed.
    with h5py.File(tmp_path / "seven.mat", "w", userblock_size=512) as file:
        file["hsi"], file["label"] = SCENE.T, SCENE[..., 0].T
    with (tmp_path / "seven.mat").open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(512))
    with h5py.File(tmp_path / "patches.h5", "w") as file:
        file["sen1"], file["group/label"] = PATCHES, PATCHES[..., 0]
    return tmp_path


PART = Window(1, 2, 3, 4)


def read(path: Path, window: Window = PART, **more: Any) -> np.ndarray:
    return read_window(path, window, grid_of(path), **more)


@pytest.mark.parametrize("file", ["five.mat", "seven.mat"])
class TestMatlab:
    def test_a_scene_has_its_bands_first(self, folder: Path, file: str) -> None:
        path = folder / f"{file}#hsi"
        assert grid_of(path) == Grid(None, Affine.identity(), 5, 6)
        found = read(path)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, np.moveaxis(SCENE, -1, 0)[:, 2:6, 1:4])

    def test_a_label_has_one_band(self, folder: Path, file: str) -> None:
        np.testing.assert_array_equal(read(folder / f"{file}#label")[0], SCENE[2:6, 1:4, 0])

    def test_bands_are_chosen_in_the_order_of_their_numbers(self, folder: Path, file: str) -> None:
        found = read(folder / f"{file}#hsi@2,0")
        np.testing.assert_array_equal(found, np.moveaxis(SCENE[..., [2, 0]], -1, 0)[:, 2:6, 1:4])
        assert band_names_of(folder / f"{file}#hsi@2,0") == (None, None)

    def test_an_array_that_is_not_there_is_named_with_those_that_are(self, folder: Path, file: str) -> None:
        with pytest.raises(InputError, match=rf"{file} has no array 'lidar' \(it has hsi, label"):
            read(folder / f"{file}#lidar")


@pytest.mark.parametrize("dtype", ["f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"])
@pytest.mark.parametrize("compressed", [True, False])
def test_every_type_of_number_is_read_as_scipy_reads_it(tmp_path: Path, dtype: str, compressed: bool) -> None:
    draw = np.random.default_rng(0).integers(0, 100, (7, 5, 3)).astype(dtype)
    savemat(tmp_path / "a.mat", {"before": "x", "wanted": draw, "after": np.eye(3)}, do_compression=compressed)
    known = variables(tmp_path / "a.mat")
    assert list(known) == ["before", "wanted", "after"]
    found = read_variable(tmp_path / "a.mat", known["wanted"])
    expected = loadmat(tmp_path / "a.mat")["wanted"]
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


class TestHdf5:
    def test_one_of_many(self, folder: Path) -> None:
        found = read(folder / "patches.h5#sen1[2]")
        np.testing.assert_array_equal(found, np.moveaxis(PATCHES[2], -1, 0)[:, 2:6, 1:4])

    def test_bands_of_one_of_many(self, folder: Path) -> None:
        np.testing.assert_array_equal(read(folder / "patches.h5#sen1[0]@1")[0], PATCHES[0, 2:6, 1:4, 1])

    def test_an_array_in_a_group_without_bands(self, folder: Path) -> None:
        np.testing.assert_array_equal(read(folder / "patches.h5#group/label[3]")[0], PATCHES[3, 2:6, 1:4, 0])

    def test_an_index_past_the_end_is_refused(self, folder: Path) -> None:
        with pytest.raises(InputError, match=r"patches\.h5#sen1\[4\] is not there: the array has 4"):
            read(folder / "patches.h5#sen1[4]")

    def test_an_array_of_another_file_is_refused(self, folder: Path) -> None:
        with h5py.File(folder / "patches.h5", "a") as file:
            file["away"] = h5py.ExternalLink("seven.mat", "hsi")
        with pytest.raises(InputError, match=r"patches\.h5#away lies in another file"):
            read(folder / "patches.h5#away")


def test_missing_values_and_what_is_not_finite_become_nan(folder: Path) -> None:
    savemat(folder / "gaps.mat", {"a": np.asarray([[0.0, 1.0, np.nan, np.inf]], np.float32)})
    found = read(folder / "gaps.mat#a", Window(0, 0, 4, 1), missing=0.0)
    np.testing.assert_array_equal(found, [[[np.nan, 1, np.nan, np.nan]]])


def test_what_is_read_twice_is_not_what_somebody_changed(folder: Path) -> None:
    path = folder / "five.mat#label"
    first = read(path, missing=17.0)
    first[:] = -1
    assert read(path).min() >= 0


def test_a_file_that_was_replaced_is_read_anew(folder: Path) -> None:
    read(folder / "five.mat#label")
    savemat(folder / "five.mat", {"label": np.ones((2, 2))})
    assert grid_of(folder / "five.mat#label").width == 2


def test_an_array_says_nothing_of_itself(folder: Path) -> None:
    path = folder / "five.mat#hsi"
    assert tags_of(path) == {}
    assert not has_gcps(path)


@pytest.mark.parametrize(
    "path", ["a.tif", "a#1.tif", "a.mat", "a.h5#", "a.tif#x", "a.h5#x[b]", "a.h5#x@", "a.h5#x[1]2"]
)
def test_any_other_path_is_no_reference(path: str) -> None:
    assert Reference.of(Path(path)) is None


def test_an_array_cannot_be_put_on_a_map(folder: Path) -> None:
    from rasterio.crs import CRS

    grid = Grid(CRS.from_epsg(32633), Affine(10, 0, 5e5, 0, -10, 5e6), 5, 6)
    with pytest.raises(InputError, match=r"five\.mat#hsi has 5 x 6 pixels.*no coordinate reference"):
        read_window(folder / "five.mat#hsi", Window(0, 0, 2, 2), grid)


class TestBroken:
    def test_a_text_and_complex_numbers_are_no_array(self, folder: Path) -> None:
        savemat(folder / "five.mat", {"name": "Berlin", "slc": np.ones((3, 3), np.complex64), "cell": {"a": 1}})
        for name in ("name", "slc", "cell"):
            with pytest.raises(InputError, match=rf"five\.mat#{name} holds no real numbers: name another variable"):
                read(folder / f"five.mat#{name}")
        with pytest.raises(InputError, match=r"has no array 'hsi' \(it has none\)"):
            read(folder / "five.mat#hsi")

    def test_an_array_of_anything_but_numbers_in_hdf5(self, folder: Path) -> None:
        with h5py.File(folder / "patches.h5", "a") as file:
            file["names"] = np.asarray([[b"a", b"b"]])
        with pytest.raises(InputError, match=r"#names is an array \(1, 2\) of |S1.*name another variable"):
            read(folder / "patches.h5#names")

    def test_too_many_axes_want_an_index(self, folder: Path) -> None:
        with pytest.raises(InputError, match=r"#sen1 is an array \(4, 6, 5, 3\).*as \[INDEX\]"):
            read(folder / "patches.h5#sen1")

    def test_a_band_that_is_not_there(self, folder: Path) -> None:
        with pytest.raises(InputError, match=r"#hsi has 3 bands and no band 7"):
            read(folder / "five.mat#hsi@0,7")

    def test_a_missing_file_and_a_folder(self, folder: Path) -> None:
        with pytest.raises(InputError, match=r"no file of arrays at .*gone\.mat"):
            read(folder / "gone.mat#a")
        (folder / "folder.h5").mkdir()
        with pytest.raises(InputError, match=r"folder\.h5 is a folder"):
            read(folder / "folder.h5#a")

    def test_a_pointer_of_git_lfs(self, folder: Path) -> None:
        (folder / "five.mat").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
        with pytest.raises(InputError, match=r"five\.mat is a Git-LFS pointer.*git lfs pull"):
            read(folder / "five.mat#hsi")

    def test_an_array_too_large_to_be_read_whole_is_refused_before_it_is(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("plait_remote_sensing.raster.reference._MOST_BYTES", 100)
        with pytest.raises(InputError, match=r"five\.mat#hsi declares an array \(6, 5, 3\).*7\.3"):
            read(folder / "five.mat#hsi")

    @pytest.mark.parametrize("name", ["five.mat#hsi", "plain.mat#hsi", "seven.mat#hsi", "patches.h5#sen1[3]"])
    def test_a_file_cut_or_changed_anywhere_is_an_input_error_or_other_numbers(self, folder: Path, name: str) -> None:
        file = folder / name.partition("#")[0]
        whole = file.read_bytes()
        draw = np.random.default_rng(0)
        for _ in range(60):
            broken = bytearray(whole[: draw.integers(len(whole))] if draw.random() < 0.4 else whole)
            for _ in range(3 if broken else 0):
                broken[draw.integers(len(broken))] = draw.integers(256)
            file.write_bytes(broken)
            with suppress(InputError):
                read(folder / name, Window(0, 0, 1, 1))
