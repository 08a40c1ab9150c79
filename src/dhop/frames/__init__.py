"""What frames are: what arrays mean, their spectra and noise, the scene behind them."""
