"""The posterior of a solution: covariance, deviations, resolution and samples."""
