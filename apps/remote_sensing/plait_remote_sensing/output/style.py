"""A QGIS style beside a map: a file of the same name that QGIS loads with it."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from plait_remote_sensing.output.info import MapInfo
from plait_remote_sensing.output.look import look
from plait_remote_sensing.output.staging import staged


def write_qml(out: Path, info: MapInfo, asset: Path) -> None:
    """Write a QGIS 3 style: a palette for classes, else the first band in grey, or the first three in colour.

    Values are stretched between the percentiles 2 and 98 of a small version of the map.

    Args:
        out: the style, named as the map but for ``.qml``.
        info: what the map says of itself.
        asset: the map.
    """
    root = ElementTree.Element("qgis", version="3.22.0", hasScaleBasedVisibilityFlag="0")
    pipe = ElementTree.SubElement(root, "pipe")
    if info.classes:
        _palette(pipe, info)
    else:
        _stretch(pipe, look(asset, 3).ranges)
    ElementTree.SubElement(pipe, "brightnesscontrast", brightness="0", contrast="0", gamma="1")
    ElementTree.SubElement(pipe, "huesaturation", saturation="0", grayscaleMode="0", colorizeOn="0")
    ElementTree.SubElement(pipe, "rasterresampler", maxOversampling="2")
    ElementTree.SubElement(root, "blendMode").text = "0"
    ElementTree.indent(root)
    with staged(out) as path:
        path.write_text(ElementTree.tostring(root, encoding="unicode") + "\n", encoding="utf-8")


def _renderer(pipe: ElementTree.Element, kind: str, bands: dict[str, str]) -> ElementTree.Element:
    said = {"type": kind, "opacity": "1", "alphaBand": "-1", "nodataColor": ""} | bands
    renderer = ElementTree.SubElement(pipe, "rasterrenderer", said)
    ElementTree.SubElement(renderer, "rasterTransparency")
    return renderer


def _palette(pipe: ElementTree.Element, info: MapInfo) -> None:
    palette = ElementTree.SubElement(_renderer(pipe, "paletted", {"band": "1"}), "colorPalette")
    for code, (name, colour) in sorted((info.classes or {}).items()):
        ElementTree.SubElement(palette, "paletteEntry", value=str(code), label=name, color=colour, alpha="255")


def _stretch(pipe: ElementTree.Element, ranges: list[tuple[float, float]]) -> None:
    if len(ranges) < 3:
        grey = _renderer(pipe, "singlebandgray", {"grayBand": "1", "gradient": "BlackToWhite"})
        _contrast(grey, "contrastEnhancement", *ranges[0])
        return
    colour = _renderer(pipe, "multibandcolor", {"redBand": "1", "greenBand": "2", "blueBand": "3"})
    for name, (low, high) in zip(("red", "green", "blue"), ranges, strict=True):
        _contrast(colour, f"{name}ContrastEnhancement", low, high)


def _contrast(renderer: ElementTree.Element, name: str, low: float, high: float) -> None:
    contrast = ElementTree.SubElement(renderer, name)
    ElementTree.SubElement(contrast, "minValue").text = repr(low)
    ElementTree.SubElement(contrast, "maxValue").text = repr(high)
    ElementTree.SubElement(contrast, "algorithm").text = "StretchToMinimumMaximum"
