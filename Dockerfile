# docker build -t moecarlo . && docker run --rm -v "$PWD:/data" -w /data moecarlo simulate study.toml -o results
FROM debian:12
COPY . /moecarlo
RUN /moecarlo/scripts/fresh-machine /opt/moecarlo
ENV PATH=/opt/moecarlo/bin:$PATH
ENTRYPOINT ["moecarlo"]
