"""Operators, a node a file.

- `base`: what every operator is, its products, and the questions that it answers
- `explicit`: its matrix, from its rows and columns
- `normal`: its normal equations, from its terms; `inverse` solves them, `gram` is their operator
- `blur_decimate`: a leaf, ``D H``; `warp`: another, an image at other positions
- `field`: the leaf whose PSF varies over the scene
- `diagonal`, `stack`, `algebra`: weights, frames under each other, transposes, multiples, sums and
  products
"""
