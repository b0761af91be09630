"""A recording of one's own in a few lines: one camera, one LiDAR, poses and splits."""

MANIFEST = """
stamp_unit: ms
cameras:
  front:
    pattern: "{drive}/cam_front/{stamp}.png"
    width: 64
    height: 48
    intrinsic: {fx: 40.0, fy: 40.0, cx: 31.5, cy: 23.5}
    lens: {model: brown, coefficients: [-0.1, 0.01, 0.0, 0.0, 0.0]}
    to_ego: {translation: [1.5, 0.0, 1.4], quaternion_wxyz: [0.5, -0.5, 0.5, -0.5]}
lidars:
  top:
    pattern: "{drive}/lidar/{stamp}.bin"
    format: kitti-bin
    columns: [x, y, z, intensity, time]
    time_unit: us
    intensity_max: 255
    to_ego: {translation: [0.5, 0.0, 1.9], rpy_degrees: [0, 0, 90]}
poses: {pattern: "{drive}/poses.txt", format: tum}
splits: {train: [monday], val: [tuesday]}
"""
