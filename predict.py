"""Map surface soil moisture with a trained run: `python predict.py --help`."""

from mlssm.cli import command


def predict(values: dict[str, object]) -> None:
    """Type the configuration, then write the maps."""
    from mlssm.config import PredictConfig, parse

    typed = parse(PredictConfig, values)  # a wrong value is told before the slow imports
    from mlssm.jobs.predict import predict

    predict(typed)


if __name__ == "__main__":
    command(predict, "predict")
