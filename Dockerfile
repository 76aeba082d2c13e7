# syntax=docker/dockerfile:1
# An image with the command cliqa. docs/how-to/containers.md tells how it is used.
#   docker build --tag cliqa .                                                  for CPUs
#   docker build --tag cliqa:cuda --build-arg TORCH=cuda .                      for NVIDIA GPUs
#   ... --build-arg BASE=nvidia/cuda:12.8.1-runtime-ubuntu24.04                 on NVIDIA's base
#   ... --build-arg EXTRAS=deploy,openvino                                      with other extras
ARG BASE=python:3.12-slim-bookworm

FROM ${BASE} AS build
# cpu or cuda: PyTorch's wheels. Those for CUDA bring its libraries with them, about 5 GB.
ARG TORCH=cpu
ARG EXTRAS=app,clip,deploy,hub,serve
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]

# a base without Python, such as NVIDIA's, gets the distribution's
# hadolint ignore=DL3008
RUN if ! python3 -m venv --help > /dev/null 2>&1; then \
        apt-get update; \
        apt-get install --yes --no-install-recommends python3 python3-venv; \
        rm -rf /var/lib/apt/lists/*; \
    fi; \
    python3 -m venv /opt/cliqa
ENV PATH=/opt/cliqa/bin:${PATH} PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

# what cliqa needs changes less often than cliqa: a layer of its own
WORKDIR /source
COPY .ci/torch .ci/torch
COPY requirements.txt ./
RUN .ci/torch /opt/cliqa/bin/python "${TORCH}"; \
    pip install --requirement requirements.txt

COPY pyproject.toml setup.py MANIFEST.in README.md LICENSE ./
COPY config config
COPY cliqa cliqa
# of this folder, so that there is no version to pin
# hadolint ignore=DL3013
RUN pip install ".[${EXTRAS}]"

FROM ${BASE}
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]

# libGL and GLib: OpenCV, which mmpretrain imports
# hadolint ignore=DL3008
RUN apt-get update; \
    python=(); \
    command -v python3 > /dev/null || python=(python3); \
    apt-get install --yes --no-install-recommends libgl1 libglib2.0-0 "${python[@]}"; \
    rm -rf /var/lib/apt/lists/*; \
    useradd --create-home --uid 10001 cliqa; \
    install --directory --owner cliqa --group cliqa /work
COPY --from=build /opt/cliqa /opt/cliqa

ENV PATH=/opt/cliqa/bin:${PATH} PYTHONUNBUFFERED=1
USER 10001
WORKDIR /work
ENTRYPOINT ["cliqa"]
CMD ["--help"]
