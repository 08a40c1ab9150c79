"""Estimation of motions and brightness of frames, for `dhop.registration`."""
