"""How a network is trained and scored: batches, losses, streaming scores, the LightningModule and its Trainer."""
