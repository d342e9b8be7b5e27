# One image, one command. The wheel of PJSIP exists for linux/amd64 and CPython up to 3.12, so the image is that.
#   docker build -t tocsin .        docker run --rm tocsin demo --once        (more: docs/how-to/deploy.md)
# deploy/check-dockerfile carries these steps out without Docker: it knows COPY, RUN, ENV and USER, one step a line.
FROM python:3.12-slim-bookworm AS build
WORKDIR /app
COPY requirements.lock ./
RUN python -m venv /app/.venv \
 && /app/.venv/bin/pip install --no-cache-dir --require-hashes -r requirements.lock

FROM python:3.12-slim-bookworm
LABEL org.opencontainers.image.title="Tocsin" \
      org.opencontainers.image.description="Phones people and speaks, over your own SIP trunk" \
      org.opencontainers.image.licenses="GPL-3.0-or-later"
# The offline voices; everything else is in the wheels.
RUN apt-get update \
 && apt-get install -y --no-install-recommends flite espeak-ng \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --create-home --home-dir /data tocsin
WORKDIR /app
COPY --from=build /app/.venv /app/.venv
COPY pyproject.toml README.md LICENSE ./
COPY config config
COPY messaging messaging
COPY media media
COPY sip sip
COPY voice voice
RUN echo /app > "$(/app/.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/tocsin.pth" \
 && printf '#!/app/.venv/bin/python\nimport sys\n\nfrom voice.cli.main import main\n\nsys.exit(main())\n' \
      > /app/.venv/bin/tocsin \
 && chmod 755 /app/.venv/bin/tocsin \
 && /app/.venv/bin/python -m compileall -q config messaging media sip voice
USER tocsin
ENV PATH=/app/.venv/bin:$PATH TOCSIN_DATA_DIR=/data TOCSIN_HTTP__HOST=0.0.0.0 PYTHONUNBUFFERED=1
VOLUME /data
EXPOSE 8088
HEALTHCHECK --start-period=10s --interval=30s CMD ["tocsin", "readyz"]
ENTRYPOINT ["tocsin"]
CMD ["serve"]
