"""Maps out: the raster, and what stands beside it."""

from plait_remote_sensing.output.cog import write_cog
from plait_remote_sensing.output.info import MapInfo
from plait_remote_sensing.output.quicklook import quicklook
from plait_remote_sensing.output.stac_item import write_stac_item
from plait_remote_sensing.output.style import write_qml
from plait_remote_sensing.output.zarr_group import write_zarr

__all__ = ["MapInfo", "quicklook", "write_cog", "write_qml", "write_stac_item", "write_zarr"]
