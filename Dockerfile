# The daemon of chat-cache, without its servers. `docker compose up` runs all three.

FROM node:24-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json ./
# Nothing of the image is built by install scripts, and Node is there already.
RUN npm install --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build && npm prune --omit=dev --omit=optional --no-audit --no-fund

FROM node:24-bookworm-slim
LABEL org.opencontainers.image.title="chat-cache" \
      org.opencontainers.image.description="Takes chat messages into Valkey and moves them into PostgreSQL in batches" \
      org.opencontainers.image.licenses="MIT"
ENV NODE_ENV=production
# Within a container only other machines come in: CHAT_CACHE_API_TOKEN has to be set, or the daemon does not start.
ENV CHAT_CACHE_HOST=0.0.0.0 CHAT_CACHE_PORT=8080
WORKDIR /app
COPY --from=build /build/package.json ./
COPY --from=build /build/node_modules ./node_modules
COPY --from=build /build/dist ./dist
COPY lua ./lua
COPY migrations ./migrations
# Owned by root and run by somebody else: the process cannot change its own program.
USER node
EXPOSE 8080
# As long as messages can be taken, also while PostgreSQL is away.
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + process.env.CHAT_CACHE_PORT + '/health/ready').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
# Longer than CHAT_CACHE_SHUTDOWN_TIMEOUT has to be what the engine waits after SIGTERM: `docker run --stop-timeout 40`.
STOPSIGNAL SIGTERM
ENTRYPOINT ["node", "--enable-source-maps", "dist/main.js"]
