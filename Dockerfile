# syntax=docker/dockerfile:1

# ---- the environment: wheels from the lock, each checked against its hash; only Tact's own kernel is compiled
FROM python:3.13-slim-bookworm AS environment
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build

RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
RUN python -m venv /opt/build && python -m venv /opt/tact
COPY requirements-build.lock ./
RUN /opt/build/bin/pip install --require-hashes --only-binary :all: -r requirements-build.lock
COPY requirements.lock ./
RUN /opt/tact/bin/pip install --require-hashes --only-binary :all: -r requirements.lock

COPY pyproject.toml README.md LICENSE ./
COPY protos/tact protos/tact
COPY models models
COPY training training
COPY service service
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --no-index --wheel-dir dist . \
    && /opt/tact/bin/pip install --no-deps --no-index dist/tact-*.whl \
    && /opt/tact/bin/python -m compileall -q /opt/tact/lib \
    && /opt/tact/bin/pip uninstall --yes pip
# Nothing else would say that a part was not compiled: pip keeps the warning to itself.
RUN cd / && /opt/tact/bin/python -c "import models._kernel, service.rpc._requests, service.rpc._answers, service.core._saying, service.store._commands"

# ---- the image: the interpreter, the environment and the strategies; no compiler, no build tool
FROM python:3.13-slim-bookworm
ENV PATH=/opt/tact/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# For the health check; no secrets, and paths only.
ENV TACT_TLS_CA=/etc/tact/ca.crt TACT_TLS_NAME=localhost

RUN groupadd --system --gid 10001 tact \
    && useradd --system --uid 10001 --gid tact --home-dir /var/lib/tact --create-home --shell /usr/sbin/nologin tact
COPY --from=environment /opt/tact /opt/tact
COPY strategies /srv/strategies
WORKDIR /srv

# All that is written goes below /var/lib/tact, so the root file system can be mounted read-only:
#   docker run --read-only --tmpfs /tmp -v tact:/var/lib/tact -v ./access:/etc/tact:ro -p 50051:50051 tact
# ./access has callers.yaml, tls.crt, tls.key (of user 10001, chmod 600) and ca.crt: docs/access.md
VOLUME /var/lib/tact
USER 10001:10001
EXPOSE 50051
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 CMD ["tact", "health"]
ENTRYPOINT ["tact", "serve"]
CMD ["--host", "0.0.0.0", "--strategy", "strategies/demo", "--store", "embedded:/var/lib/tact/store", \
     "--callers", "/etc/tact/callers.yaml", "--tls-cert", "/etc/tact/tls.crt", "--tls-key", "/etc/tact/tls.key"]
