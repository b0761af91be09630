"""Camera and LiDAR."""
