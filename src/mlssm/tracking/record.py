"""What makes a run repeatable: recorded at its start, and beside it at each resume."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlssm.secrets import mask_diff, masked
from mlssm.tracking.provenance import GitState, git_state, installed_packages
from mlssm.tracking.run import TrackedRun
from mlssm.tracking.tags import DIED, ERROR, PRUNED, RESUMED

if TYPE_CHECKING:
    from mlflow.entities import Run as MlflowRun

CUT_MARK = " ... [cut, whole in config.yaml]"


def record_start(run: TrackedRun, config: Mapping[str, Any], digests: Mapping[str, str]) -> None:
    """Record parameters, configuration, data digests, git state and packages of a new run.

    Secrets are masked, see `mlssm.secrets`. A value is a parameter, cut with a mark where it is longer than MLflow
    keeps (6000 characters); `config.yaml` is whole.
    """
    run.set_tags(_digest_tags(digests))
    run.log_params(parameters(config))
    _record_origin(run, config, "")


def record_resume(run: TrackedRun, config: Mapping[str, Any], digests: Mapping[str, str]) -> None:
    """Record beside the first record what is different now, and take the marks of the earlier end away.

    A parameter or digest that differs from the record is a tag `drift.<name>` = "old -> new". The whole configuration,
    git state and packages go to `*.resumed-<n>.*`, the n-th resume. `error.txt` becomes `error.before-resume-<n>.txt`.
    """
    before = run.store.client.get_run(run.run_id)
    count = int(before.data.tags.get(RESUMED, 0)) + 1
    current = parameters(config)
    run.set_tags(_drift(before, current | _digest_tags(digests)) | {RESUMED: count})
    run.log_params({key: value for key, value in current.items() if key not in before.data.params})
    _record_origin(run, config, f".resumed-{count}")
    _archive_end(run, before, count)


def parameters(config: Mapping[str, Any]) -> dict[str, str]:
    """The configuration as MLflow keeps it: flat, without secrets, cut to the longest value that it takes."""
    from mlflow.utils.validation import MAX_PARAM_VAL_LENGTH

    return {key: cut(text, MAX_PARAM_VAL_LENGTH) for key, text in flatten(masked(config)).items()}


def _digest_tags(digests: Mapping[str, str]) -> dict[str, str]:
    return {f"digest.{name}": value for name, value in digests.items()}


def _drift(before: MlflowRun, current: Mapping[str, str]) -> dict[str, object]:
    from mlflow.utils.validation import MAX_TAG_VAL_LENGTH

    digests = {key: value for key, value in before.data.tags.items() if key.startswith("digest.")}
    old = dict(before.data.params) | digests
    names = sorted(key for key in old.keys() | current.keys() if old.get(key) != current.get(key))
    half = MAX_TAG_VAL_LENGTH // 2 - 10
    return {
        f"drift.{key}": f"{cut(old.get(key, '(not set)'), half)} -> {cut(current.get(key, '(not set)'), half)}"
        for key in names
    }


def _record_origin(run: TrackedRun, config: Mapping[str, Any], suffix: str) -> None:
    import yaml

    state = git_state()
    run.set_tags(_git_tags(state, suffix))
    run.log_text(yaml.safe_dump(masked(config), sort_keys=False, allow_unicode=True), f"config{suffix}.yaml")
    run.log_text(installed_packages(), f"requirements{suffix}.txt")
    if state.diff:
        run.log_text(mask_diff(state.diff), f"git{suffix}.diff")


def _git_tags(state: GitState, suffix: str) -> dict[str, object]:
    if state.note:
        return {f"git.revision{suffix}": state.revision, f"git.note{suffix}": state.note}
    tags: dict[str, object] = {
        f"git.revision{suffix}": state.revision,
        f"git.branch{suffix}": state.branch,
        f"git.dirty{suffix}": state.dirty,
    }
    if state.revision != "none" and not suffix:
        tags["mlflow.source.git.commit"] = state.revision  # a column of the UI
    return tags


def _archive_end(run: TrackedRun, before: MlflowRun, count: int) -> None:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    client = run.store.client
    for tag in (DIED, PRUNED):
        if tag in before.data.tags:
            run.set_tags({f"{tag}.before-resume-{count}": before.data.tags[tag]})
            client.delete_tag(run.run_id, tag)
    if not any(item.path == ERROR for item in client.list_artifacts(run.run_id)):
        return
    with tempfile.TemporaryDirectory() as folder:
        text = Path(client.download_artifacts(run.run_id, ERROR, folder)).read_text(encoding="utf-8")
    run.log_text(text, f"error.before-resume-{count}.txt")
    artifacts: Any = get_artifact_repository(before.info.artifact_uri, tracking_uri=run.store.uri)
    artifacts.delete_artifacts(ERROR)


def flatten(config: Mapping[str, Any]) -> dict[str, str]:
    """Nested mappings to dotted keys; lists and empty mappings stay one value.

    Values are written as Hydra reads them: strings plain, all else as JSON (true, null, [64, 64]).
    """
    return {key: _as_text(value) for key, value in _leaves(config, "")}


def cut(text: str, limit: int) -> str:
    """The text, or its beginning and a visible mark where it is longer than `limit` characters."""
    return text if len(text) <= limit else text[: limit - len(CUT_MARK)] + CUT_MARK


def _leaves(config: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
