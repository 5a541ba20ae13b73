"""The Optuna sweeper. Hydra imports every module here whose name has no underscore, twice over, at each start."""
