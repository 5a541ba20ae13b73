"""Networks: plain `torch.nn.Module`s that take any height, width and number of steps."""
