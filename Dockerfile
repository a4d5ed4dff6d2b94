# One image for the API, the workers and the migrations; the command decides.
#   docker build .                          for machines without a GPU
#   docker build --build-arg DEVICE=gpu .   for workers on NVIDIA GPUs
# No container engine was at hand where this was written: the file is linted, and its commands are run by the tests.
ARG DEVICE=cpu

FROM python:3.11-slim AS build
WORKDIR /src
RUN python -m venv /venv
# An index of smaller torch builds, where the builder has one; the default builds run on both kinds of machine.
ARG TORCH_INDEX=""
COPY constraints.txt ./
RUN if [ -n "$TORCH_INDEX" ]; then \
        /venv/bin/pip install --no-cache-dir --index-url "$TORCH_INDEX" "torch>=2.14" "torchvision>=0.29"; \
    fi
COPY pyproject.toml README.md ./
COPY api api
COPY frontrunner frontrunner
COPY jobs jobs
COPY migrations migrations
COPY models models
COPY workers workers
RUN /venv/bin/pip install --no-cache-dir --constraint constraints.txt ".[images,s3,service,texts]"

FROM python:3.11-slim AS runtime
RUN useradd --create-home --uid 10001 frontrunner && install --directory --owner=frontrunner /state /hub
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    FRONTRUNNER_HOME=/state \
    FRONTRUNNER_HUB=/hub \
    FRONTRUNNER_HOST=0.0.0.0
VOLUME /state
EXPOSE 8000

FROM runtime AS cpu
ENV FRONTRUNNER_FORWARD_QUEUE=cpu

FROM runtime AS gpu
ENV FRONTRUNNER_FORWARD_QUEUE=gpu \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility

# hadolint ignore=DL3006
FROM ${DEVICE}
USER 10001
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/livez', timeout=3)"]
CMD ["frontrunner", "serve"]
