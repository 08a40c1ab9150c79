"""Operators and expressions of them, one kind to a module.

- `base`: every operator: its products, and the methods that a kind defines
- `explicit`: the explicit matrix, from rows and columns
- `normal`: the normal equations, from terms; `inverse` solves them, `gram` is their operator
- `blur_decimate`: ``D H``; `field`: with a PSF that varies; `warp`: an image at other positions
- `moved`: frames of a camera that moves, ``D H W``
- `diagonal`, `stack`, `algebra`: weights, frames under each other, transposes, multiples, sums and
  products
"""
