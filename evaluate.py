"""Compare a trained run's daily maps with soil moisture measured in the ground: `python evaluate.py --help`."""

from pathlib import Path

from mlssm.cli import evaluate

if __name__ == "__main__":
    evaluate(Path(__file__).with_name("conf"))
