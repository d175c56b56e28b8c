# One image for api, worker, beat and every command of `playhead`.
FROM python:3.12-slim AS build
WORKDIR /source
RUN python -m venv /opt/playhead
ENV PATH=/opt/playhead/bin:$PATH PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY pyproject.toml README.md LICENSE ./
COPY playhead playhead
COPY domain domain
COPY application application
COPY infrastructure infrastructure
COPY interfaces interfaces
COPY migrations migrations
COPY examples/flights examples/flights
# One call, so that the requirement of the example is met by the package beside it.
RUN pip install . ./examples/flights

FROM python:3.12-slim
RUN useradd --system --uid 10001 --home-dir /var/lib/playhead --create-home playhead
COPY --from=build /opt/playhead /opt/playhead
# All that is written goes here and to /tmp: the root file system may be read-only.
ENV PATH=/opt/playhead/bin:$PATH PLAYHEAD_HOME=/var/lib/playhead PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /var/lib/playhead
VOLUME /var/lib/playhead
USER playhead
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:%s/livez' % os.environ.get('PORT', 8080), timeout=2)"]
ENTRYPOINT ["playhead"]
CMD ["dev", "--host", "0.0.0.0"]
