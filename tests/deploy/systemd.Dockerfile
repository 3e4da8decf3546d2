# A host with systemd and the package at /opt/cuecard, for the unit; the context is deploy/.
ARG IMAGE
FROM ${IMAGE} AS package
FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends systemd \
    && rm -rf /var/lib/apt/lists/*
COPY --from=package /opt/cuecard /opt/cuecard
COPY systemd/cuecard.service /etc/systemd/system/
COPY systemd/cuecard.toml /etc/cuecard/
# A simulator on the same host is the tenant.
RUN sed -i 's|https://tenant.example|http://127.0.0.1:9200|; s|"…"|"cxone-sim-client"|' /etc/cuecard/cuecard.toml \
    && install --mode=600 /dev/null /etc/cuecard/client-secret \
    && echo cxone-sim-secret > /etc/cuecard/client-secret
STOPSIGNAL SIGRTMIN+3
# A container's mounts are private, and what systemd mounts for a unit's credentials would be seen by nobody.
ENTRYPOINT ["sh", "-c", "mount --make-rshared / && exec /lib/systemd/systemd"]
