# One image for the API, the workers and the migrations; the command decides.
#   docker build --build-arg TORCH_INDEX=... .   for machines without a GPU
#   docker build --build-arg DEVICE=gpu .        for workers on NVIDIA GPUs
# No container engine was at hand where this was written: the file is linted, and its commands are run by the tests.
ARG DEVICE=cpu

FROM python:3.11-slim AS build
WORKDIR /src
RUN python -m venv /venv
COPY constraints.txt pyproject.toml ./
# Dependencies are a layer below the source: a change of the code installs none of them again. `demo` brings checkpoints.
ARG EXTRAS="demo images s3 service telemetry texts"
RUN python -c "import sys, tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
print(*p['dependencies'], *(r for e in sys.argv[1:] for r in p['optional-dependencies'][e] if 'frontrunner[' not in r), sep='\n')" \
    $EXTRAS > requirements.txt
# The builds of torch that pip finds by itself do not load without the GPU libraries that they bring, some 4 GB. An index
# of builds without them is named on torch's site; TORCH_INDEX=default takes pip's own all the same.
ARG DEVICE
ARG TORCH_INDEX=""
RUN if [ "$DEVICE" = cpu ] && [ -z "$TORCH_INDEX" ]; then \
        echo "name an index of torch builds for CPUs as TORCH_INDEX, or 'default' for an image with GPU libraries" >&2; \
        exit 1; \
    fi
RUN if [ "$DEVICE" = cpu ] && [ "$TORCH_INDEX" != default ]; then \
        /venv/bin/pip install --no-cache-dir --no-deps --constraint constraints.txt --index-url "$TORCH_INDEX" torch torchvision; \
    fi && \
    /venv/bin/pip install --no-cache-dir --constraint constraints.txt --requirement requirements.txt
COPY README.md ./
COPY api api
COPY frontrunner frontrunner
COPY jobs jobs
COPY migrations migrations
COPY models models
COPY workers workers
RUN /venv/bin/pip install --no-cache-dir --no-deps .

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
