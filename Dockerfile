# One image for the API, the workers and the migrations; the command decides.
#   docker build .                          for machines without a GPU
#   docker build --build-arg DEVICE=gpu .   for workers on NVIDIA GPUs
# No container engine was at hand where this was written: the file is linted, and its commands are run by the tests.
ARG DEVICE=cpu

FROM python:3.11-slim AS build
WORKDIR /src
RUN python -m venv /venv
COPY constraints.txt pyproject.toml ./
# Dependencies are a layer below the source: a change of the code installs none of them again.
RUN python -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
o = p['optional-dependencies']; \
print(*p['dependencies'], *o['images'], *o['s3'], *o['service'], *o['texts'], sep='\n')" > requirements.txt
# An index of torch builds without GPU libraries, some 5 GB less; torch's site names it. The default builds run everywhere.
ARG TORCH_INDEX=""
RUN if [ -n "$TORCH_INDEX" ]; then \
        /venv/bin/pip install --no-cache-dir --constraint constraints.txt --index-url "$TORCH_INDEX" torch torchvision; \
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
