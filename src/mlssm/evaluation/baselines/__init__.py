"""What a network has to beat: baselines that are fitted on the labels that it is trained on."""

from mlssm.evaluation.baselines.fit import BASELINE_NAMES, fit_baselines

__all__ = ["BASELINE_NAMES", "fit_baselines"]
