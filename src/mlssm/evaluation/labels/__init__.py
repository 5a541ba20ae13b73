"""What labels are worth, without any model: sensitivity, references, looks, masks, agreement of tracks."""
