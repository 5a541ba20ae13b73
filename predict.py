"""Map surface soil moisture with a trained run: `python predict.py --help`."""

from mlssm.cli import command


def predict(values: dict[str, object]) -> None:
    """Type the configuration, then write the maps."""
    from mlssm.mapping.job import predict

    from mlssm.config import PredictConfig, parse

    predict(parse(PredictConfig, values))


if __name__ == "__main__":
    command(predict, "predict")
