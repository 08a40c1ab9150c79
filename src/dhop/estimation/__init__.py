"""What is found from the frames: shifts and brightness. `dhop.registration` and
`dhop.selection` are the doors to it."""
