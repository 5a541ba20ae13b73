"""Several processes that train one network: one group a training, on this machine or on several."""
