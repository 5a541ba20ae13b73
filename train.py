"""Train a ConvLSTM that maps surface soil moisture: `python train.py --help`."""

from mlssm.cli import command


def train(values: dict[str, object]) -> object:
    """Type the configuration, then train."""
    from mlssm.config import TrainConfig, parse

    typed = parse(TrainConfig, values)  # a wrong value is told before the slow imports
    from mlssm.jobs.train import train

    return train(typed, values)


if __name__ == "__main__":
    command(train, "train")
