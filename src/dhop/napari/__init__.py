"""A plugin of napari: it opens what `dhop.imread` opens, and has a widget that super-resolves.

napari finds it by `manifest.yaml`, which the package's entry point names. Nothing here imports
napari.
"""
