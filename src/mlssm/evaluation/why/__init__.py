"""Which inputs a trained network's predictions hang on."""
