# docker build --tag mlssm .
# docker run --rm --volume "$PWD":/work mlssm response.residual=none
# docker run --rm --volume "$PWD":/work --entrypoint mlssm-predict mlssm 'dates=[2023-01-01]'
FROM python:3.11-slim

# without git's tags the version is told: docker build --build-arg VERSION=0.2.0
ARG VERSION=0.2.0.dev0
# PyTorch without CUDA; for a GPU: --build-arg TORCH_INDEX=https://pypi.org/simple
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

# which rasterio's wheel takes for granted
RUN apt-get update && apt-get install --yes --no-install-recommends libexpat1 && rm -rf /var/lib/apt/lists/*

WORKDIR /source
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY conf conf
COPY src src
RUN SETUPTOOLS_SCM_PRETEND_VERSION_FOR_MLSSM=$VERSION \
    pip install --no-cache-dir --extra-index-url $TORCH_INDEX --constraint constraints.txt '.[dask,opera,planetary,products,stac]' \
    && rm -rf /source

RUN useradd --create-home mlssm
USER mlssm
WORKDIR /work
ENTRYPOINT ["mlssm-train"]
