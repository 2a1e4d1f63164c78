/** An example as its reader runs it: a process of its own, in which `chat-cache` stands for the sources. */
import * as Daemon from "./DaemonProcess.ts"

/** As the npm scripts give it to Node, by way of the environment. */
const fromSource = { NODE_OPTIONS: "--conditions=chat-cache-source" }

type Environment = Record<string, string | undefined>

const options = (example: string, environment: Environment) => ({
  entry: `examples/${example}/main.ts`,
  environment: { ...fromSource, ...environment },
})

/** Starts it on the servers of the test, and does not wait for anything. */
export const run = (example: string, environment: Environment = {}) =>
  Daemon.run(options(example, environment))

/** Starts it on the servers of the test, and returns when it listens. */
export const start = (example: string, environment: Environment = {}) =>
  Daemon.start(options(example, environment))
