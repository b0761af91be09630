"""SemanticKITTI: the sweeps of KITTI odometry with a class for every point.

``labels/NNNNNN.label`` holds a uint32 a point: its class in the lower 16 bits, which object it is in the upper. The
images are those of KITTI odometry (another download, into the same ``sequences/NN``).
"""

from __future__ import annotations

from functools import partial

from plait.pairs.layout import Layout
from plait_driving.ingest.kitti import odometry
from plait_driving.ingest.rows import MODALITIES

LAYOUT = Layout(
    name="semantickitti",
    about="SemanticKITTI: sequences/NN/{image_2,image_3,velodyne,labels,calib.txt,times.txt,poses.txt}",
    modalities=MODALITIES,
    source="SemanticKITTI (Behley et al., ICCV 2019) on KITTI odometry (Geiger et al., CVPR 2012)",
    licence="CC BY-NC-SA 4.0 (labels), CC BY-NC-SA 3.0 (KITTI)",
    read=partial(odometry.read, name="semantickitti"),
)
