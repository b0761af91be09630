"""What the layouts state of published sets is what torchgeo's readers of these sets state."""

from __future__ import annotations

from plait_remote_sensing.ingest import bigearthnet, bigearthnet_index, sen12ms, so2sat, ssl4eo_s12


def test_so2sat() -> None:
    from torchgeo.datasets.so2sat import So2Sat

    assert tuple(name.removeprefix("S2_") for name in So2Sat.all_s2_band_names) == so2sat.OPTICAL_BANDS
    assert so2sat.SHAPES["label"] == (len(So2Sat.classes),)
    assert so2sat.SHAPES["sen1"][2] == len(So2Sat.all_s1_band_names)
    assert {f"{name}.h5" for name in so2sat.SPLITS} == set(So2Sat.filenames_by_version["2"].values())


def test_sen12ms() -> None:
    from torchgeo.datasets.sen12ms import SEN12MS

    assert SEN12MS.BAND_SETS["s2-all"] == sen12ms.MSI_BANDS
    assert set(sen12ms.LISTS.values()) <= set(SEN12MS.filenames)


def test_ssl4eo_s12() -> None:
    from torchgeo.datasets.ssl4eo import SSL4EOS12

    assert SSL4EOS12.size == ssl4eo_s12.WINDOW.width
    for folder, bands in ssl4eo_s12.OPTICAL.values():
        assert SSL4EOS12.metadata[folder]["bands"] == tuple(ssl4eo_s12.band_file(band)[:-4] for band in bands)


def test_bigearthnet() -> None:
    from torchgeo.datasets.bigearthnet import BigEarthNet, BigEarthNetV2

    assert list(bigearthnet.label_columns()) == BigEarthNetV2.class_set
    assert len(set(bigearthnet.label_columns().values())) == 19
    assert {v: k for k, v in BigEarthNetV2.split_map.items()} == bigearthnet_index.SPLITS
    assert BigEarthNet.metadata["s1"]["directory"] == bigearthnet_index.SAR_V1
    assert BigEarthNet.metadata["s2"]["directory"] in bigearthnet_index.OPTICAL_V1
    # The level-3 classes of CORINE by their codes, as version 2 maps them: a second table of the same mapping.
    corine = BigEarthNet.class_sets[43]
    for label, code in (("Continuous urban fabric", 111), ("Olive groves", 223), ("Salines", 422), ("Estuaries", 522)):
        assert label in corine
        assert bigearthnet_index.simplified([label]) == {BigEarthNetV2.class_set[BigEarthNetV2.clc_codes[code]]}
    without = [label for label in corine if not bigearthnet_index.simplified([label])]
    assert without == [
        "Road and rail networks and associated land", "Port areas", "Airports", "Mineral extraction sites",
        "Dump sites", "Construction sites", "Green urban areas", "Sport and leisure facilities", "Bare rock",
        "Burnt areas", "Intertidal flats",
    ]  # fmt: skip
