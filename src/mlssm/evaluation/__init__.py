"""What a network is measured against and how it is shown: baselines, tables, figures. They return, and log nothing."""
