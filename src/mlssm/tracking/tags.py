"""The names of tags and artifacts by which runs know each other."""

from __future__ import annotations

KIND = "mlssm.kind"  # training, seed, season, sweep, evaluation
BUNDLE = "mlssm.bundle"  # the artifact folder of the model bundle, set once it is complete
BUNDLE_FOLDER = "model"
SEASONS = "mlssm.seasons"  # those that were tested on in turn, set once all of them are scored; such a run has no model
EVALUATES = "mlssm.evaluates"  # the training whose model a run of kind `evaluation` compares with the ground
PARENT = "mlflow.parentRunId"
FOLDER = "mlssm.folder"  # of the job; its checkpoints lie in `checkpoints`
DIED = "mlssm.died"  # why the run is known to have ended without a word
PRUNED = "mlssm.pruned"  # the epoch, counted from 1, after which a search stopped the trial
RESUMED = "mlssm.resumed"  # how often
ERROR = "error.txt"
NOTE = "mlflow.note.content"  # what MLflow shows as the description of a run or an experiment
VERDICT = "mlssm.verdict"  # a sentence: whether the model is better than the best baseline
WARNINGS = "mlssm.warnings"  # what to beware of, a line each; empty where there is nothing
