# The API and the worker, one image. Not built where this was written: no container engine was at hand.
FROM python:3.12-slim AS build
WORKDIR /src
RUN python -m venv /venv
COPY pyproject.toml constraints.txt README.md ./
COPY api api
COPY frontrunner frontrunner
COPY migrations migrations
COPY models models
COPY workers workers
RUN /venv/bin/pip install --no-cache-dir --constraint constraints.txt .

FROM python:3.12-slim
RUN useradd --create-home --uid 10001 frontrunner && install -d -o frontrunner /state /hub
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH FRONTRUNNER_HOME=/state FRONTRUNNER_HUB=/hub FRONTRUNNER_HOST=0.0.0.0
USER frontrunner
VOLUME /state
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/livez')"]
CMD ["frontrunner", "serve"]
