import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/globalSetup.ts"],
    setupFiles: ["test/support/fastCheckSetup.ts"],
    reporters: ["default", "./test/support/SummaryLineReporter.ts"],
    pool: "forks",
    // Most of the time goes into waiting for servers and clients, so two files at once keep two cores busy.
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    teardownTimeout: 20_000,
  },
})
