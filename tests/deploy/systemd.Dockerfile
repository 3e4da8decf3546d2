# A host with systemd and the package at /opt/cuecard, for the unit; the context is deploy/.
ARG IMAGE
FROM ${IMAGE} AS package
FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends systemd \
    && rm -rf /var/lib/apt/lists/*
COPY --from=package /opt/cuecard /opt/cuecard
COPY systemd/cuecard.service /etc/systemd/system/
COPY compose/cuecard.toml /etc/cuecard/
# A simulator on the same host is the tenant.
RUN printf '%s\n' CXONE_CONTRACT=insights CXONE_BASE_URL=http://127.0.0.1:9200 \
      CXONE_CLIENT_ID=cxone-sim-client CXONE_CLIENT_SECRET=cxone-sim-secret > /etc/cuecard/cuecard.env \
    && chmod 600 /etc/cuecard/cuecard.env
STOPSIGNAL SIGRTMIN+3
ENTRYPOINT ["/lib/systemd/systemd"]
