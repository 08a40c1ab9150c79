"""Frames: their axes, motions, spectra and noise, and a model of the scene."""
