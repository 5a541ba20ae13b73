"""Train a ConvLSTM that maps surface soil moisture: `python train.py --help`."""

from pathlib import Path

from mlssm.cli import train

if __name__ == "__main__":
    train(Path(__file__).with_name("conf"))
