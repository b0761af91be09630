"""Where the ego vehicle was, at any moment of a drive."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from plait.errors import InputError
from plait_driving.geometry import Array, exp_se3, inverse, log_se3, rigid

TOLERANCE = 0.1
"""Seconds beyond its first and last pose that a trajectory still answers for: a sweep's turn of a 10 Hz LiDAR."""
GAP = 1.0
"""Seconds between two poses over which the motion between them is unknown."""


class Trajectory:
    """Ego poses over time, with a steady screw motion between them.

    Attributes:
        times: (T,) [s], strictly increasing.
        poses: (T, 4, 4) float64, ``ego_to_world``.

    Raises:
        InputError: where there is no pose, a stamp is not later than the one before it, or a pose is not rigid.
    """

    def __init__(self, times: ArrayLike, poses: ArrayLike) -> None:
        """Check and keep (T,) times and (T, 4, 4) poses."""
        self.times = np.asarray(times, dtype=np.float64).reshape(-1)
        given = np.asarray(poses, dtype=np.float64)
        if not len(self.times) or given.shape != (len(self.times), 4, 4):
            raise InputError(
                f"A trajectory has {len(self.times)} times and poses of the shape {given.shape}: "
                "give one 4 x 4 pose for each time."
            )
        # Said the other way round, so that NaN is found too.
        wrong = np.flatnonzero(~(np.diff(self.times) > 0))
        if len(wrong) or not np.isfinite(self.times[0]):
            place = int(wrong[0]) + 1 if len(wrong) else 0
            raise InputError(
                f"The stamps of a trajectory must grow, but number {place} is {self.times[place]:.6f} s after "
                f"{self.times[max(place - 1, 0)]:.6f} s: sort its poses by time, and leave out repeated ones."
            )
        self.poses: Array = np.stack([rigid(pose, f"ego pose {place}") for place, pose in enumerate(given)])
        self._steps: dict[int, Array] = {}

    def at(self, time: float) -> Array:
        """The (4, 4) ``ego_to_world`` at a time [s].

        Raises:
            InputError: more than `TOLERANCE` outside its stamps, and between two that are more than `GAP` apart.
        """
        first, last = self.times[0], self.times[-1]
        if not first - TOLERANCE <= time <= last + TOLERANCE:
            raise InputError(
                f"There is no ego pose at {time:.6f} s: they reach from {first:.6f} s to {last:.6f} s; "
                "check that all stamps are of one clock and in seconds."
            )
        if len(self.times) == 1:
            return self.poses[0].copy()
        after = int(np.clip(np.searchsorted(self.times, time, side="right"), 1, len(self.times) - 1))
        before = after - 1
        for place in (before, after):
            if time == self.times[place]:
                return self.poses[place].copy()
        apart = self.times[after] - self.times[before]
        if apart > GAP:
            raise InputError(
                f"There is no ego pose near {time:.6f} s: those beside it are {apart:.1f} s apart, and the motion "
                f"between them is unknown; give poses at least every {GAP:g} s."
            )
        return self.poses[before] @ exp_se3(float((time - self.times[before]) / apart) * self._step(before))

    def _step(self, before: int) -> Array:
        """The twist from a pose to the next, found once: a rig asks for the same two poses for every camera."""
        if before not in self._steps:
            self._steps[before] = log_se3(inverse(self.poses[before]) @ self.poses[before + 1])
        return self._steps[before]
