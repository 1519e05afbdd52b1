"""Readers of motion capture: BVH, ASF and AMC, C3D, TRC, MVNX, and the tables of Motive and Vicon."""
