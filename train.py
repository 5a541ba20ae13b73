"""Train a ConvLSTM that maps surface soil moisture: `python train.py --help`."""

from mlssm.cli import command


def train(values: dict[str, object]) -> None:
    """Type the configuration, then train."""
    from mlssm.config import TrainConfig, parse
    from mlssm.training.job import train

    train(parse(TrainConfig, values), values)


if __name__ == "__main__":
    command(train, "train")
