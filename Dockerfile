# An image of the daemon with its model and ONNX Runtime, run by a user without rights.
#
#   docker build -t hdfs-vigil .
#   docker run -v /var/log/hadoop-hdfs:/var/log/hadoop-hdfs:ro -v hdfs-vigil:/var/lib/hdfs-vigil \
#       --group-add $(stat -c %g /var/log/hadoop-hdfs) -p 127.0.0.1:9464:9464 hdfs-vigil
#
# There is no HEALTHCHECK: it would need an HTTP client inside, and orchestrators ask by themselves. /live says that the process
# answers, /ready that the checkpoint is restored, the model is loaded and the first scan is done, and that the state can be written.
# Let only /live decide over restarts.

FROM rust:1.95-bookworm AS builder
RUN apt-get update && apt-get install -y --no-install-recommends python3-pip && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# Leaves a library that lies in vendor/onnxruntime/ already as it is, once its hash was checked.
RUN scripts/onnxruntime
# "true" where the crates come with a mounted registry and none can be reached.
ARG CARGO_NET_OFFLINE=false
RUN --mount=type=cache,target=/src/target \
    cargo build --locked --release && install -D target/release/hdfs-vigil /out/hdfs-vigil

FROM debian:bookworm-slim
# ca-certificates for webhooks by https, libstdc++6 for ONNX Runtime.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates libstdc++6 tzdata && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 9464 --user-group --no-create-home --home-dir /var/lib/hdfs-vigil --shell /usr/sbin/nologin hdfs-vigil \
    && install -d -o hdfs-vigil -g hdfs-vigil -m 0750 /var/lib/hdfs-vigil
COPY --from=builder /src/vendor/onnxruntime/ /usr/lib/hdfs-vigil/
COPY --from=builder /src/models/ /usr/share/hdfs-vigil/models/
COPY --from=builder /src/LICENSE /usr/share/doc/hdfs-vigil/LICENSE
COPY --from=builder /src/deploy/etc/hdfs-vigil.toml /etc/hdfs-vigil/hdfs-vigil.toml
COPY --from=builder /out/hdfs-vigil /usr/bin/hdfs-vigil

# Inside a container loopback reaches nobody; what is published of this port, `docker run -p` decides.
ENV HDFS_VIGIL__HTTP__LISTEN=0.0.0.0:9464 \
    ORT_DYLIB_PATH=/usr/lib/hdfs-vigil/libonnxruntime.so \
    ORT_DISABLE_TELEMETRY=1
USER 9464:9464
WORKDIR /var/lib/hdfs-vigil
VOLUME /var/lib/hdfs-vigil
EXPOSE 9464
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/hdfs-vigil"]
CMD ["run", "--config", "/etc/hdfs-vigil/hdfs-vigil.toml"]
