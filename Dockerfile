# CodeCoach as an image:            docker build -t codecoach .
# The packages of its Piston:       docker build -t codecoach-packages --target packages .
#
# Debian 12 as everywhere in this repository: packages built here run in piston/image, which is on it, too.
FROM debian:12-slim AS python
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 LANG=C.UTF-8
# The local model's engine is linked against libgomp1.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libgomp1 python3 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 10001 codecoach

# pip stays in this stage: whoever breaks into the app finds no installer and no compiler.
FROM python AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && python3 -m venv --without-pip /opt/venv \
    && python3 -m venv /opt/pip
COPY requirements.lock /
# Every package by its hash, without the tests that some bring along: a tenth of all of it.
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/pip/bin/pip --python /opt/venv/bin/python install --require-hashes --only-binary :all: \
        --disable-pip-version-check -r /requirements.lock \
    && find /opt/venv/lib -type d -name tests -prune -exec rm -rf {} + \
    && /opt/venv/bin/python -m compileall -q /opt/venv/lib

# Builds packages, on the system that Piston's image has:  docker run --privileged -v FOLDER:/packages IMAGE go rust
# Privileged, because a build's last step is the package's own test in the sandbox. Nothing of it is in the images that serve.
FROM python AS packer
RUN apt-get update \
    && apt-get install -y --no-install-recommends bubblewrap jq libseccomp2 python3-venv xz-utils \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/venv /opt/venv
# What packages are made of is fetched by pip.
RUN /opt/venv/bin/python -m ensurepip
COPY . /app
WORKDIR /app
ENV PATH=/opt/venv/bin:$PATH HOME=/tmp
ENTRYPOINT ["python", "-m", "piston", "build", "--to", "/packages"]

# Those that a new Piston gets. Their tests ran where they were made, not here: the build of an image may make no sandbox.
FROM packer AS packing
ARG LANGUAGES="bash javascript python"
# hadolint ignore=SC2086
RUN --mount=type=cache,target=/tmp/.cache python -m piston build --no-test --to /packages $LANGUAGES

FROM python AS packages
COPY --from=build /opt/venv /opt/venv
COPY . /app
COPY --from=packing /packages /packages
WORKDIR /app
ENV PATH=/opt/venv/bin:$PATH
USER 10001:10001
EXPOSE 2001
HEALTHCHECK --interval=5s --timeout=5s --retries=12 \
    CMD ["python", "-c", "import urllib.request as web; web.urlopen('http://127.0.0.1:2001/index', timeout=4)"]
CMD ["python", "-m", "piston", "serve", "/packages", "--host", "0.0.0.0"]

FROM python AS app
COPY --from=build /opt/venv /opt/venv
COPY . /app
# What is kept, and what can be fetched again: the two places that it writes to, beside /tmp.
RUN python3 -m compileall -q /app/codecoach /app/pages /app/piston \
    && install -d -o codecoach -g codecoach /data /cache
WORKDIR /app
ENV PATH=/opt/venv/bin:$PATH \
    CODECOACH_HOST=0.0.0.0 \
    CODECOACH_PORT=8501 \
    CODECOACH_DATA_DIR=/data \
    CODECOACH_CACHE_DIR=/cache \
    CODECOACH_RUNNER=piston
USER 10001:10001
VOLUME ["/data", "/cache"]
EXPOSE 8501
STOPSIGNAL SIGTERM
# Healthy is what can be used: also the local model is in memory, which the first time has to be fetched.
HEALTHCHECK --interval=10s --timeout=10s --start-period=30m --start-interval=2s --retries=3 \
    CMD ["python", "-m", "codecoach.health", "http://127.0.0.1:8501"]
ENTRYPOINT ["python", "-m", "codecoach"]
CMD ["up"]
