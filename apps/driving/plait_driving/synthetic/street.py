"""A street of boxes that rays can be cast into: the truth behind the synthetic world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from plait_driving.geometry import Array

type Kinds = NDArray[np.int64]

ROAD, LANE, SIDEWALK, CAR, PERSON, POST, BUILDING, TREE, SKY = 7, 8, 11, 13, 30, 42, 41, 5, 0
"""PandaSet's class ids; the sky is nothing that a laser hits."""

ROAD_HALF_WIDTH, KERB = 6.0, 0.15

# A few numbers a class, looked up by its id.
_REFLECTANCE, _ROUGHNESS = np.zeros((2, 43))
_KINDS = [ROAD, LANE, SIDEWALK, CAR, PERSON, POST, BUILDING, TREE]
_REFLECTANCE[_KINDS] = [0.12, 0.6, 0.3, 0.5, 0.25, 0.75, 0.35, 0.2]
_ROUGHNESS[_KINDS] = [0.02, 0.02, 0.04, 0.02, 0.05, 0.02, 0.05, 0.18]


@dataclass(frozen=True)
class Street:
    """Boxes along a straight road in a world frame: x right, y along the road, z up, the road at z = 0.

    Attributes:
        low, high: (K, 3) corners of the boxes before they are turned [m].
        colour: (K, 3) in [0, 1].
        kind: (K,) PandaSet class ids.
        speed: (K,) of each box along its own y [m/s].
        yaw: (K,) how far each box is turned about the upright through its middle [rad].
    """

    low: Array
    high: Array
    colour: Array
    kind: Kinds
    speed: Array
    yaw: Array

    def __len__(self) -> int:
        return len(self.kind)

    @property
    def velocity(self) -> Array:
        """(K, 3) of each box in the world [m/s]."""
        return self.speed[:, None] * np.stack([-np.sin(self.yaw), np.cos(self.yaw), 0 * self.yaw], axis=1)

    def at(self, time: float) -> Street:
        """The street ``time`` seconds later."""
        step = self.velocity * time
        return replace(self, low=self.low + step, high=self.high + step)

    def turned(self, rng: np.random.Generator) -> Street:
        """The street with its people turned anyhow, parked cars and trees by some degrees, and houses by a few."""
        spread = np.select([self.kind == BUILDING, self.kind == PERSON], [0.03, np.pi], 0.12)
        yaw = rng.normal(0.0, spread)
        driving = (self.kind == CAR) & (self.speed != 0)
        return replace(self, yaw=np.where(driving, 0.0, yaw))


@dataclass(frozen=True)
class Hits:
    """Where N rays end.

    Attributes:
        range: (N,) from the origin [m]; inf in the sky.
        colour: (N, 3) in [0, 1].
        kind: (N,) PandaSet class ids; `SKY` in the sky.
        reflectance: (N,) in [0, 1].
        box: (N,) which box was met; -1 on the ground and in the sky.
    """

    range: Array
    colour: Array
    kind: Kinds
    reflectance: Array
    box: Kinds


def make_street(rng: np.random.Generator, length: float = 90.0) -> Street:
    """Draw houses, trees, posts, parked and driving cars and people along a road from y = -length to length."""
    boxes: list[tuple[Array, Array, Array, int, float]] = []

    def add(kind: int, centre: Sequence[float], size: Sequence[float], speed: float = 0.0) -> None:
        middle, half = np.array(centre), np.array(size) / 2
        boxes.append((middle - half, middle + half, _colour(kind, rng), kind, speed))

    for side in (-1.0, 1.0):
        y = -length
        while y < length:
            depth, width, height = rng.uniform(6, 12), rng.uniform(8, 18), rng.uniform(5, 16)
            add(BUILDING, (side * (10.5 + depth / 2), y + width / 2, height / 2), (depth, width, height))
            y += width + rng.choice([0.5, 4.0])
        for y in np.arange(-length, length, 9.0) + rng.uniform(0, 5):
            if rng.random() < 0.6:
                radius = rng.uniform(0.9, 1.6)
                add(POST, (side * 7.2, y, 1.2), (0.3, 0.3, 2.4))
                add(TREE, (side * 7.2, y, 2.4 + radius), (2 * radius, 2 * radius, 2 * radius))
            else:
                add(POST, (side * 6.8, y, 2.0), (0.2, 0.2, 4.0))
            if rng.random() < 0.4:
                add(PERSON, (side * rng.uniform(7.6, 9.8), y + 3, 0.85 + KERB), (0.5, 0.5, 1.7), rng.uniform(-1.4, 1.4))
        for y in np.arange(-length, length, 6.5):
            if rng.random() < 0.55:
                add(CAR, (side * 4.9, y + rng.uniform(-0.5, 0.5), 0.85), (1.8, 4.3, 1.3))
    for y, speed in ((16.0, 5.0), (38.0, 4.0), (-14.0, 5.0)):
        add(CAR, (1.8, y, 0.85), (1.9, 4.5, 1.4), speed)
    low, high, colour, kind, speed = zip(*boxes, strict=True)
    return Street(np.array(low), np.array(high), np.array(colour), np.array(kind), np.array(speed), np.zeros(len(kind)))


def cast(street: Street, origin: Array, directions: Array, time: Array | float = 0.0) -> Hits:
    """Follow N rays to the nearest surface: boxes (by slabs), or the ground.

    Args:
        street: as it is at time 0.
        origin: (3,) or (N, 3) where the rays start [m], above the ground.
        directions: (N, 3) of unit length.
        time: when each ray leaves [s], (N,) or one for all: boxes have moved on by then.
    """
    directions = np.where(np.abs(directions) < 1e-9, 1e-9, directions)
    origin, time = np.broadcast_to(origin, directions.shape), np.broadcast_to(time, len(directions))
    ground, kind, colour = _ground(origin, directions)
    ranges, which, normal = _nearest_box(street, origin, directions, time, ground)
    is_box = which >= 0
    kind = np.where(is_box, street.kind[which], kind)
    # Light from above and a little from the left: sides of a box differ, as they do outdoors.
    shade = np.choose(normal, [0.75, 0.6, 1.0])
    colour = np.where(is_box[:, None], street.colour[which] * shade[:, None], colour)
    place = origin + directions * np.where(np.isfinite(ranges), ranges, 0.0)[:, None]
    colour = np.clip(colour * _texture(place, kind)[:, None], 0, 1)
    return Hits(ranges, colour, kind, _REFLECTANCE[kind], which)


def _nearest_box(
    street: Street, origin: Array, directions: Array, time: Array, ground: Array
) -> tuple[Array, Kinds, Kinds]:
    """Range, box and axis of the face that each ray meets first; the range of the ground and -1 where it meets none."""
    ranges = ground.copy()
    which, normal = np.full(len(directions), -1), np.zeros(len(directions), dtype=np.int64)
    if not len(directions):
        return ranges, which, normal
    middle, half, velocity = (street.low + street.high) / 2, (street.high - street.low) / 2, street.velocity
    # A ray can only meet a box if it passes through the ball around it. The ball is as much larger as the origins
    # lie apart and as the box moves, so that one middle of all origins and the box's place at time 0 will do.
    centre = origin.mean(axis=0)
    offset = middle - centre
    distance = np.maximum(np.linalg.norm(offset, axis=1), 1e-9)
    spread = np.linalg.norm(origin - centre, axis=1).max()
    radius = np.linalg.norm(half, axis=1) + spread + np.abs(street.speed) * np.abs(time).max()
    cosine = np.where(radius < distance, np.sqrt(np.clip(1 - (radius / distance) ** 2, 0, 1)), -1.0)
    towards = (offset / distance[:, None]) @ directions.T > cosine[:, None]
    for box in np.argsort(distance - radius, kind="stable"):
        rays = np.flatnonzero(towards[box] & (ranges > distance[box] - radius[box]))
        # In the frame of the box its faces are the planes -half and half of each axis.
        turn = about_z(float(street.yaw[box]))
        start = (origin[rays] - middle[box] - time[rays, None] * velocity[box]) @ turn
        along = directions[rays] @ turn
        along = np.where(np.abs(along) < 1e-9, 1e-9, along)
        first, second = (-half[box] - start) / along, (half[box] - start) / along
        enter, leave = np.minimum(first, second), np.maximum(first, second)
        near = enter.max(axis=1)
        hit = (near > 0.05) & (near <= leave.min(axis=1)) & (near < ranges[rays])
        rays = rays[hit]
        ranges[rays], which[rays], normal[rays] = near[hit], box, enter[hit].argmax(axis=1)
    return ranges, which, normal


def about_z(angle: float) -> Array:
    """The (3, 3) turn about z by an angle [rad]."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])


def _ground(origin: Array, directions: Array) -> tuple[Array, Kinds, Array]:
    """Range, kind and colour where rays meet road, lane marking or sidewalk; the sky above."""
    down = directions[:, 2] < -1e-6
    road = np.where(down, -origin[:, 2] / np.where(down, directions[:, 2], -1.0), np.inf)
    raised = np.where(down, (KERB - origin[:, 2]) / np.where(down, directions[:, 2], -1.0), np.inf)
    x_raised = origin[:, 0] + directions[:, 0] * np.where(down, raised, 0.0)
    on_sidewalk = down & (np.abs(x_raised) > ROAD_HALF_WIDTH)
    ranges = np.where(on_sidewalk, raised, road)
    reach = np.where(down, ranges, 0.0)
    x, y = origin[:, 0] + directions[:, 0] * reach, origin[:, 1] + directions[:, 1] * reach
    lane = (np.abs(x) < 0.12) & (np.mod(y, 6.0) < 3.0)
    kind = np.select([~down, on_sidewalk, lane], [SKY, SIDEWALK, LANE], ROAD)
    colour = np.select(
        [(kind == k)[:, None] for k in (SKY, SIDEWALK, LANE)],
        [np.array([0.62, 0.74, 0.9]), np.array([0.62, 0.6, 0.57]), np.array([0.9, 0.9, 0.86])],
        np.array([0.33, 0.33, 0.35]),
    )
    return ranges, kind, colour


def _texture(place: Array, kind: Kinds) -> Array:
    """A factor about 1, fixed in the world: windows on houses, leaves on trees, grain elsewhere."""
    grain = np.sin(place @ np.array([12.9898, 78.233, 37.719])) * 43758.5453
    grain = grain - np.floor(grain) - 0.5
    windows = (np.mod(place[:, 2], 3.0) > 1.2) & (np.mod(place[:, 1], 2.6) > 1.1)
    return 1.0 + grain * np.where(kind == TREE, 0.6, 0.12) - np.where((kind == BUILDING) & windows, 0.45, 0.0)


def _colour(kind: int, rng: np.random.Generator) -> Array:
    if kind == CAR:
        return np.array([(0.75, 0.1, 0.1), (0.1, 0.2, 0.6), (0.85, 0.85, 0.88), (0.08, 0.08, 0.1)])[rng.integers(4)]
    if kind == PERSON:
        return rng.uniform(0.1, 0.9, 3)
    base = {BUILDING: (0.68, 0.5, 0.4), TREE: (0.18, 0.42, 0.14), POST: (0.42, 0.38, 0.34)}[kind]
    return np.clip(np.array(base) + rng.normal(0, 0.06, 3), 0, 1)


def roughness(kind: Kinds) -> Array:
    """(N,) standard deviation of a laser's range on each kind of surface [m]: leaves are deep, sheet metal is not."""
    return _ROUGHNESS[kind]
