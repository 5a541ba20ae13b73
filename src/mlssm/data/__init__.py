"""From the cube and the patch index to batches: features, scaling, dataset, datamodule."""
