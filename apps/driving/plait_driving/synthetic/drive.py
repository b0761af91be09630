"""One moment of a drive through the street, as every sensor sees it and as it truly is.

The car changes lanes as it goes, so that it turns, sways and nods while the LiDAR spins: each point has its own time
and each camera its own, and skipping the motion between them shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from plait.errors import InputError
from plait_driving.geometry import Array, Camera, inverse, log_se3, transform_points, visible
from plait_driving.sensors import Rig, Sweep, Trajectory
from plait_driving.synthetic.street import SKY, Hits, Street, cast, make_street, roughness
from plait_driving.synthetic.suite import MIXED, Lidar, Mount, Suite

FRAMES = 100
"""How many sweeps a drive has before the car reaches the end of the street."""

_SPEED, _START, _LANE = 6.0, -10.0, 1.8
_SWAY, _RHYTHM = 0.8, 1.0
_ABOUT = 1e-3


@dataclass(frozen=True, eq=False)
class Truth:
    """What is true of the N points of a sweep.

    Attributes:
        world: (N, 3) where each was hit, at its own time [m]; without the range noise.
        time: (N,) when, in seconds of the drive.
        velocity: (N, 3) of the surface that it lies on, in the world [m/s].
        instance: (N,) the box that it lies on, from 1; 0 on the ground.
        deskewed: (N, 3) in the LiDAR's frame at the stamp: the car's own motion undone, that of others not.
        flow: (N, 3) where its surface will be in the LiDAR's frame one period after the stamp, less where it is in
            that of the stamp: scene flow, the car's own motion in it [m].
    """

    world: Array
    time: Array
    velocity: Array
    instance: NDArray[np.int64]
    deskewed: Array
    flow: Array

    def at(self, time: float) -> Array:
        """(N, 3) where the surfaces of the points are at another time of the drive, in the world [m]."""
        return self.world + self.velocity * (time - self.time)[:, None]


@dataclass(frozen=True, eq=False)
class View:
    """What one camera saw, and how it sees the N points of the sweep.

    Attributes:
        camera: its intrinsics.
        time: of the exposure, in seconds of the drive.
        image: (H, W, 3) float32 in [0, 1]; black where the lens has no ray.
        depth: (H, W) float32 z in the camera frame [m]; inf in the sky.
        classes: (H, W) uint8 PandaSet class ids.
        instances: (H, W) int64, as `Truth.instance`.
        lidar_to_camera: (4, 4) from the LiDAR at the sweep's stamp to the camera at its exposure.
        lidar_to_camera_static: (4, 4) the same by mounting alone.
        uv: (N, 2) pixel of each point where its surface is at the exposure; NaN as in `Camera.project`.
        point_depth: (N,) its z there [m].
        inside: (N,) whether that lies in the image.
        visible: (N,) whether moreover nothing stands between camera and point.
    """

    camera: Camera
    time: float
    image: NDArray[np.float32]
    depth: NDArray[np.float32]
    classes: NDArray[np.uint8]
    instances: NDArray[np.int64]
    lidar_to_camera: Array
    lidar_to_camera_static: Array
    uv: Array
    point_depth: Array
    inside: NDArray[np.bool_]
    visible: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Capture:
    """One sweep and the images around it.

    Attributes:
        time: the sweep's stamp, in seconds of the drive.
        sweep: as measured: every point in the LiDAR's frame of its own time; ``time`` and ``ring`` are there.
        twist: (6,) steady motion of the LiDAR in its own frame over the turn [m/s, rad/s], as `deskew` takes it.
        truth: of the sweep's points.
        views: by camera.
        rig: the sensors as a data set would describe them; its LiDAR is called ``lidar``.
        street: as it is at time 0 of the drive.
    """

    time: float
    sweep: Sweep
    twist: Array
    truth: Truth
    views: dict[str, View]
    rig: Rig
    street: Street


def capture(seed: int, frame: int, suite: Suite = MIXED) -> Capture:
    """Drive street ``seed`` up to ``frame`` and look around: a 32-beam sweep and three images take about 0.2 s.

    Args:
        seed: of the street; the same seed, frame and suite give the same capture.
        frame: from 0 to `FRAMES` - 1, one a turn of the LiDAR.
        suite: what the car carries.

    Raises:
        InputError: for a frame beyond the drive.
    """
    if not 0 <= frame < FRAMES:
        raise InputError(f"A synthetic drive has no frame {frame}: choose one from 0 to {FRAMES - 1}.")
    street = _street(seed)
    lidar = suite.lidar
    time = 0.1 + frame * lidar.period
    sweep, truth = _spin(street, lidar, time, np.random.default_rng([seed, frame]))
    before, after = (lidar_to_world(lidar, time + half * lidar.period) for half in (-0.5, 0.5))
    views = {name: _look(street, mount, lidar, time, truth) for name, mount in suite.cameras.items()}
    twist = log_se3(inverse(before) @ after) / lidar.period
    return Capture(time, sweep, twist, truth, views, _rig(suite, time), street)


def ego_to_world(time: float) -> Array:
    """The (4, 4) pose of the car: along the street, swaying in its lane, nodding and rolling by half a degree."""
    phase = _RHYTHM * time
    ahead = np.arctan2(_SPEED, _SWAY * _RHYTHM * np.cos(phase))
    (sin, sin_nod, sin_roll), (cos, cos_nod, cos_roll) = (
        f([ahead, 0.008 * np.sin(2.1 * time), 0.008 * np.sin(1.7 * time + 1.0)]) for f in (np.sin, np.cos)
    )
    heading = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    nod = np.array([[cos_nod, 0.0, sin_nod], [0.0, 1.0, 0.0], [-sin_nod, 0.0, cos_nod]])
    roll = np.array([[1.0, 0.0, 0.0], [0.0, cos_roll, -sin_roll], [0.0, sin_roll, cos_roll]])
    transform = np.eye(4)
    transform[:3, :3] = heading @ nod @ roll
    transform[:3, 3] = _LANE + _SWAY * np.sin(phase), _START + _SPEED * time, 0.0
    return transform


def lidar_to_world(lidar: Lidar, time: float) -> Array:
    """The (4, 4) pose of the LiDAR."""
    return ego_to_world(time) @ lidar.to_ego


@lru_cache(maxsize=8)
def _street(seed: int) -> Street:
    rng = np.random.default_rng(seed)
    return make_street(rng, length=120.0).turned(rng)


def _spin(street: Street, lidar: Lidar, stamp: float, rng: np.random.Generator) -> tuple[Sweep, Truth]:
    """One turn: every column from its own place at its own time."""
    poses = np.stack([lidar_to_world(lidar, stamp + seconds) for seconds in lidar.firing])
    directions = np.einsum("cij,cbj->cbi", poses[:, :3, :3], lidar.rays).reshape(-1, 3)
    beams = len(lidar.elevations)
    origins = np.repeat(poses[:, :3, 3], beams, axis=0)
    since = np.repeat(lidar.firing, beams)
    hits = cast(street.at(stamp), origins, directions, since)
    back = (hits.range < lidar.reach) & (hits.kind != SKY)
    kind, ranges = hits.kind[back], hits.range[back]
    measured = ranges + lidar.noise * roughness(kind) * rng.normal(0.0, 1.0, len(ranges))
    intensity = np.clip(hits.reflectance[back] * rng.uniform(0.6, 1.2, len(ranges)), 0.0, 1.0)
    points = np.column_stack([lidar.rays.reshape(-1, 3)[back] * measured[:, None], intensity]).astype(np.float32)
    ring = np.tile(np.arange(beams), lidar.columns)[back]
    sweep = Sweep(points, kind.astype(np.uint8), since[back].astype(np.float32), ring.astype(np.uint8))
    world = origins[back] + directions[back] * ranges[:, None]
    return sweep, _truth(street, lidar, stamp, world, since[back], hits.box[back])


def _truth(street: Street, lidar: Lidar, stamp: float, world: Array, since: Array, box: NDArray[np.int64]) -> Truth:
    velocity = np.where((box >= 0)[:, None], street.velocity[box], 0.0)
    world_to_lidar, world_to_next = (inverse(lidar_to_world(lidar, stamp + step)) for step in (0.0, lidar.period))
    now = world - velocity * since[:, None]
    later = now + velocity * lidar.period
    flow = transform_points(world_to_next, later) - transform_points(world_to_lidar, now)
    return Truth(world, stamp + since, velocity, box + 1, transform_points(world_to_lidar, world), flow)


def _look(street: Street, mount: Mount, lidar: Lidar, stamp: float, truth: Truth) -> View:
    """The image of one camera at its own time, and the sweep's points as it sees them."""
    time = stamp + mount.delay
    now, camera_to_world = street.at(time), ego_to_world(time) @ mount.to_ego
    has_ray = np.isfinite(mount.rays[:, 0])
    rays = np.where(has_ray[:, None], mount.rays, [0.0, 0.0, 1.0])
    hits = cast(now, camera_to_world[:3, 3], rays @ camera_to_world[:3, :3].T)
    height, width = mount.camera.size
    surfaces = truth.at(time)
    uv, point_depth = mount.camera.project(transform_points(inverse(camera_to_world), surfaces))
    inside = visible(uv, point_depth, (height, width))
    return View(
        camera=mount.camera,
        time=time,
        image=(hits.colour * has_ray[:, None]).astype(np.float32).reshape(height, width, 3),
        depth=np.where(has_ray, hits.range * rays[:, 2], np.inf).astype(np.float32).reshape(height, width),
        classes=np.where(has_ray, hits.kind, SKY).astype(np.uint8).reshape(height, width),
        instances=np.where(has_ray, hits.box + 1, 0).reshape(height, width),
        lidar_to_camera=inverse(camera_to_world) @ lidar_to_world(lidar, stamp),
        lidar_to_camera_static=inverse(mount.to_ego) @ lidar.to_ego,
        uv=uv,
        point_depth=point_depth,
        inside=inside,
        visible=_seen(now, camera_to_world[:3, 3], surfaces, inside),
    )


def _seen(street: Street, eye: Array, surfaces: Array, inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(N,) which of the points that are ``inside`` an image a ray from its camera reaches."""
    towards = surfaces[inside] - eye
    distance = np.linalg.norm(towards, axis=1)
    hits: Hits = cast(street, eye, towards / distance[:, None])
    seen = inside.copy()
    seen[inside] = hits.range > distance - _ABOUT
    return seen


def _rig(suite: Suite, stamp: float) -> Rig:
    """The suite with ego poses every 5 ms from one period before the stamp to one after it."""
    times = stamp + np.arange(-20, 21) * 0.005 * suite.lidar.period / 0.1
    return Rig(
        cameras={name: mount.camera for name, mount in suite.cameras.items()},
        camera_to_ego={name: mount.to_ego for name, mount in suite.cameras.items()},
        lidar_to_ego={"lidar": suite.lidar.to_ego},
        trajectory=Trajectory(times, [ego_to_world(time) for time in times]),
    )
