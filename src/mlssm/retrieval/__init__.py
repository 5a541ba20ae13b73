"""From backscatter to labels: change detection fitted on training dates, masks, and the noise of each label."""
