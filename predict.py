"""Map surface soil moisture with a trained run: `python predict.py --help`."""

from pathlib import Path

from mlssm.cli import predict

if __name__ == "__main__":
    predict(Path(__file__).with_name("conf"))
